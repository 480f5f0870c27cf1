/* SPDX-License-Identifier: MIT */
/* The interface for C++, 11 or newer: objects that hold their memory, and begin by themselves. Nothing
 * throws; see npr.h. */
#ifndef NPR_HPP
#define NPR_HPP

#include "npr.h"
#ifdef NPR_STREAM
#include "npr_stream.h"
#endif

namespace npr {

/* Probabilities, the number of the largest, and its name. */
struct Result {
    npr_probability probabilities[NPR_CLASSES];
    size_t label;
    const char *name;
};

/* One clip, by its features. */
class Network {
public:
    explicit Network(const npr_model &model) : model_(model), state_(), begun_(npr_init(&model, &state_)) {}
    npr_status begun() const { return begun_; }
    npr_status reset() { return npr_reset(&model_, &state_); }
    npr_status push(const npr_feature (&features)[NPR_INPUTS]) {
        return npr_push_frame(&model_, &state_, features, NPR_INPUTS);
    }
    npr_status result(Result &result) const {
        const npr_status status =
            npr_result(&model_, &state_, result.probabilities, NPR_CLASSES, &result.label);
        if (status == NPR_OK) { result.name = model_.labels[result.label]; }
        return status;
    }

private:
    const npr_model &model_;
    npr_state state_;
    npr_status begun_;
};

#ifdef NPR_STREAM
/* A recording: see npr_stream.h. `Samples` int16, a power of two, may wait. To be made static, for it takes
 * kilobytes. */
template <size_t Samples>
class Stream {
    static_assert(Samples >= 2 && (Samples & (Samples - 1)) == 0, "the ring takes a power of two of samples");

public:
    Stream(const npr_model &model, const npr_rate &rate)
        : model_(model),
          rate_(rate),
          stream_(),
          ring_(),
          begun_(npr_stream_init(&stream_, &model, &rate, ring_, Samples)) {}
    Stream(const Stream &) = delete; /* the ring stays where it is */
    Stream &operator=(const Stream &) = delete;
    npr_status begun() const { return begun_; }
    npr_status begin() { return begun_ = npr_stream_init(&stream_, &model_, &rate_, ring_, Samples); }
    npr_status write(const int16_t *pcm, size_t samples) { return npr_stream_write(&stream_, pcm, samples); }
    size_t room() const { return npr_stream_room(&stream_); }
    npr_status poll(npr_event &event) { return npr_stream_poll(&stream_, &event); }
    npr_status finish(npr_event &event) { return npr_stream_finish(&stream_, &event); }
    const char *name(const npr_event &event) const { return model_.labels[event.label]; }

private:
    const npr_model &model_;
    const npr_rate &rate_;
    npr_stream stream_;
    int16_t ring_[Samples];
    npr_status begun_;
};
#endif

} // namespace npr

#endif
