"""What a pickle of tensors says, found out without running anything.

A pickle is a program for a stack machine that may call any function. The machine here knows the opcodes that
torch.save writes (protocol 2) and calls nothing: a tensor becomes a record of where its numbers lie, an
object of a configuration becomes `OPAQUE`, and whoever asks for more is refused. No torch here.
"""

import pickletools
from collections.abc import Hashable
from dataclasses import dataclass
from typing import cast

from audiomend.errors import ModelError

_PROTOCOL = 2
_MOST_OPCODES = 300_000  # a published checkpoint with the state of its optimiser has about half as many
_LONGEST_QUOTE = 80

_STORAGES = {
    f"torch {kind}Storage": dtype
    for kind, dtype in (
        ("Double", "float64"),
        ("Float", "float32"),
        ("Half", "float16"),
        ("BFloat16", "bfloat16"),
        ("Long", "int64"),
        ("Int", "int32"),
        ("Short", "int16"),
        ("Char", "int8"),
        ("Byte", "uint8"),
        ("Bool", "bool"),
    )
}
_TENSOR = "torch._utils _rebuild_tensor_v2"
_PARAMETER = "torch._utils _rebuild_parameter"
_DICT = "collections OrderedDict"
_BUILTINS = {f"__builtin__ {name}" for name in ("bool", "dict", "float", "int", "list", "long", "str")}
_OPAQUE_NAMES = {"typing Any", "collections defaultdict", *_BUILTINS}
_OPAQUE_PACKAGE = "omegaconf."  # of the configurations that CQT-Diff+ and BABE store beside their weights


@dataclass(frozen=True)
class Storage:
    """A run of numbers in the file.

    Attributes:
        key: name of the entry that holds them.
        dtype: torch's name of their type.
        count: how many the file says there are.
    """

    key: str
    dtype: str
    count: int


@dataclass(frozen=True)
class Stored:
    """A tensor that was not read yet: where its numbers lie, in units of its storage's type."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]

    @property
    def count(self) -> int:
        count = 1
        for size in self.shape:
            count *= size
        return count

    @property
    def end(self) -> int:
        """One past the last number that the tensor takes from its storage."""
        if not self.count:
            return self.offset
        return self.offset + 1 + sum((n - 1) * step for n, step in zip(self.shape, self.stride, strict=True))


class _Opaque:
    """Stands for an object that is of no use here."""


OPAQUE = _Opaque()


@dataclass(frozen=True)
class _Global:
    name: str


def quoted(text: object) -> str:
    """Untrusted text for a message: no control characters, not too long."""
    shown = ascii(text)
    return shown if len(shown) <= _LONGEST_QUOTE else f"{shown[:_LONGEST_QUOTE]}..."


def parse(content: bytes) -> object:
    """The object of a pickle: dicts, lists, tuples, text and numbers, tensors as `Stored`.

    Raises:
        ModelError: the pickle is malformed, or asks for anything that a checkpoint does not need.
    """
    machine = _Machine()
    try:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(content)):
            if count == _MOST_OPCODES:
                raise ModelError(f"The pickle has more than {_MOST_OPCODES:,} opcodes, too many to be read.")
            if opcode.name == "STOP":
                return machine.stack.pop()
            machine.take(opcode.name, argument)
    except (ValueError, LookupError, TypeError, OverflowError) as error:
        raise ModelError(f"The pickle is malformed: {quoted(str(error))}.") from None
    raise ModelError("The pickle has no end.")


class _Machine:
    """The stack machine; whatever it meets that it does not know ends it."""

    def __init__(self) -> None:
        self.stack: list[object] = []
        self.marks: list[int] = []
        self.memo: dict[object, object] = {}

    def take(self, name: str, argument: object) -> None:
        """Do what one opcode says."""
        stack = self.stack
        match name:
            case "PROTO":
                if argument != _PROTOCOL:
                    raise ModelError(f"The pickle is of protocol {argument}; torch.save writes {_PROTOCOL}.")
            case "BINUNICODE" | "BINFLOAT" | "BININT" | "BININT1" | "BININT2" | "LONG1":
                stack.append(argument)
            case "NONE" | "NEWTRUE" | "NEWFALSE":
                stack.append({"NONE": None, "NEWTRUE": True, "NEWFALSE": False}[name])
            case "EMPTY_DICT" | "EMPTY_LIST" | "EMPTY_TUPLE":
                stack.append({"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple}[name]())
            case "MARK":
                self.marks.append(len(stack))
            case "TUPLE":
                stack.append(tuple(self._marked()))
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                stack.append(tuple(self._last(int(name[-1]))))
            case "BINPUT" | "LONG_BINPUT":
                self.memo[argument] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(self.memo[argument])
            case "APPEND" | "APPENDS":
                _append(self._items(name), stack[-1])
            case "SETITEM" | "SETITEMS":
                _set(self._items(name), stack[-1])
            case "GLOBAL":
                stack.append(_named(str(argument)))
            case "BINPERSID":
                stack.append(_storage(stack.pop()))
            case "REDUCE" | "NEWOBJ":
                stack.append(_made(*self._last(2)))
            case "BUILD":  # attributes of an object: a state dict's are its versions
                stack.pop()
            case _:
                raise ModelError(f"The pickle has the opcode {name}, which no checkpoint needs.")

    def _marked(self) -> list[object]:
        at = self.marks.pop()
        items = self.stack[at:]
        del self.stack[at:]
        return items

    def _last(self, count: int) -> list[object]:
        if len(self.stack) < count:
            raise ValueError("the stack is empty")
        items = self.stack[-count:]
        del self.stack[-count:]
        return items

    def _items(self, name: str) -> list[object]:
        """What APPEND or SETITEM take from the stack, or their plurals."""
        return self._marked() if name.endswith("S") else self._last(1 if name == "APPEND" else 2)


def _append(items: list[object], to: object) -> None:
    if isinstance(to, list):
        cast(list[object], to).extend(items)
    elif to is not OPAQUE:
        raise ValueError("something other than a list is appended to")


def _set(items: list[object], to: object) -> None:
    if to is OPAQUE:
        return
    if not isinstance(to, dict):
        raise ValueError("something other than a dictionary gets entries")
    entries = cast(dict[Hashable, object], to)
    for key, value in zip(items[::2], items[1::2], strict=True):
        if not isinstance(key, str | int | float | bool | None):  # the hash of nested tuples takes for ever
            raise ValueError("a dictionary's key is neither text nor a number")
        entries[key] = value


def _named(name: str) -> object:
    known = {_TENSOR, _PARAMETER, _DICT, *_STORAGES}
    if name in known:
        return _Global(name)
    if name in _OPAQUE_NAMES or name.startswith(_OPAQUE_PACKAGE):
        return OPAQUE
    asked = quoted(name.replace(" ", "."))
    raise ModelError(f"The file asks for {asked}, which no checkpoint needs; nothing of it was run.")


def _made(what: object, arguments: object) -> object:
    """What a call would give."""
    if what is OPAQUE:
        return OPAQUE
    if isinstance(what, _Global) and isinstance(arguments, tuple):
        given = cast(tuple[object, ...], arguments)
        if what.name == _DICT and not given:
            return {}
        if what.name == _PARAMETER and given and isinstance(given[0], Stored):
            return given[0]
        if what.name == _TENSOR and len(given) >= 4:
            return _tensor(*given[:4])
    raise ValueError("a call that torch.save does not write")


def _storage(described: object) -> Storage:
    match described:
        case ("storage", _Global(name), str(key), str(), int(count)) if name in _STORAGES and count >= 0:
            return Storage(key, _STORAGES[name], count)
        case _:
            raise ValueError("a storage is not described as torch.save does")


def _tensor(storage: object, offset: object, shape: object, stride: object) -> Stored:
    if not isinstance(storage, Storage):
        raise ValueError("a tensor has no storage")
    (start,), sizes, steps = _naturals((offset,)), _naturals(shape), _naturals(stride)
    tensor = Stored(storage, start, sizes, steps)
    if len(sizes) != len(steps) or tensor.count > storage.count or tensor.end > storage.count:
        raise ValueError(f"a tensor of shape {sizes} lies outside its {storage.count} numbers")
    return tensor


def _naturals(values: object) -> tuple[int, ...]:
    if not isinstance(values, tuple):
        raise ValueError("a tensor's shape is no tuple")
    numbers = cast(tuple[object, ...], values)
    if not all(type(n) is int and 0 <= n < 2**63 for n in numbers):
        raise ValueError("a tensor's shape is not of whole numbers")
    return cast(tuple[int, ...], numbers)
