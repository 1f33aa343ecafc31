"""The torch calls of one iteration, noted once and repeated into the same tensors: what a CUDA graph is on a GPU.

A step is run once as it stands, and every call that torch makes for it is noted with its result. To repeat the step is
to make the calls again, each with its result as the place to write to: no Python of the step, nothing allocated. Calls
that see nothing of what changes from one iteration to the next are made once a phase. A result that is read for the
last time by an elementwise call shares the memory of what that call makes.

A step that looks at a value (`item`, a branch on a tensor, `numpy`), or records for autograd, cannot be repeated so,
and says so in `fixed`.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import attrs
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

Call = Callable[[], object]
Guard = tuple[Call, object]
"""A call that gives a value, and the value that it gave."""

STATIC = frozenset(
    (  # noqa: SIM905
        "__get__ size dim ndimension stride numel nelement is_contiguous is_floating_point is_complex element_size"
        " __len__ get_device is_inference storage_offset requires_grad_ __hash__ is_same_size is_signed"
        " _set_grad_enabled"
    ).split()
)
"""Functions whose answer is no tensor, and depends on shapes, types and places alone."""
DYNAMIC = frozenset(
    (  # noqa: SIM905
        "nonzero argwhere masked_select unique unique_consecutive bincount repeat_interleave one_hot __deepcopy__"
        " rand randn randint randperm rand_like randn_like randint_like normal bernoulli multinomial poisson dropout"
        " rrelu random_ normal_ uniform_ bernoulli_ exponential_ cauchy_ log_normal_ geometric_"
    ).split()
)
"""Functions whose result has a shape that depends on values, or whose values are drawn: a view draws for a step."""
VALUES = frozenset({"__bool__", "__float__", "__int__", "item"})
"""Functions that look at a value."""
EMPTY = frozenset({"empty", "empty_like", "new_empty"})
"""Functions whose result has no values yet."""
ELEMENTWISE = frozenset(
    (  # noqa: SIM905
        "add sub mul div addcmul addcdiv lerp clamp clamp_min clamp_max maximum minimum neg abs sqrt square reciprocal"
        " pow exp log cos sin tan tanh sigmoid eq ge gt le lt sign atan2 masked_fill where"
    ).split()
)
"""Functions that read an element of a tensor no later than they write that element of their result."""
OPERATORS = {
    "__add__": "add",
    "__radd__": "add",
    "__sub__": "sub",
    "__mul__": "mul",
    "__rmul__": "mul",
    "__truediv__": "div",
    "__matmul__": "matmul",
    "__pow__": "pow",
    "__neg__": "neg",
}


@attrs.frozen(eq=False)
class Entry:
    """A call that was noted: what it reads and, if it makes a tensor, which one."""

    call: Call
    reads: list[Tensor]
    makes: list[Tensor]
    name: str = ""


class Tape(TorchFunctionMode):
    """Notes calls while it is entered; then `calls` are an iteration, and `prologue` what the phase alone decides.

    Args:
        varying: tensors that change from one iteration to the next. What follows from them does, too.

    Attributes:
        fixed: whether repeating the calls is repeating the step.
        calls, prologue: there after `close`.
        guards: values that the step looked at and that the phase alone decides; others need another tape.
    """

    def __init__(self, varying: Iterable[Tensor]) -> None:
        super().__init__()
        self.fixed = True
        self.calls: list[Call] = []
        self.prologue: list[Call] = []
        self.guards: list[Guard] = []
        self._lasting = {_memory(value) for value in varying}
        self._varying = set(self._lasting)
        self._steady: list[Entry] = []
        self._entries: list[Entry] = []
        self._begun: list[Entry] = []
        self._fresh: dict[int, int] = {}
        self._results: list[Tensor] = []
        self._resting = False

    def __torch_function__(self, function: Any, types: Any, arguments: Any = (), named: Any = None) -> Any:
        named = named or {}
        result = function(*arguments, **named)
        if not self._resting:
            with self.paused():
                try:
                    self._note(function, _held(arguments), _held(named), result)
                except Exception:  # noqa: BLE001 - a tensor without memory of its own (sparse, vmap, fake) may raise anything
                    self.fixed = False
        return result

    def _note(self, function: Any, arguments: Any, named: dict[str, Any], result: Any) -> None:
        name = getattr(function, "__name__", "")
        given, results = _tensors((*arguments, *named.values())), _tensors((result,))
        self._results += results
        if name in VALUES and self._varying.isdisjoint(map(_memory, given)):
            self.guards.append((partial(function, *arguments, **named), result))
            return
        known = name in STATIC or name == "__setitem__" or results
        if torch.is_grad_enabled() or not known or _depends_on_values(name, arguments):
            self.fixed = False
            return
        if name in EMPTY:
            self._varying.update(map(_memory, results))
            return
        changed = [value for value in results if any(value is other for other in given)] if _writes(name, named) else []
        changed = [arguments[0]] if name == "__setitem__" else changed
        places = {_memory(value) for value in given}
        fresh = [value for value in results if _memory(value) not in places]
        if changed:
            self._change(Entry(partial(function, *arguments, **named), given, []), changed)
        elif fresh:
            entry = Entry(_into(function, name, arguments, named, result), given, fresh, OPERATORS.get(name, name))
            if self._varying.isdisjoint(places):
                self._steady.append(entry)
                return
            self._entries.append(entry)
            self._varying.update(map(_memory, fresh))
            self._fresh.update((_memory(value), len(self._entries) - 1) for value in fresh)

    def _change(self, entry: Entry, changed: list[Tensor]) -> None:
        """A call that writes to what is there already: what it begins from must be there in every repetition."""
        places = set(map(_memory, changed))
        for begun in [one for one in self._steady if not places.isdisjoint(map(_memory, one.makes))]:
            self._steady.remove(begun)
            self._begun.append(begun)
            if any(_memory(value) in places for one in self._steady for value in one.reads):
                self.fixed = False
        self._varying |= places
        self._entries.append(entry)

    def do(self, call: Call, *changed: Tensor) -> None:
        """Make a call now and in every repetition; `changed` are the tensors that it writes to."""
        with self.paused():
            call()
            self._varying.update(map(_memory, changed))
            self._entries.append(Entry(call, list(changed), []))

    def place(self, value: Tensor, where: Tensor) -> bool:
        """Let the call that made `value` write to `where` from now on; False if none did, or something forbids it."""
        with self.paused():
            maker, place = self._fresh.get(_memory(value)), _memory(where)
            if maker is None or not _alike(value, where):
                return False
            if any(_memory(other) == place for one in self._entries[maker:] for other in one.reads):
                return False
            del self._fresh[_memory(value)]
            where.copy_(value)
            _move([one for one in self._results if _memory(one) == _memory(value)], where)
            return True

    def close(self, *kept: Tensor) -> None:
        """End the notes: share memory, and drop what was needed to take them.

        Args:
            kept: tensors that are looked at after the calls, beside the varying ones.
        """
        self._lasting |= {_memory(value) for value in kept}
        self._share()
        self.calls = [entry.call for entry in (*self._begun, *self._entries)]
        self.prologue = [entry.call for entry in self._steady]

    def _share(self) -> None:
        """Let a result that is read for the last time by an elementwise call lie where that call writes to."""
        views = defaultdict(list)
        for value in self._results:
            views[_memory(value)].append(value)
        makers = {_memory(value): index for index, entry in enumerate(self._entries) for value in entry.makes}
        for index, entry in enumerate(self._entries):
            if entry.name not in ELEMENTWISE or len(entry.makes) != 1:
                continue
            target = entry.makes[0]
            place = _memory(target)
            for value in entry.reads:
                old = _memory(value)
                first = makers.get(old, index)
                if first == index or old in self._lasting or old == place or not _alike(value, target):
                    continue
                later = any(old == _memory(other) for one in self._entries[index + 1 :] for other in one.reads)
                meanwhile = any(place == _memory(other) for one in self._entries[first:index] for other in one.reads)
                if later or meanwhile or sum(old == _memory(other) for other in entry.reads) > 1:
                    continue
                views[place] += views[old]
                _move(views.pop(old), target)
                makers[place] = first
                break

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Calls in here are made and not noted."""
        resting, self._resting = self._resting, True
        try:
            yield
        finally:
            self._resting = resting


def _memory(value: Tensor) -> int:
    return value.untyped_storage().data_ptr()


def _move(values: Iterable[Tensor], where: Tensor) -> None:
    """Let tensors that share memory lie in that of `where`."""
    memory = where.untyped_storage()
    for value in values:
        value.set_(memory, value.storage_offset(), value.size(), value.stride())


def _alike(a: Tensor, b: Tensor) -> bool:
    """Whether elements of the same index lie at the same place, were the memory the same, and fill it alike."""
    return _layout(a) == _layout(b)


def _layout(value: Tensor) -> tuple[object, ...]:
    size = value.untyped_storage().nbytes()
    return value.shape, value.stride(), value.dtype, value.storage_offset(), size


def _held(values: Any) -> Any:
    """Arguments with lists and dictionaries copied: whoever made the call may change them afterwards."""
    if isinstance(values, dict):
        return {name: _held(value) for name, value in values.items()}
    if type(values) in (list, tuple):
        return type(values)(_held(value) for value in values)
    return values


def _writes(name: str, named: dict[str, Any]) -> bool:
    """Whether a function writes to what it is given."""
    return "out" in named or name.startswith("__i") or (name.endswith("_") and not name.endswith("__"))


def _depends_on_values(name: str, arguments: Any) -> bool:
    """Whether shape or values of a result follow from what tensors hold, or from a draw."""
    if name in DYNAMIC or (name == "where" and len(arguments) == 1):
        return True
    if name not in ("__getitem__", "__setitem__"):
        return False
    places = arguments[1] if isinstance(arguments[1], tuple) else (arguments[1],)
    bounds = [bound for place in places if isinstance(place, slice) for bound in (place.start, place.stop, place.step)]
    return any(isinstance(place, Tensor) and place.dtype == torch.bool for place in places) or bool(_tensors(bounds))


def _tensors(values: Iterable[Any]) -> list[Tensor]:
    collected: list[Tensor] = []
    for value in values:
        if isinstance(value, Tensor):
            collected.append(value)
        elif isinstance(value, list | tuple):
            collected += _tensors(value)
        elif isinstance(value, dict):
            collected += _tensors(value.values())
    return collected


def _into(function: Any, name: str, arguments: Any, named: dict[str, Any], result: Any) -> Call:
    """The call with its result as the place to write to: by `out`, or else by a copy."""
    if isinstance(result, Tensor):
        writer: Any = getattr(torch, OPERATORS.get(name, name), None)
        before = result.clone()
        try:
            writer(*arguments, **named, out=result)
            if torch.equal(before, result):
                return partial(writer, *arguments, **named, out=result)
        except (TypeError, RuntimeError, ValueError):
            pass
        result.copy_(before)
        return lambda: result.copy_(function(*arguments, **named))

    def again() -> None:
        for old, new in zip(_tensors((result,)), _tensors((function(*arguments, **named),)), strict=True):
            if _memory(old) != _memory(new):
                old.copy_(new)

    return again
