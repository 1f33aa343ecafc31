KERNELS: list[tuple[int, str, int]]

def convolve(
    kernel: int,
    image: int,
    places: int,
    weights: int,
    out: int,
    out_places: int,
    samples: int,
    height: int,
    width: int,
    inputs: int,
    outputs: int,
    threads: int,
) -> None: ...
def pool(
    kernel: int,
    image: int,
    out: int,
    out_places: int,
    samples: int,
    height: int,
    width: int,
    channels: int,
    threads: int,
) -> None: ...
def gradient(
    kernel: int,
    image: int,
    places: int,
    other: int,
    out: int,
    samples: int,
    height: int,
    width: int,
    inputs: int,
    outputs: int,
    threads: int,
) -> None: ...
