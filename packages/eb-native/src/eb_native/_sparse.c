/* 3x3 convolutions, one zero around the image, of images with many zeros: work for what is not zero only.

   A list of (value, channel) for each pixel; each entry adds value x 3x3 weights to the window around its pixel, LANES
   output channels at a time, nine sums in registers. A block of BLOCK channels' weights stays in the first cache while
   all samples of a group pass by. */

#include "_sparse.h"

#include <immintrin.h>
#ifdef _OPENMP
#include <omp.h>
#endif
#include <stdlib.h>
#include <string.h>

#define BLOCK 64              /* input channels whose weights are in use at a time: 36 KB at 16 lanes, 18 at 8 */
#define MAX_GROUP 64          /* samples that share them */
#define MAPS (256 << 10)      /* bytes of their maps, a part of a usual second cache, or one map */
#define LISTS (16 << 20)      /* bytes of lists at a time */
#define SPARE 16              /* a list is written 16 entries at a time */

struct lists {
    float *value;
    int32_t *offset;
    int32_t *count;
};

#define LANES 16
#define PACKED
#define TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx2,fma,popcnt")))
#define NAME(x) x##_avx512
#include "_kernel.h"
#undef LANES
#undef PACKED
#undef TARGET
#undef NAME
#define LANES 8
#define TARGET __attribute__((target("avx2,fma")))
#define NAME(x) x##_avx2
#include "_kernel.h"

struct kernel {
    void (*gather)(const struct job *, int, struct lists);
    void (*work)(const struct job *, int, int, int, const struct lists *, float *);
    void (*pool)(const struct job *, int);
    void (*sort)(const struct job *, int, struct lists);
    void (*correlate)(const struct job *, const float *, int, const struct lists *, float *, float *);
};

static const struct kernel KERNELS[] = {
    {gather_avx512, work_avx512, pool_avx512, sort_avx512, correlate_avx512},
    {gather_avx2, work_avx2, pool_avx2, sort_avx2, correlate_avx2},
};
const char *const NAMES[] = {"avx512", "avx2"};
const int LANES_OF[] = {16, 8};

int supported(int index)
{
    if (index == 0)
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512vl");
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

struct scratch {
    struct lists *lists;      /* one for each sample */
    float *maps;              /* `each` floats for each thread */
    size_t each;
};

static void drop(struct scratch *scratch)
{
    if (scratch->lists)
        free(scratch->lists->value), free(scratch->lists->offset), free(scratch->lists->count);
    free(scratch->lists), free(scratch->maps);
}

/* Returns 0, or -1 where there is no memory. */
static int make(struct scratch *scratch, int samples, size_t entries, size_t counts, int threads, size_t each)
{
    each = (each + 15) / 16 * 16;
    *scratch = (struct scratch){calloc(samples > 0 ? samples : 1, sizeof(struct lists)), NULL, each};
    void *maps = NULL;
    if (!scratch->lists || posix_memalign(&maps, 64, threads * each * sizeof(float)))
        return -1;
    scratch->maps = maps;
    size_t room = samples > 0 ? samples : 1;
    struct lists first = {malloc(room * entries * sizeof(float)), malloc(room * entries * sizeof(int32_t)),
                          malloc(room * counts * sizeof(int32_t))};
    scratch->lists[0] = first;
    for (int sample = 1; sample < samples; sample++)
        scratch->lists[sample] = (struct lists){first.value + sample * entries, first.offset + sample * entries,
                                                first.count + sample * counts};
    return first.value && first.offset && first.count ? 0 : -1;
}

static float *own(const struct scratch *scratch)
{
#ifdef _OPENMP
    return scratch->maps + omp_get_thread_num() * scratch->each;
#else
    return scratch->maps;
#endif
}

static int run_part(const struct job *job, int index, int threads)
{
    const struct kernel *kernel = KERNELS + index;
    size_t pixels = (size_t)job->height * job->width;
    size_t map = (size_t)(job->height + 2) * (job->width + 2) * LANES_OF[index];
    int blocks = (job->outputs + LANES_OF[index] - 1) / LANES_OF[index];
    int most = job->samples < MAX_GROUP ? job->samples : MAX_GROUP, group = MAPS / (map * sizeof(float));
    group = group > most ? most : group;
    group = group < 1 ? 1 : group;
    while (group > 1 && blocks * ((job->samples + group - 1) / group) < threads)
        group = (group + 1) / 2;
    int tasks = blocks * ((job->samples + group - 1) / group);
    size_t entries = (job->places ? pixels / 4 : pixels) * job->inputs + SPARE;
    size_t counts = pixels * ((job->inputs + BLOCK - 1) / BLOCK);
    struct scratch scratch;
    int failed = make(&scratch, job->samples, entries, counts, threads, group * map);
    if (!failed) {
#pragma omp parallel num_threads(threads)
        {
#pragma omp for schedule(dynamic)
            for (int sample = 0; sample < job->samples; sample++)
                kernel->gather(job, sample, scratch.lists[sample]);
#pragma omp for schedule(dynamic)
            for (int task = 0; task < tasks; task++) {
                int first = task / blocks * group;
                int last = first + group < job->samples ? first + group : job->samples;
                kernel->work(job, task % blocks, first, last, scratch.lists, own(&scratch));
            }
        }
    }
    drop(&scratch);
    return failed;
}

/* So many samples at a time that their lists stay below LISTS bytes. */
int run(const struct job *job, int index, int threads)
{
    size_t pixels = (size_t)job->height * job->width;
    size_t in = (job->places ? pixels / 4 : pixels) * job->inputs;
    size_t out = (job->out_places ? pixels / 4 : pixels) * job->outputs;
    int most = LISTS / (in * (sizeof(float) + sizeof(int32_t)));
    most = most < threads ? threads : most;
    for (int first = 0; first < job->samples; first += most) {
        struct job part = *job;
        part.samples = job->samples - first < most ? job->samples - first : most;
        part.image += first * in, part.places += job->places ? first * in : 0;
        part.out += first * out, part.out_places += job->out_places ? first * out : 0;
        if (run_part(&part, index, threads))
            return -1;
    }
    return 0;
}

int run_gradient(const struct job *job, const float *other, int index, int threads)
{
    const struct kernel *kernel = KERNELS + index;
    size_t pixels = (size_t)job->height * job->width / (job->places ? 4 : 1);
    size_t map = (size_t)(job->height + 2) * (job->width + 2) * LANES_OF[index];
    size_t sums = (size_t)job->inputs * 9 * LANES_OF[index];
    int blocks = (job->outputs + LANES_OF[index] - 1) / LANES_OF[index];
    struct scratch scratch;
    int failed = make(&scratch, job->samples, pixels * job->inputs, job->inputs, threads, map + sums);
    if (!failed) {
#pragma omp parallel num_threads(threads)
        {
#pragma omp for schedule(dynamic)
            for (int sample = 0; sample < job->samples; sample++)
                kernel->sort(job, sample, scratch.lists[sample]);
#pragma omp for schedule(dynamic)
            for (int block = 0; block < blocks; block++)
                kernel->correlate(job, other, block, scratch.lists, own(&scratch), own(&scratch) + map);
        }
    }
    drop(&scratch);
    return failed;
}

void run_pool(const struct job *job, int index, int threads)
{
#pragma omp parallel for num_threads(threads)
    for (int sample = 0; sample < job->samples; sample++)
        KERNELS[index].pool(job, sample);
}
