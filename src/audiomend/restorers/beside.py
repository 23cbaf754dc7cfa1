"""What is written beside the output: posterior samples, and the sound on the way to the output."""

import contextlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audiomend.audio.atomic import PartFile
from audiomend.audio.blocks import Assembly, Spill
from audiomend.audio.file import PIPE, Sound, printable
from audiomend.audio.formats import Format
from audiomend.audio.output import ClipMode, SoundWriter, Target, check_output, destination, for_size
from audiomend.audio.reader import Overlaid, SoundReader, blocks
from audiomend.errors import AudioWriteError, OptionError, UsageError

Array = NDArray[np.float64]

PREVIEW = re.compile(r"step-\d+\.wav")


@dataclass(frozen=True)
class Sample:
    """A posterior sample that was written.

    Attributes:
        path: of its file.
        seed: of its noise.
        assembly: format, gain and clamped samples.
        sha256: of the file.
    """

    path: str
    seed: int
    assembly: Assembly
    sha256: str


@dataclass(frozen=True)
class Drawn:
    """Posterior samples beside an output.

    Attributes:
        samples: in the order of their seeds.
        share: of the energy of all changed samples, how much differs between posterior samples, 0 to 1: 0 if
            all are alike, 1 if they have nothing in common.
        started_from: the guess that they were walked from, in words; the output may have another.
    """

    samples: tuple[Sample, ...]
    share: float
    started_from: str


def sample_paths(output: str, count: int) -> list[str]:
    """mended.sample-1.wav and so on for mended.wav."""
    path = Path(output)
    return [str(path.with_name(f"{path.stem}.sample-{n}{path.suffix}")) for n in range(1, count + 1)]


def check_samples(
    output: str, count: int, others: Sequence[str], sound: Sound, *, force: bool, clip_mode: ClipMode
) -> list[Target]:
    """Whether posterior samples can be written beside `output`; 0 samples always can.

    others: further files of the same command.

    Raises:
        UsageError: one sample, which has no spread, an output without a name, or as `check_output`.
    """
    if count == 0:
        return []
    if count < 2:
        raise OptionError("samples", f"is {count}; 2 or more show where they differ")
    if output == PIPE:
        raise UsageError("posterior samples are written beside OUT, so it cannot be -; give it a name")
    paths = sample_paths(output, count)
    taken = {os.path.realpath(path) for path in others}
    for path in paths:
        if os.path.realpath(path) in taken:
            raise UsageError(f"{path} is to be a posterior sample; give the other file another name")
    return [check_output(path, sound, force=force, clip_mode=clip_mode) for path in paths]


def share_that_differs(reader: SoundReader, spills: Sequence[Spill]) -> float:
    """Variance of posterior samples over their energy, both summed over what they changed; 0 for none."""
    variance = energy = 0.0
    for start, stop in blocks(reader):
        kept = reader.read(start, stop)
        new = np.stack([spill.read(start, stop) for spill in spills])
        changed = ~np.isnan(new).all(axis=0)
        values = np.where(np.isnan(new), kept, new)[:, changed]
        if values.size:
            variance += float(values.var(axis=0, ddof=1).sum())
            energy += float(np.square(values).mean(axis=0).sum())
    return min(variance / energy, 1.0) if energy > 0 else 0.0


def check_previews(folder: str, others: Sequence[str], *, force: bool) -> None:
    """Whether previews can be written to `folder`, which is made if its own folder is there.

    others: further files of the same command.

    Raises:
        UsageError: it is no folder, or holds previews already and `force` is not given.
        AudioWriteError: it takes no file.
    """
    path, name = Path(folder), printable(folder)
    for other in map(Path, others):
        if os.path.realpath(other.parent) == os.path.realpath(path) and PREVIEW.fullmatch(other.name):
            raise UsageError(f"{other} has the name of a preview; give it another one")
    try:
        there = path.exists()
        if there and not path.is_dir():
            raise UsageError(f"{name} is a file; previews need a folder")
        old = sorted(entry.name for entry in path.iterdir() if PREVIEW.fullmatch(entry.name)) if there else []
    except (OSError, ValueError) as error:
        raise AudioWriteError(f"{name} cannot be written to: {error}") from None
    if old and not force:
        raise UsageError(f"{name} holds {old[0]}; --force replaces it")
    with PartFile((path if there else Path(os.path.realpath(path)).parent) / "step-01.wav", force=True):
        pass


def write_previews(folder: str, reader: SoundReader, spills: Sequence[Spill], *, force: bool) -> list[str]:
    """Write what each spill makes of the file as step-01.wav and so on, floats; all of them or none.

    Raises:
        AudioWriteError: the folder takes no file, or the disk is full.
    """
    path = Path(folder)
    try:
        path.mkdir(exist_ok=True)
    except OSError as error:
        raise AudioWriteError(f"{printable(folder)} cannot be made: {error.strerror}") from None
    digits = max(2, len(str(len(spills))))
    files = [path / f"step-{number:0{digits}}.wav" for number in range(1, len(spills) + 1)]
    with contextlib.ExitStack() as parts:
        places = [parts.enter_context(destination(_preview(file, reader, force))) for file in files]
        for file, place, spill in zip(files, places, spills, strict=True):
            chosen = _preview(file, reader, force).format
            with SoundWriter(place.file, str(file), chosen, reader.rate, reader.channels, {}) as writer:
                whole = Overlaid(reader, spill)
                for block in blocks(whole):
                    writer.write(whole.read(*block).T.astype(np.float32))
        for place in places:
            place.commit()
    return [str(file) for file in files]


def _preview(file: Path, reader: SoundReader, force: bool) -> Target:
    chosen = for_size(Format("WAV", "FLOAT"), str(file), reader.frames * reader.channels)
    return Target(printable(str(file)), file, chosen, force)
