"""The picture of what was invented: the spectrogram of posterior samples, coloured where they differ."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from audiomend.evaluation.metrics import frame_size
from audiomend.evaluation.spread import Spread, spread
from audiomend.report import spectrogram
from audiomend.report.markup import data_url, percent, text
from audiomend.report.spectrogram import height, hertz, mel
from audiomend.words import percent as in_words

Array = NDArray[np.floating]

KNOWN = (236, 234, 240)  # colour of a loud bin that is the same in all samples
INVENTED = (255, 106, 20)  # and of one that has nothing in common


@dataclass(frozen=True)
class Differing:
    """Where posterior samples differ.

    Attributes:
        samples: (K, channels, time) of the excerpt that a page shows, at one level.
        note: sentences about it, such as whether the samples' band is known to hold the truth.
    """

    samples: Array
    note: str = ""


def grids(found: Spread, rate: float, columns: int, rows: int) -> tuple[Array, Array]:
    """Level in dB re a sine at full scale, and the share that differs, 0 to 1: (rows, columns) each.

    Energies are averaged over the channels, and over the bins of a row; row 0 is the highest frequency.
    """
    energy, variance = (moment.mean(axis=0) for moment in (found.energy, found.variance))
    frames = (np.arange(columns) + 0.5) * len(energy) / columns
    energy, variance = (_by_rows(moment[frames.astype(int)], rate, rows) for moment in (energy, variance))
    share = np.divide(variance, energy, out=np.zeros_like(energy), where=energy > 0)
    floor = 10 ** (spectrogram.SILENCE_DB / 10)
    level = 10 * np.log10(np.maximum(energy / _energy_of_a_sine(rate), floor))
    return level.T[::-1], np.minimum(share, 1).T[::-1]


def _by_rows(moment: Array, rate: float, rows: int) -> Array:
    """(columns, bins) averaged over the bins that each row's band touches, lowest row first."""
    size = frame_size(rate)
    edges = hertz(np.linspace(0, mel(rate / 2), rows + 1)) * size / rate
    first = np.minimum(np.floor(edges[:-1]).astype(int), moment.shape[1] - 1)
    stop = np.clip(np.ceil(edges[1:]).astype(int), first + 1, moment.shape[1])
    sums = np.concatenate([np.zeros((len(moment), 1)), np.cumsum(moment, axis=1)], axis=1)
    return np.maximum(sums[:, stop] - sums[:, first], 0) / (stop - first)


def _energy_of_a_sine(rate: float) -> float:
    """|X|² of a sine of amplitude 1 in its bin, under the window of `spread`."""
    size = frame_size(rate)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)
    return float(hann.sum() ** 2 / np.square(hann).sum() / 4)


def paint(level: Array, share: Array, top_db: float) -> Image.Image:
    """Brightness by level, from RANGE_DB below `top_db` up; colour by share, from grey to orange."""
    bright = np.clip((level - top_db) / spectrogram.RANGE_DB + 1, 0, 1)[..., None]
    known, invented = np.array(KNOWN), np.array(INVENTED)
    colours = bright * (known + share[..., None] * (invented - known))
    return Image.fromarray(np.rint(colours).astype(np.uint8))


def differing(shown: Differing, rate: int, size: tuple[int, int], top_db: float, outlines: str) -> str:
    """The article under the players.

    size: columns and rows of the picture.
    outlines: SVG of what was changed.
    """
    found = spread(shown.samples, rate)
    level, share = grids(found, rate, *size)
    image = data_url("image/png", spectrogram.png(paint(level, share, top_db)))
    ticks = "".join(
        f'<text x="100%" dx="-8" dy="0.35em" y="{percent(1 - height(hz, rate))}">{label}</text>'
        for hz, label in spectrogram.frequency_ticks(rate)
    )
    return f"""<article class="differing">
<header><h3>What differs between {len(shown.samples)} posterior samples</h3>
<p class="note">Grey is the same in all of them; orange is invented anew in each.</p></header>
<svg class="axis" aria-hidden="true">{ticks}</svg>
<div><svg class="strip" aria-hidden="true"></svg>
<svg class="picture" role="img" aria-label="Share of the energy that differs, over the spectrogram">
<image width="100%" height="100%" preserveAspectRatio="none" href="{image}"/>{outlines}
<line class="playhead" x1="0%" x2="0%" y1="0" y2="100%"/></svg>{_ramp()}
<p class="how">{text(_sentence(found))} {text(shown.note)}</p></div>
</article>
"""


def _sentence(found: Spread) -> str:
    """The share in frames where anything differs, and its standard deviation."""
    variance, energy = found.variance.sum(axis=(0, 2)), found.energy.sum(axis=(0, 2))
    differs = variance > 1e-9 * energy  # rounding of the files aside
    if not differs.any():
        return "Here the samples are alike."
    share = variance[differs].sum() / energy[differs].sum()
    return (
        f"In the {int(differs.sum()):,} of {len(differs):,} frames in which the samples differ,"
        f" {in_words(min(float(share), 1.0))} of the energy of those frames differs between them."
    )


def _ramp() -> str:
    shares = np.linspace(0, 1, 160)[None]
    image = data_url("image/png", spectrogram.png(paint(np.zeros_like(shares), shares, 0.0)))
    return (
        f'<p class="legend">0% <img src="{image}" alt="to"/> 100% of the energy in a bin differs;'
        " brightness is the level</p>"
    )
