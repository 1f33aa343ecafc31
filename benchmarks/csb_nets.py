"""Trained nets for the measurements of cSB: MLPs with 1 and 4 hidden layers, on digits and on 6,000 MNIST images.

All are trained with the relaxer `hopfield`, C-EP (beta 0.2), Adam, so that no net favours a dynamics of this package.
"""

import os
from pathlib import Path

import attrs
import torch

import eb_core as eb
from eb_core.settling.coupling import coupling_norm

HIDDEN = {"1 hidden": [120], "4 hidden": [120, 120, 120, 120]}
IMAGES = 6000


def part_of_mnist(images: int = IMAGES, test: int = 10_000) -> eb.Data:
    """The first `images` training images and the first `test` test images of MNIST, in file order."""
    registry = eb.Registry.installed()
    dataset = registry.load("dataset", registry.find("dataset", "mnist"))()
    whole = dataset.load(Path(os.environ["EB_DATA_DIR"]) if "EB_DATA_DIR" in os.environ else None)
    train, held = whole.train.take(torch.arange(images)), whole.test.take(torch.arange(test))
    return eb.Data.from_arrays(train.x, train.y, test=(held.x, held.y), classes=10, name=f"mnist, first {images}")


def digits() -> eb.Data:
    registry = eb.Registry.installed()
    data: eb.Data = registry.load("dataset", registry.find("dataset", "digits"))().load(None)
    return data


DATA = {"digits": digits, "mnist-6000": part_of_mnist}


@attrs.frozen(eq=False)
class Trained:
    """A trained net in float64 with 500 test inputs and their labels."""

    name: str
    seed: int
    network: eb.Network
    energy: eb.Energy
    x: torch.Tensor
    labels: torch.Tensor
    accuracy: float
    sigma: float


def trained(data: str, depth: str, seed: int, cache: Path | None = None, epochs: int | None = None) -> Trained:
    """Train that net, or take its weights from `cache`; sigma is the coupling norm of all units."""
    loaded = DATA[data]()
    file = None if cache is None else cache / f"{data}-{depth.replace(' ', '-')}-s{seed}.pt"
    deep = depth != "1 hidden"
    steps = 60 if deep else 30
    result = None
    if file is None or not file.exists():
        result = eb.train(
            {"name": "mlp", "hidden": HIDDEN[depth]},
            data=loaded,
            relaxer={"name": "hopfield", "steps": steps, "nudged_steps": steps},
            rule={"name": "c-ep", "beta": 0.2},
            epochs=epochs or (15 if data == "digits" else 8),
            batch_size=32,
            lr=0.001 if deep else 0.003,
            validation=0.0,
            seed=seed,
            threads=1,
        )
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            torch.save({"weights": result.net.network.state_dict(), "accuracy": result.test.accuracy}, file)
            saved = torch.load(file)
        else:
            saved = {"weights": result.net.network.state_dict(), "accuracy": result.test.accuracy}
    else:
        saved = torch.load(file)
    registry = eb.Registry.installed()
    model = registry.load("model", registry.find("model", "mlp"))(hidden=tuple(HIDDEN[depth]))
    energy = registry.load("energy", registry.find("energy", "hopfield"))()
    network = eb.make_network(model, energy, loaded.input_shape, 10, generator=torch.Generator().manual_seed(0))
    network.load_state_dict(saved["weights"])
    network = network.double()
    held = loaded.test.take(torch.arange(min(500, len(loaded.test))))
    x = held.x.double()
    return Trained(
        f"{data}, {depth}", seed, network, energy, x, held.y, saved["accuracy"], coupling_norm(network, iterations=80)
    )
