"""Say every three seconds what an I2S microphone hears, such as the INMP441: left channel, 32-bit slots.

    import i2s
    i2s.listen()

Set the pins to those of the board. The microphone's 32-bit slots carry 24 bits, of which machine.I2S gives
the upper 16 when it is asked for 16.
"""

from machine import I2S, Pin

import npr

SCK, WS, SD = 14, 15, 16  # an ESP32-S3; on an RP2350 WS is the pin after SCK, on a Pyboard "Y6", "Y5", "Y8"
WINDOW = 94  # frames of 32 ms in three seconds, after which the network begins anew


def listen(weights="weights.nprm", windows=None):
    """Print a label for every window, as many as `windows` says; without end by default."""
    model = npr.Model(weights)
    frontend = model.frontend
    microphone = I2S(
        0,
        sck=Pin(SCK),
        ws=Pin(WS),
        sd=Pin(SD),
        mode=I2S.RX,
        bits=16,
        format=I2S.MONO,
        rate=frontend.sample_rate,
        ibuf=8 * frontend.hop_length,  # two hops of stereo: what comes while a frame is worked on
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
