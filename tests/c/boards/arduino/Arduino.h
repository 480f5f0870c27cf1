/* SPDX-License-Identifier: MIT */
/* Declared as an Arduino core does, as far as the example uses it; main.cpp has the rest. */
#ifndef ARDUINO_H
#define ARDUINO_H
#include <stddef.h>
#include <stdint.h>

void setup();
void loop();

class SerialPort {
public:
    void begin(unsigned long) {}
    void print(const char *text);
    void print(char letter);
    void println(const char *text);
    void println(double number);
};
extern SerialPort Serial;

#endif
