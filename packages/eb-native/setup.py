"""The extension may fail to build, where there is no compiler, say: eb-core then computes without it."""

import sys

from setuptools import Extension, setup

OPENMP = [] if sys.platform == "darwin" else ["-fopenmp"]  # Apple's compiler has none

setup(
    ext_modules=[
        Extension(
            "eb_native._sparse",
            ["src/eb_native/_module.c", "src/eb_native/_sparse.c"],
            depends=["src/eb_native/_kernel.h", "src/eb_native/_sparse.h"],
            extra_compile_args=["-O3", *OPENMP],
            extra_link_args=OPENMP,
            optional=True,
        )
    ]
)
