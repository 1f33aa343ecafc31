"""States after `STEPS` iterations of every relaxer on every energy and wiring, as they were recorded.

python tests/golden_trajectories.py [TEXT ...]

records what has no record yet, and anew those whose name holds a TEXT: only where a change of the numbers is meant.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from registered import make, names

from eb_core import CrossEntropy, Energy, IterativeRelaxer, Problem, Relaxer, Setup, SquaredError, State
from eb_core.diagnostics.nets import SHAPES, random_network
from eb_core.diagnostics.problems import nudged, random_state
from eb_core.learning.fit import misfit
from eb_core.settling.buffers import Buffers

FILE = Path(__file__).parent / "golden" / "trajectories.npz"
STEPS = 7
BATCH = 2
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "hopfield forward": ("hopfield", {"order": "forward"}),
    "hopfield iterated": ("hopfield", {"nudge": "iterated"}),
    "hopfield-sync iterated": ("hopfield-sync", {"nudge": "iterated"}),
    "csb parallel": ("csb", {"update": "parallel"}),
    "csb momentum": ("csb", {"dt": 0.8, "gamma": 0.9, "order": "forward"}),
    "csb iterated": ("csb", {"nudge": "iterated", "dt": 0.6}),
    "csb noise": ("csb", {"noise": 0.1}),
    "csb average": ("csb", {"average": 3, "update": "parallel", "dt": 0.9}),
    "cim ramp and noise": ("cim", {"ramp": 0.6, "noise": 0.1}),
    "oim noise": ("oim", {"noise": 0.1}),
    "oim-heavy-ball bits": ("oim-heavy-ball", {"bits": 4}),
}
"""Name -> relaxer and options that take other ways through its code."""
RELAXERS = {**{name: (name, dict[str, Any]()) for name in names("relaxer")}, **VARIANTS}


def relaxer_of(variant: str) -> Relaxer:
    """The relaxer with a budget of exactly `STEPS` in every phase."""
    name, options = RELAXERS[variant]
    fixed: Relaxer = make("relaxer", name, **options, steps=STEPS, nudged_steps=STEPS, tol=0.0)
    return fixed


def phases(energy: Energy, wiring: str) -> Iterator[tuple[str, Problem]]:
    """Free, nudged by both costs with a beta for each sample, and half of a layer clamped."""
    network = random_network(energy, wiring)
    generator = torch.Generator().manual_seed(1)
    shape = network.layers[network.input].shape
    free = Problem.free(network, energy, torch.rand(BATCH, *shape, generator=generator, dtype=torch.float64))
    strengths = torch.tensor([-0.3, 0.3], dtype=torch.float64)
    yield "free", free
    yield "nudged", nudged(free, SquaredError(), strengths)
    yield "nudged by one beta", nudged(free, SquaredError(), 0.3)
    yield "nudged by cross-entropy", nudged(free, CrossEntropy(), strengths)
    units = network.layers["hidden1"]
    mask = (torch.arange(units.size) % 2 == 0).view(1, *units.shape)
    yield "half clamped", free.clamped({"hidden1": random_state(free, 2)["hidden1"]}, {"hidden1": mask})


def cases() -> Iterator[tuple[str, Relaxer, Problem]]:
    """Every relaxer and variant on every energy, wiring and phase that it fits."""
    for energy_name in names("energy"):
        energy = make("energy", energy_name)
        for wiring in SHAPES:
            if misfit(Setup(energy=energy, network=random_network(energy, wiring))) is not None:
                continue
            for phase, problem in phases(energy, wiring):
                for variant in RELAXERS:
                    relaxer = relaxer_of(variant)
                    if misfit(Setup(energy=energy, relaxer=relaxer, network=problem.network)) is None:
                        yield f"{variant} | {energy_name} | {wiring} | {phase}", relaxer, problem


def flat(problem: Problem, state: State) -> np.ndarray:
    """All units of all samples, layer after layer."""
    return torch.cat([state[layer.name].flatten() for layer in problem.network.unit_layers]).numpy()


def relaxed(relaxer: Relaxer, problem: Problem) -> np.ndarray:
    """The end of `relax` from a random state, in buffers that were used before where the dynamics has any."""
    buffers = {"buffers": Buffers()} if isinstance(relaxer, IterativeRelaxer) else {}
    for _ in range(2):
        end = relaxer.relax(problem, random_state(problem, 5), generator=torch.Generator().manual_seed(7), **buffers)
    return flat(problem, end.state)


def iterated(relaxer: Relaxer, problem: Problem) -> np.ndarray:
    """The end of `iterate` from the same state."""
    with torch.no_grad():
        return flat(
            problem,
            relaxer.iterate(problem, random_state(problem, 5), STEPS, generator=torch.Generator().manual_seed(7)),
        )


def read() -> dict[str, np.ndarray]:
    """What was recorded, by name."""
    with np.load(FILE) as file:
        return dict(zip(file["names"].tolist(), np.split(file["values"], file["ends"][:-1]), strict=True))


def write(trajectories: dict[str, np.ndarray]) -> None:
    """Replace the record."""
    values = list(trajectories.values())
    ends = np.cumsum([len(value) for value in values])
    np.savez_compressed(FILE, names=np.array(list(trajectories)), ends=ends, values=np.concatenate(values))


if __name__ == "__main__":
    recorded = read()
    due = {
        name: relaxed(relaxer, problem)
        for name, relaxer, problem in cases()
        if name not in recorded or any(text in name for text in sys.argv[1:])
    }
    write({**recorded, **due})
    sys.stdout.write(f"{len(due)} recorded, {len(recorded)} known before\n")
