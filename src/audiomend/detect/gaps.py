"""Gaps: runs of exact digital silence that break off a sound and let it go on.

The silence of a pause, of a fade or of a coarse quantiser is reached gradually, or is long. So both edges of
a gap must be above silence, against the channel and against its quantisation, and it lasts from 2 ms to 2 s.
One of them must be loud for it to be sure, since a gate closes and opens in what is soft. In 157 recordings
of music, singing and speech nothing was found where no gap was; of 628 gaps of 5 to 400 ms put there at
random 89 % were found for sure, 96 % in all.
"""

from dataclasses import dataclass, field
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from audiomend.detect.finding import FOUND, Finding, Place
from audiomend.detect.quantisation import QuantisationDetector
from audiomend.words import plural

SHORTEST_S = 0.002
LONGEST_S = 2.0
EDGE_S = SHORTEST_S  # stretch on either side whose largest magnitude is the level of that edge
EDGE_DB = -40.0  # least level of both edges, relative to the RMS of samples that are not 0
LOUD_DB = -15.0  # and of one of them, if the gap is sure
EDGE_STEPS = 10  # and of the weaker one in steps of the grid of the samples, if they have one


@dataclass(frozen=True)
class Gap:
    """A gap in one channel.

    Attributes:
        channel: its number, from 0.
        start, stop: first sample of the gap and first sample after it.
        confidence: 0.5 to 1, level of the weaker edge relative to itself plus the least level; below 0.5, in
            the same way by the louder one, where that is soft.
    """

    channel: int
    start: int
    stop: int
    confidence: float


@dataclass
class _Channel:
    """What one channel has shown so far, and its last samples as far as they are still needed.

    A run of zeros waits until the edge after it is complete; the samples from the edge before it on are held.
    """

    shortest: int
    longest: int
    edge: int
    held: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    offset: int = 0  # position of held[0] in the file
    runs: list[tuple[int, int, float, float]] = field(default_factory=list[tuple[int, int, float, float]])
    energy: float = 0.0
    sounding: int = 0

    def add(self, x: NDArray[np.float64]) -> None:
        magnitude = np.abs(x)
        sounding = magnitude[magnitude > 0]
        self.energy += float((sounding**2).sum())
        self.sounding += len(sounding)
        self.held = np.concatenate([self.held, magnitude])
        limit = len(self.held) - self.edge
        starts, ends = _runs_of_zeros(self.held)
        self.runs += self._bounded(starts, ends, limit)
        waiting = int(starts[ends > limit].min(initial=len(self.held))) - self.edge
        self._drop(max(waiting, len(self.held) - self.longest - 2 * self.edge - 1, 0))

    def gaps(self, step: float) -> list[tuple[int, int, float]]:
        """Start, stop, confidence, on a grid of this step; what is held is taken for the end of the file."""
        starts, ends = _runs_of_zeros(self.held)
        runs = self.runs + self._bounded(starts, ends, len(self.held) - 1)
        rms = sqrt(self.energy / max(self.sounding, 1))
        least, loud = max(rms * 10 ** (EDGE_DB / 20), EDGE_STEPS * step), rms * 10 ** (LOUD_DB / 20)
        return [
            (start, stop, weaker / (weaker + least) if louder >= loud else louder / (louder + loud))
            for start, stop, weaker, louder in runs
            if weaker >= least
        ]

    def _bounded(
        self, starts: NDArray[np.int64], ends: NDArray[np.int64], limit: int
    ) -> list[tuple[int, int, float, float]]:
        """Start, stop, weaker and louder edge of the runs of fitting length that end by this index.

        A run that was found before has left: of it, less than an edge is still held, which is too short.
        """
        length = ends - starts
        fits = (length >= self.shortest) & (length <= self.longest) & (starts + self.offset > 0)
        chosen = fits & (ends <= limit)
        found: list[tuple[int, int, float, float]] = []
        for start, end in zip(starts[chosen].tolist(), ends[chosen].tolist(), strict=True):
            before = self.held[max(start - self.edge, 0) : start].max()
            after = self.held[end : end + self.edge].max()
            weaker, louder = sorted((float(before), float(after)))
            found.append((start + self.offset, end + self.offset, weaker, louder))
        return found

    def _drop(self, count: int) -> None:
        self.held, self.offset = self.held[count:], self.offset + count


def _runs_of_zeros(x: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First index of each run, and the first index after it."""
    bounds = np.flatnonzero(np.diff(x == 0, prepend=False, append=False))
    return bounds[::2], bounds[1::2]


class GapDetector:
    """Add blocks, then ask for the result."""

    def __init__(self, channels: int, sample_rate: float) -> None:
        shortest, longest, edge = (max(round(s * sample_rate), 1) for s in (SHORTEST_S, LONGEST_S, EDGE_S))
        self._channels = [_Channel(shortest, longest, edge) for _ in range(channels)]
        self._grid = QuantisationDetector()

    def add(self, block: NDArray[np.floating]) -> None:
        """Take the next samples, (channels, n)."""
        self._grid.add(block)
        for row, channel in zip(block, self._channels, strict=True):
            channel.add(row.astype(np.float64))

    def result(self) -> tuple[Gap, ...]:
        """All gaps, those that are not sure among them, channel by channel in the order of time."""
        every = [channel.gaps(self._grid.step) for channel in self._channels]
        return tuple(Gap(number, *gap) for number, gaps in enumerate(every) for gap in gaps)


def find_gaps(x: NDArray[np.floating], sample_rate: float) -> tuple[Gap, ...]:
    """The gaps of x, (channels, time), at a rate in Hz."""
    detector = GapDetector(len(x), sample_rate)
    detector.add(x)
    return detector.result()


def finding(gaps: tuple[Gap, ...], sample_rate: float) -> Finding:
    """The verdict in words, on those that are sure."""
    sure = tuple(gap for gap in gaps if gap.confidence >= FOUND)
    stretches = {(gap.start, gap.stop) for gap in sure}  # one in several channels is one
    seconds = sum(stop - start for start, stop in stretches) / sample_rate
    soft = len({(gap.start, gap.stop) for gap in gaps} - stretches)
    facts = {"count": len(stretches), "seconds": seconds, "soft_count": soft}
    if not sure:
        where = f"none, but {plural(soft, 'stretch', 'stretches')} of digital silence in what is soft"
        confidence = max((gap.confidence for gap in gaps), default=0.0)
        return Finding("gaps", confidence, where if soft else "none", facts)
    summary = f"{plural(len(stretches), 'gap')} of digital silence, {seconds:.3f} s together"
    if soft:
        summary = f"{summary}; {soft:,} more in what is soft"
    places = tuple(Place(gap.channel, gap.start, gap.stop) for gap in sure)
    return Finding("gaps", max(gap.confidence for gap in sure), summary, facts, places)
