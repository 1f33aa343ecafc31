"""Other data for a trained net are prepared as those that it learnt from: the same options, where there are any.

What prepares samples is marked at the option (`prepares=True`): a normalisation, padding, the choice of labels, but
neither where files come from nor what training alone sees.
"""

from pathlib import Path
from typing import Any

from eb_core.registry import Registry, SettingsLayer, fields
from eb_core.registry.conditions import shown
from eb_core.registry.conform import conform
from eb_core.registry.options import default_of, option_types
from eb_core.training.written import written_recipe

KIND = "dataset"


def prepared_as(run: Path, name: str, typed: SettingsLayer, registry: Registry) -> tuple[SettingsLayer, list[str]]:
    """The options of the run's data set that apply to the data set called `name` too, unless typed; and notes.

    Raises:
        UsageError: no run, or no such data set.
        PluginError: a plugin that is needed cannot be used.
    """
    other = registry.load(KIND, registry.find(KIND, name, f"--dataset {name}"))
    kinds, known = option_types(other), {field.name: (field, spec) for field, spec in fields(other)}
    values = dict(written_recipe(run).sections.get(KIND, {}))
    of_run = str(values.pop("name", ("", ""))[0])
    taken: dict[str, tuple[Any, str]] = {}
    said, lacking = [], []
    needed = _needed(of_run, registry)
    for option, (value, _) in values.items():
        if option in typed.sections.get(KIND, {}):
            continue
        field, spec = known.get(option, (None, None))
        try:
            fits = field is not None and spec is not None and spec.prepares
            fitting = conform(value, kinds[option], spec) if fits and spec else None
        except ValueError:
            fits = False
        if fits and field is not None:
            taken[option] = (value, f"{run}, whose data were prepared so")
            said += [f"{option} = {shown(value)}"] if fitting != default_of(field) else []
        elif option in needed and value != needed[option]:
            lacking.append(f"{option} = {shown(value)}")
    notes = [f"{', '.join(said)}, as the data of the run"] if said else []
    if lacking:
        notes.append(
            f"the data of the run were prepared with {', '.join(lacking)}, which '{name}' does not know:"
            " its samples may not be what the net learnt"
        )
    return SettingsLayer({KIND: {"name": (name, f"--dataset {name}"), **taken}}), notes


def _needed(name: str, registry: Registry) -> dict[str, Any]:
    """Options that prepare samples of a registered data set, with their defaults; none where it is not installed."""
    offers = [offer for offer in registry.offers(KIND) if name in (offer.component.name, offer.qualified)]
    if len(offers) != 1:
        return {}
    found = fields(registry.load(KIND, offers[0].component))
    return {field.name: default_of(field) for field, spec in found if spec.prepares}
