"""Mutated texts and tables that a user may hand in: each is taken or ends in one error, told in one sentence.

    python fuzz/texts.py --count 20000

Plans of restoration, Audacity labels, spans of time, settings of a recipe, manifests of a batch, and models:
their cards, and the headers of their weights, with hashes that fit. Bytes are changed, pieces cut, doubled
and moved; in JSON values are replaced, too.
"""

import dataclasses
import functools
import hashlib
import json
import random
import struct
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import harness
import torch
from safetensors.torch import save

from audiomend.errors import AudiomendError, AudioWriteError, ModelError, UsageError
from audiomend.models.card import CARD, WEIGHTS, write_card
from audiomend.models.prior import arguments_of, load
from audiomend.models.untrained import CARD as UNTRAINED
from audiomend.networks.patch_unet import Architecture, PatchUnet
from audiomend.recipes import find_recipe
from audiomend.restorers.manifest import NAME, Manifest, Row
from audiomend.restorers.plan import (
    Declick,
    Declip,
    ExtendBand,
    FillGaps,
    Input,
    MendingPlan,
    NotThereYet,
    RemoveOffset,
    Span,
    Stage,
    read_plan,
    to_json,
)
from audiomend.restorers.regions import parse_intervals
from audiomend.training.settings import with_settings

MOST_MIB = 700  # torch alone takes 250
LONGEST_MESSAGE = 2000
RATE, FRAMES = 16_000, 64_000
ODD_BYTES = (b"\0", b"\n", b'"', b"\\", b"\xff", b"\xed\xa0\x80", b"9", b"-", b"{", b"[", b"]", b"}", b",")
ODD_VALUES: tuple[Any, ...] = (None, True, -1, 0, 0.5, 1e308, -1e308, 2**31, 2**63, 2**70, 10**400, "", "x")
ODD_VALUES += ("\0", "x" * 5000, [], {}, [[]], [None], {"x": 1}, "../../x", "nan", "\ud800")

Taken = Callable[[bytes, Path], None]
"""Reads a content; the folder is empty and for its use."""


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of input.

    Attributes:
        content: to be mutated.
        take: reads it.
        errors: in which that may end.
        share: of all inputs, relative to the others.
    """

    content: bytes
    take: Taken
    errors: tuple[type[AudiomendError], ...]
    share: int


PLAN = MendingPlan(
    Input("old.wav", "ab12", RATE, 2, FRAMES),
    (
        Stage("declip", Declip((-0.5, None), (0.5, 0.25), "bent", "ar"), True, 0.9, "bent, at 0.5"),
        Stage("offset", RemoveOffset((0.01, 0.0))),
        Stage("declick", Declick((Span(1, 0.25, 0.2505),))),
        Stage("gaps", FillGaps((Span(0, 1.0, 1.1), Span(1, 3.0, 4.0)))),
        Stage("band", ExtendBand(3400.0), False),
        Stage("hum", NotThereYet(), False, 0.7, "50 Hz"),
    ),
)
LABELS = b"0.1\t0.2\tclick\n1,5\t1,75\t\n\\\t200\t300\n2.0\t2.0\tpoint\n\n3.1\t3.9\thole\xc3\xa9\n"
SETTING = b"architecture.widths=32,64"


def take_plan(content: bytes, folder: Path) -> None:
    path = folder / "plan.json"
    path.write_bytes(content)
    plan = read_plan(path)
    assert read_back(plan, folder) == plan


def read_back(plan: MendingPlan, folder: Path) -> MendingPlan:
    """The plan, written and read once more."""
    path = folder / "again.json"
    path.write_text(to_json(plan))
    return read_plan(path)


def take_labels(content: bytes, folder: Path) -> None:
    path = folder / "labels.txt"
    path.write_bytes(content)
    check_intervals(str(path))


def take_span(content: bytes, folder: Path) -> None:
    check_intervals(content.decode(errors="surrogateescape"))


def check_intervals(text: str) -> None:
    last = -1
    for start, stop in parse_intervals([text], RATE, FRAMES):
        assert last < start < stop <= FRAMES
        last = stop


def take_setting(content: bytes, folder: Path) -> None:
    with_settings(find_recipe("tiny"), [content.decode(errors="surrogateescape")])


def take_manifest(content: bytes, folder: Path) -> None:
    (folder / NAME).write_bytes(content)
    with Manifest(folder) as manifest:
        row = manifest.row("a.wav")
        assert row is None or row.output == "a.wav"
        manifest.put(Row("b.wav", "b.wav", "00", "11", "mended", "22"))
        assert manifest.row("b.wav") is not None


def manifest() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        with Manifest(Path(folder)) as made:
            for name in ("a.wav", "b.wav"):
                made.put(Row(name, name, "00", "11", "begun"))
        return Path(folder, NAME).read_bytes()


def weights() -> bytes:
    return save(PatchUnet(SMALL).state_dict())


SMALL = Architecture(length=8192, widths=(8, 16), window=256, hop=64, long_window=1024)


def model(arguments: dict[str, Any], content: bytes, folder: Path) -> None:
    entries = {"architecture": PatchUnet.__name__, "arguments": arguments, "conditioned": True}
    sha256 = hashlib.sha256(content).hexdigest()
    (folder / WEIGHTS).write_bytes(content)
    write_card(dataclasses.replace(UNTRAINED, **entries, sha256=sha256), folder)


def take_card(content: bytes, folder: Path, intact: bytes) -> None:
    model({}, intact, folder)
    (folder / CARD).write_bytes(content)
    take_model(folder)


def take_weights(content: bytes, folder: Path) -> None:
    model(arguments_of(SMALL), content, folder)
    take_model(folder)


def take_model(folder: Path) -> None:
    load.cache_clear()
    prior = load(folder)
    x = prior.denoiser()(torch.zeros(1, SMALL.length), 1.0, 1.0).clean
    assert x.shape == (1, SMALL.length)


def kinds() -> dict[str, Kind]:
    """Every kind by its name."""
    torch.manual_seed(0)
    whole = weights()
    with tempfile.TemporaryDirectory() as folder:
        model(arguments_of(SMALL), whole, Path(folder))
        card = Path(folder, CARD).read_bytes()
    usage = (UsageError,)
    return {
        "plan": Kind(to_json(PLAN).encode(), take_plan, usage, 6),
        "labels": Kind(LABELS, take_labels, usage, 3),
        "span": Kind(b"0:00:01.5-3.75", take_span, usage, 3),
        "setting": Kind(SETTING, take_setting, usage, 3),
        "manifest": Kind(manifest(), take_manifest, (UsageError, AudioWriteError), 2),
        "card": Kind(card, functools.partial(take_card, intact=whole), (ModelError,), 2),
        "weights": Kind(whole, take_weights, (ModelError,), 1),
    }


# --- Mutations


def change_bytes(draw: random.Random, content: bytes, reach: int) -> bytes:
    """Other bytes, one to eight, within the first `reach`."""
    changed = bytearray(content)
    for _ in range(draw.randint(1, 8)):
        place = draw.randrange(min(len(changed), reach))
        piece = draw.choice((draw.randbytes(1), draw.choice(ODD_BYTES), draw.randbytes(4)))
        changed[place : place + len(piece)] = piece
    return bytes(changed)


def move_piece(draw: random.Random, content: bytes, reach: int) -> bytes:
    """A piece is left out, comes twice, or stands elsewhere."""
    start, stop, place = sorted(draw.randrange(min(len(content), reach) + 1) for _ in range(3))
    piece = content[start:stop]
    return draw.choice(
        (
            content[:start] + content[stop:],
            content[:stop] + piece * draw.choice((1, 2, 50)) + content[stop:],
            content[:start] + content[stop:place] + piece + content[place:],
            content[:place],
        )
    )


def change_value(draw: random.Random, content: bytes) -> bytes:
    """JSON with one to three other values."""
    value = json.loads(content)
    for _ in range(draw.randint(1, 3)):
        place = draw.choice(list(places(value)))
        owner, key = place
        owner[key] = draw.choice((draw.choice(ODD_VALUES), draw.randint(-10, 10_000), draw.uniform(-1, 10)))
    return json.dumps(value).encode()


def places(value: Any) -> Any:
    """(owner, key) of every value within."""
    entries = value.items() if isinstance(value, dict) else enumerate(value)
    for key, one in list(entries):
        yield value, key
        if isinstance(one, dict | list):
            yield from places(one)


def mutated(draw: random.Random, name: str, content: bytes) -> bytes:
    """The content of a kind, changed."""
    if name in ("plan", "card") and draw.random() < 0.5:
        return change_value(draw, content)
    mutate = draw.choice((change_bytes, move_piece))
    if name != "weights":
        return mutate(draw, content, 1 << 20)
    (length,) = struct.unpack("<Q", content[:8])
    header = content[8 : 8 + length]
    if draw.random() < 0.3:
        return mutate(draw, content, 8 + length)
    changed = change_value(draw, header) if draw.random() < 0.5 else mutate(draw, header, length)
    return struct.pack("<Q", len(changed)) + changed + content[8 + length :]


def check(number: int, seed: int, every: dict[str, Kind]) -> str:
    """Read one input; its kind, and "taken" or the name of the error."""
    draw = random.Random(f"{seed} {number}")
    (name,) = draw.choices(list(every), [kind.share for kind in every.values()])
    kind = every[name]
    with tempfile.TemporaryDirectory() as folder:
        outcome = taken(kind, mutated(draw, name, kind.content), Path(folder))
    return f"{name}: {outcome}"


def taken(kind: Kind, content: bytes, folder: Path) -> str:
    """ "taken", or the name of the error."""
    try:
        kind.take(content, folder)
    except kind.errors as error:
        message = str(error)
        if len(message) > LONGEST_MESSAGE:
            raise AssertionError(f"{len(message):,} characters: {message:.80}") from error
        return type(error).__name__
    return "taken"


def main() -> None:
    given = harness.arguments(__doc__, 20_000)
    torch.set_num_threads(1)
    harness.main(functools.partial(check, seed=given.seed, every=kinds()), given, MOST_MIB)


if __name__ == "__main__":
    main()
