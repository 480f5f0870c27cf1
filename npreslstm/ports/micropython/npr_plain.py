"""The kernels of npr.py in plain Python, for firmware without a native emitter, such as WebAssembly.

They take the place of npr_viper.py, where the same functions are explained, and give the same bits. What
would take longest, the products of the network, is done on big integers: a column of weights is one integer
with a weight in each 32 bits, so that a product and a sum work on all rows at once.
"""

from array import array

NATIVE = False


def row_sums(w, v, zero, out, layer):
    """Of every row two sums of products, over h and over x."""
    first_of_x = 8 * layer.blocks_h
    if layer.columns is None:
        try:
            layer.columns = columns(layer, 0, layer.hidden), columns(layer, first_of_x, layer.inputs)
        except MemoryError as error:
            size = 4 * layer.rows * (layer.hidden + layer.inputs)
            raise MemoryError(
                f"the heap is too small for a layer in plain Python, {size} bytes: use firmware with viper"
            ) from error
    for part, numbers in enumerate((v, layer.x)):
        total = 0
        for column, number in zip(layer.columns[part], numbers):
            total += column * number
        sums = array("I", total.to_bytes(4 * layer.rows, "little"))
        for row in range(layer.rows):
            out[2 * row + part] = sums[row]


def columns(layer, first, n):
    """The columns first ... first + n - 1 of the weights, each as one integer."""
    stride = 8 * (layer.blocks_h + layer.blocks_x)
    lanes = bytearray(4 * layer.rows)
    numbers = []
    for k in range(first, first + n):
        for row in range(layer.rows):
            lanes[4 * row] = layer.w[row * stride + k]
        numbers.append(int.from_bytes(lanes, "little"))
    return numbers


def interpolated(tanh, a):
    """tanh, Q15 of Q15 (F3)."""
    size = min(abs(a), 0x3FFFF)
    k = size >> 9
    value = tanh[k]
    value += ((tanh[k + 1] - value) * (size & 511) + 256) >> 9
    return -value if a < 0 else value


def gates(sums, out, layer):
    tanh = layer.tanh
    for row in range(layer.rows):
        r = layer.recurrent_shift[row]
        s = (sums[2 * row] - layer.h_total + layer.h_offset[row] + ((1 << r) >> 1)) >> r
        s += sums[2 * row + 1] - layer.x_total + layer.x_offset[row]
        a = (s * layer.multiplier[row] + 0x80000000) >> 32  # (Q2)
        out[row] = interpolated(tanh, a) + 32768  # (Q3)


def cell(g, c, h, layer):
    H = layer.hidden
    up = layer.up
    tanh = layer.tanh
    half = (1 << up) >> 1
    total = 0
    for k in range(H):
        i = (g[k] + 1) >> 1
        f = (g[H + k] + 1) >> 1
        o = (g[3 * H + k] + 1) >> 1
        new = (f * (c[k] - 32768) + ((i * (g[2 * H + k] - 32768) + half) >> up) + 16384) >> 15
        new = min(max(new, -32768), 32767)
        c[k] = new + 32768  # (Q4)
        h[k] = ((o * interpolated(tanh, new << up) + 16384) >> 15) + 32768  # (Q5)
        total += h[k]
    return total


def residual(x, h, y, shift, n):
    half = (1 << shift) >> 1
    total = 0
    for k in range(n):
        y[k] = min(max(x[k] + ((h[k] - 32768 + half) >> shift), 0), 65535)  # (Q6)
        total += y[k]
    return total


def store(x, y, n, flip):
    total = 0
    for k in range(n):
        y[k] = (x[k] & 0xFFFF) ^ flip
        total += y[k]
    return total


def score(h, attention, n, out):
    total = 0
    for k in range(n):
        total += (attention[k] - 32768) * (h[k] - 32768)
    out[0] = total & 255
    out[1] = total >> 8


def weigh(weighted, h, weight, n):
    for k in range(n):
        s = (weighted[2 * k + 1] << 26) + weighted[2 * k] + weight * (h[k] - 32768)  # (Q10)
        weighted[2 * k] = s & 0x3FFFFFF
        weighted[2 * k + 1] = s >> 26


def append(samples, at, pcm, first, n):
    if not isinstance(pcm, array) or isinstance(pcm, bytearray):
        pcm = array("h", bytes(pcm)[2 * first : 2 * (first + n)])
        first = 0
    for k in range(n):
        samples[at + k] = pcm[first + k]


def window(z, samples, cosine, N, sign):
    bits = 0
    for n in range(N):
        y = samples[n] * cosine[min(n, N - n)]  # (I2)
        z[n] = y
        bits |= y ^ (y >> 31)
    up = 30 - bit_length(bits)
    for n in range(N):
        z[n] = z[n] >> 1 if up < 0 else z[n] << up  # (I3)
    return up


def bit_length(v):
    bits = 0
    while v:
        v >>= 1
        bits += 1
    return bits


def reverse_bits(z, H):
    r = 0
    for k in range(1, H):
        bit = H >> 1
        while r & bit:
            r ^= bit
            bit >>= 1
        r |= bit
        if k < r:
            z[2 * k], z[2 * r] = z[2 * r], z[2 * k]
            z[2 * k + 1], z[2 * r + 1] = z[2 * r + 1], z[2 * k + 1]


def stage(z, same, H, size, cosine, sign):
    step = 4 * size
    for k in range(size):
        n = k * (H // size)
        cos = cosine[n] - 32768
        sin = cosine[abs(n - H // 2)] - 32768
        for a in range(2 * k, 2 * H, step):
            b = a + 2 * size
            re = z[b]
            im = z[b + 1]
            turned_re = ((re * cos) >> 16) + ((im * sin) >> 16)
            turned_im = ((im * cos) >> 16) - ((re * sin) >> 16)  # (I4)
            re = z[a] >> 1
            im = z[a + 1] >> 1
            z[a] = re - turned_re
            z[a + 1] = im - turned_im
            z[b] = re + turned_re
            z[b + 1] = im + turned_im  # (I5)


def spectrum(z, cosine, H, sign):
    for k in range(H // 2 + 1):
        low = 2 * k
        high = 2 * (H - k)
        n = high if k else 0  # Z_H = Z_0
        a_re = z[low] >> 1
        a_im = z[low + 1] >> 1
        b_re = z[n] >> 1
        b_im = z[n + 1] >> 1
        cos = cosine[k] - 32768
        sin = cosine[H // 2 - k] - 32768
        even_re = (a_re + b_re) >> 1
        even_im = (a_im - b_im) >> 1
        re = a_im + b_im
        im = b_re - a_re
        odd_re = ((re * cos) >> 16) + ((im * sin) >> 16)
        odd_im = ((im * cos) >> 16) - ((re * sin) >> 16)
        store_power(z, high, even_re + odd_re, even_im + odd_im)  # (I6)
        store_power(z, low, even_re - odd_re, even_im - odd_im)


def store_power(z, at, re, im):
    """|X|^2 as mantissa and exponent (I7)."""
    x = re ^ (re >> 31)
    y = im ^ (im >> 31)
    down = bit_length((x | y) >> 15)
    x >>= down
    y >>= down
    z[at] = x * x + y * y
    z[at + 1] = 2 * down


def aligned(mantissa, down):
    """A power in a larger unit, rounded (I8)."""
    return ((mantissa >> min(down, 31)) + 1) >> 1


def log_mel(z, levels, unit, f):
    at = 0
    for m in range(f.n_mels):
        first = 2 * f.mel_start[m]
        end = first + 2 * f.mel_count[m]
        largest = 0
        for k in range(first, end, 2):
            largest = max(largest, z[k + 1])
        total = 0
        for k in range(first, end, 2):
            total += aligned(z[k], 14 + largest - z[k + 1]) * f.mel_weights[at]  # (I9)
            at += 1
        level = f.floor
        if total:
            whole = bit_length(total) - 1
            fraction = ((total << 16) >> whole) & 0xFFFF
            k = fraction >> 9
            part = f.log2[k]
            part += ((f.log2[k + 1] - part) * (fraction & 511) + 256) >> 9
            level = ((whole + largest + 15 + unit) << 16) + part + f.mel_offset[m]  # (I10)
        levels[m] = max(level, f.floor)


def cepstrum(levels, features, f):
    M = f.n_mels
    N = f.n_fft
    for m in range(M // 2):
        left = levels[m] << 4
        right = levels[M - 1 - m] << 4
        levels[m] = left + right
        levels[M - 1 - m] = left - right
    for k in range(f.n_mfcc):
        step = k * (N // (4 * M))
        total = 0
        for m in range(M // 2):
            n = (2 * m + 1) * step % N
            x = levels[M - 1 - m] if k % 2 else levels[m]
            total -= (x * (f.cosine[min(n, N - n)] - 32768)) >> 16  # (I11)
        features[k] = total


def chroma(z, features, first, f):
    C = f.n_chroma
    F = f.n_fft // 2 + 1
    largest = max([z[2 * k + 1] - f.chroma_down[k] for k in range(F)])
    totals = [0] * C
    at = 0
    for k in range(F):
        part = aligned(z[2 * k], 8 + largest - z[2 * k + 1] + f.chroma_down[k])
        p = f.chroma_start[k]
        for _ in range(f.chroma_count[k]):
            totals[p] += (part * (f.chroma_weights[at] - 32768)) >> 16  # (I12)
            at += 1
            p = (p + 1) % C
    top = max(totals)
    down = bit_length(top >> 16)
    top = max(top >> down, 1)  # 1 in silence: all are 0
    for p in range(C):
        features[first + p] = (((totals[p] >> down << 15) + (top >> 1)) // top) << 15


def z_score(features, x, f):
    for k in range(f.inputs):
        a = ((features[k] * (f.multiplier[k] - 32768)) >> 16) + f.offset[k]
        x[k] = min(max(a >> f.shift[k], -32768), 32767) + 32768  # (I13), stored as value + 32768
