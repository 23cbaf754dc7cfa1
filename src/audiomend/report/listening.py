"""Sounds made ready for a fair comparison by ear: which stretch, at what level, in what form."""

import io
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import soundfile

from audiomend.audio.resample import resample
from audiomend.errors import UsageError
from audiomend.report.spectrogram import Region

EXCERPT_SECONDS = 20.0
BIN_SECONDS = 0.1  # how finely the place of an excerpt is chosen
LEAST_UNDAMAGED = 0.1  # share of the samples below which the undamaged ones say too little about the level
RATES = (8_000, 96_000)  # Hz that every browser decodes; others are resampled for listening
FALLBACK_RATE = 48_000
FULL_SCALE = 32_767


@dataclass(frozen=True)
class Sound:
    """A sound to be shown and played.

    Attributes:
        name: a word or two.
        audio: (time,) or (channels, time), full scale 1.
        rate: samples per second.
        note: what it is, one line with its figures.
    """

    name: str
    audio: np.ndarray
    rate: int
    note: str = ""


@dataclass(frozen=True)
class Excerpt:
    """What is shown of some sounds.

    Attributes:
        sounds: with audio (channels, time), all of one rate and length.
        start: where in the file they begin, in seconds.
        duration: of the file, in seconds.
    """

    sounds: tuple[Sound, ...]
    start: float
    duration: float

    @property
    def rate(self) -> int:
        """Samples per second."""
        return self.sounds[0].rate

    @property
    def samples(self) -> int:
        """Samples per channel."""
        return self.sounds[0].audio.shape[1]

    @property
    def seconds(self) -> float:
        """Length of the excerpt."""
        return self.samples / self.rate

    @property
    def end(self) -> float:
        """Where in the file the excerpt ends, in seconds."""
        return self.start + self.seconds


@dataclass(frozen=True)
class Match:
    """Gains that make several sounds equally loud.

    Attributes:
        gains: one factor a sound, the first sound being the reference.
        undamaged: True if the levels were compared on the undamaged samples, False if on all.
        lowered: True if all gains were reduced together, so that no sample exceeds full scale.
    """

    gains: tuple[float, ...]
    undamaged: bool
    lowered: bool


def excerpt_of(sounds: Sequence[Sound], start: float = 0.0, duration: float | None = None) -> Excerpt:
    """All of the sounds, or `EXCERPT_SECONDS` of them where the last two differ most.

    Args:
        sounds: at least one; the last two are the sound before and after mending.
        start: where in the file the given sounds begin, in seconds.
        duration: of the file in seconds, if the sounds are a part of it.

    Raises:
        UsageError: rates or lengths differ, or there is no sample.
    """
    rows = tuple(replace(sound, audio=np.atleast_2d(np.asarray(sound.audio))) for sound in sounds)
    rate, length = rows[0].rate, rows[0].audio.shape[1]
    for sound in rows:
        if (sound.rate, sound.audio.shape[1]) != (rate, length) or not length:
            raise UsageError(
                f"The sound {sound.name!r} has {sound.audio.shape[1]} samples at {sound.rate} Hz; the sounds"
                f" of a page need one rate and length ({rate} Hz, {length}), at least one sample."
            )
    size = round(EXCERPT_SECONDS * rate)
    first = 0
    if length > size:
        changed = loudest_change([(rows[-min(2, len(rows))].audio, rows[-1].audio)], rate, EXCERPT_SECONDS)
        first = min(changed, length - size)
    cut = tuple(replace(sound, audio=sound.audio[:, first : first + size]) for sound in rows)
    return Excerpt(cut, start + first / rate, length / rate if duration is None else duration)


def loudest_change(
    blocks: Iterable[tuple[np.ndarray, np.ndarray]], rate: float, seconds: float = EXCERPT_SECONDS
) -> int:
    """The first sample of the excerpt in which the most was changed: the energy of after - before is largest.

    Of several such excerpts the middle one, so that a lone change stands in the middle.

    Args:
        blocks: (before, after), each (channels, time), consecutive: a file in blocks, or one whole array.
        rate: samples per second.
        seconds: length of the excerpt; a shorter sound gives 0.
    """
    size = max(1, round(BIN_SECONDS * rate))
    width = round(seconds * rate / size)
    energies = np.array([*_change_by_bin(blocks, size)])
    if len(energies) <= width:
        return 0
    sums = np.convolve(energies, np.ones(width), "valid")
    best = np.flatnonzero(sums >= sums.max() * (1 - 1e-9))
    return int(best[len(best) // 2]) * size


def _change_by_bin(blocks: Iterable[tuple[np.ndarray, np.ndarray]], size: int) -> Iterator[float]:
    """Energy of the change in whole bins of `size` samples, wherever the blocks meet."""
    rest = np.zeros(0)
    for before, after in blocks:
        change = np.square(after.astype(np.float64) - before).sum(axis=0)
        rest = np.concatenate([rest, change])
        whole = len(rest) - len(rest) % size
        yield from rest[:whole].reshape(-1, size).sum(axis=1)
        rest = rest[whole:]


def damaged_samples(intervals: Sequence[Region], excerpt: Excerpt) -> np.ndarray:
    """(time,) bool: the samples of the excerpt whose moment lies in an interval, whatever its band."""
    mask = np.zeros(excerpt.samples, dtype=bool)
    for region in intervals:
        first, last = (round((at - excerpt.start) * excerpt.rate) for at in (region.start, region.end))
        mask[max(first, 0) : max(last, 0)] = True
    return mask


def match(sounds: Sequence[np.ndarray], damaged: np.ndarray) -> Match:
    """Gains that give every sound the root mean square of the first one.

    Levels are compared on the undamaged samples, since damage and mending change the level of the others;
    on all samples if fewer than a tenth are undamaged. A silent sound keeps its level.

    Args:
        sounds: arrays (channels, time) of equal length, full scale 1.
        damaged: (time,) bool.
    """
    undamaged = bool(np.mean(~damaged) >= LEAST_UNDAMAGED)
    chosen = ~damaged if undamaged else np.ones_like(damaged)
    rms = [float(np.sqrt(np.mean(np.square(sound[:, chosen], dtype=np.float64)))) for sound in sounds]
    gains = [rms[0] / level if level > 0 and rms[0] > 0 else 1.0 for level in rms]
    peak = max(gain * float(np.abs(sound).max()) for gain, sound in zip(gains, sounds, strict=True))
    lowered = peak > 1
    return Match(tuple(gain / peak if lowered else gain for gain in gains), undamaged, lowered)


def flac(audio: np.ndarray, rate: int) -> bytes:
    """A sound as a browser plays it: FLAC, 16 bits, at most two channels, a rate that browsers know.

    More than two channels are averaged into one; a rate outside `RATES` becomes 48 kHz.

    Args:
        audio: (channels, time), full scale 1; beyond it samples are clipped.
        rate: samples per second.
    """
    heard = np.asarray(audio if len(audio) <= 2 else audio.mean(axis=0, keepdims=True), dtype=np.float64)
    if not RATES[0] <= rate <= RATES[1]:
        heard, rate = resample(heard, rate, FALLBACK_RATE), FALLBACK_RATE
    samples = np.rint(np.clip(heard, -1, 1) * FULL_SCALE).astype(np.int16)
    buffer = io.BytesIO()
    soundfile.write(buffer, samples.T, rate, format="FLAC", subtype="PCM_16")
    return buffer.getvalue()


def decibels(gain: float) -> str:
    """A gain as text: +1.2 dB, -6.0 dB, and 0.0 dB without a sign."""
    value = round(20 * math.log10(gain), 1)
    return "0.0 dB" if value == 0 else f"{value:+.1f} dB"
