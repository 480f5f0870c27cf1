"""Recording conditions: each does what it says, all are seeded, and none leaves full scale or turns silence
into sound.
"""

import numpy as np
import pytest
from samples import voice

from npreslstm.conditions.channels import CODECS, coded, companded
from npreslstm.conditions.condition import RANGES, Condition, Sources, apply
from npreslstm.conditions.drawing import MP3, OPUS, RATES, draw
from npreslstm.conditions.filters import convolve, high_pass, low_pass, played, shape, spectrum_size, tilt
from npreslstm.conditions.levels import active_level, rms
from npreslstm.conditions.noise import KINDS, make_noise
from npreslstm.conditions.rooms import room_response
from npreslstm.conditions.table import TABLE
from npreslstm.errors import InputError

RATE = 16000


def speech(seconds=1.0, seed=0):
    """A voice between two stretches of digital silence."""
    return np.pad(voice(seconds, sample_rate=RATE, seed=seed), RATE // 2)


def rng(seed=0):
    return np.random.default_rng(seed)


SOURCES = Sources([voice(1.0, sample_rate=RATE, seed=k) for k in (5, 6)], [rng(7).normal(size=RATE)])


def heard(seed=0, **fields):
    return apply(Condition(**fields), speech(), RATE, rng(seed), SOURCES)


def decibels(ratio):
    return 20 * np.log10(ratio)


def test_as_recorded_is_the_same_samples():
    y = np.round(speech() * 32768) / 32768
    assert np.array_equal(apply(Condition(), y, RATE, rng()), y.astype(np.float32))


def test_levels_are_what_they_say():
    assert np.abs(heard(peak=0.9)).max() == pytest.approx(0.9, abs=2e-5)
    # achieved 0.0003
    assert decibels(active_level(heard(level_db=-26), RATE)) == pytest.approx(-26, abs=0.01)
    quieter = active_level(heard(gain_db=-20), RATE) / active_level(heard(), RATE)
    assert decibels(quieter) == pytest.approx(-20, abs=0.01)
    assert heard(gain_db=60).max() == 32767 / 32768 and heard(gain_db=60).min() == -1
    assert heard(offset=0.1)[:100] == pytest.approx(0.1, abs=2e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_noise_lies_below_the_voice_by_what_was_asked(kind):
    y = speech()
    noise = apply(Condition(noise=kind, noise_db=12), y, RATE, rng(), SOURCES) - apply(
        Condition(), y, RATE, rng()
    )
    # 16 bits; achieved 0.004
    assert decibels(active_level(y, RATE) / rms(noise)) == pytest.approx(12, abs=0.02)
    assert not np.array_equal(
        make_noise(kind, 999, rng(1), SOURCES[0]), make_noise(kind, 999, rng(2), SOURCES[0])
    )


def test_spectra_of_noises():
    def slope(noise):
        """Decibels an octave between 500 Hz and 4 kHz."""
        power = np.square(np.abs(np.fft.rfft(noise)))
        f = np.fft.rfftfreq(len(noise), 1 / RATE)
        low, high = (power[(f > edge) & (f < 2 * edge)].mean() for edge in (500, 4000))
        return 10 * np.log10(high / low) / 3

    assert slope(make_noise("white", 1 << 18, rng(), [])) == pytest.approx(0, abs=0.1)
    assert slope(make_noise("pink", 1 << 18, rng(), [])) == pytest.approx(-3, abs=0.1)
    tone = np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE)
    shaped = np.square(np.abs(np.fft.rfft(make_noise("speech", RATE, rng(), [tone]))))
    assert shaped[950:1051].sum() > 0.99 * shaped.sum()


def test_ends_are_cut_and_put():
    y = speech()
    trimmed = heard(trim_db=30)
    assert RATE < len(trimmed) < RATE + 2 * 2048 + 512 < len(y)
    padded = heard(pad=(0.5, 0.25))
    assert len(padded) == len(y) + 8000 + 4000 and not padded[:8000].any() and not padded[-4000:].any()
    noisy = apply(
        Condition(pad=(0.5, 0), pad_noisy=True), y + 0.001 * rng(9).normal(size=len(y)), RATE, rng()
    )
    assert rms(noisy[:8000]) == pytest.approx(0.001, rel=0.1)


def test_rooms_die_away_as_long_as_they_should():
    response = room_response(RATE, 0.5, 3.0, rng())
    echoes = response[1:]
    assert 10 * np.log10(1 / np.square(echoes).sum()) == pytest.approx(3.0, abs=1e-3) and response[0] == 1
    early, late = (rms(echoes[k : k + 800]) for k in (800, 4800))  # a quarter of a second apart: 30 dB
    assert decibels(early / late) == pytest.approx(30, abs=1.5)
    impulse = np.zeros(5000)
    impulse[0] = 1
    assert convolve(impulse, response[:3000])[:3000] == pytest.approx(response[:3000], abs=1e-6)


def test_filters_have_their_gains():
    f = np.array([100.0, 200.0, 1000.0, 4000.0])
    assert decibels(high_pass(f, 200, 2))[1] == pytest.approx(-3.01, abs=0.01)
    assert decibels(low_pass(f, 1000, 4)) == pytest.approx([0, 0, -3.01, -48.2], abs=0.1)
    assert decibels(tilt(f, 2)) == pytest.approx([2 * np.log2(0.1), 2 * np.log2(0.2), 0, 4])
    t = np.arange(RATE) / RATE
    tone = np.sin(2 * np.pi * 2000 * t)
    filtered = shape(tone, RATE, lambda f: low_pass(f, 1000, 2))[2000:-2000]
    assert rms(filtered) / rms(tone) == pytest.approx(1 / np.sqrt(17), rel=1e-3)


def test_other_rates_and_lines_lose_the_bands_they_lose():
    def share_above(y, hz):
        power = np.square(np.abs(np.fft.rfft(y)))
        return power[np.fft.rfftfreq(len(y), 1 / RATE) > hz].sum() / power.sum()

    noise = 0.1 * rng(3).normal(size=RATE)
    assert share_above(apply(Condition(file_rate=8000), noise, RATE, rng()), 4000) < 1e-4
    for law in ("mu-law", "a-law"):
        line = apply(Condition(telephone=law), noise, RATE, rng())
        assert len(line) == len(noise) and share_above(line, 4000) < 1e-3


@pytest.mark.parametrize("law", ["mu-law", "a-law"])
def test_companding_is_finer_near_zero(law):
    for level, steps in ((1.0, 40), (0.1, 40), (0.01, 15)):
        y = np.linspace(-level, level, 1001)
        error = np.abs(companded(y, law) - y).max()
        assert 0 < error < level / steps
    assert np.array_equal(companded(-y, law), -companded(y, law)) and companded(np.zeros(1), law) == 0


@pytest.mark.parametrize("codec", CODECS)
def test_codecs_give_the_same_voice_at_the_same_place(codec):
    pytest.importorskip("soundfile", "0.13")
    y = speech()
    back = coded(y, RATE, codec, 60)
    assert len(back) == len(y)
    assert np.corrcoef(back, y)[0, 1] > 0.9


def test_played_at_another_speed():
    t = np.arange(2 * RATE) / RATE
    faster = played(np.sin(2 * np.pi * 500 * t), 1.25 * RATE, RATE)
    assert len(faster) == pytest.approx(2 * RATE / 1.25, rel=5e-3)
    spectrum = np.abs(np.fft.rfft(faster))
    assert np.fft.rfftfreq(len(faster), 1 / RATE)[spectrum.argmax()] == pytest.approx(625, rel=5e-3)
    assert [spectrum_size(n) for n in (1, 7, 1001)] == [2, 8, 1024]


@pytest.mark.parametrize("name", TABLE)
def test_every_condition_of_the_table_is_seeded_and_in_range(name):
    if TABLE[name].codec:
        pytest.importorskip("soundfile", "0.13")
    first, again = (apply(TABLE[name], speech(), RATE, rng(4), SOURCES) for _ in range(2))
    assert np.array_equal(first, again) and first.dtype == np.float32
    assert np.isfinite(first).all() and np.abs(first).max() <= 1 and np.abs(first).max() > 0


def test_draws_cover_the_ranges_and_none_is_of_the_table():
    drawn = [draw(rng(k)) for k in range(2000)]
    assert {c.noise for c in drawn} == {None, "white", "pink", "speech", "babble"}
    assert {c.telephone for c in drawn} == {None, "mu-law", "a-law"}
    assert {c.codec[0] for c in drawn if c.codec} == set(CODECS) and {c.file_rate for c in drawn} == {
        None,
        *RATES,
    }
    gains = [c.gain_db for c in drawn]
    assert min(gains) < -23 and max(gains) > 19
    assert not {("mp3", 32), ("opus", 15)} & {("mp3", kbps) for kbps in MP3} | {
        ("opus", kbps) for kbps in OPUS
    } & {("opus", 15)}
    assert not set(drawn) & set(TABLE.values())


def test_draws_are_noisy_as_often_as_the_page_says():
    """Of 2,000 draws; 4 standard deviations of a share are 0.042 and 0.053."""
    noisy = [c for c in (draw(rng(k)) for k in range(2000)) if c.noise]
    assert abs(len(noisy) / 2000 - 0.7) < 0.042
    assert abs(np.mean([c.noise == "babble" for c in noisy]) - 0.4) < 0.053
    assert min(c.noise_db for c in noisy) < 1 and 34 < max(c.noise_db for c in noisy) <= 35


def test_draws_without_voices_have_other_noises_and_babble_alone_is_all_babble():
    assert "babble" not in {draw(rng(k), ("white", "pink")).noise for k in range(100)}
    assert {draw(rng(k), ("babble",)).noise for k in range(100)} == {None, "babble"}


@pytest.mark.parametrize("seed", range(30))
def test_drawn_conditions_stay_in_range(seed):
    condition = draw(rng(seed))
    if condition.codec:
        pytest.importorskip("soundfile", "0.13")
    y = apply(condition, speech(0.3), RATE, rng(seed), SOURCES)
    assert np.isfinite(y).all() and np.abs(y).max() <= 1 and len(y) > 0


@pytest.mark.parametrize(
    "condition", [TABLE["telephone"], Condition(room=(0.3, 0)), Condition(high_pass=100), Condition(peak=0.9)]
)
def test_digital_silence_stays_silence(condition):
    assert not apply(condition, np.zeros(RATE), RATE, rng()).any()


def test_very_short_sound():
    for y in (np.full(1, 0.5), np.full(10, 0.5)):
        for condition in (
            Condition(noise="white"),
            Condition(room=(0.5, 0)),
            Condition(trim_db=30),
            Condition(pad=(0.1, 0.1), pad_noisy=True),
        ):
            assert np.isfinite(apply(condition, y, RATE, rng())).all()


@pytest.mark.parametrize("name", RANGES)
def test_values_out_of_range_are_named(name):
    low, high = RANGES[name]
    for value in (low - 1, high + 1, np.nan):
        with pytest.raises(InputError, match=f"{name} is .*expected"):
            Condition(**{name: (value, value) if name == "pad" else value})


def test_other_bad_values_are_named():
    for fields, text in (
        ({"noise": "brown"}, "noise is 'brown'; expected one of white"),
        ({"telephone": "pcm"}, "telephone is 'pcm'"),
        ({"codec": ("aac", 32)}, "codec is 'aac'"),
        ({"room": (5, 0)}, "room is 5 s"),
        ({"room": 0.5}, "room is 0.5; expected seconds and dB"),
        ({"room": ("large", 0)}, "room is large s"),
        ({"codec": "mp3"}, "codec is 'mp3'; expected a name and kbit/s"),
        ({"gain_db": "loud"}, "gain_db is loud; expected -60 to 60"),
        ({"pad": 1}, "pad is 1; expected seconds twice"),
    ):
        with pytest.raises(InputError, match=text):
            Condition(**fields)
    for kind in ("babble", "speech", "background"):
        with pytest.raises(InputError, match="made of recordings, and there are none"):
            apply(Condition(noise=kind), speech(), RATE, rng())
    with pytest.raises(InputError, match="opus at 500 kbit/s; expected 6 to 256"):
        coded(speech(), RATE, "opus", 500)


def test_conditions_say_what_they_are():
    assert str(Condition()) == "as recorded"
    assert str(Condition(noise="babble", noise_db=10)) == "noise=babble noise_db=10"
