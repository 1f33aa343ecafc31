"""How well each dynamics settles a trained CIM net within a budget, and what that does to the gradient.

For T in BUDGETS, over a batch of test images, in float64, from rest:

    excess    mean F(T) - F*, the free phase after T iterations above the minimum that block updates find
    residual  mean of max |P(s - dF/ds) - s|
    gradient  |g - g*| / |g*|, centred EP with T free and 3 T / 4 nudged iterations, against the same with all phases
              settled by block updates, so that the bias of a finite beta is not in it
"""

import json
from pathlib import Path
from typing import Any

import torch
from parts import make

from eb_core import Data, Network, Problem, Simulator, SquaredError

BUDGETS = (5, 10, 20, 40, 80)
BATCH = 200
CURVES = "settling"


def settling(
    network: Network, data: Data, dynamics: dict[str, dict[str, Any]], beta: float
) -> dict[str, list[dict[str, float]]]:
    """Name of a dynamics -> a point for each budget."""
    network.double()
    energy, cost, rule = make("energy", "cim"), SquaredError(), make("rule", "c-ep", beta=beta)
    assert data.test is not None
    x, labels = data.test.x[:BATCH].double(), data.test.y[:BATCH]
    target = cost.encode(labels, data.classes, energy, torch.float64)
    problem = Problem.free(network, energy, x.view(BATCH, *network.layers[network.input].shape))

    def estimate(relaxer: Any) -> Any:
        session = Simulator().open(network, energy, relaxer, device=torch.device("cpu"), dtype=torch.float64)
        return rule.estimate(session, problem.x, target, cost)

    settled = make("relaxer", "cim-block", steps=3000, nudged_steps=3000, tol=1e-12, nudged_tol=1e-12, check_every=20)
    best = estimate(settled)
    true = torch.cat([value.flatten() for value in best.gradients.values()])
    found: dict[str, list[dict[str, float]]] = {}
    for name, options in dynamics.items():
        if "quarter" in name:
            continue
        found[name] = []
        for steps in BUDGETS:
            relaxer = make("relaxer", **{**options, "steps": steps, "nudged_steps": max(3 * steps // 4, 1)})
            reached = estimate(relaxer)
            free = reached.phases["free"]
            got = torch.cat([reached.gradients[key].flatten() for key in best.gradients])
            found[name].append(
                {
                    "steps": steps,
                    "excess": float((free.energy - best.phases["free"].energy).mean()),
                    "residual": float(free.residual.mean()),
                    "gradient": float((got - true).norm() / true.norm()),
                }
            )
    network.float()
    return found


def plot(folder: Path, file: Path) -> None:
    """Excess energy and gradient error against the budget, one column for each net."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    found = {
        path.stem.removesuffix(f"-{CURVES}"): json.loads(path.read_text()) for path in folder.glob(f"*-{CURVES}.json")
    }
    nets = [net for net in ("shallow", "deep") if net in found]
    figure, axes = plt.subplots(2, len(nets), figsize=(4 * len(nets), 5.6), sharex=True, squeeze=False)
    for column, net in enumerate(nets):
        for name, points in found[net].items():
            steps = [point["steps"] for point in points]
            for row, key in enumerate(("excess", "gradient")):
                axes[row][column].loglog(
                    steps, [max(point[key], 1e-14) for point in points], marker="o", ms=3, label=name
                )
        axes[0][column].set_title(net)
        axes[1][column].set_xlabel("iterations of the free phase")
        axes[1][column].set_xticks(BUDGETS, [str(budget) for budget in BUDGETS])
        axes[1][column].minorticks_off()
    axes[0][0].set_ylabel("F above its minimum")
    axes[1][0].set_ylabel("relative error of the gradient")
    axes[0][0].legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(file)
