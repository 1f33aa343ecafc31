"""Find plugins, load each in its own try, call each hook in its own try; hide nothing.

pluggy's own loader stops at the first plugin that raises, and one raising hook ends a whole collect.
Here every plugin gets a plugin manager of its own, so a broken one stays in the list with its error
and harms nobody. Allow- and deny-lists are applied before anything is imported.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import Any, Final, Literal

import attrs
import pluggy

from eb_core.registry import hookspecs
from eb_core.registry.component import HOOKS, PLUGIN_API, Component
from eb_core.registry.errors import Fault

GROUP: Final = "eb.plugins"
ALLOW_VARIABLE: Final = "EB_PLUGINS_ALLOW"
DENY_VARIABLE: Final = "EB_PLUGINS_DENY"

Status = Literal["ok", "disabled", "broken", "incompatible", "conflict"]


@attrs.frozen
class Plugin:
    """One entry point and what became of it.

    Args:
        name: name of the entry point.
        distribution: the installed package that brings it.
        status: `ok`, `disabled` (by a filter), `broken` (import or hook raised), `incompatible`
            (plugin API), `conflict` (a name that another plugin offers too).
        components: what it offers, by kind. A plugin with one broken hook keeps the others.
        faults: what went wrong, with origin and advice.
    """

    name: str
    distribution: str
    version: str
    module: str
    status: Status
    components: Mapping[str, tuple[Component, ...]] = MappingProxyType({})
    faults: tuple[Fault, ...] = ()


@attrs.frozen
class PluginFilter:
    """Which plugins to load: shell patterns on the name of the distribution or of the entry point."""

    allow: tuple[str, ...] = ("*",)
    deny: tuple[str, ...] = ()

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> "PluginFilter":
        """Comma-separated patterns in EB_PLUGINS_ALLOW and EB_PLUGINS_DENY; unset means all, none."""
        allow = _split(environ.get(ALLOW_VARIABLE, ""))
        return cls(allow or ("*",), _split(environ.get(DENY_VARIABLE, "")))

    def refusal(self, *names: str) -> Fault | None:
        """Why a plugin known by any of `names` is not to be loaded, or None."""
        for pattern in self.deny:
            if any(fnmatchcase(name, pattern) for name in names):
                return Fault(
                    f"denied by the pattern '{pattern}'",
                    f"{DENY_VARIABLE} or --plugins-deny",
                    "take the pattern away to load it",
                )
        if not any(fnmatchcase(name, pattern) for pattern in self.allow for name in names):
            return Fault(
                f"not in the allow-list {','.join(self.allow)}",
                f"{ALLOW_VARIABLE} or --plugins-allow",
                f"add '{names[0]}' to load it",
            )
        return None


def _split(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def discover(plugin_filter: PluginFilter, points: Iterable[EntryPoint] | None = None) -> tuple[Plugin, ...]:
    """Load every plugin that `plugin_filter` admits, in order of distribution and name.

    Args:
        points: entry points to use instead of the installed ones.
    """
    found = entry_points(group=GROUP) if points is None else points
    plugins = [_load(point, plugin_filter) for point in found]
    return tuple(sorted(plugins, key=lambda plugin: (plugin.distribution, plugin.name)))


def _load(point: EntryPoint, plugin_filter: PluginFilter) -> Plugin:
    distribution = point.dist.name if point.dist else point.module.split(".")[0]
    version = point.dist.version if point.dist else "?"

    def plugin(status: Status, *faults: Fault, components: Mapping[str, tuple[Component, ...]] | None = None) -> Plugin:
        return Plugin(point.name, distribution, version, point.value, status, components or {}, faults)

    refusal = plugin_filter.refusal(distribution, point.name)
    if refusal:
        return plugin("disabled", refusal)
    module, fault = _guarded(point.load, f"import of {point.value}", f"plugin '{point.name}' of {distribution}")
    if fault:
        return plugin("broken", fault)
    incompatible = _api_fault(getattr(module, "EB_PLUGIN_API", None), point)
    if incompatible:
        return plugin("incompatible", incompatible)
    components, faults = _collect(module, point)
    return plugin("broken" if faults else "ok", *faults, components=components)


def _guarded(call: Callable[[], Any], what: str, origin: str) -> tuple[Any, Fault | None]:
    """Result of `call`, or the fault it met. SystemExit counts; Ctrl-C goes through."""
    try:
        return call(), None
    except KeyboardInterrupt:
        raise
    except ModuleNotFoundError as error:
        advice = f"install the missing module '{error.name}', or the package that brings it"
        return None, Fault(f"{what} failed: {error}", origin, advice)
    except BaseException as error:
        text = " ".join(str(error).split())
        return None, Fault(f"{what} failed: {type(error).__name__}: {text}", origin, "report it to the plugin's authors")


def _api_fault(declared: object, point: EntryPoint) -> Fault | None:
    origin = f"EB_PLUGIN_API in {point.value}"
    if declared is None:
        return Fault("it does not say which plugin API it targets", origin, f'add the line EB_PLUGIN_API = "{PLUGIN_API}"')
    ours = tuple(int(part) for part in PLUGIN_API.split("."))
    try:
        major, minor = (int(part) for part in str(declared).split("."))
    except ValueError:
        return Fault(f"plugin API {declared!r} is not 'major.minor'", origin, f'write "{PLUGIN_API}"')
    if major == ours[0] and minor <= ours[1]:
        return None
    newer = (major, minor) > ours
    advice = "upgrade eb-core" if newer else "upgrade the plugin, or ask its authors to"
    return Fault(f"it targets plugin API {declared}, this eb-core offers {PLUGIN_API}", origin, advice)


def _collect(module: Any, point: EntryPoint) -> tuple[dict[str, tuple[Component, ...]], list[Fault]]:
    """Call each hook of one plugin by itself."""
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)

    def register() -> None:
        manager.register(module, point.name)
        manager.check_pending()

    _, fault = _guarded(register, "registering its hooks", point.value)
    faults = [fault] if fault else []
    components: dict[str, tuple[Component, ...]] = {}
    for hook, kind in HOOKS.items():
        caller = getattr(manager.hook, hook)
        if not caller.get_hookimpls():
            continue
        results, fault = _guarded(caller, f"hook {hook}", point.value)
        if fault:
            faults.append(fault)
            continue
        records, bad = _validated(results[0] if results else (), kind, f"hook {hook} in {point.value}")
        components[kind] = records
        faults += bad
    return components, faults


def _validated(returned: object, kind: str, origin: str) -> tuple[tuple[Component, ...], list[Fault]]:
    if not isinstance(returned, (list, tuple)):
        return (), [Fault(f"it returned {type(returned).__name__}", origin, "return a list of Component records")]
    good: list[Component] = []
    faults = []
    for record in returned:
        problem = record.problem(kind) if isinstance(record, Component) else f"{record!r} is not a Component"
        if not problem and record.name in {one.name for one in good}:
            problem = f"it offers '{record.name}' twice"
        if problem:
            faults.append(Fault(problem, origin, "mend the record"))
        else:
            good.append(record)
    return tuple(good), faults
