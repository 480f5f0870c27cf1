"""The kernels of npr.py for firmware with a native emitter: ESP32, RP2040, RP2350, STM32, Unix and others.

Viper turns a function into machine code whose integers are machine words, of 32 bits on most boards. Three
rules follow, and everything below keeps them:

- Loads are unsigned. 16-bit numbers are stored as value + 32768, weights as value + 128, and what has 32
  bits and a sign is widened by two shifts: (z[k] << sign) >> sign, where `sign` is the number of bits that a
  word has above 32.
- No value outgrows 31 bits and a sign, so that words of 32 and of 64 bits hold the same.
- The first three locals, arguments among them, live in registers: in loops they are what is used most.

npr_plain.py has the same functions for firmware without the emitter. The tags (Q2) ... (Q10) are those of
npreslstm/integer/quantize.py, (I2) ... (I13) those of npreslstm/integer/frontend.py.
"""

import micropython

NATIVE = True  # loads are unsigned


@micropython.viper
def row_sums(w: ptr8, v: ptr16, s: int, out: ptr32, layer):
    """Of every row two sums of products, over h and over x, in blocks of eight; s is 0."""
    rows = int(layer.rows)
    first = int(v)
    while rows:
        v = ptr16(first)
        s = 0
        n = int(layer.blocks_h)
        while n:
            s = w[0] * v[0] + s
            s = w[1] * v[1] + s
            s = w[2] * v[2] + s
            s = w[3] * v[3] + s
            s = w[4] * v[4] + s
            s = w[5] * v[5] + s
            s = w[6] * v[6] + s
            s = w[7] * v[7] + s
            w = ptr8(int(w) + 8)
            v = ptr16(int(v) + 16)
            n -= 1
        out[0] = s
        s = 0
        n = int(layer.blocks_x)
        while n:
            s = w[0] * v[0] + s
            s = w[1] * v[1] + s
            s = w[2] * v[2] + s
            s = w[3] * v[3] + s
            s = w[4] * v[4] + s
            s = w[5] * v[5] + s
            s = w[6] * v[6] + s
            s = w[7] * v[7] + s
            w = ptr8(int(w) + 8)
            v = ptr16(int(v) + 16)
            n -= 1
        out[1] = s
        out = ptr32(int(out) + 8)
        rows -= 1


@micropython.viper
def gates(sums: ptr32, out: ptr16, layer):
    """The gates before the sigmoid, Q15, from the sums of the rows."""
    h_offset = ptr32(layer.h_offset)
    x_offset = ptr32(layer.x_offset)
    multiplier = ptr32(layer.multiplier)
    recurrent_shift = ptr8(layer.recurrent_shift)
    tanh = ptr16(layer.tanh)
    h_total = int(layer.h_total)
    x_total = int(layer.x_total)
    for row in range(int(layer.rows)):
        r = recurrent_shift[row]
        s = (sums[2 * row] - h_total + h_offset[row] + ((1 << r) >> 1)) >> r
        s += sums[2 * row + 1] - x_total + x_offset[row]
        # a = (s m + 2^31) >> 32, in parts of 16 bits (Q2)
        m = multiplier[row]
        high = m >> 16
        low = m & 0xFFFF
        part = s & 0xFFFF
        s = s >> 16
        lowest = (part * (low >> 1) + ((part * (low & 1)) >> 1)) >> 15
        middle = s * low
        part = part * high
        carry = ((middle & 0xFFFF) + (part & 0xFFFF) + lowest + 0x8000) >> 16
        a = s * high + (middle >> 16) + (part >> 16) + carry
        # tanh(a) (Q3)
        size = a
        if a < 0:
            size = 0 - a
        if size > 0x3FFFF:
            size = 0x3FFFF
        k = size >> 9
        value = tanh[k]
        value += ((tanh[k + 1] - value) * (size & 511) + 256) >> 9
        if a < 0:
            value = 0 - value
        out[row] = value + 32768


@micropython.viper
def cell(g: ptr16, c: ptr16, h: ptr16, layer) -> int:
    """New c and h from the gates. Returns the sum of h as it is stored."""
    H = int(layer.hidden)
    up = int(layer.up)
    tanh = ptr16(layer.tanh)
    half = (1 << up) >> 1
    total = 0
    for k in range(H):
        i = (g[k] + 1) >> 1
        f = (g[H + k] + 1) >> 1
        o = (g[3 * H + k] + 1) >> 1
        new = (f * (c[k] - 32768) + ((i * (g[2 * H + k] - 32768) + half) >> up) + 16384) >> 15
        if new > 32767:
            new = 32767
        if new < -32768:
            new = -32768
        c[k] = new + 32768  # (Q4)
        new = new << up
        size = new
        if new < 0:
            size = 0 - new
        if size > 0x3FFFF:
            size = 0x3FFFF
        n = size >> 9
        value = tanh[n]
        value += ((tanh[n + 1] - value) * (size & 511) + 256) >> 9
        if new < 0:
            value = 0 - value
        value = ((o * value + 16384) >> 15) + 32768  # (Q5)
        h[k] = value
        total += value
    return total


@micropython.viper
def residual(x: ptr16, h: ptr16, y: ptr16, shift: int, n: int) -> int:
    """The residual connection. Returns the sum of y as it is stored."""
    half = (1 << shift) >> 1
    total = 0
    for k in range(n):
        a = x[k] + ((h[k] - 32768 + half) >> shift)
        if a > 65535:
            a = 65535
        if a < 0:
            a = 0
        y[k] = a  # (Q6)
        total += a
    return total


@micropython.viper
def store(x: ptr16, y: ptr16, n: int, flip: int) -> int:
    """y = x, with the sign bit turned where `flip` is 32768. Returns the sum of y as it is stored."""
    total = 0
    for k in range(n):
        a = x[k] ^ flip
        y[k] = a
        total += a
    return total


@micropython.viper
def score(h: ptr16, attention: ptr16, n: int, out: ptr32):
    """attention . h, as out[0] + 256 out[1]: the sum before (Q7)."""
    low = 0
    high = 0
    for k in range(n):
        t = attention[k] - 32768
        u = h[k] - 32768
        low += t * (u & 255)
        high += t * (u >> 8)
    out[0] = low
    out[1] = high


@micropython.viper
def weigh(weighted: ptr32, h: ptr16, weight: int, n: int):
    """weighted += weight h, each in two words: 26 lower bits, and what is above them (Q10)."""
    low = weight & 8191
    high = weight >> 13
    for k in range(n):
        u = h[k] - 32768
        a = high * u
        s = weighted[2 * k] + ((a & 8191) << 13) + low * u
        weighted[2 * k] = s & 0x3FFFFFF
        weighted[2 * k + 1] = weighted[2 * k + 1] + (a >> 13) + (s >> 26)


@micropython.viper
def append(samples: ptr16, at: int, pcm: ptr16, first: int, n: int):
    """samples[at : at + n] = pcm[first : first + n]."""
    for k in range(n):
        samples[at + k] = pcm[first + k]


@micropython.viper
def window(z: ptr32, samples: ptr16, cosine: ptr16, N: int, sign: int) -> int:
    """Samples times Hann's window, as large as 31 bits and a sign allow. Returns the exponent."""
    bits = 0
    H = N >> 1
    for n in range(N):
        k = n
        if n > H:
            k = N - n
        y = ((samples[n] ^ 32768) - 32768) * cosine[k]  # (I2)
        z[n] = y
        bits |= y ^ (y >> 31)
    up = 30
    while bits:
        bits = bits >> 1
        up -= 1
    for n in range(N):
        y = (z[n] << sign) >> sign
        if up < 0:
            z[n] = y >> 1
        else:
            z[n] = y << up  # (I3)
    return up


@micropython.viper
def reverse_bits(z: ptr32, H: int):
    """H complex numbers into the order in which a transform in place takes them."""
    r = 0
    for k in range(1, H):
        bit = H >> 1
        while r & bit:
            r ^= bit
            bit = bit >> 1
        r |= bit
        if k < r:
            re = z[2 * k]
            im = z[2 * k + 1]
            z[2 * k] = z[2 * r]
            z[2 * k + 1] = z[2 * r + 1]
            z[2 * r] = re
            z[2 * r + 1] = im


@micropython.viper
def stage(a: ptr32, b: ptr32, H: int, size: int, cosine: ptr16, sign: int):
    """One stage of the transform of H complex numbers at a, of which b is any: of each two parts of `size`
    numbers one of twice as many.
    """
    first = int(a)
    end = first + 8 * H
    halving = sign + 1
    upper = sign + 16
    step = 16 * size
    for k in range(size):
        n = k * (H // size)
        cos = cosine[n] - 32768
        n -= H >> 1
        if n < 0:
            n = 0 - n
        sin = cosine[n] - 32768
        a = ptr32(first + 8 * k)
        while int(a) < end:
            b = ptr32(int(a) + 8 * size)
            re = b[0]
            im = b[1]
            low = re & 0xFFFF
            re = (re << sign) >> upper
            low_im = im & 0xFFFF
            im = (im << sign) >> upper
            turned_re = re * cos + ((low * cos) >> 16) + im * sin + ((low_im * sin) >> 16)
            turned_im = im * cos + ((low_im * cos) >> 16) - re * sin - ((low * sin) >> 16)  # (I4)
            re = (a[0] << sign) >> halving
            im = (a[1] << sign) >> halving
            a[0] = re - turned_re
            a[1] = im - turned_im
            b[0] = re + turned_re
            b[1] = im + turned_im  # (I5)
            a = ptr32(int(a) + step)


@micropython.viper
def spectrum(z: ptr32, cosine: ptr16, H: int, sign: int):
    """In place: the transform of even samples + i * odd ones becomes the power of the bins k and H - k."""
    halving = sign + 1
    for k in range((H >> 1) + 1):
        low = 2 * k
        high = 2 * (H - k)
        n = high
        if k == 0:
            n = 0  # Z_H = Z_0
        a_re = (z[low] << sign) >> halving
        a_im = (z[low + 1] << sign) >> halving
        b_re = (z[n] << sign) >> halving
        b_im = (z[n + 1] << sign) >> halving
        cos = cosine[k] - 32768
        sin = cosine[(H >> 1) - k] - 32768
        even_re = (a_re + b_re) >> 1
        even_im = (a_im - b_im) >> 1
        re = a_im + b_im
        im = b_re - a_re
        x = re & 0xFFFF
        y = im & 0xFFFF
        re = re >> 16
        im = im >> 16
        odd_re = re * cos + ((x * cos) >> 16) + im * sin + ((y * sin) >> 16)
        odd_im = im * cos + ((y * cos) >> 16) - re * sin - ((x * sin) >> 16)
        n = 2
        while n:
            n -= 1
            x = even_re + odd_re  # the bin H - k first (I6)
            y = even_im + odd_im
            x ^= x >> 31
            y ^= y >> 31
            bits = (x | y) >> 15
            down = 0
            while bits:
                bits = bits >> 1
                down += 1
            x = x >> down
            y = y >> down
            z[high] = x * x + y * y
            z[high + 1] = 2 * down  # (I7)
            high = low
            odd_re = 0 - odd_re
            odd_im = 0 - odd_im


@micropython.viper
def log_mel(z: ptr32, levels: ptr32, unit: int, f):
    """log2 of the power in each mel band, Q16, not below the floor."""
    start = ptr16(f.mel_start)
    count = ptr8(f.mel_count)
    weights = ptr16(f.mel_weights)
    offset = ptr32(f.mel_offset)
    log2 = ptr16(f.log2)
    floor = int(f.floor)
    sign = int(f.sign)
    at = 0
    for m in range(int(f.n_mels)):
        first = 2 * start[m]
        end = first + 2 * count[m]
        largest = 0
        k = first
        while k < end:
            if z[k + 1] > largest:
                largest = z[k + 1]
            k += 2
        half = 0  # of the sum of powers times weights, which has 32 bits (I9)
        odd = 0
        k = first
        while k < end:
            down = 14 + largest - z[k + 1]
            if down > 31:
                down = 31
            part = ((z[k] >> down) + 1) >> 1  # (I8)
            half += (part >> 1) * weights[at]
            odd += (part & 1) * weights[at]
            at += 1
            k += 2
        half += odd >> 1
        odd = odd & 1
        level = floor
        if half + odd:
            whole = 0
            k = half
            while k:
                k = k >> 1
                whole += 1
            if whole > 16:
                k = half >> (whole - 17)
            else:
                k = (2 * half + odd) << (16 - whole)
            k = k & 0xFFFF
            down = k & 511
            k = k >> 9
            part = log2[k]
            part += ((log2[k + 1] - part) * down + 256) >> 9
            shift = whole + largest + 15 + unit
            level = shift * 65536 + part + ((offset[m] << sign) >> sign)  # (I10)
            if level < floor:
                level = floor
        levels[m] = level


@micropython.viper
def cepstrum(levels: ptr32, features: ptr32, f):
    """Sums over the bands of levels times cosines; bands m and M - 1 - m have the same but for the sign."""
    cosine = ptr16(f.cosine)
    sign = int(f.sign)
    M = int(f.n_mels)
    N = int(f.n_fft)
    for m in range(M >> 1):
        left = ((levels[m] << sign) >> sign) << 4
        right = ((levels[M - 1 - m] << sign) >> sign) << 4
        levels[m] = left + right
        levels[M - 1 - m] = left - right
    for k in range(int(f.n_mfcc)):
        step = k * (N // (4 * M))
        angle = step
        total = 0
        for m in range(M >> 1):
            n = m
            if k & 1:
                n = M - 1 - m
            x = levels[n]
            n = angle & (N - 1)
            if n > N >> 1:
                n = N - n
            cos = cosine[n] - 32768
            total -= ((x << sign) >> (sign + 16)) * cos + (((x & 0xFFFF) * cos) >> 16)  # (I11)
            angle += 2 * step
        features[k] = total


@micropython.viper
def chroma(z: ptr32, features: ptr32, first: int, f):
    """Power in each pitch class over that in the strongest one, Q30, from features[first] on."""
    start = ptr8(f.chroma_start)
    count = ptr8(f.chroma_count)
    weights = ptr16(f.chroma_weights)
    down = ptr8(f.chroma_down)
    C = int(f.n_chroma)
    F = (int(f.n_fft) >> 1) + 1
    largest = z[1] - down[0]
    for k in range(F):
        e = z[2 * k + 1] - down[k]
        if e > largest:
            largest = e
    for p in range(C):
        features[first + p] = 0
    at = 0
    for k in range(F):
        e = 8 + largest - z[2 * k + 1] + down[k]
        if e > 31:
            e = 31
        part = ((z[2 * k] >> e) + 1) >> 1
        low = part & 0xFFFF
        part = part >> 16
        p = start[k]
        n = count[k]
        while n:
            w = weights[at] - 32768
            features[first + p] = features[first + p] + part * w + ((low * w) >> 16)  # (I12)
            at += 1
            p += 1
            if p == C:
                p = 0
            n -= 1
    top = 0
    for p in range(C):
        if features[first + p] > top:
            top = features[first + p]
    n = top >> 16
    e = 0
    while n:
        n = n >> 1
        e += 1
    top = top >> e
    if top == 0:
        top = 1  # silence: all are 0
    for p in range(C):
        ratio = (((features[first + p] >> e) << 15) + (top >> 1)) // top
        features[first + p] = ratio << 15


@micropython.viper
def z_score(features: ptr32, x: ptr16, f):
    """The network's input, in units of 2^-x_bits, from features."""
    multiplier = ptr16(f.multiplier)
    offset = ptr32(f.offset)
    shift = ptr8(f.shift)
    sign = int(f.sign)
    for k in range(int(f.inputs)):
        v = features[k]
        m = multiplier[k] - 32768
        a = ((v << sign) >> (sign + 16)) * m + (((v & 0xFFFF) * m) >> 16)
        a = (a + ((offset[k] << sign) >> sign)) >> shift[k]
        if a > 32767:
            a = 32767
        if a < -32768:
            a = -32768
        x[k] = a + 32768  # (I13), stored as value + 32768
