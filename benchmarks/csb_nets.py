"""What the measurements of cSB share: trained nets, small data, parts by name.

The nets are MLPs with 1 and 4 hidden layers, on digits and on 6,000 MNIST images, trained with the relaxer `hopfield`,
C-EP (beta 0.2) and Adam, so that no net favours a dynamics of this package.
"""

import os
from pathlib import Path

import attrs
import torch
from parts import make

import eb_core as eb
from eb_core.settling.coupling import coupling_norm

HIDDEN = {"1 hidden": (120,), "4 hidden": (120, 120, 120, 120)}
IMAGES, BETA = 6000, 0.2


def part_of_mnist(images: int = IMAGES) -> eb.Data:
    """The first `images` training images and all test images of MNIST, in file order."""
    folder = os.environ.get("EB_DATA_DIR")
    whole = make("dataset", "mnist").load(Path(folder) if folder else None)
    train = whole.train.take(torch.arange(images))
    return eb.Data.from_arrays(train.x, train.y, test=(whole.test.x, whole.test.y), classes=10, name=f"mnist-{images}")


DATA = {"digits": lambda: make("dataset", "digits").load(), "mnist-6000": part_of_mnist}


@attrs.frozen(eq=False)
class Net:
    """A trained net in float64, test inputs and labels, its test accuracy, and sigma: its coupling norm."""

    name: str
    network: eb.Network
    x: torch.Tensor
    labels: torch.Tensor
    accuracy: float
    sigma: float


def trained(data: str, depth: str, seed: int, cache: Path | None, samples: int) -> Net:
    """Train that net, or take its weights from the folder `cache`."""
    loaded, deep = DATA[data](), depth != "1 hidden"
    file = None if cache is None else cache / f"{data}-{depth.replace(' ', '-')}-s{seed}.pt"
    if file is None or not file.exists():
        steps = 60 if deep else 30
        result = eb.train(
            {"name": "mlp", "hidden": HIDDEN[depth]},
            data=loaded,
            relaxer={"name": "hopfield", "steps": steps, "nudged_steps": steps},
            rule={"name": "c-ep", "beta": BETA},
            epochs=15 if data == "digits" else 8,
            batch_size=32,
            lr=0.001 if deep else 0.003,
            validation=0.0,
            seed=seed,
            threads=1,
        )
        saved = {"weights": result.net.network.state_dict(), "accuracy": result.test.accuracy}
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            torch.save(saved, file)
    else:
        saved = torch.load(file)
    model, energy = make("model", "mlp", hidden=HIDDEN[depth]), make("energy", "hopfield")
    network = eb.make_network(model, energy, loaded.input_shape, 10, generator=torch.Generator().manual_seed(0))
    network.load_state_dict(saved["weights"])
    network = network.double()
    held = loaded.test.take(torch.arange(samples))
    sigma = coupling_norm(network, iterations=80)
    return Net(f"{data}, {depth}, seed {seed}", network, held.x.double(), held.y, saved["accuracy"], sigma)
