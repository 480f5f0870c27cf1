"""Small changes of the C port between samples and features, and around an utterance; see c_mutations.py."""

SPECTRUM = {
    "window": (
        "return ONE - cosine(k <= HALF ? k : NPR_FFT - k)",
        "return ONE + cosine(k <= HALF ? k : NPR_FFT - k)",
    ),
    "window, asymmetric": ("k <= HALF ? k : NPR_FFT - k)", "k <= HALF ? k : NPR_FFT - 1 - k)"),
    "window, shift": ("+ (1 << 16)) >> 17", "+ (1 << 17)) >> 18"),
    "window, faint frames": ("while (up < 31", "while (up < 15"),
    "order of the inputs": ("bit = HALF >> 1", "bit = HALF >> 2"),
    "product, shift": ("+ ONE / 2) >> 30", "+ ONE) >> 31"),
    "butterfly, angle": ("wr = cosine(k * (HALF / size))", "wr = cosine(k * (HALF / size) + 1)"),
    "butterfly, direction": ("wi = -sine(k * (HALF / size))", "wi = sine(k * (HALF / size))"),
    "butterfly, sign": ("b[0] = ar - re", "b[0] = ar + re"),
    "halving, not counted": ("halved += down", "halved += 0 * down"),
    "halving, too late": ("ROOM ((uint32_t)1 << 29)", "ROOM ((uint32_t)1 << 31)"),
    "sine, second quadrant": ("npr_cosine[k - NPR_FFT / 4]", "npr_cosine[k - NPR_FFT / 4 + 1]"),
    "halves apart, sign": ("(int64_t)a[1] - b[1]", "(int64_t)a[1] + b[1]"),
    "halves apart, angle": ("s = sine(k);", "s = sine(k + 1);"),
    "square, shift": ("(re + half) >> 32), b", "(re + half) >> 33), b"),
    "unit": ("up - 14 - 15 + 1", "up - 14 - 15 + 2"),
}


FEATURES = {
    "mel, first bin": ("spectrum->power + npr_mel_start[m]", "spectrum->power + npr_mel_start[m] + 1"),
    "mel, last bin": ("k < npr_mel_count[m]", "k + 1 < npr_mel_count[m]"),
    "decibels": ("3.01029996f", "3.0103f + 1e-4f"),
    "decibels, fixed point": ("decibels * 32768.0f", "decibels * 32767.0f"),
    "cosine transform, parity": (
        "left + right, folded[1][m] = left - right",
        "left - right, folded[1][m] = left + right",
    ),
    "cosine transform, angle": ("angle += 2 * step", "angle += step"),
    "cosine transform, period": ("NPR_FFT - a]", "NPR_FFT - a + 1]"),
    "cosine transform, first": ("k == 0 ? NPR_DCT_FIRST", "k == 1 ? NPR_DCT_FIRST"),
    "chroma, largest": (
        "chroma[p] > largest ? chroma[p] : largest",
        "chroma[p] > largest ? largest : chroma[p]",
    ),
}


STREAM = {
    "mel, floor": ("sum > NPR_FLOOR ? sum : NPR_FLOOR", "sum > 2 * NPR_FLOOR ? sum : 2 * NPR_FLOOR"),
    "chroma, cycle": ("p + 1 == NPR_CHROMA ? 0", "p + 1 == NPR_CHROMA ? 1"),
    "chroma, one class too few": (
        "left = npr_chroma_count[k]; left > 0",
        "left = npr_chroma_count[k]; left > 1",
    ),
    "samples, history": ("kept + NPR_HOP, (NPR_FFT", "kept + NPR_HOP - 1, (NPR_FFT"),
    "samples, end of the clip": ("memset(kept + NPR_FFT - NPR_HOP, 0", "memset(kept + NPR_FFT - NPR_HOP, 1"),
    "samples, place": ("memcpy(kept + NPR_FFT - NPR_HOP, pcm", "memcpy(kept + NPR_FFT - NPR_HOP - 1, pcm"),
}


ACTIVITY = {
    "number of the sample": ("number >>= 1", "number >>= 2"),
    "difference": ("activity->pending[band] - sum;", "activity->pending[band] + sum;"),
    "sum": ("sum += activity->pending[band]", "sum -= activity->pending[band]"),
    "logarithm": ("256 * whole", "255 * whole"),
    "logarithm, mantissa": ("value >= 512", "value >= 1024"),
    "fall": ("-(-above >> fall)", "above >> fall"),
    "fall, first": ("heard < FIRST_HOPS ? FIRST_FALL", "heard > FIRST_HOPS ? FIRST_FALL"),
    "fall, first hops": ("#define FIRST_HOPS 16", "#define FIRST_HOPS 8"),
    "creep": ("above < CREEP ? above : CREEP", "CREEP + 1"),
    "rise": ("return above >> RISE", "return above >> (RISE + 1)"),
    "first floor": ("heard == 0) { *floor = level", "heard == 1) { *floor = level"),
    "cap": ("above < CAP ? above : CAP", "above"),
    "below the floor": ("above < 0 ? 0 : above", "above"),
    "faint": ("#define FAINT 1024u", "#define FAINT 512u"),
    "silent": ("energy < SILENT ? 0", "energy < 0 * SILENT ? 0"),
    "energies of the last hop": (
        "activity->energy, 0, sizeof activity->energy);\n    act",
        "activity->energy, 0, 8);\n    act",
    ),
    "mean": ("k < SMOOTHED; k++) { total", "k < SMOOTHED - 1; k++) { total"),
    "threshold": ("RELEASE : THRESHOLD)", "RELEASE : THRESHOLD / 2)"),
    "release": ("RELEASE : THRESHOLD)", "THRESHOLD : THRESHOLD)"),
    "look-back": ("NPR_ACTIVITY_LOOK_BACK + 1 + HANGOVER", "1 + HANGOVER"),
    "hangover": ("NPR_ACTIVITY_LOOK_BACK + 1 + HANGOVER", "NPR_ACTIVITY_LOOK_BACK + 1"),
    "delay": ("activity->late = NPR_ACTIVITY_DELAY", "activity->late = NPR_ACTIVITY_DELAY - 1"),
    "end": ("if (*decision == NPR_UNDECIDED) { activity->left++; }", ""),
}


RATE = {
    "rounding": ("half = 1 << 14", "half = 0"),
    "order of the filter": ("h[NPR_TAPS - 1 - k] * window[k]", "h[k] * window[k]"),
    "phase, backwards": ("rate->up - 1u - phase", "rate->up - 2u - phase"),
    "half of the phases": ("phase <= mirrored", "phase + 1 <= mirrored"),
    "saturation": ("v > 32767 ? 32767", "v > 32760 ? 32760"),
    "constant, rounding": ("decimator->mean + (1 << (MEAN_BITS - 1))", "decimator->mean"),
    "constant, speed": ("MEAN_SHIFT 9", "MEAN_SHIFT 10"),
    "constant, order": ("return saturate(v)", "return saturate(v + 1)"),
    "window, second half": ("window[0] = window[NPR_TAPS] = sample", "window[0] = sample"),
    "window, newest": ("decimator->position, window + 1)", "decimator->position, window)"),
    "position": ("decimator->position + rate->down", "decimator->position + rate->down + 1"),
    "position, wrap": ("decimator->place + 1u) % NPR_TAPS", "decimator->place + 1u) % (NPR_TAPS - 1)"),
}


STREAM_EVENTS = {
    "ring, place": ("stream->written & stream->mask", "(stream->written + 1) & stream->mask"),
    "ring, wrap": ("memcpy(stream->ring, pcm + first", "memcpy(stream->ring, pcm"),
    "ring, room": ("stream->mask + 1u - (stream->written", "stream->mask - (stream->written"),
    "overrun, count": ("(uint32_t)(samples - taken)", "(uint32_t)samples"),
    "overrun, told": ("event->kind = NPR_OVERRUN", "event->kind = NPR_NOTHING"),
    "hop": ("event->hop = stream->decided++", "event->hop = ++stream->decided"),
    "kept frame": ("stream->kept[stream->heard %", "stream->kept[(stream->heard + 1) %"),
    "end": ("report(stream, NPR_END, event);\n    }\n    if", "NPR_OK;\n    }\n    if"),
    "period": ("stream->since == NPR_STREAM_PERIOD)", "stream->since == NPR_STREAM_PERIOD + 1)"),
    "smoothing": ("alone ? now[k]", "!alone ? now[k]"),
    "smoothing, end": ("kind == NPR_END && !stream->renewed", "0"),
    "smoothing, part": ("NPR_STREAM_PERIOD * before", "before"),
    "start, network": (
        "npr_status status = npr_reset(stream->model, &stream->state);",
        "npr_status status = NPR_OK;",
    ),
    "lead": ("stream->heard = hop - NPR_STREAM_LEAD", "stream->heard = hop - NPR_STREAM_LEAD + 1"),
    "hangover": ("> NPR_STREAM_HANGOVER", ">= NPR_STREAM_HANGOVER"),
    "hangover, speech in it": ("stream->quiet = 0;", ""),
    "end of the recording": ("stream->decided;\n", "stream->decided + 1;\n"),
}


INTEGER_FRONTEND = {
    "window": ("32768 + minus_cos", "32768 - minus_cos"),
    "window, asymmetric": (
        "k <= HALF ? k : NPR_FFT - k)); /* (I2)",
        "k <= HALF ? k : NPR_FFT - 1 - k)); /* (I2)",
    ),
    "window, bits": ("bits |= magnitude(z[k])", "bits ^= magnitude(z[k])"),
    "exponent": ("up = 30 - bit_length(bits)", "up = 29 - bit_length(bits)"),
    "exponent, too large": ("up = 30 - bit_length(bits)", "up = 31 - bit_length(bits)"),
    "exponent, loud frames": ("up < 0 ? z[k] >> 1", "up < 0 ? z[k]"),
    "bits of a number": ("v >> step != 0", "v >> step > 1"),
    "magnitude": ("(x ^ (x >> 31))", "(x < 0 ? -x : x)"),
    "order of the inputs": ("bit = HALF >> 1", "bit = HALF >> 2"),
    "order, swapped twice": ("if (k < reversed)", "if (k <= reversed || 1)"),
    "swap": ("a[1] = b[1];\n    b[0] = re;", "a[1] = im;\n    b[0] = re;"),
    "sine, first quadrant": ("HALF / 2 - k : k - HALF / 2]", "HALF / 2 - k : k - HALF / 2 + 1]"),
    "sine, second quadrant": ("? HALF / 2 - k :", "? HALF / 2 - k + 1 :"),
    "turned, real": ("npr_half(re, cos) + npr_half(im, sin)", "npr_half(re, cos) - npr_half(im, sin)"),
    "turned, imaginary": ("npr_half(im, cos) - npr_half(re, sin)", "npr_half(im, cos) + npr_half(re, sin)"),
    "butterfly, rounding": ("half_re = a[0] >> 1", "half_re = (a[0] + 1) >> 1"),
    "butterfly, rounding of the other part": ("half_im = a[1] >> 1", "half_im = (a[1] + 1) >> 1"),
    "butterfly, sign": ("b[0] = half_re + re", "b[0] = half_re - re"),
    "butterfly, not halved": ("a[0] = half_re - re", "a[0] = 2 * half_re - re"),
    "angle 0, rounding": ("-b[0] >> 1, -b[1] >> 1", "-(b[0] >> 1), -b[1] >> 1"),
    "angle 0, rounding of the other part": ("-b[0] >> 1, -b[1] >> 1", "-b[0] >> 1, -(b[1] >> 1)"),
    "angle of a stage": ("cos = minus_cos(k * (HALF / size))", "cos = minus_cos(k * (HALF / size) + 1)"),
    "angle of a stage, sine": (
        "sin = minus_sin(k * (HALF / size))",
        "sin = minus_sin(k * (HALF / size) - 1)",
    ),
    "stage, distance": (
        "b = a + 2 * size;\n            butterfly",
        "b = a + 2 * size - 2;\n            butterfly",
    ),
    "a stage too few": ("size < HALF; size *= 2", "size < HALF / 2; size *= 2"),
    "halves apart, rounding": ("b_im = b[1] >> 1", "b_im = (b[1] + 1) >> 1"),
    "halves apart, even": ("(a_re + b_re) >> 1", "(a_re - b_re) >> 1"),
    "halves apart, rounding of the even part": (
        "even_im = (a_im - b_im) >> 1",
        "even_im = (a_im - b_im + 1) >> 1",
    ),
    "halves apart, odd": (
        "odd_im = turned_im(a_im + b_im, b_re - a_re",
        "odd_im = turned_im(a_im + b_im, a_re - b_re",
    ),
    "halves apart, angle": (
        "cos = minus_cos(k), sin = minus_sin(k)",
        "cos = minus_cos(k), sin = minus_sin(k) + 1",
    ),
    "halves apart, the first bin": ("k == 0 ? low : high", "high"),
    "halves apart, the middle bin": (
        "store_power(low, even_re - odd_re, even_im - odd_im)",
        "if (k < HALF / 2) store_power(low, even_re - odd_re, even_im - odd_im)",
    ),
    "power, bits": ("#define POWER_BITS 15", "#define POWER_BITS 14"),
    "power, exponent": ("bin[1] = 2 * down", "bin[1] = down"),
    "power, imaginary part": ("+ (y >> down) * (y >> down)", ""),
    "aligned, rounding": (": 31)) + 1) >> 1", ": 31)) + 0) >> 1"),
    "aligned, faint bins": ("down < 31 ? down : 31", "down < 31 ? down : 16"),
    "logarithm, entry": ("k = fraction >> 9", "k = fraction >> 9 | 1"),
    "logarithm, rounding": ("* t + 256) >> 9", "* t) >> 9"),
    "logarithm, fraction": ("fraction & 511", "fraction & 510"),
    "logarithm, shift": ("v << (31 - whole)) >> 15", "v << (31 - whole)) >> 16"),
    "logarithm, whole part": ("return whole * 65536", "return whole * 65535"),
    "mel, first bin": ("frontend->bins + 2 * npr_mel_start[m]", "frontend->bins + 2 * npr_mel_start[m] + 2"),
    "mel, last bin": ("k < count; k++) {\n        total", "k + 1 < count; k++) {\n        total"),
    "mel, largest exponent": (
        "largest = bins[2 * k + 1] > largest ? bins[2 * k + 1] : largest",
        "largest = bins[2 * k + 1]",
    ),
    "mel, bits": ("#define LEVEL_BITS 16", "#define LEVEL_BITS 15"),
    "mel, unit": ("NPR_UNIT - 2 * up", "NPR_UNIT - up"),
    "mel, floor": ("level > NPR_FLOOR ? level : NPR_FLOOR", "level"),
    "mel, offset": ("65536 + npr_mel_offset[m]", "65536"),
    "cosine transform, bits": (
        "right = levels[NPR_MELS - 1 - m] * (1 << CEPSTRUM_BITS)",
        "right = levels[NPR_MELS - 1 - m] * (1 << CEPSTRUM_BITS) + 1",
    ),
    "cosine transform, precision": ("#define CEPSTRUM_BITS 4", "#define CEPSTRUM_BITS 3"),
    "cosine transform, parity": ("levels[m] = left + right", "levels[m] = left - right"),
    "cosine transform, order": ("levels + NPR_MELS - 1;", "levels + NPR_MELS / 2;"),
    "cosine transform, direction": ("k % 2 == 0 ? 1 : -1", "1"),
    "cosine transform, angle": ("angle += 2 * step", "angle += step"),
    "cosine transform, period": (
        "a <= HALF ? a : NPR_FFT - a)); /* (I11)",
        "a < HALF ? a : a - HALF)); /* (I11)",
    ),
    "cosine transform, sign": ("sum -= npr_half(*folded", "sum += npr_half(*folded"),
    "chroma, exponent": ("bins[2 * k + 1] - npr_chroma_down[k]", "bins[2 * k + 1]"),
    "chroma, largest exponent": ("largest = exponent > largest ? exponent : largest", "largest = exponent"),
    "chroma, bits": ("#define CHROMA_BITS 9", "#define CHROMA_BITS 10"),
    "chroma, cycle": ("sums[p] + sums[NPR_CHROMA + p]", "sums[p]"),
    "chroma, one class too few": (
        "left = npr_chroma_count[k]; left > 0",
        "left = npr_chroma_count[k]; left > 1",
    ),
    "chroma, largest": ("top = features[p] > top ? features[p] : top", "top = features[p]"),
    "chroma, bits of the ratio": ("#define RATIO_BITS 16", "#define RATIO_BITS 15"),
    "chroma, rounding": ("+ (divisor >> 1)", ""),
    "chroma, unit": ("(int32_t)(ratio << SHARED_BITS)", "(int32_t)(ratio << (SHARED_BITS - 1))"),
    "samples, history": ("kept + NPR_HOP, (NPR_FFT", "kept + NPR_HOP - 1, (NPR_FFT"),
    "samples, end of the clip": ("memset(newest, 0", "memset(newest, 1"),
    "samples, place": ("memcpy(newest, pcm", "memcpy(newest - 1, pcm"),
}


CLIP = {
    "trimming, energy": ("run_energy(clip, k) + run_energy(clip, k + 1)", "run_energy(clip, k)"),
    "trimming, threshold": ("loudest * NPR_TRIM_RATIO", "loudest * NPR_TRIM_RATIO * 100"),
    "trimming, stop": (
        "(last + 1) * TRIM_HOP < clip.samples ? (last + 1)",
        "last * TRIM_HOP < clip.samples ? last",
    ),
    "frames, centre": ("t * NPR_HOP + k;", "t * NPR_HOP + k + 1;"),
    "peaks, threshold": ("middle > 0.1f * loudest", "middle > 0.5f * loudest"),
    "peaks, first": ("middle > left && middle >= right", "middle > left && middle <= right"),
    "parabola, side": ("inside ? -slope", "inside ? slope"),
    "median": ("w->peaks / 2)", "w->peaks - 1)"),
    "tuning, bins": ("-0.5f + 0.01f", "-0.49f + 0.01f"),
    "tuning, fullest": ("counts[k] > counts[best]", "counts[k] < counts[best]"),
    "chroma, width": ("narrowness = step > 1.0f ? 2.0f / step", "narrowness = step > 1.0f ? 2.1f / step"),
    "chroma, first class": ("p + 3 * (NPR_CHROMA / 12)", "p + 2 * (NPR_CHROMA / 12)"),
    "chroma, octave": ("0.5f * (octave - 5.0f)", "0.5f * (octave - 4.0f)"),
    "chroma, norm": ("norm += weights[p] * weights[p]", "norm += weights[p]"),
    "loudest band": ("- NPR_TOP_DB", "- NPR_TOP_DB + 1.0f"),
    "chroma of another frame": (
        "transform(clip, t, spectrum);\n        chroma_of",
        "transform(clip, 0, spectrum);\n        chroma_of",
    ),
}
