/* SPDX-License-Identifier: MIT */
/* The smallest program that uses the network: its linked size is what the code costs, compiler's library
 * included. */
#include "npr_subject.h"

#if NPR_BLOB
#define MODEL npr_subject()
#else
#define MODEL &npr_weights
#endif

int main(void);

int main(void) {
    static npr_state state;
    static npr_feature features[NPR_INPUTS];
    static npr_probability probabilities[NPR_CLASSES];
    size_t label = 0;
    npr_init(MODEL, &state);
    npr_push_frame(MODEL, &state, features, NPR_INPUTS);
    npr_result(MODEL, &state, probabilities, NPR_CLASSES, &label);
    return (int)label;
}
