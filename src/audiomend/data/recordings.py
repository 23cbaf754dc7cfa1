"""Recordings listed in manifests, as mono 44.1 kHz signals with what is known of them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr

from audiomend.data.level import RATE, Signal, faded
from audiomend.data.manifest import number, read_manifest
from audiomend.data.split import Split, is_sharealike, split_of

MATERIAL_FOLDERS = {"music": "music", "singing": "singing", "speech_wb16": "speech"}
SHORTEST_SECONDS = 1.0
SILENT_RMS = 1e-4  # -80 dB full scale
COLUMNS = ("file", "source", "licence", "rate", "bandwidth_hz")


@dataclass(frozen=True)
class Entry:
    """A row of a manifest: a recording that can be read."""

    path: Path
    name: str  # folder and file, as it is listed
    material: str  # music, singing or speech
    source: str
    licence: str
    bandwidth_hz: float
    split: Split


@dataclass(frozen=True)
class Skipped:
    """A file that was left out, and why in a few words."""

    name: str
    reason: str


def list_recordings(data: Path, no_sharealike: bool = False) -> list[Entry]:
    """The recordings of a data folder with `train/music`, `train/singing` and `train/speech_wb16`.

    Folders without a manifest are left out.
    Raises TrainingError if a manifest lacks a column or holds something else than a number.
    """
    entries: list[Entry] = []
    for folder, material in MATERIAL_FOLDERS.items():
        place = data / "train" / folder
        entries += [_entry(place, material, row) for row in read_manifest(place, COLUMNS)]
    return [entry for entry in entries if not (no_sharealike and is_sharealike(entry.licence))]


def _entry(folder: Path, material: str, row: dict[str, str]) -> Entry:
    nyquist = number(row, "rate") / 2
    return Entry(
        path=folder / row["file"],
        name=f"{folder.name}/{row['file']}",
        material=material,
        source=row["source"],
        licence=row["licence"],
        bandwidth_hz=min(number(row, "bandwidth_hz"), nyquist, RATE / 2),
        split=split_of(Path(row["file"]).stem, row.get("speaker", "")),
    )


def read_recording(entry: Entry) -> Signal | Skipped:
    """The recording as the mean of its channels at 44.1 kHz (T,), faded for 5 ms at both ends.

    A file that is broken, shorter than 1 s, silent or not finite comes back as Skipped.
    """
    try:
        audio, rate = soundfile.read(entry.path, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, OSError, ValueError) as error:
        return Skipped(entry.name, f"unreadable: {error}")
    mono = audio.mean(axis=1)
    if len(mono) < SHORTEST_SECONDS * rate:
        return Skipped(entry.name, f"shorter than {SHORTEST_SECONDS:g} s")
    if not np.isfinite(mono).all():
        return Skipped(entry.name, "holds values that are not finite")
    if np.sqrt(np.mean(mono**2)) < SILENT_RMS:
        return Skipped(entry.name, "silent")
    return faded(soxr.resample(mono, rate, RATE, "VHQ"))
