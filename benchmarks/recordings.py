"""Clips of recordings for benchmarks, and the options that choose them."""

import argparse
import csv
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import soundfile

FOLDERS = {"train": ("music", "speech_wb16", "singing"), "test": ("piano_render", "music", "speech")}


def options(about: str, split: str, clips: int) -> argparse.ArgumentParser:
    """--data, --set and --clips with these defaults; `about` is the text of --help."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--set", choices=FOLDERS, default=split)
    parser.add_argument("--clips", type=int, default=clips)
    return parser


def row(cells: Iterable[object]) -> str:
    """A row of a table in Markdown."""
    return f"| {' | '.join(map(str, cells))} |"


def clips(
    data: Path, split: str, count: int, seconds: int, folders: Sequence[str] = ()
) -> Iterator[tuple[np.ndarray, int]]:
    """(time,) float64 from the middle of the first channels, and the rate in Hz.

    As many of each folder of data/split as of the others, evenly spread over what its manifest.csv lists; by
    default the folders are those of FOLDERS.
    """
    folders = folders or FOLDERS[split]
    for number, folder in enumerate(folders[:count]):
        with (data / split / folder / "manifest.csv").open(newline="", encoding="utf-8") as file:
            rows = [row for row in csv.DictReader(file) if float(row["seconds"]) >= seconds]
        share = (count + len(folders) - 1 - number) // len(folders)
        for row in rows[:: max(len(rows) // share, 1)][:share]:
            samples, rate = soundfile.read(data / split / folder / row["file"], always_2d=True)
            first = (len(samples) - seconds * rate) // 2
            yield samples[first : first + seconds * rate, 0], rate
