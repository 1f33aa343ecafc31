"""What this package registers. It must not import torch."""

from eb_core.registry import Component, hookimpl

EB_PLUGIN_API = "0.1"


@hookimpl
def eb_backends() -> list[Component]:
    return [Component("board", "eb_board.board:Board", "256 analog units in two columns, 8-bit couplings")]
