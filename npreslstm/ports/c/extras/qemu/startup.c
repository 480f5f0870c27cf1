/* SPDX-License-Identifier: MIT */
/* Start of an image for an emulated Cortex-M: vectors, memory, floating point unit, semihosting; then
 * main. */
#include <stdint.h>
#include <stdlib.h>

extern uint32_t image_data, data_start, data_end, bss_start, bss_end, stack_top;
extern void initialise_monitor_handles(void); /* newlib's rdimon: stdio by semihosting */
extern void (*const init_start[])(void), (*const init_end[])(void); /* constructors of C++ */
extern int main(void);

void reset_handler(void);
void fault_handler(void);
void _fini(void);

void _fini(void) {} /* newlib calls it at the end */

void reset_handler(void) {
#ifdef __ARM_FP
    *(volatile uint32_t *)0xE000ED88 |= 0xFu << 20; /* CPACR: coprocessors 10 and 11 */
    __asm__ volatile("dsb\n isb");
#endif
    const uint32_t *from = &image_data;
    for (uint32_t *to = &data_start; to < &data_end;) { *to++ = *from++; }
    for (uint32_t *to = &bss_start; to < &bss_end;) { *to++ = 0; }
    initialise_monitor_handles();
    for (void (*const *construct)(void) = init_start; construct < init_end; construct++) { (*construct)(); }
    exit(main());
}

void fault_handler(void) { /* semihosting SYS_EXIT with "internal error": the emulator ends with status 1 */
    register uint32_t operation __asm__("r0") = 0x18, reason __asm__("r1") = 0x20024;
    __asm__ volatile("bkpt 0xab" : : "r"(operation), "r"(reason));
    for (;;) {}
}

__attribute__((section(".vectors"), used)) static const void *const vectors[16] = {&stack_top,
                                                                                   reset_handler,
                                                                                   fault_handler,
                                                                                   fault_handler,
                                                                                   fault_handler,
                                                                                   fault_handler,
                                                                                   fault_handler,
                                                                                   0,
                                                                                   0,
                                                                                   0,
                                                                                   0,
                                                                                   fault_handler,
                                                                                   fault_handler,
                                                                                   0,
                                                                                   fault_handler,
                                                                                   fault_handler};
