"""Find plugins, load each in its own try, call each hook in its own try; hide nothing.

pluggy's own loader stops at the first plugin that raises, and one raising hook ends a whole collect.
Here pluggy only tells which functions are hooks; each one is called by itself, so a broken one stays in
the list with its error and harms nobody. Allow- and deny-lists are applied before anything is imported.
"""

import contextlib
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from importlib.metadata import Distribution, EntryPoint, distributions, entry_points
from types import MappingProxyType
from typing import Final, Literal, TypeVar

import attrs
import pluggy

from eb_core.registry import hookspecs
from eb_core.registry.component import HOOKS, PLUGIN_API, Component
from eb_core.registry.errors import Fault, did_you_mean
from eb_core.registry.foreign import foreign
from eb_core.registry.plugin_filter import DENY_VARIABLE, PluginFilter, canonical
from eb_core.registry.wording import shown, told

GROUP: Final = "eb.plugins"

T = TypeVar("T")
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
        seconds: what it took to load it.
    """

    name: str
    distribution: str
    version: str
    module: str
    status: Status
    components: Mapping[str, tuple[Component, ...]] = MappingProxyType({})
    faults: tuple[Fault, ...] = ()
    seconds: float = attrs.field(default=0.0, eq=False)


def discover(plugin_filter: PluginFilter, points: Iterable[EntryPoint] | None = None) -> tuple[Plugin, ...]:
    """Load every plugin that `plugin_filter` admits, in order of distribution and name.

    Args:
        plugin_filter: which plugins to load; the others come back as `disabled`.
        points: entry points to use instead of the installed ones.
    """
    found, unreadable = _installed() if points is None else (points, [])
    plugins = [*unreadable, *(_load(point, plugin_filter) for point in found)]
    return tuple(sorted(plugins, key=lambda plugin: (plugin.distribution, plugin.name)))


def _installed() -> tuple[Iterable[EntryPoint], list[Plugin]]:
    """Entry points of all packages, and those of ours whose list of entry points cannot be read."""
    with contextlib.suppress(Exception):
        return entry_points(group=GROUP), []
    found: list[EntryPoint] = []
    unreadable = []
    once: dict[str, Distribution] = {}
    for index, one in enumerate(distributions()):
        once.setdefault(canonical(_said_of(one, "name") or f"?{index}"), one)  # the first on the path wins
    for one in once.values():
        try:
            found += one.entry_points.select(group=GROUP)
        except Exception as error:  # noqa: BLE001 - the call above ends here; now it hides nobody else
            if _declares_plugins(one):
                fault = Fault(f"its entry points cannot be read: {told(error)}", "entry_points.txt", "install it again")
                name, version = _said_of(one, "name") or "?", _said_of(one, "version") or "?"
                unreadable.append(Plugin("?", name, version, "?", "broken", faults=(fault,)))
    return found, unreadable


def _said_of(distribution: Distribution | None, field: Literal["name", "version"]) -> str:
    """What the metadata of a package say, as far as they can be read."""
    try:
        return str(getattr(distribution, field) or "")
    except Exception:  # noqa: BLE001 - metadata that are damaged raise anything
        return ""


def _declares_plugins(distribution: Distribution) -> bool:
    """Whether entry points that cannot be read are ours."""
    try:
        return GROUP in (distribution.read_text("entry_points.txt") or "")
    except UnicodeDecodeError as error:
        return GROUP.encode() in error.object
    except Exception:  # noqa: BLE001 - nobody knows whose they are
        return False


def _load(point: EntryPoint, plugin_filter: PluginFilter) -> Plugin:
    distribution = _said_of(point.dist, "name") or point.value.partition(":")[0].partition(".")[0].strip() or "?"
    version = _said_of(point.dist, "version") or "?"

    def plugin(status: Status, *faults: Fault, components: Mapping[str, tuple[Component, ...]] | None = None) -> Plugin:
        return Plugin(point.name, distribution, version, point.value, status, components or {}, faults)

    refusal = plugin_filter.refusal(distribution, point.name)
    if refusal:
        return plugin("disabled", refusal)
    origin = f"plugin '{point.name}' of {distribution}"
    began = time.perf_counter()

    def load() -> Plugin:
        with foreign(origin, f"{DENY_VARIABLE}={distribution} leaves it out"):
            return _imported(point, plugin, origin)

    loaded, fault = _guarded(load, "loading it", origin)
    return attrs.evolve(loaded or plugin("broken", *([fault] if fault else [])), seconds=time.perf_counter() - began)


def _imported(point: EntryPoint, plugin: Callable[..., Plugin], origin: str) -> Plugin:
    if not EntryPoint.pattern.fullmatch(point.value):
        return plugin("broken", Fault(f"its entry point {shown(point.value)} is no module", origin, "mend the package"))
    module, fault = _guarded(point.load, f"import of {point.value}", origin)
    if fault:
        return plugin("broken", fault)
    incompatible, fault = _guarded(lambda: _api_fault(module, point), "reading EB_PLUGIN_API", origin)
    if fault:
        return plugin("broken", fault)
    if incompatible:
        return plugin("incompatible", incompatible)
    components, faults = _collect(module, point)
    return plugin("broken" if faults else "ok", *faults, components=components)


def _guarded(call: Callable[[], T], what: str, origin: str) -> tuple[T, None] | tuple[None, Fault]:
    """Result of `call`, or the fault it met. SystemExit counts; Ctrl-C goes through."""
    try:
        return call(), None
    except KeyboardInterrupt:
        raise
    except ModuleNotFoundError as error:
        advice = f"install the missing module '{error.name}', or the package that brings it"
        return None, Fault(f"{what} failed: {told(error)}", origin, advice)
    except BaseException as error:  # noqa: BLE001 - whatever a plugin raises is reported, not passed on
        return None, Fault(f"{what} failed: {told(error)}", origin, "report it to the plugin's authors")


def _api_fault(module: object, point: EntryPoint) -> Fault | None:
    declared = getattr(module, "EB_PLUGIN_API", None)
    origin = f"EB_PLUGIN_API in {point.value}"
    if declared is None:
        return Fault(
            "it does not say which plugin API it targets", origin, f'add the line EB_PLUGIN_API = "{PLUGIN_API}"'
        )
    ours = tuple(int(part) for part in PLUGIN_API.split("."))
    try:
        major, minor = (int(part) for part in str(declared).split("."))
    except ValueError:
        return Fault(f"plugin API {shown(declared)} is not 'major.minor'", origin, f'write "{PLUGIN_API}"')
    if major == ours[0] and minor <= ours[1]:
        return None
    newer = (major, minor) > ours
    advice = "upgrade eb-core" if newer else "upgrade the plugin, or ask its authors to"
    return Fault(f"it targets plugin API {declared}, this eb-core offers {PLUGIN_API}", origin, advice)


def _collect(module: object, point: EntryPoint) -> tuple[dict[str, tuple[Component, ...]], list[Fault]]:
    """Call each hook of one plugin by itself."""
    hooks, fault = _guarded(lambda: _hooks_of(module), "reading its hooks", point.value)
    if hooks is None:
        return {}, [fault] if fault else []
    components: dict[str, tuple[Component, ...]] = {}
    faults: list[Fault] = []
    for hook, call in hooks:
        if hook not in HOOKS:
            faults.append(Fault(f"there is no hook called '{hook}'", point.value, did_you_mean(hook, HOOKS)))
            continue
        kind, origin = HOOKS[hook], f"hook {hook} in {point.value}"
        earlier = components.get(kind, ())
        found, fault = _guarded(partial(_validated, call, kind, origin, earlier), f"hook {hook}", point.value)
        if found is None:
            faults += [fault] if fault else []
            continue
        components[kind], bad = found
        faults += bad
    return components, faults


def _hooks_of(module: object) -> list[tuple[str, Callable[[], object]]]:
    """(hook, function) for each function that is marked with `hookimpl` or bears the name of a hook."""
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    hooks = []
    for name in dir(module):
        marked = manager.parse_hookimpl_opts(module, name)
        if marked:
            hooks.append((marked.get("specname") or name, getattr(module, name)))
        elif name in HOOKS:
            hooks.append((name, partial(_unmarked, name)))
    return hooks


def _unmarked(name: str) -> object:
    raise TypeError(f"{name} lacks the line @hookimpl above it")


def _validated(
    call: Callable[[], object], kind: str, origin: str, earlier: tuple[Component, ...]
) -> tuple[tuple[Component, ...], list[Fault]]:
    """What a hook returns, after the `earlier` records of the same kind, and faults for what is no good record."""
    returned = call()
    if not isinstance(returned, (list, tuple)):
        fault = Fault(f"it returned {type(returned).__name__}", origin, "return a list of Component records")
        return earlier, [fault]
    good = [*earlier]
    faults = []
    for record in returned:
        problem = record.problem(kind) if isinstance(record, Component) else f"{shown(record)} is not a Component"
        if not problem and record.name in {one.name for one in good}:
            problem = f"it offers '{record.name}' twice"
        if problem:
            faults.append(Fault(problem, origin, "mend the record"))
        else:
            good.append(record)
    return tuple(good), faults
