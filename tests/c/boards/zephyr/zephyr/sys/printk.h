/* SPDX-License-Identifier: MIT */
#pragma once
void printk(const char *format, ...);
