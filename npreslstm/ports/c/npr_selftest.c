/* Compares every frame's h, c, context and logits with the vectors that NumPy computed; exits with 0 only if all agree. */
#include <stdio.h>

#include "npr.h"
#include "npr_vectors.h"

static unsigned long compared, differing;

#if NPR_INT8
#define UNIT "bits"
static void compare(const char *what, int frame, npr_sum got, npr_sum expected, float tolerance) {
    (void)tolerance;
    if (got != expected && differing++ < 5) printf("frame %d: %s is %lld, expected %lld\n", frame, what, (long long)got, (long long)expected);
    compared++;
}
#else
#define UNIT "tolerance"
static float largest;
static void compare(const char *what, int frame, float got, float expected, float tolerance) {
    const float difference = got > expected ? got - expected : expected - got;
    if (difference > largest) largest = difference;
    if (!(difference <= tolerance) && differing++ < 5) printf("frame %d: %s is %.9g, expected %.9g\n", frame, what, (double)got, (double)expected);
    compared++;
}
#endif

static npr_status run_frames(npr_state *state) {
    npr_value context[NPR_HIDDEN];
    npr_logit logits[NPR_CLASSES];
    npr_status status = npr_init(&npr_weights, state);
    for (int t = 0; t < NPR_VECTOR_FRAMES && status == NPR_OK; t++) {
        npr_value x[NPR_INPUTS];
        status = npr_normalise(&npr_weights, npr_vector_features[t], NPR_INPUTS, x);
        for (int k = 0; k < NPR_INPUTS; k++) compare("x", t, x[k], npr_vector_x[t][k], 1e-4f);
        if (status == NPR_OK) status = npr_push_values(&npr_weights, state, npr_vector_x[t], NPR_INPUTS);
        if (status == NPR_OK) status = npr_logits(&npr_weights, state, logits, context);
        for (int k = 0; k < NPR_UNITS; k++) compare("h", t, state->h[k], npr_vector_h[t][k], NPR_TOLERANCE);
        for (int k = 0; k < NPR_UNITS; k++) compare("c", t, state->c[k], npr_vector_c[t][k], NPR_TOLERANCE);
        compare("total", t, state->total, npr_vector_total[t][0], 10 * NPR_TOLERANCE);
        for (int k = 0; k < NPR_HIDDEN; k++) compare("context", t, context[k], npr_vector_context[t][k], NPR_TOLERANCE);
        for (int k = 0; k < NPR_CLASSES; k++) compare("logit", t, logits[k], npr_vector_logits[t][k], NPR_TOLERANCE);
    }
    return status;
}

int main(void) {
    static npr_state state;
    float probabilities[NPR_CLASSES];
    size_t label = 0;
    const npr_status intact = npr_verify(&npr_weights);
    printf("npreslstm " NPR_TYPE ", weights " NPR_SHA256 "\n");
    printf("checksum: %s\n", npr_status_text(intact));
    npr_status status = run_frames(&state);
    if (status == NPR_OK) status = npr_result(&npr_weights, &state, probabilities, NPR_CLASSES, &label);
    printf("status: %s\n", npr_status_text(status));
    printf("vectors: %d frames, %lu values, %lu differ in " UNIT "\n", NPR_VECTOR_FRAMES, compared, differing);
#if !NPR_INT8
    printf("largest difference: %.2e\n", (double)largest);
#endif
    if (status == NPR_OK) printf("result: %s\n", npr_weights.labels[label]);
    const int passed = intact == NPR_OK && status == NPR_OK && differing == 0;
    printf("%s\n", passed ? "PASS" : "FAIL");
    return passed ? 0 : 1;
}
