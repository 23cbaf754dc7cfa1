"""Dropouts: short falls of level that are not digital silence, with steep edges in a steady sound.

The level in frames of 2 ms falls by 20 dB within two of them, stays down, and comes back to what it was as
steeply. Speech and drums do that too, but not out of a steady sound and back into one: for 20 ms on either
side the level must not fall by 12 dB, nor may it lie far below that of the channel, where gates close. The
price is that dropouts next to onsets and pauses, and in soft places, are missed. What rounding may have
hidden counts as there: a soft pause that 8 bits made silent is no dropout. Nor are falls that keep time, as
those of a gate or a tremolo do.
"""

from dataclasses import dataclass, field
from math import log10

import numpy as np
from numpy.typing import NDArray

from audiomend.detect.finding import Finding, Place, sureness
from audiomend.detect.quantisation import QuantisationDetector
from audiomend.words import plural

FRAME_S = 0.002
FALL_DB = 20.0
EDGE = 2  # frames within which it falls, and comes back
DEPTH_DB = 24.0  # of the middle of it
SHORTEST, LONGEST = 4, 500  # frames: 8 ms to 1 s
CONTEXT = 10  # frames on either side that must be steady
STEADY_DB = 12.0
BALANCE_DB = 12.0  # between the levels before and after
LEAST_DB = -20.0  # of the sound around it, relative to the channel's RMS
SILENCE_DB = -140.0
BEATS = 8  # falls in a row that keep time
PULSE_S = (0.06, 0.5)  # of the time that they keep
LATE_S = 0.004  # by which they may miss it, two frames


@dataclass(frozen=True)
class Dropout:
    """A dropout in one channel.

    Attributes:
        channel: its number, from 0.
        start, stop: first sample and first sample after it, with a frame of 2 ms to spare on either side.
        depth_db: how far the level inside lies below the one around it.
        confidence: 0.5 to 1, by the depth.
    """

    channel: int
    start: int
    stop: int
    depth_db: float
    confidence: float


@dataclass
class _Channel:
    """Levels of the last frames, and what was found so far."""

    size: int
    rest: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    level: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    offset: int = 0  # number of the frame level[0]
    end: int = 0  # first frame after the last dropout
    found: list[tuple[int, int, float, float]] = field(default_factory=list[tuple[int, int, float, float]])
    energy: float = 0.0
    samples: int = 0

    def add(self, x: NDArray[np.float64], noise: float) -> None:
        self.energy += float(np.square(x).sum())
        self.samples += len(x)
        held = np.concatenate([self.rest, x])
        count = len(held) // self.size
        power = np.square(held[: count * self.size]).reshape(count, self.size).mean(axis=1)
        floor = 10 ** (SILENCE_DB / 10)
        self.level = np.concatenate([self.level, 10 * np.log10(np.maximum(power + noise, floor))])
        self.rest = held[count * self.size :]
        self._search()
        done = max(len(self.level) - LONGEST - 2 * CONTEXT - EDGE, 0)
        self.level, self.offset = self.level[done:], self.offset + done

    def dropouts(self) -> list[tuple[int, int, float]]:
        """First frame, first frame after it and depth of those in loud places that keep no time."""
        least = 10 * log10(max(self.energy / max(self.samples, 1), 1e-30)) + LEAST_DB
        starts = np.array([start for start, *_ in self.found]) * FRAME_S
        return [
            (start, stop, depth)
            for (start, stop, around, depth), is_beat in zip(self.found, _beats(starts), strict=True)
            if around >= least and not is_beat
        ]

    def _search(self) -> None:
        """Note the dropouts whose frames after are there; what lacks frames before was seen already."""
        level = self.level
        if len(level) < 2 * CONTEXT + SHORTEST:
            return
        ahead = np.lib.stride_tricks.sliding_window_view(level, EDGE)
        before = ahead[CONTEXT - EDGE : len(level) - EDGE].max(axis=1)  # of the frames from CONTEXT on
        for fall in (np.flatnonzero(level[CONTEXT:] <= before - FALL_DB) + CONTEXT).tolist():
            around = float(before[fall - CONTEXT])
            if fall + self.offset >= self.end and (stop := self._stop(fall, around)):
                inside = float(np.median(level[fall:stop]))
                if around - inside >= DEPTH_DB:
                    self.found.append((fall + self.offset, stop + self.offset, around, around - inside))
                self.end = stop + self.offset

    def _stop(self, fall: int, around: float) -> int:
        """First frame after the dropout that begins here; 0 if it is none or not known to be one yet."""
        level = self.level
        back = np.flatnonzero(level[fall : fall + LONGEST + 1] > around - FALL_DB)
        if not len(back) or back[0] < SHORTEST:
            return 0
        stop = fall + int(back[0])
        after = level[stop : stop + EDGE].max()
        beyond = level[stop + 1 : stop + CONTEXT]
        if len(beyond) < CONTEXT - 1 or abs(after - around) > BALANCE_DB:
            return 0
        steady = level[fall - CONTEXT : fall].min() > around - STEADY_DB
        return stop if steady and beyond.min() > after - STEADY_DB else 0


class DropoutDetector:
    """Add blocks, then ask for the result."""

    def __init__(self, channels: int, sample_rate: float) -> None:
        size = max(round(FRAME_S * sample_rate), 1)
        self._channels = [_Channel(size) for _ in range(channels)]
        self._grid = QuantisationDetector()

    def add(self, block: NDArray[np.floating]) -> None:
        """Take the next samples, (channels, n)."""
        self._grid.add(block)
        for row, channel in zip(block, self._channels, strict=True):
            channel.add(row.astype(np.float64), self._grid.noise)

    def result(self) -> tuple[Dropout, ...]:
        """All dropouts, channel by channel in the order of time."""
        return tuple(
            Dropout(number, (start - 1) * channel.size, (stop + 1) * channel.size, depth, _confidence(depth))
            for number, channel in enumerate(self._channels)
            for start, stop, depth in channel.dropouts()
        )


def _beats(times: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which of the times, in s and rising, are among BEATS in a row that lie on the pulses of some period."""
    is_beat = np.zeros(len(times), np.bool_)
    for first in range(len(times) - BEATS + 1):
        since = times[first : first + BEATS] - times[first]
        period = since[-1] / np.rint(since[-1] / np.diff(since).min())
        late = np.abs(since - period * np.rint(since / period))
        if PULSE_S[0] <= period <= PULSE_S[1] and late.max() <= LATE_S:
            is_beat[first : first + BEATS] = True
    return is_beat


def _confidence(depth_db: float) -> float:
    return sureness(depth_db, 0, DEPTH_DB, 2 * DEPTH_DB)


def find_dropouts(x: NDArray[np.floating], sample_rate: float) -> tuple[Dropout, ...]:
    """The dropouts of x, (channels, time), at a rate in Hz."""
    detector = DropoutDetector(len(x), sample_rate)
    detector.add(x)
    return detector.result()


def finding(dropouts: tuple[Dropout, ...], sample_rate: float) -> Finding:
    """The verdict in words."""
    seconds = sum(one.stop - one.start for one in dropouts) / sample_rate
    facts = {
        "count": len(dropouts),
        "seconds": seconds,
        "depth_db": [round(d.depth_db, 1) for d in dropouts[:9]],
    }
    if not dropouts:
        return Finding("dropouts", 0.0, "none", facts)
    deepest = max(one.depth_db for one in dropouts)
    summary = f"{plural(len(dropouts), 'fall')} of level by up to {deepest:.0f} dB, {seconds:.3f} s together"
    places = tuple(Place(one.channel, one.start, one.stop) for one in dropouts)
    return Finding("dropouts", max(one.confidence for one in dropouts), summary, facts, places)
