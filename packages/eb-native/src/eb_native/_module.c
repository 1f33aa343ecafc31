/* The Python module `_sparse`: addresses and sizes in, sums out. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "_sparse.h"

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
    failed = run(&job, index, threads < 1 ? 1 : threads);
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
    failed = run_gradient(&job, other, index, threads < 1 ? 1 : threads);
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
    if (job.inputs < LANES_OF[index])
        return PyErr_Format(PyExc_ValueError, "%d channels are less than %d lanes", job.inputs, LANES_OF[index]);
    Py_BEGIN_ALLOW_THREADS
    run_pool(&job, index, threads < 1 ? 1 : threads);
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
        PyObject *entry = supported(index) ? Py_BuildValue("(isi)", index, NAMES[index], LANES_OF[index])
                                           : NULL;
        if (entry && PyList_Append(kernels, entry))
            return NULL;
        Py_XDECREF(entry);
    }
    if (PyModule_AddObject(module, "KERNELS", kernels))
        return NULL;
    return module;
}
