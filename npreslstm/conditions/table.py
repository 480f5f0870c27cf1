"""The eighteen conditions that weights are scored under. None of them is drawn in training: see `drawing`."""

from npreslstm.conditions.condition import Condition

AS_RECORDED = "as recorded"
TABLE = {
    AS_RECORDED: Condition(),
    "peak at 0.9": Condition(peak=0.9),
    "20 dB louder": Condition(gain_db=20),
    "20 dB fainter": Condition(gain_db=-20),
    "trimmed at 30 dB": Condition(trim_db=30),
    "trimmed, peak at 0.9": Condition(trim_db=30, peak=0.9),
    "babble 20 dB below": Condition(noise="babble", noise_db=20),
    "babble 10 dB below": Condition(noise="babble", noise_db=10),
    "speech-shaped noise 20 dB below": Condition(noise="speech", noise_db=20),
    "white noise 20 dB below": Condition(noise="white", noise_db=20),
    "room of 0.6 s, 0 dB direct": Condition(room=(0.6, 0.0)),
    "300 Hz to 4 kHz": Condition(high_pass=300, low_pass=4000, order=4),
    "telephone": Condition(telephone="mu-law"),
    "file at 8 kHz": Condition(file_rate=8000),
    "file at 16 kHz": Condition(file_rate=16000),
    "file at 22.05 kHz": Condition(file_rate=22050),
    "MP3, 32 kbit/s": Condition(codec=("mp3", 32)),
    "Opus, 15 kbit/s": Condition(codec=("opus", 15)),
}
