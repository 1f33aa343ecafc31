"""Compiled kernels of eb-core; an empty tuple of `KERNELS` says that there are none here, `REASON` why.

`KERNELS` holds (index, name, lanes) for each instruction set of this processor, best first. `convolve`, `gradient` and
`pool` take addresses: `eb_core.network.sparse` is what calls them. Import torch first: its OpenMP library, and the
threads that wait in it, then serve here, too.
"""

try:
    import eb_native._sparse as _sparse  # noqa: PLR0402  (the fault then names what is missing)
except ImportError as fault:
    KERNELS: tuple[tuple[int, str, int], ...] = ()
    REASON = f"not built: {fault}"
else:
    KERNELS = tuple(_sparse.KERNELS)
    convolve, gradient, pool = _sparse.convolve, _sparse.gradient, _sparse.pool
    REASON = "" if KERNELS else "this processor has neither AVX2 nor AVX-512"
