/* SPDX-License-Identifier: MIT */
/* The PDM library of Arduino's mbed core, as far as the example uses it: its microphone hears `sound`. */
#ifndef PDM_H
#define PDM_H
#include "Arduino.h"

class Microphone {
public:
    int begin(int channels, int rate);
    void onReceive(void (*function)(void)) { receive_ = function; }
    int available() const { return waiting_; }
    int read(void *buffer, size_t bytes);
    bool hear(); /* the next block comes, and its interrupt; false when the sound has ended */

private:
    void (*receive_)(void) = nullptr;
    int waiting_ = 0;
    size_t heard_ = 0;
};
extern Microphone PDM;

#endif
