"""Checkpoints that lie, are damaged or mean harm: all are refused with one class, nothing is left behind."""

import hashlib
import io
import os
import pickle
import random
import resource
import struct
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from audiomend.errors import ModelError
from audiomend.models.published import Facts, import_model

FACTS = Facts(length=1600)
MOST_MEMORY = 300 << 20  # bytes above what was in use before
MOST_SECONDS = 1.0  # of the processor, each
FLIPS = 100

GADGETS = """
os system
posix system
nt system
os popen
os execv
os remove
subprocess Popen
subprocess call
subprocess check_output
builtins eval
builtins exec
builtins compile
builtins open
builtins getattr
builtins __import__
__builtin__ eval
__builtin__ exec
__builtin__ getattr
pty spawn
shutil rmtree
importlib import_module
runpy run_path
webbrowser open
socket create_connection
urllib.request urlopen
torch load
torch.hub load
torch.jit load
torch.serialization load
numpy load
numpy.core.multiarray _reconstruct
pickle loads
ctypes CDLL
operator attrgetter
functools partial
types FunctionType
code interact
copyreg _reconstructor
_codecs encode
collections Counter
torch._utils _rebuild_sparse_tensor
torch._utils _import_dotted_name
pathlib Path
typing get_type_hints
omegacon OmegaConf
""".strip().splitlines()

REASONS = {  # of files that would be refused for another one if the first were not seen
    "a million opcodes": "opcodes",
    "memo without an entry": "malformed",
    "storage of another kind": "QUInt8Storage",
    "negative storage": "malformed",
    "shape of 2^62": "lies outside",
    "shape beyond 2^63": "whole numbers",
    "negative shape": "whole numbers",
    "negative stride": "whole numbers",
    "negative offset": "whole numbers",
    "stride beyond": "lies outside",
    "repeated numbers": "lies outside",
    "offset beyond": "lies outside",
    "strides of another length": "lies outside",
    "key that is deep": "neither text nor a number",
    "bomb": "compressed",
    "two pickles": "2 pickles",
    "entry twice": "twice",
    "big-endian": "little-endian",
    "long pickle": "more than",
    "many entries": "a piece of more than",
    "numbers of one in another": "together",
    "numbers cut": "the file holds 4",
    "numbers to spare": "the file holds 65536",
    "shared numbers": "more than it holds",
    "another shape": "the shape",
    "whole numbers": "int64",
    "NaN": "NaN",
    "infinite": "infinite",
    "negative length": "below 0",
}


def text(value: str) -> bytes:
    content = value.encode()
    return b"X" + struct.pack("<I", len(content)) + content


def number(value: int) -> bytes:
    content = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(content)]) + content


def with_entry(value: bytes) -> bytes:
    """The pickle {"extra": value}."""
    return b"\x80\x02}" + text("extra") + value + b"s."


def called(name: str, command: str) -> bytes:
    """The pickle of name(command) in protocol 2."""
    return b"c" + name.replace(" ", "\n").encode() + b"\n" + text(command) + b"\x85R"


def storage(count: int, key: str = "0", kind: str = "FloatStorage") -> bytes:
    described = text("storage") + f"ctorch\n{kind}\n".encode() + text(key) + text("cpu") + number(count)
    return b"(" + described + b"tQ"


def tensor(
    count: int, shape: tuple[int, ...], stride: tuple[int, ...], offset: int = 0, key: str = "0"
) -> bytes:
    sizes = b"(" + b"".join(map(number, shape)) + b"t"
    steps = b"(" + b"".join(map(number, stride)) + b"t"
    arguments = b"(" + storage(count, key) + number(offset) + sizes + steps + b"\x89}t"
    return b"ctorch._utils\n_rebuild_tensor_v2\n" + arguments + b"R"


def archive(pickled: bytes, extra: dict[str, bytes] | None = None, method: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as made:
        entries = {"a/data.pkl": pickled, "a/data/0": bytes(16), "a/version": b"3\n", **(extra or {})}
        for name, content in entries.items():
            made.writestr(name, content)
    return file.getvalue()


def evil_opcodes(command: str) -> dict[str, bytes]:
    call = b"cos\nsystem\n" + text(command)
    return {
        "instance": with_entry(b"(" + text(command) + b"ios\nsystem\n"),
        "object": with_entry(b"(" + call + b"o"),
        "new object": with_entry(call + b"\x85\x81"),
        "extension": with_entry(b"\x82\x01"),
        "named on the stack": with_entry(text("os") + text("system") + b"\x93" + text(command) + b"\x85R"),
        "protocol 4": pickle.dumps({"extra": 1}, protocol=4),
        "protocol 0": pickle.dumps({"extra": 1}, protocol=0),
        "call of a number": with_entry(b"K\x01" + text(command) + b"\x85R"),
        "call of a dictionary": with_entry(b"}" + text(command) + b"\x85R"),
        "dictionary with content": with_entry(b"ccollections\nOrderedDict\n" + text(command) + b"\x85R"),
        "nameless attribute": b"\x80\x02cos\n" + b"\xff\xfe\n.",
        "control characters": with_entry(b"c\x1b[2J\x07\nx\n"),
    }


def evil_pickles() -> dict[str, bytes]:
    nested = b"K\x01" + b"\x86".join(b"q%ch%c" % (i, i) for i in range(60)) + b"\x86"
    return {
        "empty": b"",
        "no end": b"\x80\x02}",
        "empty stack": b"\x80\x02.",
        "tuple of nothing": b"\x80\x02\x87.",
        "no mark": b"\x80\x02t.",
        "memo without an entry": b"\x80\x02h\x05.",
        "entries of a list": b"\x80\x02]K\x01K\x01s.",
        "items of a dictionary": b"\x80\x02}K\x01a.",
        "odd entries": b"\x80\x02}(K\x01u.",
        "key that is a list": b"\x80\x02}]K\x01s.",
        "key that is deep": b"\x80\x02}" + nested + b"K\x01s.",
        "half a text": b"\x80\x02X\xff\xff\xff\xffabc.",
        "text of 2 GB": b"\x80\x02X\x00\x00\x00\x7f.",
        "memo of 64 GB": b"\x80\x02Nr\xff\xff\xff\xff" + b".",
        "a million opcodes": b"\x80\x02" + b"N" * 1_000_000 + b".",
        "deep": b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b".",
        "no dictionary": b"\x80\x02]K\x01a.",
        "a number": b"\x80\x02K\x01.",
        "no entries": b"\x80\x02}.",
        "storage of nothing": with_entry(b"NQ"),
        "storage of another kind": with_entry(storage(4, kind="QUInt8Storage")),
        "storage of 2^62": with_entry(tensor(2**62, (4,), (1,))),
        "negative storage": with_entry(storage(-4)),
        "tensor without storage": with_entry(b"ctorch._utils\n_rebuild_tensor_v2\n(K\x01K\x00))t\x52"),
        "shape of 2^62": with_entry(tensor(4, (2**31, 2**31), (2**31, 1))),
        "shape beyond 2^63": with_entry(tensor(4, (2**70,), (1,))),
        "negative shape": with_entry(tensor(4, (-1, -4), (4, 1))),
        "negative stride": with_entry(tensor(4, (4,), (-1,))),
        "stride beyond": with_entry(tensor(4, (2, 2), (3, 1))),
        "repeated numbers": with_entry(tensor(4, (2**20,), (0,))),
        "offset beyond": with_entry(tensor(4, (4,), (1,), offset=1)),
        "negative offset": with_entry(tensor(4, (4,), (1,), offset=-1)),
        "strides of another length": with_entry(tensor(4, (2, 2), (1,))),
    }


def patched(content: bytes, record: bytes, offset: int, value: bytes) -> bytes:
    """The last `record` of an archive with other bytes at `offset`."""
    at = content.rindex(record) + offset
    return content[:at] + value + content[at + len(value) :]


def repacked(good: bytes, name: str, content: bytes | None, new: str | None = None) -> bytes:
    """A whole archive with an entry left out, or with other content or another name."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(good)) as old, zipfile.ZipFile(file, "w") as made:
        for entry in old.infolist():
            if entry.filename != name:
                made.writestr(entry.filename, old.read(entry))
            elif content is not None:
                made.writestr(new or name, content)
    return file.getvalue()


def overlapping() -> bytes:
    """An archive whose entries all hold the same bytes, so that together they are larger than the file."""
    one = archive(b"\x80\x02}.", {"a/data/1": bytes(10_000)})
    at = one.index(b"PK\x01\x02")
    directory, end = one[at:-22], one[-22:]
    last = directory[directory.rindex(b"PK\x01\x02") :]
    more = b"".join(last.replace(b"a/data/1", b"a/data/%d" % i) for i in range(2, 9))
    count, size = 4 + 7, len(directory) + len(more)
    return one[:at] + directory + more + end[:8] + struct.pack("<HHI", count, count, size) + end[16:]


def evil_archives(good: bytes) -> dict[str, bytes]:
    empty = b"\x80\x02}."
    return {
        "nothing": b"",
        "text": b"not a checkpoint\n" * 100,
        "page": b"<!DOCTYPE html><html><body>404</body></html>",
        "magic": b"PK\x03\x04",
        "wrong magic": b"KP" + good[2:],
        "zeros": bytes(100_000),
        "bare pickle": pickle.dumps({"model_state_dict": {}}, protocol=2),
        "bomb": archive(empty, {"a/data.pkl": bytes(200 << 20)}, zipfile.ZIP_DEFLATED),
        "compressed": archive(empty, method=zipfile.ZIP_DEFLATED),
        "bzip2": archive(empty, method=zipfile.ZIP_BZIP2),
        "no pickle": archive(empty).replace(b"data.pkl", b"data.pkm"),
        "two pickles": archive(empty, {"b/data.pkl": empty}),
        "entry twice": archive(empty, {"a/data/1": b"x"}).replace(b"a/data/1", b"a/data/0"),
        "big-endian": archive(empty, {"a/byteorder": b"big"}),
        "long byte order": archive(empty, {"a/byteorder": b"little" * 100}),
        "long pickle": archive(bytes(9 << 20)),
        "many entries": archive(empty, {f"a/{i}/{'x' * 200}": b"" for i in range(20_000)}),
        "directory of 4 GB": patched(archive(empty), b"PK\x05\x06", 12, b"\xff\xff\xff\xff"),
        "directory elsewhere": patched(archive(empty), b"PK\x05\x06", 16, b"\x00\x00\x00\x70"),
        "directory of 1 EB": patched(good, b"PK\x06\x06", 40, b"\xff" * 7 + b"\x0f"),
        "directory beyond the end": patched(good, b"PK\x06\x06", 48, b"\xff" * 7 + b"\x7f"),
        "missing numbers": repacked(good, "weights/data/3", None),
        "numbers cut": repacked(good, "weights/data/3", bytes(4)),
        "numbers to spare": repacked(good, "weights/data/3", bytes(1 << 16)),
        "numbers elsewhere": repacked(good, "weights/data/3", b"", "weights/data/../3"),
        "numbers of one in another": overlapping(),
        "encrypted": archive(empty).replace(
            b"PK\x01\x02\x14\x03\x14\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x01"
        ),
        "version 99": archive(empty).replace(b"PK\x01\x02\x14\x03\x14", b"PK\x01\x02\x14\x03\x63"),
    }


def saved_bytes(content: object, **options: Any) -> bytes:
    file = io.BytesIO()
    torch.save(content, file, **options)
    return file.getvalue()


def wrong_weights(raw: dict[str, torch.Tensor]) -> dict[str, bytes]:
    """Whole files of torch.save whose content is not the network's."""
    first, weight = next(iter(raw)), "fc_t1.weight"

    def changed(name: str, tensor: torch.Tensor) -> dict[str, torch.Tensor]:
        return {**raw, name: tensor}

    spoilt = raw[weight].clone()
    spoilt[3, 5] = torch.nan
    endless = raw[weight].clone()
    endless[0, 0] = -torch.inf
    states = {
        "a tensor less": {name: tensor for name, tensor in raw.items() if name != first},
        "a tensor more": changed("other.weight", torch.zeros(2)),
        "renamed": {f"module.{name}": tensor for name, tensor in raw.items()},
        "transposed": changed(weight, raw[weight].T),
        "a column less": changed(weight, raw[weight][:, 1:]),
        "another shape": changed("norm.m", torch.zeros(2)),
        "whole numbers": changed(weight, torch.ones_like(raw[weight], dtype=torch.int64)),
        "truth values": changed(weight, raw[weight] > 0),
        "fractions of samples": changed("c_layers.0.layer.kernel.kernel.L", torch.tensor(1.5)),
        "negative length": changed("c_layers.0.layer.kernel.kernel.L", torch.tensor(-3)),
        "NaN": changed(weight, spoilt),
        "infinite": changed(weight, endless),
        "beyond float32": changed(weight, raw[weight].double() * 1e300),
        "wide": changed("init_conv.0.conv.weight_v", torch.zeros(4096, 1, 1)),
        "no channels": changed("init_conv.0.conv.weight_v", torch.zeros(0, 1, 1)),
        "flat": changed("init_conv.0.conv.weight_v", torch.zeros(8)),
        "pools of nothing": changed("d_layers.2.linear.conv.weight_v", torch.zeros(16, 1, 1)),
        "one storage for many": {
            name: torch.zeros(200_000)[: t.numel()].view(t.shape) for name, t in list(raw.items())[:1]
        },
        "100 layers": raw | {f"c_layers.{i}.fc_t.weight": torch.zeros(1) for i in range(100)},
        "no tensors": {},
        "no tensor": {**raw, weight: "text"},
        "no name": {**raw, 7: torch.zeros(1)},
    }
    files = {name: saved_bytes({"model_state_dict": state}) for name, state in states.items()}
    shared = torch.zeros(max(tensor.numel() for tensor in raw.values()))
    views = {n: shared[: t.numel()].view(t.shape) if t.is_floating_point() else t for n, t in raw.items()}
    return files | {
        "shared numbers": saved_bytes({"model_state_dict": views}),
        "a list": saved_bytes([raw]),
        "bare": saved_bytes(raw),
        "another entry": saved_bytes({"network": raw}),
        "weights in a list": saved_bytes({"model_state_dict": list(raw.values())}),
        "old format": saved_bytes({"model_state_dict": raw}, _use_new_zipfile_serialization=False),
        "a module": saved_bytes({"model_state_dict": raw, "net": torch.nn.Linear(1, 1)}),
    }


@pytest.fixture
def hostile(checkpoint: Callable, saved: Callable, tmp_path: Path) -> Iterator[tuple[Path, dict[str, bytes]]]:
    """The good file's path and hostile files by name, the flipped ones aside."""
    path, made = saved("sashimi")
    good, canary = path.read_bytes(), tmp_path / "canary"
    command = f"touch {canary}"
    files = {f"runs {name}": archive(with_entry(called(name, command))) for name in GADGETS}
    files |= {f"runs {name} bare": b"\x80\x02" + called(name, command) + b"." for name in GADGETS[:10]}
    files |= {name: archive(pickled) for name, pickled in evil_opcodes(command).items()}
    files |= {name: archive(pickled) for name, pickled in evil_pickles().items()}
    files |= evil_archives(good)
    files |= wrong_weights(made.raw)
    draw = random.Random(12)
    files |= {f"cut at {at}": good[:at] for at in (draw.randrange(len(good)) for _ in range(40))}
    yield path, files
    assert not canary.exists()


def test_hostile_files_are_refused(hostile: tuple[Path, dict[str, bytes]], tmp_path: Path) -> None:
    good, files = hostile
    assert import_model(good, "sashimi", tmp_path / "good", name="m", facts=FACTS)
    assert len(files) + FLIPS >= 290
    assert REASONS.keys() <= files.keys()
    path, before = tmp_path / "hostile.pt", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for name, content in files.items():
        path.write_bytes(content)
        begun = time.process_time()
        with pytest.raises(ModelError) as caught:
            import_model(path, "sashimi", tmp_path / "out", name="m", facts=FACTS)
        assert time.process_time() - begun < MOST_SECONDS, name
        message = str(caught.value)
        assert REASONS.get(name, "") in message, name
        assert message.isprintable(), name
        assert str(path) in message, name
        assert len(message) < 500, name
        assert sorted(p.name for p in tmp_path.iterdir()) == ["good", "hostile.pt", "weights.pt"], name
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < MOST_MEMORY


def test_what_runs_code_is_named(hostile: tuple[Path, dict[str, bytes]], tmp_path: Path) -> None:
    for name in GADGETS:
        (tmp_path / "hostile.pt").write_bytes(hostile[1][f"runs {name}"])
        with pytest.raises(ModelError, match=f"asks for '{name.replace(' ', '.')}'"):
            import_model(tmp_path / "hostile.pt", "sashimi", tmp_path / "out", name="m", facts=FACTS)


@pytest.mark.parametrize("length", [3, 4, 5])
def test_averages_that_do_not_pair_are_refused(length: int, saved: Callable, tmp_path: Path) -> None:
    path, made = saved("cqtdiff")
    names = [name for name in made.raw if "kernel" not in name]
    averages = made.content["ema_weights"]
    assert len(averages) == len(names)
    wrong = {3: averages[:-1], 4: [*averages[1:], averages[0]], 5: [*averages[:-1], "text"]}[length]
    torch.save({**made.content, "ema_weights": wrong}, path)
    with pytest.raises(ModelError, match="ema_weights"):
        import_model(path, "cqtdiff", tmp_path / "m", name="m", facts=Facts(length=6000, bins=48))


def test_flipped_bits_show(saved: Callable, tmp_path: Path) -> None:
    path, made = saved("sashimi")
    content = bytearray(path.read_bytes())
    sha256 = hashlib.sha256(content).hexdigest()
    draw = random.Random(7)
    refused = 0
    for _ in range(FLIPS):
        at, bit = draw.randrange(len(content)), 1 << draw.randrange(8)
        content[at] ^= bit
        path.write_bytes(content)
        with pytest.raises(ModelError, match="SHA-256"):
            import_model(path, "sashimi", tmp_path / "m", name="m", facts=FACTS, sha256=sha256, force=True)
        try:  # without the hash: padding and dates may differ, no number may
            import_model(path, "sashimi", tmp_path / "m", name="m", facts=FACTS, force=True)
        except ModelError:
            refused += 1
        else:
            tensors = load_file(tmp_path / "m" / "weights.safetensors")
            assert all(torch.equal(tensors[name], tensor) for name, tensor in made.raw.items())
        content[at] ^= bit
    assert refused > 0.9 * FLIPS


@pytest.mark.parametrize("kind", ["missing", "folder", "pipe"])
def test_only_ordinary_files_are_read(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    with pytest.raises(ModelError, match=r"weights\.pt"):
        import_model(path, "sashimi", tmp_path / "m", name="m", facts=FACTS)
