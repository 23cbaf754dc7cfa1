"""Grow a pool of training audio, while training runs.

    python -m audiomend.data.grow POOL DATA [--piano-hours 12] [--instrument-hours 10] [--seed 0]

Recordings come first, then rendered piano and other instruments in turn. A pool that exists is continued:
items that it holds are not made again.
"""

import argparse
import itertools
import os
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from audiomend.data.level import RATE, Signal, active_rms, bandwidth, faded
from audiomend.data.manifest import read_manifest
from audiomend.data.midi import read_midi
from audiomend.data.orchestra import SOUNDFONT_LICENCE, Synth, find_synth, orchestrate, play, stretched
from audiomend.data.piano import Piano, load_pianos, render
from audiomend.data.pool import Item, Origin, read_index, write_shard
from audiomend.data.recordings import (
    SHORTEST_SECONDS,
    SILENT_RMS,
    Skipped,
    list_recordings,
    read_recording,
)
from audiomend.data.room import response, reverberate
from audiomend.data.score import Score, excerpt, random_score
from audiomend.data.split import WITHHELD_PIECES, Split, is_sharealike, split_of
from audiomend.errors import TrainingError

SHARD_SECONDS = 300.0  # of audio: 26 MB
FLUSH_SECONDS = 40.0  # of work: a shard is written at the latest then, so that training can begin
RENDER_SECONDS = 60.0
LEAD_SECONDS = 8.0  # rendered before an excerpt, so that held notes ring in
PIANO_BANDWIDTH = {"salamander": 17_000.0, "splendid": 18_000.0}
STRETCH = (0.77, 1.33)  # range of the factor on the times of the notes that instruments play
SYNTH_BANDWIDTH = 20_000.0  # upper limit: the soundfont's samples hold nothing above
AUDIBLE = 1e-4  # of the peak, -80 dB: a render's tail below it is cut, a twentieth of what instruments play
MAX_FAILURES = 10  # in a row, of one material
VALIDATION_RENDERS = 2 * len(WITHHELD_PIECES)  # each piece on each piano, or twice by the orchestra


@dataclass(frozen=True)
class Piece:
    """Notes to render: a MIDI file, or None for notes made at random."""

    path: Path | None
    source: str
    licence: str
    split: Split


@dataclass(frozen=True)
class Studio:
    """What rendering needs."""

    pieces: tuple[Piece, ...]
    pianos: tuple[Piano, ...]
    synth: Synth | None
    seed: int


Maker = Callable[[Split, int], tuple[Origin, Signal]]


@dataclass
class Growth:
    """What the pool holds, and what was left out and why; filled as the pool grows.

    Attributes:
        names: items that are in the pool or were tried and skipped.
        seconds: of audio, by material.
        skipped: files and renders that were left out.
        notes: sentences on what is missing altogether.
    """

    names: set[str] = field(default_factory=set[str])
    seconds: dict[str, float] = field(default_factory=dict[str, float])
    skipped: list[Skipped] = field(default_factory=list[Skipped])
    notes: list[str] = field(default_factory=list[str])


def render_name(material: str, split: Split, number: int) -> str:
    """Name of a render in the pool."""
    return f"{material}/{split}/{number:05d}"


def list_pieces(data: Path, no_sharealike: bool) -> tuple[Piece, ...]:
    """MIDI pieces of `train/piano_midi`; without any that may be used, random notes for both splits."""
    folder = data / "train" / "piano_midi"
    rows = read_manifest(folder, ("file", "source", "licence", "composer", "title"))
    pieces = tuple(
        Piece(
            path=folder / row["file"],
            source=f"{row['composer']}, {row['title']}; {row['source']}",
            licence=row["licence"],
            split=split_of(Path(row["file"]).stem),
        )
        for row in rows
        if not (no_sharealike and is_sharealike(row["licence"]))
    )
    splits: tuple[Split, ...] = ("train", "validation")
    return pieces or tuple(Piece(None, "notes made at random", "CC0 1.0", split) for split in splits)


def choose_piece(studio: Studio, split: Split, number: int) -> Piece:
    """Piece of a render: every piece of the split comes once, in random order, before any comes again."""
    pieces = [piece for piece in studio.pieces if piece.split == split]
    turn, place = divmod(number, len(pieces))
    order = np.random.default_rng([studio.seed, turn]).permutation(len(pieces))
    return pieces[order[place]]


def choose_notes(piece: Piece, generator: np.random.Generator) -> Score:
    """Up to 60 s of a piece from a random place, after 8 s that ring in; time 0 is 8 s before the excerpt."""
    if piece.path is None:
        return random_score(LEAD_SECONDS + RENDER_SECONDS, generator)
    score = read_midi(piece.path)
    start = generator.uniform(0, max(0.0, score.seconds - RENDER_SECONDS))
    return excerpt(score, start - LEAD_SECONDS, LEAD_SECONDS + RENDER_SECONDS)


def render_piano(studio: Studio, split: Split, number: int) -> tuple[Origin, Signal]:
    """Render of that number: a piano, a piece, and in two of three renders a room."""
    generator = np.random.default_rng([studio.seed, 1, split == "validation", number])
    piece = choose_piece(studio, split, number // len(studio.pianos))
    piano = studio.pianos[number % len(studio.pianos)]
    score = choose_notes(piece, generator)
    seconds = min(LEAD_SECONDS + RENDER_SECONDS, score.seconds + 1)
    signal = _in_room(render(score, piano, seconds, generator), generator)[round(LEAD_SECONDS * RATE) :]
    origin = Origin(
        name=render_name("piano", split, number),
        material="piano",
        source=f"{piece.source}; {piano.name} piano",
        licence=f"{piece.licence} (notes), {piano.licence} (samples)",
        bandwidth_hz=PIANO_BANDWIDTH.get(piano.name, RATE / 2),
        split=split,
    )
    return origin, _sounding(signal)


def _sounding(signal: Signal) -> Signal:
    """The signal without its silent tail, faded at its ends.

    Raises TrainingError if it is too short or silent, as an excerpt in a long rest can be.
    """
    magnitude = np.abs(signal)
    audible = np.flatnonzero(magnitude > AUDIBLE * magnitude.max(initial=0))
    signal = signal[: audible[-1] + 1] if len(audible) else signal
    if len(signal) < SHORTEST_SECONDS * RATE or active_rms(signal) < SILENT_RMS:
        raise TrainingError("shorter than 1 s or silent")
    return faded(signal)


def _in_room(dry: Signal, generator: np.random.Generator) -> Signal:
    if generator.random() < 1 / 3:
        return dry
    rt60, level_db = generator.uniform(0.3, 1.6), generator.uniform(-28, -14)
    return reverberate(dry, response(rt60, level_db, generator.uniform(3000, 10_000), generator))


def render_instruments(studio: Studio, synth: Synth, split: Split, number: int) -> tuple[Origin, Signal]:
    """Render of that number by other instruments, each piece orchestrated anew."""
    generator = np.random.default_rng([studio.seed, 2, split == "validation", number])
    piece = choose_piece(studio, split, number)
    tempo = generator.uniform(*STRETCH)
    parts = orchestrate(stretched(choose_notes(piece, generator), tempo), generator)
    reverb, chorus = bool(generator.random() < 0.5), bool(generator.random() < 0.25)
    signal = _sounding(play(synth, parts, reverb, chorus)[round(LEAD_SECONDS * tempo * RATE) :])
    origin = Origin(
        name=render_name("instruments", split, number),
        material="instruments",
        source=f"{piece.source}; FluidR3 programs {', '.join(str(program) for _, program, _ in parts)}",
        licence=f"{piece.licence} (notes), {SOUNDFONT_LICENCE}",
        bandwidth_hz=min(bandwidth(signal), SYNTH_BANDWIDTH),
        split=split,
    )
    return origin, signal


def new_recordings(data: Path, no_sharealike: bool, growth: Growth) -> Iterator[tuple[Origin, Signal]]:
    """The recordings that the pool does not hold yet."""
    for entry in list_recordings(data, no_sharealike):
        if entry.name in growth.names:
            continue
        result = read_recording(entry)
        if isinstance(result, Skipped):
            growth.skipped.append(result)
        else:
            yield Origin(**{name: getattr(entry, name) for name in Origin.__dataclass_fields__}), result


def open_studio(data: Path, seed: int, no_sharealike: bool, growth: Growth) -> Studio:
    """Pieces, pianos and synthesiser; what is missing is noted."""
    samples = data / "train" / "piano_samples"
    pianos = tuple(load_pianos(samples).values())
    if not pianos:
        growth.notes.append(f"There are no piano samples in {samples}, so the pool holds no rendered piano.")
    synth = find_synth()
    if isinstance(synth, str):
        growth.notes.append(synth)
    return Studio(list_pieces(data, no_sharealike), pianos, synth if isinstance(synth, Synth) else None, seed)


def new_renders(studio: Studio, hours: dict[str, float], growth: Growth) -> Iterator[tuple[Origin, Signal]]:
    """Renders that the pool does not hold yet: validation first, then training until `hours` are reached.

    Piano and instruments take turns. A material whose renders fail ten times in a row is given up.
    """
    makers: dict[str, Maker] = {}
    if studio.pianos:
        makers["piano"] = partial(render_piano, studio)
    if studio.synth:
        makers["instruments"] = partial(render_instruments, studio, studio.synth)
    failures = dict.fromkeys(makers, 0)
    for split, number in _plan():
        short = [
            material
            for material in makers
            if failures[material] < MAX_FAILURES
            and growth.seconds.get(material, 0.0) < 3600 * hours.get(material, 0.0)
        ]
        if not short:
            return
        for material in short:
            name = render_name(material, split, number)
            if name in growth.names:
                continue
            try:
                origin, signal = makers[material](split, number)
            except (TrainingError, OSError, ValueError, subprocess.SubprocessError) as error:
                growth.skipped.append(Skipped(name, str(error)))
                failures[material] += 1
                continue
            failures[material] = 0
            yield origin, signal


def _plan() -> Iterator[tuple[Split, int]]:
    for number in range(VALIDATION_RENDERS):
        yield "validation", number
    for number in itertools.count():
        yield "train", number


def grow(
    pool: Path,
    data: Path,
    hours: dict[str, float],
    seed: int = 0,
    no_sharealike: bool = False,
    max_bytes: float = 15e9,
    tell: Callable[[str], None] = print,
) -> Growth:
    """Add to a pool until it holds all recordings and `hours` of "piano" and "instruments".

    A pool that exists is continued. Files and renders that fail are skipped and listed. Stops early at
    `max_bytes` on disk. Raises TrainingError if there is nothing to make a pool of, or a manifest is broken.

    data: folder with train/music, singing, speech_wb16, piano_samples and piano_midi, each with a manifest.
    tell: receives a sentence for each shard, each thing that is missing and each file that was skipped.
    """
    growth = Growth()
    for index in sorted(pool.glob("shard-*.json")):
        for item in read_index(index):
            _count(growth, item, item.length)
    studio = open_studio(data, seed, no_sharealike, growth)
    sources = itertools.chain(new_recordings(data, no_sharealike, growth), new_renders(studio, hours, growth))
    told = 0
    for waiting in _batches(sources, growth):
        shard = write_shard(pool, waiting)
        held = ", ".join(f"{material} {seconds / 60:.1f} min" for material, seconds in growth.seconds.items())
        tell(f"{shard.stem}: {held}")
        told = _tell_skipped(growth, told, tell)
        if sum(path.stat().st_size for path in pool.glob("shard-*")) > max_bytes:
            growth.notes.append(f"The pool stopped at its limit of {max_bytes / 1e9:g} GB.")
            break
    if not growth.names:
        raise TrainingError(
            f"{data} holds no training audio; it needs train/music, train/singing, train/speech_wb16 or"
            " train/piano_samples, each with a manifest.csv"
        )
    for note in growth.notes:
        tell(note)
    _tell_skipped(growth, told, tell)
    return growth


def _tell_skipped(growth: Growth, told: int, tell: Callable[[str], None]) -> int:
    """Name what was skipped beyond the first `told`, with each shard: training may end before the growth."""
    for skip in growth.skipped[told:]:
        tell(f"skipped {skip.name}: {skip.reason}")
    return len(growth.skipped)


def _batches(
    sources: Iterable[tuple[Origin, Signal]], growth: Growth
) -> Iterator[list[tuple[Origin, Signal]]]:
    """Signals gathered into shards of 300 s of audio, or of 40 s of work where that comes first."""
    waiting: list[tuple[Origin, Signal]] = []
    since = time.monotonic()
    for origin, signal in sources:
        _count(growth, origin, len(signal))
        waiting.append((origin, signal))
        enough = sum(len(signal) for _, signal in waiting) >= SHARD_SECONDS * RATE
        if enough or time.monotonic() - since > FLUSH_SECONDS:
            yield waiting
            waiting, since = [], time.monotonic()
    if waiting:
        yield waiting


def _count(growth: Growth, origin: Origin | Item, length: int) -> None:
    growth.names.add(origin.name)
    growth.seconds[origin.material] = growth.seconds.get(origin.material, 0.0) + length / RATE


def main() -> None:
    """Entry point of `python -m audiomend.data.grow`; runs at the lowest priority."""
    parser = argparse.ArgumentParser(
        prog="python -m audiomend.data.grow", description="Grow a pool of training audio."
    )
    parser.add_argument("pool", type=Path, help="folder of the shards, made if it is not there")
    parser.add_argument("data", type=Path, help="folder with train/<material>/manifest.csv")
    parser.add_argument("--piano-hours", type=float, default=12.0, help="hours of piano (default 12)")
    parser.add_argument("--instrument-hours", type=float, default=10.0, help="of instruments (default 10)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the renders (default 0)")
    parser.add_argument("--no-sharealike", action="store_true", help="leave out share-alike material")
    arguments = parser.parse_args()
    if hasattr(os, "nice"):
        os.nice(19)
    hours = {"piano": arguments.piano_hours, "instruments": arguments.instrument_hours}
    tell = partial(print, flush=True)
    grow(arguments.pool, arguments.data, hours, arguments.seed, arguments.no_sharealike, tell=tell)


if __name__ == "__main__":
    main()
