"""`eb relax` of dynamics on this computer: side by side, from one start, with one budget."""

from collections.abc import Mapping

from eb_core.cli.relax_batch import Asked, Batch
from eb_core.cli.render import err, out, print_json
from eb_core.cli.terminal import styled
from eb_core.registry import Configuration
from eb_core.registry.recipes import TRAINER
from eb_core.registry.setup import Setup


def settle(asked: Asked, made: Mapping[str, Configuration]) -> None:
    """Settle the batch with every relaxer, and print what each reached; `made` is by what was typed for it."""
    from eb_core.cli.relax_table import record, show
    from eb_core.diagnostics.measure import settle_amply
    from eb_core.diagnostics.side_by_side import side_by_side, with_budget
    from eb_core.learning.fit import notices
    from eb_core.settling.state import State
    from eb_core.training.execute import threads
    from eb_core.training.streams import stream

    first = next(iter(made.values()))
    settings, energy, said = first[TRAINER], first["energy"], list(asked.notes)
    relaxers = {name: with_budget(one["relaxer"], asked.steps) for name, one in made.items()}
    with threads(settings.threads), err.status("loading data") as status:
        batch = Batch.of(asked, first)
        problem, network = batch.free, batch.network
        start = problem.initial_state()
        if asked.beta:
            name, only = next(iter(made.items()))
            status.update(styled("{}: the free state that the nudged phase starts from", name))
            _, free = settle_amply(only["relaxer"], problem)
            start = State(free.state.units)
            said += [
                f"the nudged phase starts from the free state of {name}, residual {float(free.residual.max()):.1e}"
            ]
            problem = batch.nudged(asked.beta)
        of_energy = notices(Setup(energy=energy, network=network))
        for name, one in relaxers.items():
            setup = Setup(energy=energy, relaxer=one, network=network)
            said += [f"{name}: {told}" for told in notices(setup) if told not in of_energy]
        ways = side_by_side(
            relaxers,
            problem,
            start,
            repeats=asked.repeats,
            generator=lambda: stream(settings.seed, "settle", device=batch.device),
            watch=lambda what: status.update(styled("{}", what)),
        )
    facts = {**batch.facts(asked), "notes": [*of_energy, *said]}
    if asked.plot:
        from eb_core.cli.relax_plot import draw

        draw(ways, facts, asked.plot)
    if asked.as_json:
        print_json(record(ways, facts))
        return
    show(ways, facts)
    if asked.plot:
        out.print(f"plot          {asked.plot}")
