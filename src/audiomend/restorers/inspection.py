"""What is wrong with a signal, from the signal alone: for arrays and for files."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiomend.audio.file import PIPE, Accumulator, open_sound, sha256, survey
from audiomend.detect.diagnosis import Diagnosis, Examination
from audiomend.restorers.memory import rows_of

Array = NDArray[Any]
BLOCK_FRAMES = 1 << 16


@dataclass(frozen=True)
class Inspection:
    """What was found in a file.

    Attributes:
        source: the path as it was given.
        sha256: of the file; empty for a pipe.
        diagnosis: what was found.
        warnings: sentences about the file itself.
    """

    source: str
    sha256: str
    diagnosis: Diagnosis
    warnings: tuple[str, ...]


def inspect(audio: Array, sample_rate: int) -> Diagnosis:
    """Diagnose an array: every damage that a detector knows, found or not, each with a confidence.

    Args:
        audio: (time,) or (channels, time), floats (full scale 1) or signed integers.
        sample_rate: in Hz, 1,000 to 768,000.

    Returns:
        the diagnosis; its `findings` have one entry for each damage.

    Raises:
        UsageError: audio or a rate that no sound has.
    """
    rows = rows_of(np.asarray(audio), sample_rate)
    examination = Examination(len(rows), int(sample_rate))
    for start in range(0, rows.shape[1], BLOCK_FRAMES):
        examination.add(rows[:, start : start + BLOCK_FRAMES])
    return examination.diagnosis()


def inspect_file(path: str, *watching: Accumulator) -> Inspection:
    """Diagnose a file in one pass, in constant memory.

    watching: told of every block after the detectors; a progress bar is one.

    Raises:
        AudioReadError: it is no sound that can be read.
    """
    digest = "" if path == PIPE else sha256(Path(path))
    with open_sound(path) as sound:
        examination = Examination(sound.channels, sound.rate)
        found = survey(sound, [examination, *watching])
    return Inspection(path, digest, examination.diagnosis(), found.warnings)


def frames_of(path: str) -> int | None:
    """How many frames the header of a file declares, if it says so; for a progress bar.

    Raises:
        AudioReadError: it is no sound that can be read.
    """
    if path == PIPE:
        return None
    with open_sound(path) as sound:
        return sound.declared
