/* What the module asks of the kernels. A kernel is an instruction set, by its index. */

#include <stdint.h>

struct job {
    const float *image;       /* (samples, height, width, inputs), or half as high and wide if there are places */
    const uint8_t *places;    /* where in its 2x2 square each value stands (0 to 3), or NULL */
    const float *weights;     /* (blocks of outputs, inputs, 9, lanes) */
    float *out;               /* (samples, height, width, outputs), or half as high and wide if out_places */
    uint8_t *out_places;      /* where the maximum of each square was, or NULL: no pooling */
    int samples, height, width, inputs, outputs;
};

extern const char *const NAMES[];
extern const int LANES_OF[];

int supported(int index);

/* Return 0, or -1 where there is no memory. */
int run(const struct job *job, int index, int threads);
int run_gradient(const struct job *job, const float *other, int index, int threads);
void run_pool(const struct job *job, int index, int threads);
