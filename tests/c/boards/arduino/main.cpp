/* SPDX-License-Identifier: MIT */
/* The main of a stand-in core: in its archive, where a library's main would take its place. The board hears a
 * sound, then stops. */
#include <stdio.h>
#include <string.h>

#include "PDM.h"

#define BLOCK 300 /* samples, more than the sketch takes at once */

extern "C" {
extern const int16_t sound[];
extern const size_t sound_samples;
}

SerialPort Serial;
Microphone PDM;

void SerialPort::print(const char *text) { printf("%s", text); }
void SerialPort::print(char letter) { printf("%c", letter); }
void SerialPort::println(const char *text) { printf("%s\n", text); }
void SerialPort::println(double number) { printf("%.2f\n", number); }

int Microphone::begin(int channels, int rate) { return channels == 1 && rate == 16000; }

int Microphone::read(void *buffer, size_t bytes) {
    const size_t given = bytes < static_cast<size_t>(waiting_) ? bytes : static_cast<size_t>(waiting_);
    memcpy(buffer, reinterpret_cast<const char *>(sound) + heard_, given);
    heard_ += given;
    waiting_ -= static_cast<int>(given);
    return static_cast<int>(given);
}

bool Microphone::hear() {
    const size_t left = sound_samples * sizeof sound[0] - heard_, block = BLOCK * sizeof sound[0];
    waiting_ = static_cast<int>(left < block ? left : block);
    if (waiting_ > 0) { receive_(); }
    return heard_ < sound_samples * sizeof sound[0];
}

int main() {
    setup();
    while (PDM.hear()) {
        for (int turn = 0; turn < 3; turn++) { loop(); /* an event ends a turn */ }
    }
    printf("main of the core\n");
    return 0;
}
