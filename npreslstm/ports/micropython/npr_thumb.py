"""The kernels of npr.py for ARM firmware with MicroPython's inline assembler: RP2040, RP2350, STM32, SAMD.

The two that take longest, the sums of rows and the transform, are in Thumb instructions that every Cortex-M
has; all others are npr_viper.py's. A function in assembler takes up to four arguments, in r0 ... r3.
"""

from array import array

import micropython

from npr_viper import *  # all but row_sums and stage


def row_sums(w, v, zero, out, layer):
    """Of every row two sums of products, over h and over x, in blocks of eight."""
    products(w, v, out, layer.rows + (layer.blocks_h << 16) + (layer.blocks_x << 24))


def stage(z, same, H, size, cosine, sign):
    """One stage of the transform of H complex numbers: of each two parts of `size` one of twice as many."""
    butterflies(z, cosine, H, size + (H // size << 16))


# r0: weights; r1: h and x; r2: the sums; r3: rows, blocks of h from bit 16 on, blocks of x from bit 24 on
@micropython.asm_thumb
def products(r0, r1, r2, r3):
    label(row)
    push({r1})
    lsl(r7, r3, 8)
    lsr(r7, r7, 24)
    bl(blocks)
    str(r6, [r2, 0])
    lsr(r7, r3, 24)
    bl(blocks)
    str(r6, [r2, 4])
    pop({r1})
    add(r2, 8)
    sub(r3, 1)
    lsl(r7, r3, 16)
    bne(row)
    b(end)

    label(blocks)  # r6 = the sum of r7 blocks of products
    mov(r6, 0)
    label(block)
    ldrb(r4, [r0, 0])
    ldrh(r5, [r1, 0])
    mul(r4, r5)
    add(r6, r6, r4)
    ldrb(r4, [r0, 1])
    ldrh(r5, [r1, 2])
    mul(r4, r5)
    add(r6, r6, r4)
    ldrb(r4, [r0, 2])
    ldrh(r5, [r1, 4])
    mul(r4, r5)
    add(r6, r6, r4)
    ldrb(r4, [r0, 3])
    ldrh(r5, [r1, 6])
    mul(r4, r5)
    add(r6, r6, r4)
    ldrb(r4, [r0, 4])
    ldrh(r5, [r1, 8])
    mul(r4, r5)
    add(r6, r6, r4)
    ldrb(r4, [r0, 5])
    ldrh(r5, [r1, 10])
    mul(r4, r5)
    add(r6, r6, r4)
    ldrb(r4, [r0, 6])
    ldrh(r5, [r1, 12])
    mul(r4, r5)
    add(r6, r6, r4)
    ldrb(r4, [r0, 7])
    ldrh(r5, [r1, 14])
    mul(r4, r5)
    add(r6, r6, r4)
    add(r0, 8)
    add(r1, 16)
    sub(r7, 1)
    bne(block)
    bx(lr)

    label(end)
    mov(r0, 0)


# r0: H complex numbers; r1: cosines; r2: H; r3: size, H // size from bit 16 on
# r8: re cos + im sin; r9: re sin; r10: from a to the next a; r11: the end of all; r12: cosines
@micropython.asm_thumb
def butterflies(r0, r1, r2, r3):
    mov(r4, r8)
    mov(r5, r9)
    mov(r6, r10)
    mov(r7, r11)
    push({r4, r5, r6, r7})
    lsl(r4, r3, 16)
    lsr(r4, r4, 12)
    mov(r10, r4)
    lsl(r4, r2, 3)
    add(r4, r4, r0)
    mov(r11, r4)
    mov(r12, r1)
    mov(r1, 0)  # 2 n: where the cosine of number k lies
    lsl(r2, r2, 1)

    label(number)  # r0 = the first a of number k
    push({r0, r1, r2, r3})
    mov(r4, r12)
    add(r5, r4, r1)
    ldrh(r5, [r5, 0])
    lsr(r6, r2, 1)
    sub(r6, r1, r6)
    bpl(positive)
    neg(r6, r6)
    label(positive)
    add(r6, r6, r4)
    ldrh(r6, [r6, 0])
    mov(r4, 1)
    lsl(r4, r4, 15)
    sub(r2, r5, r4)  # cos
    sub(r3, r6, r4)  # sin
    mov(r1, r10)
    lsr(r1, r1, 1)
    add(r1, r1, r0)  # b

    label(butterfly)
    ldr(r4, [r1, 0])
    mov(r5, r2)
    bl(times)
    mov(r8, r6)  # re cos
    ldr(r4, [r1, 4])
    mov(r5, r3)
    bl(times)
    mov(r7, r8)
    add(r6, r6, r7)
    mov(r8, r6)  # re cos + im sin (I4)
    ldr(r4, [r1, 0])
    bl(times)
    mov(r9, r6)  # re sin
    ldr(r4, [r1, 4])
    mov(r5, r2)
    bl(times)
    mov(r7, r9)
    sub(r6, r6, r7)  # im cos - re sin (I4)
    mov(r7, r8)
    ldr(r4, [r0, 0])
    asr(r4, r4, 1)
    sub(r5, r4, r7)
    str(r5, [r0, 0])
    add(r5, r4, r7)
    str(r5, [r1, 0])
    ldr(r4, [r0, 4])
    asr(r4, r4, 1)
    sub(r5, r4, r6)
    str(r5, [r0, 4])
    add(r5, r4, r6)
    str(r5, [r1, 4])  # (I5)
    mov(r4, r10)
    add(r0, r0, r4)
    add(r1, r1, r4)
    mov(r4, r11)
    cmp(r0, r4)
    bcc(butterfly)

    pop({r0, r1, r2, r3})
    add(r0, 8)
    lsr(r4, r3, 16)
    lsl(r4, r4, 1)
    add(r1, r1, r4)
    cmp(r1, r2)
    bne(number)
    b(end)

    label(times)  # r6 = (r4 r5) >> 16, of which r5 has 16 bits and a sign
    asr(r6, r4, 16)
    mul(r6, r5)
    lsl(r7, r4, 16)
    lsr(r7, r7, 16)
    mul(r7, r5)
    asr(r7, r7, 16)
    add(r6, r6, r7)
    bx(lr)

    label(end)
    pop({r4, r5, r6, r7})
    mov(r8, r4)
    mov(r9, r5)
    mov(r10, r6)
    mov(r11, r7)
    mov(r0, 0)


def check():
    """Raise ValueError where the assembler takes bytes for something else, as it does in old firmware."""
    sums = array("I", (0, 0))
    products(bytes(range(16)), array("H", range(16)), sums, 1 + (1 << 16) + (1 << 24))
    if tuple(sums) != (140, 1100):
        raise ValueError("the inline assembler does not take bytes: the firmware is too old")


check()
