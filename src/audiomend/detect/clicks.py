"""Clicks and crackle: a few samples that what is around them does not predict.

An autoregressive model, renewed every 46 ms, whitens the sound: forwards with A, which answers a click of l
samples with l + order, and backwards with A*. Both answer in the click itself, so its ends are where the
smaller of the two falls off; and the matched filter A A*, whose gain on a click is that of its best detector
(Godsill and Rayner, "Digital Audio Restoration", 1998, chapter 5), tells how far it stands out.

Drums, consonants and plucked strings begin as suddenly. But what they excite goes on: so a click must be
short and stand out both from the 4 ms before it and from the 4 ms after it.

On 53 recordings of music (6 s each, with drums, percussion and electronic loops), 1 was found where none was
known; of clicks of 1 to 60 samples, 10 dB below the sound's level to 15 dB above it, 94 %, and of crackle
(1 to 5 samples, 20 dB below to 0), 84 %. A voice sampled at 16 kHz has pulses as short as clicks: below
32 kHz twice as much must stand out, which leaves one false alarm in 17 s of speech and finds 55 % and 25 %.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from audiomend.classical.autoregression import lpc
from audiomend.detect.finding import Finding, Place, plural, sureness

ORDER = 24
FRAME_S = 0.093  # 4096 samples at 44.1 and 48 kHz; the middle half is searched
BLOCKS = 8  # of a frame, each with a level of its own
FRAMES_AT_ONCE = 32
BLOCK_SHARE, BLOCK_DEVIATIONS = 0.9, 1.645  # of a Gaussian's magnitudes, 90 % lie below 1.645 deviations
SIDE_S, SIDE_SHARE, SIDE_DEVIATIONS = 0.004, 0.8, 1.282
TRIGGER = 6.0  # deviations of the block from which a place is looked at
EDGE = 3.0  # deviations of both residuals inside a click
JOIN_S = 1.8e-4  # parts of a click are this near to each other
LONGEST_S = 0.002
THRESHOLD, NARROW_THRESHOLD = 10.0, 20.0  # deviations of either side that a click stands out by
NARROW_HZ = 32_000  # rates below it
LOWEST_HZ = 8_000  # at lower rates a click has no width
FLOOR = 1e-5  # least deviation, full scale 1: what rounding to 16 bits leaves of silence is no click

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Click:
    """A click in one channel.

    Attributes:
        channel: its number, from 0.
        start, stop: first sample of the click and first sample after it.
        confidence: 0.5 to 1: how far it stands out, relative to that plus the threshold.
    """

    channel: int
    start: int
    stop: int
    confidence: float


class ClickDetector:
    """Add blocks, then ask for the result."""

    def __init__(self, channels: int, sample_rate: float) -> None:
        self._rate = sample_rate
        self._size = 2 ** round(np.log2(FRAME_S * sample_rate))
        self._held = np.zeros((channels, 0))
        self._frames = 0  # that are done
        self._samples = 0
        self._found: list[tuple[int, int, int, float]] = []

    def add(self, block: NDArray[np.floating]) -> None:
        """Take the next samples, (channels, n)."""
        if self._rate < LOWEST_HZ:
            return
        self._samples += block.shape[1]
        self._held = np.concatenate([self._held, block.astype(np.float64)], axis=1)
        if self._frames == 0 and self._held.shape[1] >= self._size:
            self._held = np.pad(self._held, ((0, 0), (self._size // 4, 0)), "reflect", reflect_type="odd")
        if self._samples >= self._size:
            self._search()

    def result(self) -> tuple[Click, ...]:
        """All clicks, channel by channel in the order of time; none in less than a frame."""
        if self._samples < self._size or self._rate < LOWEST_HZ:
            return ()
        ended = self._copy()
        ended._held = np.pad(ended._held, ((0, 0), (0, self._size)), "reflect", reflect_type="odd")
        ended._search()
        last = self._samples - ORDER
        return tuple(
            Click(*found) for found in _merged(ended._found) if found[1] >= ORDER and found[2] <= last
        )

    def _copy(self) -> "ClickDetector":
        other = ClickDetector(len(self._held), self._rate)
        other._held, other._frames, other._samples = self._held, self._frames, self._samples
        other._found = list(self._found)
        return other

    def _search(self) -> None:
        """Look at the frames that are complete, and keep what the next one needs."""
        size, hop = self._size, self._size // 2
        count = (self._held.shape[1] - size) // hop + 1
        count = min(count, -(-self._samples // hop) - self._frames)
        for first in range(0, count, FRAMES_AT_ONCE):
            many = min(FRAMES_AT_ONCE, count - first)
            stretch = self._held[:, first * hop : (first + many - 1) * hop + size]
            frames = np.lib.stride_tricks.sliding_window_view(stretch, size, axis=1)[:, ::hop]
            for row, start, stop, excess in _clicks(frames.reshape(-1, size), self._rate):
                channel, frame = divmod(row, many)
                offset = (self._frames + first + frame) * hop - size // 4
                self._found.append((channel, start + offset, stop + offset, excess))
        self._frames += max(count, 0)
        self._held = self._held[:, max(count, 0) * hop :]


def find_clicks(x: NDArray[np.floating], sample_rate: float) -> tuple[Click, ...]:
    """The clicks in x, (channels, time), at a rate in Hz."""
    detector = ClickDetector(len(x), sample_rate)
    detector.add(x)
    return detector.result()


def _clicks(frames: Floats, rate: float) -> Iterator[tuple[int, int, int, float]]:
    """Of frames (rows, size): row, start and stop in the frame, confidence of what its middle half holds."""
    rows, size = frames.shape
    matched, both, forward = _residuals(frames)
    block = size // BLOCKS
    inner, near = slice(2 * block, -2 * block), slice(block, -block)
    trigger = np.zeros((rows, size), np.bool_)
    trigger[:, inner] = matched[:, inner] > TRIGGER * np.repeat(_deviations(matched), block, axis=1)
    edge = np.pad(_deviations(forward), ((0, 0), (1, 1)), "edge")
    inside = trigger.copy()
    inside[:, near] |= both[:, near] > EDGE * np.repeat(edge, block, axis=1)

    starts, stops = _runs(inside.ravel(), round(JOIN_S * rate))
    triggered = np.concatenate([[0], np.cumsum(trigger)])
    chosen = (triggered[stops] > triggered[starts]) & (stops - starts <= LONGEST_S * rate)
    starts, stops = starts[chosen], stops[chosen]
    if len(starts) == 0:
        return
    flat = matched.ravel()
    peaks = np.maximum.reduceat(flat, np.stack([starts, stops], axis=1).ravel())[::2]
    width = round(SIDE_S * rate)
    before, after = (_side(flat, first, width) for first in (starts - ORDER - width, stops + ORDER))
    excess = peaks / np.maximum(np.maximum(before, after), FLOOR)
    least = THRESHOLD if rate >= NARROW_HZ else NARROW_THRESHOLD
    for i in np.flatnonzero(excess >= least):
        row, start = divmod(int(starts[i]), size)
        yield row, start, start + int(stops[i] - starts[i]), float(excess[i] / (excess[i] + least))


def _residuals(frames: Floats) -> tuple[Floats, Floats, Floats]:
    """Magnitudes, (rows, size) each: of the matched filter, at the level of the forward residual; of the
    smaller of forward and backward residual; and of the forward one. Circular: the ends are to be left out."""
    x = torch.from_numpy(frames.copy())
    size = x.shape[-1]
    a = lpc(x * torch.hann_window(size, dtype=x.dtype), ORDER)
    spectrum, response = torch.fft.rfft(x), torch.fft.rfft(a, size)
    forward = torch.fft.irfft(spectrum * response, size).abs_()
    backward = torch.fft.irfft(spectrum * response.conj(), size).abs_()
    matched = torch.fft.irfft(spectrum * response.abs().square(), size).abs_()
    matched /= a.square().sum(-1, keepdim=True).sqrt()
    return matched.numpy(), torch.minimum(forward, backward).numpy(), forward.numpy()


def _deviations(magnitude: Floats) -> Floats:
    """(rows, size) to (rows, BLOCKS - 4): the deviation around each of the inner blocks.

    The larger of that before and that after it, each the smaller of two blocks, as a click may reach into one.
    """
    blocks = magnitude.reshape(len(magnitude), BLOCKS, -1)
    place = round(BLOCK_SHARE * (blocks.shape[-1] - 1))
    level = np.partition(blocks, place, axis=-1)[..., place] / BLOCK_DEVIATIONS
    before, after = np.minimum(level[:, :-4], level[:, 1:-3]), np.minimum(level[:, 3:-1], level[:, 4:])
    return np.maximum(np.maximum(before, after), FLOOR)


def _side(magnitude: Floats, first: Ints, width: int) -> Floats:
    """Deviation of the `width` samples from each place on."""
    samples = magnitude[(first[:, None] + np.arange(width)).clip(0, len(magnitude) - 1)]
    place = round(SIDE_SHARE * (width - 1))
    return np.partition(samples, place, axis=-1)[:, place] / SIDE_DEVIATIONS


def _runs(mask: NDArray[np.bool_], join: int) -> tuple[Ints, Ints]:
    """First index of each run of True, and the first index after it; those at most `join` apart are one."""
    bounds = np.flatnonzero(np.diff(mask, prepend=False, append=False))
    starts, stops = bounds[::2], bounds[1::2]
    if len(starts) == 0:
        return starts, stops
    apart = starts[1:] - stops[:-1] > join
    return starts[np.append(True, apart)], stops[np.append(apart, True)]


def _merged(found: list[tuple[int, int, int, float]]) -> list[tuple[int, int, int, float]]:
    """In order; what two frames found of one click is one."""
    merged: list[tuple[int, int, int, float]] = []
    for channel, start, stop, confidence in sorted(found):
        if merged and merged[-1][0] == channel and start <= merged[-1][2]:
            _, first, last, other = merged[-1]
            merged[-1] = (channel, first, max(last, stop), max(other, confidence))
        else:
            merged.append((channel, start, stop, confidence))
    return merged


def finding(clicks: tuple[Click, ...], seconds: float) -> Finding:
    """The verdict in words on the clicks of a sound so long: one may be a false alarm, many are none."""
    weight = sum(2 * click.confidence - 1 for click in clicks)  # 0 for one that just stands out, 1 at most
    facts = {"count": len(clicks), "per_second": round(len(clicks) / max(seconds, 1e-9), 3)}
    if not clicks:
        return Finding("clicks", 0.0, "none", facts)
    places = tuple(Place(click.channel, click.start, click.stop) for click in clicks)
    return Finding("clicks", sureness(weight, 0, 1, 3), plural(len(clicks), "click"), facts, places)
