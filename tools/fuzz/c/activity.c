/* SPDX-License-Identifier: MIT */
/* npr_activity.h: any samples in pushes of any size, and the end of the recording at any moment. */
#include "input.h"
#include "npr_activity.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    input in = {data, size};
    npr_activity *activity = (npr_activity *)malloc(sizeof *activity);
    require(activity && npr_activity_init(activity) == NPR_OK, "init");
    size_t samples_in = 0, decisions = 0;
    while (in.left) {
        npr_decision decision = NPR_UNDECIDED;
        const uint8_t call = take_byte(&in);
        if (call == 255) {
            require(npr_activity_init(activity) == NPR_OK, "next recording");
            samples_in = decisions = 0;
        } else if (call >= 250) {
            require(npr_activity_flush(activity, &decision) == NPR_OK, "flush");
        } else {
            const size_t samples = call % 4 ? NPR_ACTIVITY_HOP : take_below(&in, NPR_ACTIVITY_HOP + 2);
            int16_t *pcm = (int16_t *)taken(&in, samples * sizeof *pcm);
            const int ended = activity->ended;
            if (npr_activity_push(activity, pcm, samples, &decision) == NPR_OK) {
                require(!ended && samples >= 1 && samples <= NPR_ACTIVITY_HOP, "a bad push is taken");
                samples_in += samples;
            }
            free(pcm);
        }
        require(decision >= NPR_UNDECIDED && decision <= NPR_SPEECH, "a decision");
        decisions += decision != NPR_UNDECIDED;
        require(decisions <= (samples_in + NPR_ACTIVITY_HOP - 1) / NPR_ACTIVITY_HOP,
                "more decisions than hops");
    }
    free(activity);
    return 0;
}
