"""A small network on an emulated chip, and the chip alone."""

from typing import Any

import torch

from eb_backend_emulator.chip import EmulatedChip
from eb_backend_emulator.emulator import Emulator
from eb_core import Energy, Network, Problem, Registry, SquaredError
from eb_core.device.contract import Couplings, Drive
from eb_core.device.session import DeviceSession
from eb_core.testing import random_network

REGISTRY = Registry.installed()
ENERGIES = {"hopfield": "quadratic", "oim": "phase", "cim": "amplitude"}


def make(kind: str, name: str, **options: Any) -> Any:
    component = REGISTRY.find(kind, name)
    return REGISTRY.load(kind, component)(**{**component.preset, **options})


def wide(energy: Energy, hidden: int = 60, outputs: int = 40) -> Network:
    """5 inputs and enough couplings for statistics; float64."""
    network = make("model", "mlp", hidden=(hidden,)).build((5,), outputs).double()
    energy.init_(network, torch.Generator().manual_seed(0))
    return network


def open_(emulator: Emulator, network: Network, energy: Energy, relaxer: Any = None) -> DeviceSession:
    like = next(network.parameters())
    chosen = relaxer or make("relaxer", "gradient-flow")
    session = emulator.open(network, energy, chosen, device=like.device, dtype=like.dtype)
    assert isinstance(session, DeviceSession)
    return session


def chip_and_couplings(energy_name: str = "hopfield", **options: Any) -> tuple[EmulatedChip, Couplings]:
    """A chip that is not programmed, and what to program it with: one block, 40 x 60."""
    energy, emulator = make("energy", energy_name), Emulator(**options)
    network = wide(energy)
    placement = emulator.compile(network, energy)
    relaxer = make("relaxer", "gradient-flow")
    return EmulatedChip(emulator, placement, network, energy, relaxer), placement.program(network, energy)[0]


def free_of(energy: Energy, network: Network | None = None, batch: int = 8) -> Problem:
    network = random_network(energy) if network is None else network
    shape = network.layers[network.input].shape
    x = torch.rand(batch, *shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return Problem.free(network, energy, x)


def nudged(problem: Problem, beta: float) -> Problem:
    outputs = problem.network.layers[problem.network.output].size
    return problem.nudged(
        SquaredError(), torch.eye(outputs, dtype=torch.float64)[torch.arange(problem.batch) % outputs], beta
    )


def idle(couplings: Couplings, batch: int = 4, **more: Any) -> Drive:
    """A free phase of constant fields."""
    generator = torch.Generator().manual_seed(2)
    field = torch.rand(batch, couplings.size, generator=generator, dtype=torch.float64).numpy()
    return Drive("free", field, **more)
