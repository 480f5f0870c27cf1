/* SPDX-License-Identifier: MIT */
#pragma once
#include <stdbool.h>
struct device {
    const char *name;
};
extern const struct device device_DT_N_dmic_dev;
bool device_is_ready(const struct device *dev);
