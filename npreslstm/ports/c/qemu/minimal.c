/* The smallest program that uses the network: its linked size is what the code costs, compiler's library included. */
#include "npr.h"

int main(void);

int main(void) {
    static npr_state state;
    static npr_feature features[NPR_INPUTS];
    static npr_probability probabilities[NPR_CLASSES];
    size_t label = 0;
    npr_init(&npr_weights, &state);
    npr_push_frame(&npr_weights, &state, features, NPR_INPUTS);
    npr_result(&npr_weights, &state, probabilities, NPR_CLASSES, &label);
    return (int)label;
}
