/* SPDX-License-Identifier: MIT */
#ifndef VOICE_H
#define VOICE_H

#include "npr_stream.h"

/* Start the microphone. NPR_ERROR_STATE: the HAL refused. */
npr_status voice_begin(void);

/* Work through what the microphone heard, up to the next event; what to show of it, or NULL. */
const char *voice_poll(npr_event *event);

#endif
