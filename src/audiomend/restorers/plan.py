"""A plan of restoration: which stages, in which order, with which settings, as JSON that a person may edit.

    {"schema": "audiomend.plan/1",
     "input": {"path": "old.wav", "sha256": "…", "rate": 44100, "channels": 1, "frames": 441000},
     "stages": [{"stage": "declip", "enabled": true, "confidence": 0.98, "reason": "hard, at 0.5 …",
                 "settings": {"low": [-0.5], "high": [0.5], "kind": "hard"}}, …]}

Stages come in the order of ORDER: what cuts off peaks is undone first, since everything later would move the
peaks off their level; an offset before clicks are sought; clicks before gaps, whose neighbourhoods they
would spoil; the band last, since what it adds is made of all the rest.
"""

import json
from collections.abc import Iterable
from dataclasses import MISSING, asdict, dataclass, fields, is_dataclass, replace
from math import inf, isfinite
from pathlib import Path
from types import UnionType
from typing import Any, Literal, cast, get_args, get_origin, get_type_hints

from audiomend.audio.atomic import PartFile, write_error
from audiomend.audio.file import HIGHEST_RATE, LOWEST_RATE
from audiomend.classical.curve import Name
from audiomend.detect.clicks import NARROW_HZ, Click
from audiomend.detect.diagnosis import Diagnosis
from audiomend.detect.dropouts import Dropout
from audiomend.detect.finding import FOUND
from audiomend.detect.gaps import Gap
from audiomend.detect.offset import Offset
from audiomend.errors import UsageError

SCHEMA = "audiomend.plan/1"
LARGEST_FILE = 1 << 26  # bytes of a plan
LARGEST_NUMBER = 2**63 - 1


@dataclass(frozen=True)
class Span:
    """A stretch of one channel, counted from 0, in seconds."""

    channel: int
    start_s: float
    stop_s: float


@dataclass(frozen=True)
class Declip:
    """Restore clipped peaks.

    Attributes:
        low, high: clip level of each channel, full scale 1; None for a polarity that is not clipped.
        kind: hard, with samples at the level; bent, tops that were filtered or coded since; soft, a curve.
        method: as `declip --method`.
        curve: that each channel went through, towards its levels, if soft; straight for one that did not.
    """

    low: tuple[float | None, ...]
    high: tuple[float | None, ...]
    kind: Literal["hard", "bent", "soft"] = "hard"
    method: str = "auto"
    curve: tuple[Literal[Name, "straight"], ...] = ()


@dataclass(frozen=True)
class RemoveOffset:
    """Subtract a constant from each channel, full scale 1; none listed means those that are found then."""

    levels: tuple[float, ...] = ()


@dataclass(frozen=True)
class Declick:
    """Replace clicks; none listed means those that `declick` finds by itself."""

    clicks: tuple[Span, ...] = ()
    method: str = "auto"


@dataclass(frozen=True)
class FillGaps:
    """Fill gaps, and dropouts of all channels that cannot be lifted."""

    gaps: tuple[Span, ...]
    method: str = "auto"
    dropouts: tuple[Span, ...] = ()


@dataclass(frozen=True)
class ExtendBand:
    """Invent what lies above a frequency in Hz; without one, above the edge that is found then, if any."""

    cutoff_hz: float | None = None
    method: str = "auto"


@dataclass(frozen=True)
class NotThereYet:
    """A stage that has its place but no method yet; it is told and skipped."""


Settings = Declip | RemoveOffset | Declick | FillGaps | ExtendBand | NotThereYet
ORDER: dict[str, type[Settings]] = {
    "declip": Declip,
    "offset": RemoveOffset,
    "declick": Declick,
    "gaps": FillGaps,
    "band": ExtendBand,
    "hum": NotThereYet,
    "noise": NotThereYet,
    "room": NotThereYet,
}

MENDED = tuple(name for name, settings in ORDER.items() if settings is not NotThereYet)
MENDED_CLICK = 0.65  # confidence from which a click is taken out unasked, where the rate is not narrow
SURE = {"declick": 0.9}  # confidence from which a stage is done unasked, if not FOUND: drums and voices click

LATER = "sought once peaks are restored"
DAMAGES = {
    "declip": ("clipping",),
    "offset": ("DC offset",),
    "declick": ("clicks",),
    "gaps": ("gaps", "dropouts"),
    "band": ("bandwidth",),
    "hum": ("hum",),
    "noise": ("noise",),
    "room": ("reverberation",),
}  # that a stage mends


@dataclass(frozen=True)
class Stage:
    """One step of a plan.

    Attributes:
        stage: a name of ORDER.
        settings: of the class that ORDER has for it.
        enabled: whether it is to be done.
        confidence: 0 to 1, that the damage is there.
        reason: what was found, in words.
    """

    stage: str
    settings: Settings
    enabled: bool = True
    confidence: float = 1.0
    reason: str = ""


@dataclass(frozen=True)
class Input:
    """The file that a plan is for; a path or hash that is empty is not known."""

    path: str
    sha256: str
    rate: int
    channels: int
    frames: int


@dataclass(frozen=True)
class MendingPlan:
    """What is to be done to a file."""

    input: Input
    stages: tuple[Stage, ...]


def plan_of(diagnosis: Diagnosis, path: str = "", sha256: str = "") -> MendingPlan:
    """The plan that follows from a diagnosis: one stage for each damage that was found."""
    settings, stages = _settings(diagnosis), list[Stage]()
    is_clipped = any(one.damage == "clipping" and one.is_found for one in diagnosis.findings)
    for name, damages in DAMAGES.items():
        found = [one for one in diagnosis.findings if one.damage in damages and one.is_found]
        if found:
            confidence = round(max(one.confidence for one in found), 3)
            reason = "; ".join(f"{one.damage}: {one.summary}" for one in found)
            is_sure = confidence >= SURE.get(name, FOUND)
            if not is_sure:
                needed = f"{confidence:.0%} sure, where {SURE[name]:.0%} are needed"
                reason = f"{reason}, {needed}; audiomend {name} mends them"
            enabled = settings.get(name) not in (None, FillGaps(())) and is_sure
            stages.append(Stage(name, settings.get(name, NotThereYet()), enabled, confidence, reason))
        elif name == "offset" and is_clipped and any(levels_to_remove(diagnosis.offset)):
            stages.append(Stage(name, RemoveOffset(), confidence=FOUND, reason=LATER))
        elif name == "declick" and diagnosis.clicks and is_clipped:  # not told from the edges of tops
            stages.append(Stage(name, Declick(), confidence=FOUND, reason=LATER))
        elif name == "band" and is_clipped:  # whose overtones fill it
            stages.append(Stage(name, ExtendBand(), confidence=FOUND, reason=LATER))
    size = Input(path, sha256, diagnosis.rate, diagnosis.channels, diagnosis.frames)
    return MendingPlan(size, _ordered(stages))


def _ordered(stages: list[Stage]) -> tuple[Stage, ...]:
    return tuple(sorted(stages, key=lambda stage: list(ORDER).index(stage.stage)))


def _settings(diagnosis: Diagnosis) -> dict[str, Settings]:
    """For each stage that is there, the settings that would be taken."""
    kinds = {channel.kind for channel in diagnosis.clipping} - {"none"}
    return {
        "declip": Declip(
            tuple(tops.low if tops.low > -inf else None for tops in diagnosis.clipping),
            tuple(tops.high if tops.high < inf else None for tops in diagnosis.clipping),
            "hard" if "hard" in kinds else "bent" if "bent" in kinds else "soft",
            curve=_curves(diagnosis),
        ),
        "offset": RemoveOffset(levels_to_remove(diagnosis.offset)),
        "declick": Declick(spans(clicks_to_mend(diagnosis.clicks, diagnosis.rate), diagnosis.rate)),
        "gaps": FillGaps(
            spans((gap for gap in diagnosis.gaps if gap.confidence >= FOUND), diagnosis.rate),
            dropouts=spans(diagnosis.dropouts, diagnosis.rate),
        ),
        "band": ExtendBand(diagnosis.bandwidth.cutoff_hz),
    }


def _curves(diagnosis: Diagnosis) -> tuple[Literal[Name, "straight"], ...]:
    """That of each channel, where none was clipped otherwise."""
    if not all(tops.kind in ("soft", "none") for tops in diagnosis.clipping):
        return ()
    return tuple("straight" if tops.bend is None else tops.bend.curve for tops in diagnosis.clipping)


def levels_to_remove(offsets: Iterable[Offset]) -> tuple[float, ...]:
    """What is to be subtracted from each channel: nothing where no offset was found."""
    return tuple(one.level if one.confidence >= FOUND else 0.0 for one in offsets)


def clicks_to_mend(clicks: Iterable[Click], rate: int) -> list[Click]:
    """Those that are worth the risk: the beats of drums and machines stand out, too."""
    return [one for one in clicks if rate < NARROW_HZ or one.confidence >= MENDED_CLICK]


def spans(places: Iterable[Gap | Dropout | Click], rate: int) -> tuple[Span, ...]:
    """The places, in order."""
    ordered = sorted((place.channel, place.start, place.stop) for place in places)
    return tuple(Span(channel, start / rate, stop / rate) for channel, start, stop in ordered)


def write_plan(plan: MendingPlan, path: Path, *, force: bool = False) -> None:
    """Write a plan as JSON, whole or not at all.

    Raises:
        UsageError: the file exists, without `force`.
        AudioWriteError: it cannot be written.
    """
    with PartFile(path, force=force) as part:
        try:
            part.file.write(to_json(plan).encode())
        except OSError as error:
            raise write_error(str(path), error) from None
        part.commit()


def to_json(plan: MendingPlan) -> str:
    """The plan as JSON text."""
    return json.dumps({"schema": SCHEMA, **asdict(plan)}, indent=2, allow_nan=False) + "\n"


def read_plan(path: Path) -> MendingPlan:
    """The plan in a file.

    Raises:
        UsageError: it cannot be read or is no plan; the message names the field and what is allowed.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise UsageError(f"The plan {path} cannot be read: {error.strerror}.") from None
    if len(content) > LARGEST_FILE:
        raise UsageError(f"The plan {path} is larger than {LARGEST_FILE >> 20} MiB, which is the most.")
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise UsageError(f"The plan {path} is no text in UTF-8.") from None
    return from_json(text)


def from_json(text: str) -> MendingPlan:
    """The plan in JSON text; its stages are put in the order of ORDER.

    Raises:
        UsageError: it is no plan; the message names the field and what is allowed.
    """
    try:
        content = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"The plan is no JSON: {error}.") from None
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise UsageError(f'The plan has no "schema": "{SCHEMA}".')
    if odd := set(content) - {"schema", "input", "stages"}:
        raise UsageError(f"The plan has {_listed(odd)}; it holds schema, input and stages.")
    size = _read(Input, content.get("input"), "input")
    if not (LOWEST_RATE <= size.rate <= HIGHEST_RATE and size.channels >= 1 and size.frames >= 1):
        raise UsageError(
            f"The plan's input has {size.channels} channels of {size.frames} frames at {size.rate} Hz;"
            f" at least one of each and {LOWEST_RATE:,} to {HIGHEST_RATE:,} Hz are allowed."
        )
    entries = content.get("stages")
    if not isinstance(entries, list):
        raise UsageError(f"The plan's stages is {entries!r:.40}; it is a list.")
    stages = [_stage(entry, f"stages[{k}]", size) for k, entry in enumerate(cast(list[Any], entries))]
    if len({stage.stage for stage in stages}) < len(stages):
        raise UsageError("The plan names a stage twice; each may come once.")
    return MendingPlan(size, _ordered(stages))


def _listed(names: Iterable[str]) -> str:
    return f"{', '.join(sorted(names)):.80}"


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number")


def _stage(entry: Any, where: str, size: Input) -> Stage:
    """One stage. Settings are read as the class of their stage, then checked against the input."""
    if not isinstance(entry, dict) or entry.get("stage") not in list(ORDER):  # it may have no hash
        raise UsageError(f"The plan's {where}.stage is missing or unknown; it is one of {', '.join(ORDER)}.")
    settings = _read(ORDER[entry["stage"]], entry.get("settings", {}), f"{where}.settings")
    stage = replace(_read(Stage, {**entry, "settings": {}}, where), settings=settings)
    if stage.enabled and isinstance(settings, NotThereYet):
        raise UsageError(f"The plan's {where} enables {stage.stage}, which is not there yet.")
    _check_channels(settings, f"{where}.settings", size)
    _check_spans(settings, f"{where}.settings", size)
    return stage


def _check_channels(settings: Settings, where: str, size: Input) -> None:
    for name in ("low", "high", "levels", "curve"):
        entries = getattr(settings, name, None)
        may_be_empty = name in ("levels", "curve")
        if entries is not None and (entries or not may_be_empty) and len(entries) != size.channels:
            raise UsageError(
                f"The plan's {where}.{name} has {len(entries)} entries;"
                f" the input has {size.channels} channels."
            )


def _check_spans(settings: Settings, where: str, size: Input) -> None:
    seconds = size.frames / size.rate
    for name in ("clicks", "gaps", "dropouts"):
        for span in getattr(settings, name, ()):
            if not (0 <= span.start_s < span.stop_s <= seconds and 0 <= span.channel < size.channels):
                raise UsageError(
                    f"The plan's {where}.{name} has {span.start_s:g} to {span.stop_s:g} s in channel"
                    f" {span.channel}; the input has {size.channels} channels, from 0, of {seconds:g} s."
                )


def _read(kind: Any, value: Any, where: str) -> Any:
    """The value as an annotation says: a dataclass, tuple, literal, alternative, text, truth or number."""
    if is_dataclass(kind):
        return _read_object(kind, value, where)
    if get_origin(kind) is tuple:
        if not isinstance(value, list):
            raise UsageError(f"The plan's {where} is {value!r:.40}; it is a list.")
        entries = cast(list[Any], value)
        return tuple(_read(get_args(kind)[0], one, f"{where}[{k}]") for k, one in enumerate(entries))
    if get_origin(kind) is Literal:
        if value not in get_args(kind):
            raise UsageError(
                f"The plan's {where} is {value!r:.40}; it is one of {', '.join(get_args(kind))}."
            )
        return value
    if get_origin(kind) is UnionType:  # only of a kind and None
        return None if value is None else _read(get_args(kind)[0], value, where)
    return _read_plain(kind, value, where)


def _read_object(kind: Any, value: Any, where: str) -> Any:
    if not isinstance(value, dict):
        raise UsageError(f"The plan's {where} is {value!r:.40}; it is an object.")
    content = cast(dict[str, Any], value)
    hints = get_type_hints(kind)
    if odd := set(content) - set(hints):
        known = ", ".join(hints) or "nothing"
        raise UsageError(f"The plan's {where} has {_listed(odd)}; it may hold {known}.")
    needed = [f.name for f in fields(kind) if f.default is MISSING]
    if missing := [name for name in needed if name not in content]:
        raise UsageError(f"The plan's {where} has no {', '.join(missing)}.")
    read = {
        key: one if hints[key] == Settings else _read(hints[key], one, f"{where}.{key}")
        for key, one in content.items()
    }
    return kind(**read)


def _read_plain(kind: type, value: Any, where: str) -> Any:
    is_small = not isinstance(value, int) or abs(value) <= LARGEST_NUMBER  # others are no float
    if kind is float and type(value) in (int, float) and is_small and isfinite(value):
        return float(value)
    if kind is not float and type(value) is kind and is_small:
        return value
    words = {
        float: "a number",
        int: f"a whole number up to {LARGEST_NUMBER:,}",
        str: "text",
        bool: "true or false",
    }
    raise UsageError(f"The plan's {where} is {value!r:.40}; it is {words[kind]}.")
