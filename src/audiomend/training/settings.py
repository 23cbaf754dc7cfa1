"""Settings as text: `key=value`, typed by the fields of a dataclass; and dataclasses as JSON has them."""

import dataclasses
import difflib
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from audiomend.errors import UsageError

T = TypeVar("T")


def with_settings(base: T, settings: Sequence[str]) -> T:
    """A copy of a dataclass with some of its fields set.

    Args:
        base: its fields are numbers, strings, choices, tuples of whole numbers, dicts of numbers or
            dataclasses.
        settings: `key=value` each; `architecture.widths=32,64` reaches into a field.

    Raises:
        UsageError: no such key (the nearest one is offered), or a value of another type.
    """
    kinds = _kinds(type(base), dataclasses.asdict(base))  # pyright: ignore[reportArgumentType]
    plain = dataclasses.asdict(base)  # pyright: ignore[reportArgumentType]
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise UsageError(f"The setting {setting} is not of the form key=value.")
        if key not in kinds:
            close = difflib.get_close_matches(key, kinds, n=1, cutoff=0.5)
            hint = f"Did you mean {close[0]}?" if close else f"There are {', '.join(kinds)}."
            raise UsageError(f"The recipe has no setting {key}. {hint}")
        *path, last = key.split(".")
        place = plain
        for name in path:
            place = place[name]
        place[last] = _parsed(key, text, kinds[key])
    return from_plain(type(base), plain)


def from_plain(kind: type[T], plain: Mapping[str, Any]) -> T:
    """A dataclass from what `dataclasses.asdict` made of it, by way of JSON or not.

    Fields that are missing take their defaults.

    Raises:
        UsageError: an entry that is no field.
    """
    hints = get_type_hints(kind)
    values: dict[str, Any] = {}
    for name, value in plain.items():
        if name not in hints:
            raise UsageError(f"{kind.__name__} has no entry {name}; this version knows {', '.join(hints)}.")
        hint = hints[name]
        if dataclasses.is_dataclass(hint):
            values[name] = from_plain(hint, value)  # pyright: ignore[reportArgumentType]
        else:
            values[name] = tuple(value) if get_origin(hint) is tuple else value
    return kind(**values)


def differences(old: Any, new: Any) -> str:
    """Which fields of two dataclasses of one type differ: "widths (8, 16) instead of (32, 64)"."""
    pairs = [(f.name, getattr(old, f.name), getattr(new, f.name)) for f in dataclasses.fields(old)]
    return ", ".join(f"{name} {b} instead of {a}" for name, a, b in pairs if a != b)


def _kinds(kind: type, plain: Mapping[str, Any]) -> dict[str, Any]:
    """The type of every setting by its dotted key."""
    kinds: dict[str, Any] = {}
    for name, hint in get_type_hints(kind).items():
        if dataclasses.is_dataclass(hint):
            inner = _kinds(hint, plain[name])  # pyright: ignore[reportArgumentType]
            kinds |= {f"{name}.{key}": inner_hint for key, inner_hint in inner.items()}
        elif get_origin(hint) is dict:
            kinds |= {f"{name}.{key}": get_args(hint)[1] for key in plain[name]}
        else:
            kinds[name] = hint
    return kinds


def _parsed(key: str, text: str, kind: Any) -> Any:
    if get_origin(kind) is Literal:
        choices = get_args(kind)
        if text not in choices:
            raise UsageError(f"The setting {key}={text} is not one of {', '.join(choices)}.")
        return text
    convert, meaning = _CONVERTERS[get_origin(kind) or kind]
    try:
        return convert(text)
    except ValueError:
        raise UsageError(f"The setting {key}={text} is not {meaning}.") from None


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError
    return value


_CONVERTERS: dict[Any, tuple[Callable[[str], Any], str]] = {
    int: (int, "a whole number"),
    float: (_finite, "a number"),
    str: (str, "text"),
    tuple: (lambda text: tuple(int(part) for part in text.split(",")), "whole numbers with commas between"),
}
