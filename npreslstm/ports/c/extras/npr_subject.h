/* SPDX-License-Identifier: MIT */
/* The model that the self-test and the measurements are about. */
#ifndef NPR_SUBJECT_H
#define NPR_SUBJECT_H

#include "npr.h"

/* NULL if its weights are a file that is refused. */
const npr_model *npr_subject(void);

#endif
