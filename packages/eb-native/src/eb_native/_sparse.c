/* 3x3 convolutions, one zero around the image, of images with many zeros: work for what is not zero only.

   A list of (value, channel) for each pixel; each entry adds value x 3x3 weights to the window around its pixel, LANES
   output channels at a time, nine sums in registers. A block of BLOCK channels' weights stays in the first cache while
   all samples of a group pass by. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <immintrin.h>
#ifdef _OPENMP
#include <omp.h>
#endif
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK 64              /* input channels whose weights are in use at a time: 36 KB at 16 lanes, 18 at 8 */
#define MAX_GROUP 64          /* samples that share them */
#define MAPS (256 << 10)      /* bytes of their maps, a part of a usual second cache, or one map */
#define LISTS (16 << 20)      /* bytes of lists at a time */
#define SPARE 16              /* a list is written 16 entries at a time */

struct job {
    const float *image;       /* (samples, height, width, inputs), or half as high and wide if there are places */
    const uint8_t *places;    /* where in its 2x2 square each value stands (0 to 3), or NULL */
    const float *weights;     /* (blocks of outputs, inputs, 9, lanes) */
    float *out;               /* (samples, height, width, outputs), or half as high and wide if out_places */
    uint8_t *out_places;      /* where the maximum of each square was, or NULL: no pooling */
    int samples, height, width, inputs, outputs;
};

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
    const char *name;
    int lanes;
    void (*gather)(const struct job *, int, struct lists);
    void (*work)(const struct job *, int, int, int, const struct lists *, float *);
    void (*pool)(const struct job *, int);
    void (*sort)(const struct job *, int, struct lists);
    void (*correlate)(const struct job *, const float *, int, const struct lists *, float *, float *);
};

static const struct kernel KERNELS[] = {
    {"avx512", 16, gather_avx512, work_avx512, pool_avx512, sort_avx512, correlate_avx512},
    {"avx2", 8, gather_avx2, work_avx2, pool_avx2, sort_avx2, correlate_avx2},
};

static int supported(int index)
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

static int run_part(const struct job *job, const struct kernel *kernel, int threads)
{
    size_t pixels = (size_t)job->height * job->width;
    size_t map = (size_t)(job->height + 2) * (job->width + 2) * kernel->lanes;
    int blocks = (job->outputs + kernel->lanes - 1) / kernel->lanes;
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
static int run(const struct job *job, const struct kernel *kernel, int threads)
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
        if (run_part(&part, kernel, threads))
            return -1;
    }
    return 0;
}

static int run_gradient(const struct job *job, const float *other, const struct kernel *kernel, int threads)
{
    size_t pixels = (size_t)job->height * job->width / (job->places ? 4 : 1);
    size_t map = (size_t)(job->height + 2) * (job->width + 2) * kernel->lanes;
    size_t sums = (size_t)job->inputs * 9 * kernel->lanes;
    int blocks = (job->outputs + kernel->lanes - 1) / kernel->lanes;
    struct scratch scratch;
    int failed = make(&scratch, job->samples, pixels * job->inputs + 1, job->inputs, threads, map + sums);
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

/* Whether there is such a kernel, and it is for such sizes; sets the error if not. */
static int allowed(int index, const struct job *job, int pools)
{
    if (index < 0 || index > 1 || !supported(index))
        PyErr_Format(PyExc_ValueError, "this processor has no kernel %d", index);
    else if (job->samples < 0 || job->height < 1 || job->width < 1 || job->inputs < 1 || job->outputs < 1)
        PyErr_SetString(PyExc_ValueError, "a size is not positive");
    else if ((pools || job->places) && (job->height % 2 || job->width % 2))
        PyErr_SetString(PyExc_ValueError, "maps in squares of 2x2 have even sides");
    else
        return 1;
    return 0;
}

static PyObject *done(int failed)
{
    if (failed)
        return PyErr_NoMemory();
    Py_RETURN_NONE;
}

static PyObject *convolve(PyObject *module, PyObject *args)
{
    struct job job;
    int index, threads, failed;
    if (!PyArg_ParseTuple(args, "i(nnnnn)(iiiii)i", &index, &job.image, &job.places, &job.weights, &job.out,
                          &job.out_places, &job.samples, &job.height, &job.width, &job.inputs, &job.outputs, &threads))
        return NULL;
    if (!allowed(index, &job, job.out_places != NULL))
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    failed = run(&job, KERNELS + index, threads < 1 ? 1 : threads);
    Py_END_ALLOW_THREADS
    return done(failed);
}

static PyObject *gradient(PyObject *module, PyObject *args)
{
    struct job job = {0};
    const float *other;
    int index, threads, failed;
    if (!PyArg_ParseTuple(args, "i(nnnn)(iiiii)i", &index, &job.image, &job.places, &other, &job.out, &job.samples,
                          &job.height, &job.width, &job.inputs, &job.outputs, &threads))
        return NULL;
    if (!allowed(index, &job, 0))
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    failed = run_gradient(&job, other, KERNELS + index, threads < 1 ? 1 : threads);
    Py_END_ALLOW_THREADS
    return done(failed);
}

static PyObject *pool(PyObject *module, PyObject *args)
{
    struct job job = {0};
    int index, threads;
    if (!PyArg_ParseTuple(args, "i(nnn)(iiii)i", &index, &job.image, &job.out, &job.out_places, &job.samples,
                          &job.height, &job.width, &job.inputs, &threads))
        return NULL;
    job.outputs = job.inputs;
    if (!allowed(index, &job, 1))
        return NULL;
    if (job.inputs < KERNELS[index].lanes)
        return PyErr_Format(PyExc_ValueError, "%d channels are less than %d lanes", job.inputs, KERNELS[index].lanes);
    Py_BEGIN_ALLOW_THREADS
#pragma omp parallel for num_threads(threads < 1 ? 1 : threads)
    for (int sample = 0; sample < job.samples; sample++)
        KERNELS[index].pool(&job, sample);
    Py_END_ALLOW_THREADS
    return done(0);
}

static PyMethodDef METHODS[] = {
    {"convolve", convolve, METH_VARARGS,
     "convolve(kernel, (image, places, weights, out, out_places), (samples, height, width, inputs, outputs), threads)\n\n"
     "Addresses and sizes as in `struct job`; places and out_places may be 0."},
    {"gradient", gradient, METH_VARARGS,
     "gradient(kernel, (image, places, other, out), (samples, height, width, inputs, outputs), threads)\n\n"
     "out (inputs, 3, 3, outputs) = sum over samples and pixels of image x the window of `other` around its pixel."},
    {"pool", pool, METH_VARARGS,
     "pool(kernel, (image, out, out_places), (samples, height, width, channels), threads)\n\n"
     "Maxima of 2x2 squares and their places; at least as many channels as lanes."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef MODULE = {PyModuleDef_HEAD_INIT, "_sparse", NULL, -1, METHODS, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__sparse(void)
{
    PyObject *module = PyModule_Create(&MODULE), *kernels = PyList_New(0);
    if (!module || !kernels)
        return NULL;
    __builtin_cpu_init();
    for (int index = 0; index < 2; index++) {
        PyObject *entry = supported(index) ? Py_BuildValue("(isi)", index, KERNELS[index].name, KERNELS[index].lanes)
                                           : NULL;
        if (entry && PyList_Append(kernels, entry))
            return NULL;
        Py_XDECREF(entry);
    }
    if (PyModule_AddObject(module, "KERNELS", kernels))
        return NULL;
    return module;
}
