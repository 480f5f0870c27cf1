/* SPDX-License-Identifier: MIT */
/* The emotion in a voice, with the PDM microphone of an Arduino Nano RP2040 Connect (or Nano 33 BLE Sense).
 * The core's PDM library calls onSamples from an interrupt; loop does the work, and prints about one line a
 * second of speech. */
#include <PDM.h>
#include <npr.hpp>

static npr::Stream<4096> voice(npr_weights, npr_rate_16000); /* a quarter of a second may wait */

static void onSamples() {
    int16_t block[256];
    for (int bytes = PDM.available(); bytes > 0; bytes = PDM.available()) {
        const int most = static_cast<int>(sizeof block);
        const int got = PDM.read(block, bytes < most ? bytes : most);
        if (got <= 0) { return; }
        voice.write(block, static_cast<size_t>(got) / sizeof block[0]); /* what is lost, loop is told */
    }
}

void setup() {
    Serial.begin(115200);
    PDM.onReceive(onSamples);
    if (voice.begun() != NPR_OK) { Serial.println(npr_status_text(voice.begun())); }
    if (!PDM.begin(1, 16000)) { Serial.println("no microphone"); }
}

void loop() {
    npr_event event;
    const npr_status status = voice.poll(event);
    if (status != NPR_OK) { Serial.println(npr_status_text(status)); }
    if (status != NPR_OK || event.kind == NPR_NOTHING) { return; }
    if (event.kind == NPR_START) { Serial.println("speech"); }
    if (event.kind == NPR_OVERRUN) {
        Serial.println("samples lost: the core is too slow, or loop does too much else");
    }
    if (event.kind == NPR_RESULT || event.kind == NPR_END) {
        Serial.print(voice.name(event));
        Serial.print(' ');
        Serial.println(event.probabilities[event.label]);
    }
}
