"""Say every three seconds what an I2S microphone hears, such as the INMP441: left channel, 32-bit slots.

    import i2s
    i2s.listen()

Set the bus and the pins to those of the board. The microphone's 32-bit slots carry 24 bits, of which
machine.I2S gives the upper 16 when it is asked for 16. A frame must take less than its 32 ms, or samples are
lost; selftest.py prints how long it takes.
"""

from machine import I2S, Pin

import npr

# An ESP32-S3; also an RP2350, where WS must be the pin after SCK. On a Pyboard 2, "Y6", "Y5", "Y8".
BUS, SCK, WS, SD = 0, 14, 15, 16
WINDOW = 94  # frames of 32 ms in three seconds, after which the network begins anew


def listen(weights="weights.nprm", windows=None):
    """Print a label for every window, as many as `windows` says; without end by default."""
    model = npr.Model(weights)
    frontend = model.frontend
    microphone = I2S(
        BUS,
        sck=Pin(SCK),
        ws=Pin(WS),
        sd=Pin(SD),
        mode=I2S.RX,
        bits=16,
        format=I2S.MONO,
        rate=frontend.sample_rate,
        ibuf=16 * frontend.hop_length,  # two hops: a sample takes 8 bytes of it, both channels in 32 bits
    )
    block = bytearray(2 * frontend.hop_length)
    view = memoryview(block)
    try:
        while windows is None or windows > 0:
            while model.frames < WINDOW:
                n = microphone.readinto(block)
                model.push(view[:n])
            label, chances = model.result()
            print(f"{label} {(100 * max(chances) + 16384) >> 15} %")
            model.reset()
            if windows is not None:
                windows -= 1
    finally:
        microphone.deinit()
