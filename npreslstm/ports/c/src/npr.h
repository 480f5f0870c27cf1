/* SPDX-License-Identifier: MIT */
/* ResLSTM-SA: features of a clip in, frame by frame; probabilities of its emotions out.
 *
 *     npr_state state;                                     // the caller's memory, about 1 KB
 *     npr_init(&npr_weights, &state);                      // once for each clip
 *     npr_push_frame(&npr_weights, &state, features, 46);  // for each frame
 *     npr_result(&npr_weights, &state, probabilities, 8, &label);
 *
 * Weights are const and lie in flash; npr_state is all that changes. No function allocates, recurses or uses
 * double. Every function returns a status; after any other than NPR_OK the state and the outputs are as they
 * were. Equation tags (L1), (A2) ... are those of the Python package. Letters: D inputs, H hidden, C classes.
 */
#ifndef NPR_H
#define NPR_H

#include <stddef.h>
#include <stdint.h>

/* generated: NPR_INT8, NPR_INTEGER, NPR_INPUTS, NPR_UNITS, NPR_HIDDEN, NPR_WIDEST, NPR_CLASSES */
#include "npr_sizes.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How the arrays of npr_weights.c are declared. To place them elsewhere, or, empty, to have them in RAM:
 * -DNPR_CONST='const __attribute__((section(".slow_flash")))' */
#ifndef NPR_CONST
#define NPR_CONST const
#endif

/* Of weights that are read by words. */
#ifdef __GNUC__
#define NPR_ALIGNED __attribute__((aligned(4)))
#else
#define NPR_ALIGNED
#endif

#define NPR_FORMAT 3u /* of npr_model; a model of another format is refused */
/* longer clips are refused: the sums of attention would overflow */
#define NPR_MAX_FRAMES ((uint32_t)1 << 21)

typedef enum {
    NPR_OK = 0,
    NPR_ERROR_NULL,    /* a pointer is NULL */
    NPR_ERROR_SIZE,    /* a count is not the one that the model has */
    NPR_ERROR_FORMAT,  /* the model is of another format, or of other sizes than this code was compiled for */
    NPR_ERROR_STATE,   /* the state was not made by npr_init with this model; or its clip has ended */
    NPR_ERROR_VALUE,   /* a feature is NaN or infinite */
    NPR_ERROR_EMPTY,   /* a result was asked for before the first frame */
    NPR_ERROR_FULL,    /* NPR_MAX_FRAMES were pushed */
    NPR_ERROR_DAMAGED, /* the weights do not match their checksum */
    NPR_ERROR_ALIGNED, /* weights do not lie at a multiple of 4 bytes */
    NPR_ERROR_OVERRUN  /* samples came faster than they were taken: some are lost */
} npr_status;

#if NPR_INTEGER              /* integers all the way from samples to probabilities, with npr_frontend_int.c */
typedef int32_t npr_feature; /* cepstrum: 2^-19 of a doubling of power; chroma: 2^-30 */
typedef uint16_t npr_probability; /* 2^-15 */
#else
typedef float npr_feature;
typedef float npr_probability;
#endif

#if NPR_INT8

typedef int16_t npr_value; /* x and y: 2^-x_bits; h and context: 2^-15; c: 2^-c_bits of its layer */
typedef int32_t npr_logit; /* 2^-16 */
typedef int64_t npr_sum;   /* 2^-24 */

/* One LSTM layer. A panel is four rows: first their weights of h, then those of x, as npr_core.h says. */
typedef struct {
    uint16_t inputs, hidden;
    uint8_t c_bits;
    const int8_t *weights;          /* (H panels) (H + D) x 4 */
    const int32_t *bias;            /* (4H) in the unit of the accumulator */
    const int32_t *multiplier;      /* (4H) accumulator -> 2^-15: the upper word of the product */
    const uint8_t *recurrent_shift; /* (4H) what brings the sum over h to the unit of the sum over x */
} npr_lstm;

typedef struct {
    uint32_t format, crc;
    uint16_t inputs, hidden, classes, layers;
    uint16_t residual; /* layers before the features are added (R1); 0: they are not */
    uint8_t x_bits;
    uint8_t score_shift;
    int32_t score_multiplier; /* attention sum -> 2^-16, base-2 logarithm */
#if NPR_INTEGER
    const int16_t *feature_multiplier; /* (D) a feature is z-scored in (I13): multiplied, */
    const int32_t *feature_offset;     /* (D) added to, */
    const uint8_t *feature_shift;      /* (D) shifted right */
#else
    const float *mean, *inverse_std; /* (D) */
#endif
    const npr_lstm *lstms;
    const int16_t *attention;    /* (H) */
    const int16_t *head_weights; /* (C, H) */
    const int32_t *head_bias;    /* (C) 2^-16 */
    const int32_t *head_multiplier;
    const uint8_t *head_shift;
    const char *const *labels;
} npr_model;

typedef struct {
    npr_sum total;                /* sum of weights */
    int64_t weighted[NPR_HIDDEN]; /* sum of weights * h, 2^-39 */
    uint32_t model, frames;
    int32_t maximum;                      /* of the scores' integer parts */
    npr_value h[NPR_UNITS], c[NPR_UNITS]; /* of all layers, one after the other */
} npr_state;

#else

typedef float npr_value;
typedef float npr_logit;
typedef float npr_sum;

/* One LSTM layer. */
typedef struct {
    uint16_t inputs, hidden;
    const float *weights; /* (H + D, 4H): the columns of W_h, then those of W_x */
    const float *bias;    /* (4H) */
} npr_lstm;

typedef struct {
    uint32_t format, crc;
    uint16_t inputs, hidden, classes, layers;
    uint16_t residual;               /* layers before the features are added (R1); 0: they are not */
    const float *mean, *inverse_std; /* (D) */
    const npr_lstm *lstms;
    const float *attention;    /* (H) */
    const float *head_weights; /* (C, H) */
    const float *head_bias;    /* (C) */
    const char *const *labels;
} npr_model;

typedef struct {
    uint32_t model, frames;
    float maximum, total;
    float weighted[NPR_HIDDEN];
    float h[NPR_UNITS], c[NPR_UNITS]; /* of all layers, one after the other */
} npr_state;

#endif

#if !NPR_BLOB
extern const npr_model npr_weights; /* generated; otherwise the weights are a file: npr_blob.h */
#endif

/* Begin a clip. Checks that the model fits the compiled sizes; npr_verify checks every weight. */
npr_status npr_init(const npr_model *model, npr_state *state);

/* Forget the clip; the next frame is the first of another. */
npr_status npr_reset(const npr_model *model, npr_state *state);

/* Take in the raw features of one frame: count = D. */
npr_status npr_push_frame(const npr_model *model, npr_state *state, const npr_feature *features,
                          size_t count);

/* The two halves of npr_push_frame: z-score (and quantise) the raw features of one frame; take in what that
 * gives, of one frame or of several, one after the other: count is a multiple of D. */
npr_status npr_normalise(const npr_model *model, const npr_feature *features, size_t count, npr_value *x);
npr_status npr_push_values(const npr_model *model, npr_state *state, const npr_value *x, size_t count);

/* Probabilities (count = C) and the number of the largest, of the clip so far; more frames may follow. */
npr_status npr_result(const npr_model *model, const npr_state *state, npr_probability *probabilities,
                      size_t count, size_t *label);

/* What they come from: logits (C) and, unless NULL, the context of attention (H). */
npr_status npr_logits(const npr_model *model, const npr_state *state, npr_logit *logits, npr_value *context);

/* Recompute the checksum over all weights. */
npr_status npr_verify(const npr_model *model);

/* One line in English. */
const char *npr_status_text(npr_status status);

#ifdef __cplusplus
}
#endif

#endif
