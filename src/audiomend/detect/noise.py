"""Steady noise: how far below the sound, and of which colour.

The spectrum is looked at in bands of a third of an octave, in stretches of 0.1 s. Where a band holds nothing
but steady noise now and then, its power has a floor that it keeps coming back to, and at the floor its bins
are distributed as the squared magnitudes of a Gaussian are: exponentially, so that the mean of their
logarithm lies Euler's constant, 2.5 dB, below the logarithm of their mean. The floor of music is touched
once, or is made of lines, whose logarithms lie further down. Bands where noise never shows are interpolated.
"""

from dataclasses import dataclass
from math import inf, log, log10

import numpy as np
from numpy.typing import NDArray

from audiomend.detect.finding import FOUND, Finding, sureness
from audiomend.detect.frames import Frames, hann, nearest_size
from audiomend.detect.speech_snr import NOISE_FREE_DB, NOISY_DB, VERY_NOISY_DB, SpeechSnr

FRAME_S = 0.046  # 2048 samples at 44.1 kHz
GROUP = 4  # frames that are averaged, half overlapping
LOWEST_HZ = 50.0
LEAST_BINS = 8  # of a band
THIRD = 2 ** (1 / 3)
FLOOR_DB, CEILING_DB, STEP_DB = -160.0, 80.0, 0.25  # of the histograms, relative to a bin of power 1
QUANTILE = 0.1  # of the stretches, to start from
NORMAL_QUANTILE = 1.28  # standard deviations below the mean
INDEPENDENT = 0.4 * GROUP  # squared magnitudes in a bin of a group that count as independent: Hann, overlap
LEAST_NEAR = 0.4  # share of the stretches at the floor
LEAST_FLATNESS_DB = -2.9  # mean logarithm at the floor over logarithm of the mean; −2.5 for noise
LEAST_SHARE, SURE_SHARE = 0.25, 0.5  # of the spectrum that must show noise by itself
NEVER_DB, STEEP_DB, MILD_DB = -10.0, -8.0, -7.0  # slopes an octave: what falls faster is a sound's own decay
LEAST_SOUND = 0.01  # of the power: noise alone has an SNR of -20 dB
AUDIBLE_DB, LOUD_DB, NONE_DB = 25.0, 15.0, 40.0
COLOURS = ((-4.5, "brown"), (-1.5, "pink"), (1.5, "white"), (inf, "blue"))  # up to this slope in dB an octave


@dataclass(frozen=True)
class Noise:
    """Steady noise under a sound.

    Attributes:
        snr_db: power of the sound without the noise over that of the noise, above 50 Hz; inf if there is no
            band with steady noise.
        level_db: of the noise, RMS relative to full scale, channels averaged; -inf without any.
        slope_db: of its power density, in dB an octave; 0 for white noise.
        kind: white, pink, brown or blue, by the slope.
        share: of the spectrum in Hz, that of the bands that show it by themselves, 0 to 1.
        confidence: 0 to 1, that it is heard; from 0.5, an SNR of 25 dB with a quarter of the spectrum showing
            it, and no steeper slope than 8 dB an octave.
    """

    snr_db: float
    level_db: float
    slope_db: float
    kind: str
    share: float
    confidence: float


class NoiseDetector:
    """Add blocks, then ask for the result."""

    def __init__(self, channels: int, sample_rate: float) -> None:
        self._size = nearest_size(FRAME_S, sample_rate)
        self._frames = Frames(channels, self._size, together=GROUP)
        self._edges = _edges(self._size, sample_rate / self._size)
        self._octaves = np.log2(self._edges[1:] * self._edges[:-1]) / 2  # of the centres, above a bin
        width = int((CEILING_DB - FLOOR_DB) / STEP_DB)
        bands = len(self._octaves)
        self._counts = np.zeros((channels, bands, width))
        self._flatness = np.zeros((channels, bands, width))  # summed
        self._power, self._groups = np.zeros((channels, bands)), np.zeros(channels)

    def add(self, block: NDArray[np.floating]) -> None:
        """Take the next samples, (channels, n)."""
        frames, window = self._frames.add(block), hann(self._size)
        window /= np.sqrt(np.square(window).sum())
        for first in range(0, frames.shape[1], GROUP):
            self._count(np.square(np.abs(np.fft.rfft(frames[:, first : first + GROUP] * window))))

    def _count(self, power: NDArray[np.float64]) -> None:
        """Take the powers of one group, (channels, GROUP, bins); digital silence is left out."""
        first, last = self._edges[0], self._edges[-1]
        widths = np.diff(self._edges)
        inside = np.maximum(power[..., first:last], 1e-30)
        means = np.add.reduceat(inside, self._edges[:-1] - first, axis=-1) / widths
        logs = np.add.reduceat(np.log(inside), self._edges[:-1] - first, axis=-1) / widths
        flatness = (logs - np.log(means)).mean(axis=1) * 10 / log(10)
        level = means.mean(axis=1)  # (channels, bands)
        index = (10 * np.log10(level) - FLOOR_DB) / STEP_DB
        c, b = np.nonzero(index >= 0)
        k = np.minimum(index[c, b].astype(np.int64), self._counts.shape[2] - 1)
        self._counts[c, b, k] += 1
        self._flatness[c, b, k] += flatness[c, b]
        sounding = np.any(index >= 0, axis=1)
        self._power[sounding] += level[sounding]
        self._groups += sounding

    def result(self) -> Noise:
        """The verdict on what was added so far."""
        widths = np.diff(self._edges)
        floor, shows = self._floors(widths)
        if not shows.any():
            return Noise(inf, -inf, 0.0, "none", 0.0, 0.0)
        total = (self._power / np.maximum(self._groups, 1)[:, None]) @ widths
        noise = np.array([_filled(f, s, self._octaves) @ widths for f, s in zip(floor, shows, strict=True)])
        share = float((shows[noise > 0] @ widths).mean() / widths.sum())
        sound = max(float((total - noise).sum()), LEAST_SOUND * float(total.sum()))
        snr_db = 10 * log10(sound / float(noise.sum()))
        # A bin of power 1 is a density of one over half the size.
        level_db = 10 * log10(2 * float(noise.mean()) / self._size)
        slope = self._slope(floor, shows)
        kind = next(name for most, name in COLOURS if slope <= most)
        confidences = (
            sureness(snr_db, NONE_DB, AUDIBLE_DB, LOUD_DB),
            sureness(share, 0, LEAST_SHARE, SURE_SHARE),
            sureness(slope, NEVER_DB, STEEP_DB, MILD_DB),
        )
        return Noise(snr_db, level_db, slope, kind, share, min(confidences))

    def _floors(self, widths: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Power that each band of each channel comes back to, and whether it is that of noise."""
        counts = self._counts.sum(axis=2, keepdims=True)
        deviation = 10 / log(10) / np.sqrt(widths * INDEPENDENT)  # of a band's level in noise, in dB
        below = np.cumsum(self._counts, axis=2) < QUANTILE * counts
        levels = FLOOR_DB + STEP_DB * (np.arange(self._counts.shape[2]) + 0.5)
        floor_db = FLOOR_DB + STEP_DB * (below.sum(axis=2) + 0.5) + NORMAL_QUANTILE * deviation
        near = np.abs(levels - floor_db[..., None]) <= (2 * deviation + 0.75)[:, None]
        at_floor = (self._counts * near).sum(axis=2)
        flatness = (self._flatness * near).sum(axis=2) / np.maximum(at_floor, 1)
        steady = at_floor >= LEAST_NEAR * np.maximum(counts[..., 0], 1)
        return 10 ** (floor_db / 10), steady & (flatness >= LEAST_FLATNESS_DB) & (at_floor > 1)

    def _slope(self, floor: NDArray[np.float64], shows: NDArray[np.bool_]) -> float:
        """Of a straight line through the levels of the bands with noise, over octaves."""
        octaves = np.broadcast_to(self._octaves, floor.shape)[shows]
        if np.ptp(octaves) < 1:
            return 0.0
        return float(np.polyfit(octaves, 10 * np.log10(floor[shows]), 1)[0])


def _edges(size: int, bin_hz: float) -> NDArray[np.int64]:
    """First bin of each band, a third of an octave or LEAST_BINS wide, and half the rate, where they end."""
    edges = [max(round(LOWEST_HZ / bin_hz), 1)]
    while (following := max(edges[-1] + LEAST_BINS, round(edges[-1] * THIRD))) <= size // 2:
        edges.append(following)
    return np.array([*(edges[:-1] or edges), size // 2])


def _filled(
    floor: NDArray[np.float64], shows: NDArray[np.bool_], octaves: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The noise in every band, never above the floor there: where it does not show, on a straight line
    between the nearest bands where it does, or along the slope of them all."""
    if not shows.any():
        return np.zeros_like(floor)
    known, level = octaves[shows], np.log(floor[shows])
    line = np.interp(octaves, known, level)
    slope = np.polyfit(known, level, 1)[0] if np.ptp(known) >= 1 else 0.0
    line += slope * (np.minimum(octaves - known[0], 0) + np.maximum(octaves - known[-1], 0))
    return np.where(shows, floor, np.minimum(np.exp(line), floor))


def find_noise(x: NDArray[np.floating], sample_rate: float) -> Noise:
    """The noise under x, (channels, time), at a rate in Hz."""
    detector = NoiseDetector(len(x), sample_rate)
    detector.add(x)
    return detector.result()


def finding(noise: Noise, voice: SpeechSnr | None) -> Finding:
    """The verdict in words: on steady noise, and on any noise under what is a voice for sure."""
    is_steady = noise.snr_db < inf
    facts = {
        "snr_db": round(noise.snr_db, 1) if is_steady else None,
        "level_db": round(noise.level_db, 1) if is_steady else None,
        "kind": noise.kind if is_steady else None,
        "slope_db_per_octave": round(noise.slope_db, 1),
        "share_of_spectrum": round(noise.share, 2),
        "speech_snr_db": round(voice.db, 1) if voice else None,
    }
    unsteady = sureness(voice.db, NOISE_FREE_DB, NOISY_DB, VERY_NOISY_DB) if voice else 0.0
    if voice and unsteady >= FOUND and unsteady > noise.confidence:
        return Finding("noise", unsteady, f"{voice.db:.0f} dB below the voice", facts)
    if not is_steady:
        return Finding("noise", unsteady, "no steady noise", facts)
    summary = f"{noise.kind}, {noise.snr_db:.0f} dB below the sound"
    return Finding("noise", max(noise.confidence, unsteady), summary, facts)
