"""The mean of the last states of a phase: what is left of noise on the fields."""

import torch

from eb_core import View


def add_up(view: View) -> None:
    """Add the present state to the sum that the memory holds."""
    for name in view.layers:
        total = view.memory.get(f"sum.{name}")
        view.remember(f"sum.{name}", view.units[name].clone() if total is None else total + view.units[name])


def close(view: View, count: int) -> None:
    """Put the units to the mean of so many states."""
    for name in view.layers:
        view.write(name, torch.div(view.memory[f"sum.{name}"], count))
        view.forget(f"sum.{name}")
