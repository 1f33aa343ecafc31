"""Trained DCHNs for the comparison with EBL's code, images to judge them by, and our parts joined to one step."""

import argparse
from pathlib import Path
from typing import Any

import torch
from parts import make
from torch import Tensor

from eb_core import GradientEstimate, Network, Problem, TrainerSettings, make_network
from eb_core.training.optimiser import apply_gradients, make_optimiser

SIDES, CLASSES = (32, 32), 10
BATCH, BATCHES, RATE = 32, 300, 0.0017
"""How the nets are trained: batch size, batches, learning rate of Adam times the root of the width."""


def build(width: int, channels: int = 1) -> Network:
    """EBL's DCHN: 3x3 convolutions to width x (1, 2, 4, 4) channels, each with 2x2 max-pooling, and a dense edge."""
    model = make("model", "dchn", width=width, growth=(1, 2, 4, 4), kernel=(3,), gain=(0.7,))
    generator = torch.Generator().manual_seed(0)
    return make_network(model, make("energy", "hopfield"), (channels, *SIDES), CLASSES, generator=generator)


class Ours:
    """One step with our parts, as the trainer takes it, and the two halves of it.

    Args:
        differentiated: iterations that tbp differentiates.
        precision, polish: of the simulator.
        options: of the relaxer.
    """

    def __init__(
        self,
        network: Network,
        relaxer: str = "hopfield",
        *,
        rule: str = "c-ep",
        beta: float = 0.25,
        differentiated: int = 15,
        optimizer: str = "sgd",
        lr: float = 1e-9,
        precision: str = "full",
        polish: int = 3,
        **options: Any,
    ) -> None:
        own: dict[str, dict[str, Any]] = {"bp": {}, "cl": {}, "tbp": {"steps": differentiated}}
        self.rule = make("rule", rule, **own.get(rule, {"beta": beta}))
        self.network, self.energy, self.cost = network, make("energy", "hopfield"), make("cost", "squared-error")
        weight = next(network.parameters())
        self.session = make("backend", "simulator", precision=precision, polish=polish).open(
            network, self.energy, make("relaxer", relaxer, **options), device=weight.device, dtype=weight.dtype
        )
        self.optimiser = make_optimiser(network, TrainerSettings(optimizer=optimizer, lr=lr))

    def settle(self, x: Tensor) -> Any:
        """The free phase."""
        return self.session.settle(Problem.free(self.network, self.energy, x))

    def estimate(self, x: Tensor, labels: Tensor) -> GradientEstimate:
        """What the rule makes of a batch."""
        target = self.cost.encode(labels, CLASSES, self.energy, x.dtype)
        estimate: GradientEstimate = self.rule.estimate(self.session, x, target, self.cost)
        return estimate

    def step(self, x: Tensor, labels: Tensor) -> GradientEstimate:
        """The estimate, and one step of the optimiser."""
        estimate = self.estimate(x, labels)
        apply_gradients(self.network, self.optimiser, estimate.gradients)
        return estimate


def cosine(estimate: Any, wanted: Any) -> float:
    """Of two gradients, all parameters together."""
    mine, theirs = (torch.cat([found[name].double().flatten() for name in wanted]) for found in (estimate, wanted))
    return float(torch.cosine_similarity(mine, theirs, dim=0))


def images(data_dir: Path | None) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """MNIST padded to 32x32 and normalised, training and test split, each in a random order."""
    found = make("dataset", "mnist", normalise=True, pad=True).load(data_dir)
    generator = torch.Generator().manual_seed(0)
    splits = []
    for split in (found.train, found.test):
        rows = torch.randperm(len(split.x), generator=generator)[: BATCH * BATCHES]
        splits.append((split.x[rows], split.y[rows]))
    return splits[0], splits[1]


def trained(arguments: argparse.Namespace) -> tuple[Network, tuple[Tensor, Tensor], float]:
    """The net of `add_options`, test images with their labels, and its accuracy on the last training batches.

    If its file exists the weights are read from there; otherwise they are trained with C-EP, and written there.
    """
    width, file = arguments.width, arguments.net or Path(f"dchn-{arguments.width}.pt")
    training, test = images(arguments.data_dir)
    network = build(width)
    if not file.exists():
        accuracy = train(network, width, *training, arguments.train_precision)
        torch.save({"accuracy": accuracy, "weights": network.state_dict()}, file)
    kept = torch.load(file)
    network.load_state_dict(kept["weights"])
    return network, test, kept["accuracy"]


def train(network: Network, width: int, x: Tensor, labels: Tensor, precision: str) -> float:
    """Accuracy on the last 20 batches before each was learnt from."""
    options = {"steps": 15, "nudged_steps": 8, "tol": 0.0, "beta": 0.2}
    ours = Ours(network, "csb", optimizer="adam", lr=RATE / width**0.5, precision=precision, **options)
    right: list[float] = []
    for index in range(BATCHES):
        rows = slice(BATCH * index, BATCH * (index + 1))
        estimate = ours.step(x[rows], labels[rows])
        right.append(float((estimate.readout.argmax(1) == labels[rows]).double().mean()))
        if not (index + 1) % 20:
            print(f"accuracy of batches {index - 18} to {index + 1}: {sum(right[-20:]) / 20:.3f}", flush=True)
    return sum(right[-20:]) / 20


def _net_file(text: str) -> Path:
    """A path that torch writes and reads in the same format: it would read a .safetensors file in another one."""
    path = Path(text)
    if path.suffix != ".pt" or not path.absolute().parent.is_dir():
        raise argparse.ArgumentTypeError(f"{text} must end in .pt and lie in a folder that is there")
    return path


def add_options(parser: argparse.ArgumentParser) -> None:
    """Which net, and where the images are."""
    parser.add_argument("--width", type=int, default=128, help="channels of the first conv layer")
    parser.add_argument("--net", type=_net_file, help="file of the weights, .pt; trained and written if there is none")
    parser.add_argument("--data-dir", type=Path, help="where the images of MNIST are")
    parser.add_argument("--train-precision", choices=("full", "bfloat16"), default="full", help="of the training")
