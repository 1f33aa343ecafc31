"""Look components up by kind and name, and import their targets only then.

Not installed, broken, disabled, incompatible, in conflict and misspelt are different messages.
"""

import importlib
import os
import shlex
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from importlib.metadata import EntryPoint
from typing import Any, Final

import attrs

from eb_core.registry.component import HOOKS, KINDS, Component
from eb_core.registry.discovery import Plugin, discover
from eb_core.registry.errors import Fault, PluginError, UsageError, did_you_mean
from eb_core.registry.foreign import foreign
from eb_core.registry.options import option_types
from eb_core.registry.plugin_filter import PluginFilter, canonical
from eb_core.registry.suites import Suite, read_suite
from eb_core.registry.wording import shown, told

PREFER_VARIABLE: Final = "EB_PLUGINS_PREFER"

OWN_ARRAYS: Final = "eb_core.data.data:OwnArrays"
"""What a recipe says of arrays that were given in Python; nobody can ask for it, so it is not on offer."""


@attrs.frozen
class Offer:
    """A component together with the plugin that offers it."""

    kind: str
    component: Component
    plugin: Plugin

    @property
    def qualified(self) -> str:
        """`distribution:name`, which is unambiguous even in a conflict."""
        return f"{self.plugin.distribution}:{self.component.name}"


class Registry:
    """All plugins, found once. `Registry.installed()` is what the command and the Python API use.

    Args:
        plugins: what `discover` returned.
        prefer: distributions whose components win when a name is offered twice.
    """

    def __init__(self, plugins: Iterable[Plugin], prefer: tuple[str, ...] = ()) -> None:
        self._found = tuple(plugins)
        self._prefer = prefer

    @classmethod
    def installed(
        cls, plugin_filter: PluginFilter | None = None, points: Iterable[EntryPoint] | None = None
    ) -> "Registry":
        """Discover the installed plugins; filters and preference come from EB_PLUGINS_* unless given."""
        prefer = tuple(part.strip() for part in os.environ.get(PREFER_VARIABLE, "").split(",") if part.strip())
        return cls(discover(plugin_filter or PluginFilter.from_environment(), points), prefer)

    @cached_property
    def plugins(self) -> tuple[Plugin, ...]:
        """Every plugin with its final status; those that share a name with another one are in conflict."""
        rivals: dict[tuple[str, str], list[Fault]] = {}
        for kind in HOOKS.values():
            for name in self.names(kind):
                offers = self._offers(kind, name)
                if len(offers) < 2 or self._preferred(offers):
                    continue
                shown = " and ".join(f"{offer.plugin.distribution} ({offer.plugin.module})" for offer in offers)
                for offer in offers:
                    own = [one for one in offers if one.qualified == offer.qualified]
                    advice = f"write '{offer.qualified}'" if len(own) == 1 else "report it to the plugin's authors"
                    fault = Fault(f"{kind} '{name}' is offered twice: by {shown}", "", advice)
                    rivals.setdefault((offer.plugin.distribution, offer.plugin.name), []).append(fault)
        return tuple(
            attrs.evolve(
                plugin,
                status="conflict" if plugin.status == "ok" else plugin.status,
                faults=(*plugin.faults, *rivals[plugin.distribution, plugin.name]),
            )
            if (plugin.distribution, plugin.name) in rivals
            else plugin
            for plugin in self._found
        )

    def offers(self, kind: str) -> Iterator[Offer]:
        """Everything on offer of one kind, in order of discovery."""
        for plugin in self._found:
            for component in plugin.components.get(kind, ()):
                yield Offer(kind, component, plugin)

    def names(self, kind: str) -> list[str]:
        """Sorted bare names of one kind."""
        return sorted({offer.component.name for offer in self.offers(kind)})

    def _offers(self, kind: str, name: str) -> list[Offer]:
        return [offer for offer in self.offers(kind) if offer.component.name == name]

    def _preferred(self, offers: list[Offer]) -> Offer | None:
        for distribution in self._prefer:
            own = [offer for offer in offers if offer.plugin in self._from(distribution)]
            if len(own) == 1:
                return own[0]
        return None

    def _from(self, distribution: str) -> list[Plugin]:
        return [plugin for plugin in self._found if canonical(plugin.distribution) == canonical(distribution)]

    def find(self, kind: str, name: str, origin: str = "") -> Component:
        """The component of this kind called `name`, `distribution:name` or `module:Class`.

        Raises:
            UsageError: nothing of this name is installed.
            PluginError: the name is offered twice, or its plugin is disabled, broken or incompatible.
        """
        distribution, colon, bare = name.partition(":")
        if colon:
            owners = self._from(distribution)
            if kind in KINDS and not owners:
                return self._from_import_path(kind, name, origin)
            offers = [offer for offer in self._offers(kind, bare) if offer.plugin in owners]
        else:
            offers = self._offers(kind, name)
        if len(offers) == 1:
            return offers[0].component
        if offers:
            preferred = self._preferred(offers)
            if preferred:
                return preferred.component
            ways = sorted({f"'{offer.qualified}'" for offer in offers})
            raise PluginError(
                f"{kind} '{name}' is offered by {len(offers)} plugins",
                origin=origin,
                advice=f"write {' or '.join(ways)}, or set {PREFER_VARIABLE} to the package you prefer"
                if len(ways) > 1
                else "one package offers it twice: report it to its authors",
            )
        raise self._missing(kind, name, origin)

    @cached_property
    def suites(self) -> Mapping[str, Suite]:
        """Every suite by its name: those of preferred packages first, then in order of discovery.

        Raises:
            PluginError: the file of one cannot be read.
        """
        offers = sorted(self.offers("suite"), key=lambda offer: self._rank(offer.plugin))
        return {offer.qualified: read_suite(offer.component) for offer in offers}

    def default(self, kind: str) -> tuple[str, str] | None:
        """What a run uses where nobody names a component of this kind, and the suite that says so; or None."""
        return next(((suite.defaults[kind], one) for one, suite in self.suites.items() if kind in suite.defaults), None)

    def _provider(self, kind: str, name: str) -> str:
        return next((suite.brings[kind, name] for suite in self.suites.values() if (kind, name) in suite.brings), "")

    def _rank(self, plugin: Plugin) -> int:
        own = canonical(plugin.distribution)
        return next((at for at, name in enumerate(self._prefer) if canonical(name) == own), len(self._prefer))

    def knows(self, kind: str, component: Component) -> bool:
        """Whether an installed package has put the code of this component on offer."""
        targets = {offer.component.target for offer in self.offers(kind)}
        return component.target in targets or component.target == OWN_ARRAYS

    def _missing(self, kind: str, name: str, origin: str) -> UsageError | PluginError:
        stated = name.partition(":")[0] if ":" in name else ""
        provider = stated or self._provider(kind, name)
        owners = self._from(provider)
        for plugin in owners:
            if plugin.status != "ok":
                reason = plugin.faults[0].what if plugin.faults else "no reason given"
                return PluginError(
                    f"{kind} '{name}' comes from {provider}, which is {plugin.status}: {reason}",
                    origin=origin,
                    advice="see 'eb doctor'",
                )
        if provider and not stated and not owners:
            return PluginError(
                f"{kind} '{name}' is not installed", origin=origin, advice=f"pip install {provider}, which brings it"
            )
        known = [offer.qualified for offer in self.offers(kind)] if stated else self.names(kind)
        advice = _path_advice(kind, name, self.names(kind)) or did_you_mean(name, known)
        lame = [f"{plugin.distribution} is {plugin.status}" for plugin in self._found if plugin.status in _NOT_USABLE]
        if lame:
            advice += " (" + "; ".join(lame) + ": see 'eb doctor')"
        return UsageError(f"no {kind} is called {shown(name)}", origin=origin, advice=advice)

    def _from_import_path(self, kind: str, name: str, origin: str) -> Component:
        component = Component("own", name)
        if component.problem(kind):
            raise UsageError(
                f"no {kind} is called {shown(name)}",
                origin=origin,
                advice=_path_advice(kind, name, self.names(kind))
                or "write NAME, PACKAGE:NAME or an importable 'package.module:Class'",
            )
        return attrs.evolve(component, name=name)

    def load(self, kind: str, component: Component) -> type[Any]:
        """Import the target of `component` and check that it fulfils the contract of its kind.

        Raises:
            PluginError: the target cannot be imported or is no subclass of the contract.
        """
        origin = f"target {component.target} of {kind} '{component.name}'"
        try:
            contract = resolve(KINDS[kind])  # first, so that the time to import torch is not the plugin's
            with foreign(f"{kind} '{component.name}' to be imported ({component.target})"):
                loaded = resolve(component.target)
                flaw = _flaw(loaded) if isinstance(loaded, type) else None
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            raise PluginError(
                f"{kind} '{component.name}' cannot be imported: {told(error)}",
                origin=origin,
                advice="mend the module, or install what it needs",
            ) from error
        if not (isinstance(loaded, type) and issubclass(loaded, contract)):
            raise PluginError(
                f"{component.target} is not a subclass of {contract.__name__}",
                origin=origin,
                advice=f"derive it from eb_core.{contract.__name__}",
            )
        if flaw:
            raise PluginError(f"{component.target} cannot be used: {flaw}", origin=origin, advice="mend the class")
        return loaded

    def recipe_of(self, kind: str, component: Component) -> str | None:
        """Name of the default recipe of a model or backend; one of its own package goes before others of that name."""
        owners = {offer.plugin.distribution for offer in self.offers(kind) if offer.component is component}
        rivals = self._offers("recipe", component.recipe or "")
        own = [offer.qualified for offer in rivals if offer.plugin.distribution in owners]
        return own[0] if len(rivals) > 1 and own else component.recipe


def _flaw(cls: type[Any]) -> str | None:
    """Why no instance can be made of a class that fulfils its contract on paper."""
    missing = sorted(getattr(cls, "__abstractmethods__", ()))
    if missing:
        return f"it lacks {', '.join(missing)}"
    if "__attrs_attrs__" not in vars(cls):
        return "it is not decorated with @configurable"
    try:
        names = option_types(cls)
    except Exception as error:  # noqa: BLE001 - annotations are evaluated here: anything may be raised
        return f"the type of an option cannot be read: {told(error)}"
    return "an option must not be called 'name', which is the component's own" if "name" in names else None


def _path_advice(kind: str, name: str, known: list[str]) -> str:
    """What to write where a file was named in place of a component: its suffix is the name of who reads it."""
    suffix = name.rpartition(".")[2].lower()
    if suffix == "toml":
        return f"a recipe is given with --recipe {shlex.quote(name)}"
    if kind == "recipe" and ("/" in name or os.sep in name):
        return "the name of a recipe file ends in .toml: that of a run is RUN/recipe.toml"
    reader = suffix if suffix in known else "csv"
    if kind == "dataset" and ((suffix in known and suffix != name.lower()) or os.path.isfile(name)):
        return f"read a file with --dataset {reader} --dataset-opt {shlex.quote('file=' + name)}"
    return ""


_NOT_USABLE = ("broken", "incompatible", "disabled")


def resolve(target: str) -> Any:
    """The object that `"package.module:name"` points at; imports the module."""
    module, _, name = target.partition(":")
    return getattr(importlib.import_module(module), name)
