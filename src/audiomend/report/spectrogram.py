"""Log-magnitude spectrograms on a mel axis, drawn with numpy and Pillow alone.

Levels are decibels relative to a sine at full scale. The first row of every picture is the highest frequency.
"""

import io
import math
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

WINDOW_SECONDS = 0.032  # short enough that a gap of 20 ms shows, long enough to part the notes of a chord
PADDING = 2  # the FFT is at least this many windows long: a tone between two bins loses 0.4 dB at most
RANGE_DB = 80.0  # from the loudest point of a page down to the darkest colour
SILENCE_DB = -200.0  # what digital silence is drawn as
BLOCK_FRAMES = 32  # frames transformed at once, which bounds the memory

# Equal steps in OKLab (Ottosson 2020), lightness rising: black, violet, red, orange, pale yellow.
COLOURS = (
    "010105 050422 130842 28125e 441a73 641b86 851d97 a5268f c22a7c"
    " df3168 f24c53 fa6c3b fd8d3c fbae52 fbcd68 ffe99a fffdd6"
)
OUTLINE = "#7fe3ff"  # the hue that the colour map does not have
NARROW = 0.015  # of the width: a box narrower than this gets a bar above the picture, no outline on it

FREQUENCY_TICKS = (50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000)
TICK_DISTANCE = 0.055  # of the height, below which a frequency label is left out


@dataclass(frozen=True)
class Region:
    """A stretch of sound, or a band of it, in seconds and Hz.

    Attributes:
        start, end: seconds from the beginning of the file.
        low_hz, high_hz: the band; all frequencies by default.
    """

    start: float
    end: float
    low_hz: float = 0.0
    high_hz: float = math.inf


def mel(hz: np.ndarray | float) -> np.ndarray:
    """Hz to mel, 2595 log10(1 + f/700) (O'Shaughnessy 1987)."""
    return 2595 * np.log10(1 + np.asarray(hz) / 700)


def hertz(mels: np.ndarray | float) -> np.ndarray:
    """Mel to Hz: the inverse of `mel`."""
    return 700 * (10 ** (np.asarray(mels) / 2595) - 1)


def height(hz: float, rate: float) -> float:
    """Where a frequency stands on the axis: 0 at 0 Hz, 1 at half the sample rate and above."""
    return min(1.0, float(mel(hz) / mel(rate / 2)))


def levels(audio: np.ndarray, rate: float, columns: int, rows: int) -> np.ndarray:
    """The picture in decibels, (rows, columns); row 0 is the band below half the sample rate.

    Each point is the loudest bin of its band and its stretch of time, over all channels.

    Args:
        audio: (time,) or (channels, time), full scale 1.
        rate: samples per second.
        columns, rows: size of the picture; columns share the whole duration evenly.
    """
    channels = np.atleast_2d(np.asarray(audio, dtype=np.float64))
    window = max(4, round(WINDOW_SECONDS * rate))
    per_column = math.ceil(channels.shape[1] / columns / (window / 2))
    frames = columns * per_column
    centres = (
        ((np.arange(frames) + 0.5) * channels.shape[1] / frames).astype(int).reshape(columns, per_column)
    )
    bins = _bins(window, rate, rows)
    at_once = max(1, BLOCK_FRAMES // per_column)
    picture = np.concatenate(
        [
            _at(_loudest(channels, centres[first : first + at_once], window), bins).max(axis=-1)
            for first in range(0, columns, at_once)
        ]
    )
    return 20 * np.log10(np.maximum(picture.T[::-1], 10 ** (SILENCE_DB / 20)))


def _fft_length(window: int) -> int:
    return 1 << (PADDING * window - 1).bit_length()


def _bins(window: int, rate: float, rows: int) -> np.ndarray:
    """(rows, n) fractional bins that sample each row's band, lowest row first, at most one bin apart."""
    edges = np.linspace(0, mel(rate / 2), rows + 1)
    widest = np.diff(hertz(edges)).max() * _fft_length(window) / rate
    inside = (np.arange(math.ceil(widest)) + 0.5) / math.ceil(widest)
    return hertz(edges[:-1, None] + inside * np.diff(edges)[:, None]) * _fft_length(window) / rate


def _loudest(channels: np.ndarray, centres: np.ndarray, window: int) -> np.ndarray:
    """(columns, bins) amplitudes under a periodic Hann window, where a sine at full scale gives 1.

    The largest over the channels and over the frames of each column, whose `centres` are (columns, frames).
    """
    at = centres[..., None] + np.arange(window) - window // 2
    inside = (at >= 0) & (at < channels.shape[1])
    taper = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    frames = channels[:, np.clip(at, 0, channels.shape[1] - 1)] * (inside * taper)
    return np.abs(np.fft.rfft(frames, _fft_length(window))).max(axis=(0, 2)) * 2 / taper.sum()


def _at(spectra: np.ndarray, bins: np.ndarray) -> np.ndarray:
    """Spectra (..., n) read at fractional bins, linear between two of them: (..., *bins.shape)."""
    below = np.minimum(bins.astype(int), spectra.shape[-1] - 2)
    return spectra[..., below] + (bins - below) * (spectra[..., below + 1] - spectra[..., below])


def top_of(pictures: Sequence[np.ndarray]) -> float:
    """The level in dB of the brightest colour for some pictures: their loudest point, rounded up to 5 dB."""
    return 5.0 * math.ceil(max(float(picture.max()) for picture in pictures) / 5)


def colour_map(steps: int = 256) -> np.ndarray:
    """(steps, 3) sRGB bytes from the darkest to the brightest colour."""
    anchors = np.array([list(bytes.fromhex(anchor)) for anchor in COLOURS.split()])
    positions = np.linspace(0, len(anchors) - 1, steps)
    channels = [np.interp(positions, np.arange(len(anchors)), anchors[:, c]) for c in range(3)]
    return np.rint(np.stack(channels, axis=1)).astype(np.uint8)


def paint(picture: np.ndarray, top_db: float) -> Image.Image:
    """Levels (rows, columns) as colours: `top_db` and above brightest, RANGE_DB below it and less darkest."""
    colours = colour_map()
    share = np.clip((picture - top_db) / RANGE_DB + 1, 0, 1)
    return Image.fromarray(colours[np.rint(share * (len(colours) - 1)).astype(int)])


def png(image: Image.Image) -> bytes:
    """The image as a PNG file."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def frequency_ticks(rate: float) -> list[tuple[float, str]]:
    """(Hz, label) for the frequency axis, lowest first, none too near to another or to the top."""
    ticks: list[tuple[float, str]] = []
    last = 0.0
    for hz in FREQUENCY_TICKS:
        at = height(hz, rate)
        if last + TICK_DISTANCE <= at <= 1 - TICK_DISTANCE / 2:
            ticks.append((hz, f"{hz // 1000} kHz" if hz >= 1000 else f"{hz} Hz"))
            last = at
    return ticks


def time_ticks(start: float, end: float, most: int = 8) -> list[tuple[float, str]]:
    """(seconds, label) for the time axis, a round step of 1, 2 or 5 apart, in at most `most` intervals."""
    span = end - start
    power = 10.0 ** math.floor(math.log10(span / most))
    step = next(power * factor for factor in (1, 2, 5, 10) if span <= most * power * factor * (1 + 1e-9))
    first, last = math.ceil(start / step - 1e-6), math.floor(end / step + 1e-6)
    return [(number * step, clock(number * step, step)) for number in range(first, last + 1)]


def clock(seconds: float, step: float) -> str:
    """A time in seconds, as m:ss from a minute on, with the decimals that `step` needs."""
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    minutes, rest = divmod(round(seconds, decimals), 60)
    if not minutes:
        return f"{rest:.{decimals}f} s"
    return f"{minutes:.0f}:{rest:0{2 + bool(decimals) + decimals}.{decimals}f}"


def visible(regions: Sequence[Region], start: float, end: float, closest: float) -> list[Region]:
    """The regions between two times, cut to them, in order; one band's join if nearer than `closest` s."""
    bands: dict[tuple[float, float], list[tuple[float, float]]] = {}
    for region in regions:
        bands.setdefault((region.low_hz, region.high_hz), []).append((region.start, region.end))
    shown: list[Region] = []
    for band, spans in sorted(bands.items()):
        cut = np.clip(sorted(spans), start, end)
        begins, ends = cut[cut[:, 0] < cut[:, 1]].T
        reached = np.maximum.accumulate(ends)
        apart = np.flatnonzero(begins[1:] - reached[:-1] >= closest) + 1
        parts = zip(np.split(begins, apart), np.split(reached, apart), strict=True)
        shown += [Region(float(first[0]), float(last[-1]), *band) for first, last in parts if len(first)]
    return shown


# --- The picture of a README: two panels side by side, in pixels of a display with two pixels to the point.

PANEL = (740, 440)
GAP, LEFT, RIGHT, TOP, BOTTOM = 64, 124, 40, 92, 76
PAPER, INK, FAINT = "#12121a", "#f2f0f5", "#a9a5b8"
SIZES = {"caption": 30, "tick": 24}


def before_after(
    path: str | Path,
    before: np.ndarray,
    after: np.ndarray,
    rate: float,
    *,
    captions: tuple[str, str] = ("before", "after"),
    regions: Sequence[Region] = (),
) -> None:
    """Draws two spectrograms side by side, under one range of levels, into a PNG file.

    Args:
        path: the PNG file, replaced if it exists.
        before, after: (time,) or (channels, time), full scale 1, of the same length.
        rate: samples per second.
        captions: what stands above the panels, with the figures; the built-in font has ASCII only.
        regions: outlined in the first panel.
    """
    pictures = [levels(audio, rate, *PANEL) for audio in (before, after)]
    top_db = top_of(pictures)
    seconds = np.shape(before)[-1] / rate
    image = Image.new("RGB", (LEFT + 2 * PANEL[0] + GAP + RIGHT, TOP + PANEL[1] + BOTTOM), PAPER)
    draw = ImageDraw.Draw(image)
    for index, picture in enumerate(pictures):
        x = LEFT + index * (PANEL[0] + GAP)
        image.paste(paint(picture, top_db), (x, TOP))
        _text(draw, (x, TOP - 28), captions[index], "caption", INK, "ls")
        for box in boxes(regions if index == 0 else (), seconds, rate):
            _mark(draw, box, (x, TOP))
        for at, label in time_ticks(0, seconds, most=6):
            _text(draw, (x + PANEL[0] * at / seconds, TOP + PANEL[1] + 18), label, "tick", FAINT, "mt")
    for hz, label in frequency_ticks(rate):
        _text(draw, (LEFT - 16, TOP + PANEL[1] * (1 - height(hz, rate))), label, "tick", FAINT, "rm")
    image.save(path, "PNG", optimize=True)


def boxes(
    regions: Sequence[Region], seconds: float, rate: float, start: float = 0.0
) -> Iterator[tuple[float, float, float, float]]:
    """(left, top, right, bottom) of each region as shares of a picture of `seconds` from `start` on."""
    for region in visible(regions, start, start + seconds, closest=seconds / 150):
        left, right = ((at - start) / seconds for at in (region.start, region.end))
        yield left, 1 - height(region.high_hz, rate), right, 1 - height(region.low_hz, rate)


def _mark(draw: ImageDraw.ImageDraw, box: tuple[float, float, float, float], corner: tuple[int, int]) -> None:
    """A bar above the panel, and an outline where it does not hide what it marks."""
    left, top, right, bottom = (round(share * size) for share, size in zip(box, PANEL * 2, strict=True))
    x, y = corner
    draw.rectangle((x + left - 1, y - 12, x + max(right, left + 3), y - 6), fill=OUTLINE)
    if right - left >= NARROW * PANEL[0]:
        draw.rectangle((x + left, y + top, x + right, y + bottom), outline=OUTLINE, width=3)


def _text(
    draw: ImageDraw.ImageDraw, at: tuple[float, float], text: str, size: str, colour: str, anchor: str
) -> None:
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    draw.text(at, plain, fill=colour, font=ImageFont.load_default(SIZES[size]), anchor=anchor)
