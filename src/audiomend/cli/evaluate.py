"""evaluate: figures of merit of a restored file against the clean one."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from audiomend.cli.console import print_json
from audiomend.cli.options import JsonResult
from audiomend.errors import UsageError

if TYPE_CHECKING:
    from audiomend.audio.file import Sound

EXAMPLE = "Example:  audiomend evaluate clean.wav mended.wav --damaged clipped.wav"
FIGURES = {
    "sdr_db": "SDR",
    "si_sdr_db": "SI-SDR",
    "damaged_sdr_db": "SDR on the damaged samples",
    "lsd_db": "log-spectral distance",
    "level_error_db": "level error",
}
BANDS = {"": "whole", "below_": "below", "above_": "above"}


def evaluate(
    reference: Annotated[
        str, typer.Argument(metavar="REFERENCE", help="The clean sound file.", show_default=False)
    ],
    estimate: Annotated[
        str,
        typer.Argument(
            metavar="ESTIMATE",
            help="The restored file, of the same rate, channels and length.",
            show_default=False,
        ),
    ],
    cutoff_hz: Annotated[
        float | None,
        typer.Option(
            metavar="HZ",
            help="Give each figure below and above this frequency too; between 0 and half the sample rate.",
            show_default=False,
        ),
    ] = None,
    damaged: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="The damaged file: samples in which it differs from REFERENCE count as the damaged ones.",
            show_default=False,
        ),
    ] = None,
    json: JsonResult = False,
) -> None:
    """Measure a restored file against the clean one: SDR, SI-SDR, log-spectral distance, in dB.

    Higher is better for ratios; lower is better for distances.
    """
    from audiomend.evaluation import metrics

    clean, sound = _read(reference)
    restored = _read_like(estimate, sound, reference, clean)
    mask = None if damaged is None else _read_like(damaged, sound, reference, clean) != clean
    if mask is not None and not mask.any():
        raise UsageError(f"{damaged} equals {reference}: no sample is damaged")
    figures = metrics.evaluate(clean, restored, sound.rate, cutoff_hz, mask)
    if json:
        about = {"reference": reference, "estimate": estimate, "rate": sound.rate, "cutoff_hz": cutoff_hz}
        count = None if mask is None else int(mask.sum())
        print_json("evaluate", {**about, "damaged_samples": count, "figures": figures})
    else:
        _print_table(figures, cutoff_hz)


def _read(path: str) -> tuple[Any, "Sound"]:
    """(channels, time) float64 and the file."""
    import numpy as np

    from audiomend.audio.file import open_sound, survey

    with open_sound(path) as sound:
        survey(sound)  # refuses what is no sound
        return np.concatenate([block.samples for block in sound.blocks()], axis=1), sound


def _read_like(path: str, sound: "Sound", reference: str, clean: Any) -> Any:
    """As `_read`, if the file has the rate, channels and length of the reference."""
    samples, other = _read(path)
    pairs = {
        "a rate of {:,} Hz": (other.rate, sound.rate),
        "{} channels": (other.channels, sound.channels),
        "{:,} frames": (samples.shape[1], clean.shape[1]),
    }
    for words, (here, there) in pairs.items():
        if here != there:
            raise UsageError(f"{path} has {words.format(here)}, {reference} {there:,}; they must be equal")
    return samples


def _print_table(figures: dict[str, float | None], cutoff_hz: float | None) -> None:
    from rich.console import Console
    from rich.table import Table

    from audiomend.evaluation.tables import decibels

    bands = list(BANDS) if cutoff_hz is not None else [""]
    table = Table(box=None, pad_edge=False)
    table.add_column("dB")
    for band in bands:
        table.add_column(f"{BANDS[band]} {cutoff_hz:g} Hz" if band else BANDS[band], justify="right")
    for name, label in FIGURES.items():
        if name in figures:
            table.add_row(label, *(decibels(figures[f"{band}{name}"]) for band in bands))
    Console(highlight=False).print(table)
