"""Which clips are damaged how: the benchmark's manifest, equal for equal data and seed."""

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import soundfile

from audiomend.errors import AudioReadError, UsageError
from audiomend.evaluation.damages import (
    SEVERITIES,
    Clip,
    Damage,
    NotApplicableError,
    Task,
    damage,
    plan,
    seed_of,
    sha256_of,
)

SETS = ("piano_render", "music", "speech")
EXTENSIONS = (".flac", ".wav", ".ogg", ".opus", ".mp3", ".aiff")


@dataclass(frozen=True)
class Source:
    """A clean clip: a file, or a stretch of one.

    Attributes:
        name: "set/file name", which is also its path below the split's folder.
        rate: samples per second.
        start, stop: the stretch, in samples of the file.
        sha256: of the file's bytes.
    """

    name: str
    rate: int
    start: int
    stop: int
    sha256: str

    @property
    def set(self) -> str:
        return self.name.split("/")[0]

    @property
    def seconds(self) -> float:
        return (self.stop - self.start) / self.rate


@dataclass(frozen=True)
class Case:
    """One damaged clip. `sha256` is that of the damaged samples (`damages.sha256_of`)."""

    source: Source
    damage: Damage
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """All damaged clips of one benchmark, and the pairs left out with the reason.

    Attributes:
        cases: in the order of clips, then severities.
        omitted: (clip, severity, reason).
    """

    task: Task
    split: str
    seed: int
    cases: tuple[Case, ...]
    omitted: tuple[tuple[str, float, str], ...]

    @property
    def hashes(self) -> dict[tuple[str, float], str]:
        """Those of the damaged samples, by clip and severity."""
        return {(case.source.name, case.damage.severity): case.sha256 for case in self.cases}

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1) + "\n"

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.to_json().encode()).hexdigest()


def find_sources(
    folder: Path, sets: Sequence[str] = SETS, names: Sequence[str] = (), clip_s: float = 12.0, seed: int = 0
) -> list[Source]:
    """The clips of some sets, each a folder of sound files, in alphabetical order.

    Args:
        folder: holds one folder per set.
        sets: their names.
        names: keep only files of these stems; all of them if empty.
        clip_s: longer files are cut to this length, at a place that depends on seed and name only.

    Raises:
        UsageError: a set that is not there, nothing found, or clips of no length.
    """
    if not clip_s > 0:
        raise UsageError(f"Clips of {clip_s:g} s are not possible; the length must be above 0.")
    sources: list[Source] = []
    for name in sets:
        if not (folder / name).is_dir():
            there = ", ".join(sorted(path.name for path in folder.glob("*/"))) or "nothing"
            raise UsageError(f"There is no set {name!r} in {folder}; it holds {there}.")
        for path in sorted((folder / name).iterdir()):
            if path.suffix.lower() in EXTENSIONS and (not names or path.stem in names):
                sources.append(_source(path, f"{name}/{path.name}", clip_s, seed))
    if not sources:
        raise UsageError(f"No sound file to measure on in {', '.join(sets)} of {folder}.")
    return sources


def load(folder: Path, source: Source) -> Clip:
    """The clean samples (channels, time), float32."""
    samples, _ = soundfile.read(
        folder / source.name, start=source.start, stop=source.stop, dtype="float32", always_2d=True
    )
    return np.ascontiguousarray(samples.T, dtype=np.float32)


def build_manifest(
    task: Task, folder: Path, sources: Sequence[Source], severities: Sequence[float] = (), seed: int = 0
) -> Manifest:
    """Damages every clip at every severity (by default those of the task) and notes what came out."""
    cases: list[Case] = []
    omitted: list[tuple[str, float, str]] = []
    for source in sources:
        clip = load(folder, source)
        for severity in map(float, severities or SEVERITIES[task]):
            try:
                how = plan(task, severity, clip, source.rate, seed_of(seed, source.name, task, severity))
            except NotApplicableError as reason:
                omitted.append((source.name, severity, str(reason)))
                continue
            cases.append(Case(source, how, sha256_of(damage(clip, source.rate, how))))
    return Manifest(task, folder.name, seed, tuple(cases), tuple(omitted))


def write_manifest(manifest: Manifest, path: Path) -> None:
    """Writes the manifest, by rename; an equal one may be there already.

    Raises:
        UsageError: another manifest is there, so that results of two benchmarks would mix.
    """
    text = manifest.to_json()
    if path.exists():
        if path.read_text() != text:
            raise UsageError(f"{path} lists other damages or data; choose another folder for the results.")
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".part")
    partial.write_text(text)
    os.replace(partial, path)


def _source(path: Path, name: str, clip_s: float, seed: int) -> Source:
    try:
        info = soundfile.info(path)
    except soundfile.LibsndfileError as error:
        raise AudioReadError(f"{path} cannot be read as sound: {error}.") from error
    length = min(info.frames, round(clip_s * info.samplerate))
    spare = info.frames - length
    start = seed_of(seed, name, "start") % (spare + 1)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return Source(name, info.samplerate, start, start + length, sha256)
