/* SPDX-License-Identifier: MIT */
/* As Zephyr 3.5 declares it, as far as the example uses it. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#define ARG_UNUSED(x) (void)(x)
#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))
#define DT_NODELABEL(label) DT_N_##label
#define DEVICE_NAME_GET(node) device_##node
#define DEVICE_DT_GET(node) (&DEVICE_NAME_GET_2(node))
#define DEVICE_NAME_GET_2(node) DEVICE_NAME_GET(node)

struct k_mem_slab {
    char *buffer;
};
struct k_thread {
    int priority;
};
typedef struct k_thread *k_tid_t;
typedef char k_thread_stack_t;
typedef struct {
    int64_t ticks;
} k_timeout_t;
typedef void (*k_thread_entry_t)(void *p1, void *p2, void *p3);

#define K_NO_WAIT ((k_timeout_t){0})
#define K_PRIO_PREEMPT(x) (x)
#define K_THREAD_STACK_DEFINE(name, size) static k_thread_stack_t name[size]
#define K_THREAD_STACK_SIZEOF(name) sizeof(name)
#define K_MEM_SLAB_DEFINE_STATIC(name, size, count, align) \
    static char name##_buffer[(size) * (count)];           \
    static struct k_mem_slab name = {name##_buffer}

void k_mem_slab_free(struct k_mem_slab *slab, void *mem);
k_tid_t k_thread_create(struct k_thread *thread, k_thread_stack_t *stack, size_t size, k_thread_entry_t entry,
                        void *p1, void *p2, void *p3, int prio, uint32_t options, k_timeout_t delay);
void k_thread_priority_set(k_tid_t thread, int prio);
k_tid_t k_current_get(void);
int32_t k_msleep(int32_t ms);
