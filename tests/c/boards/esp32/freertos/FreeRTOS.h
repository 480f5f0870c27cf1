/* SPDX-License-Identifier: MIT */
#pragma once
#include <stdint.h>
typedef uint32_t TickType_t;
typedef int BaseType_t;
typedef unsigned UBaseType_t;
#define portMAX_DELAY ((TickType_t)0xffffffffu)
