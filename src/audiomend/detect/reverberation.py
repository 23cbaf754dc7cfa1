"""Reverberation: T60, blind, from how fast the levels of bands fall at the fastest.

Sound may stop at once, a room does not: whatever is said in it, no band falls faster than the room lets it.
So the steepest falls, over a quarter of a second each, tell the decay: their distribution's 5 % point grows
with the decay rate of the room (after Wen, Habets and Naylor 2008, who take the spread of the negative side).
The law between the two was fitted on speech in measured rooms. Music decays by itself: a piano rings for
seconds in a dry room, so for music the estimate says nothing of a room.
"""

from dataclasses import dataclass
from math import exp, log

import numpy as np
from numpy.typing import NDArray

from audiomend.detect.content import SURE_VOICE
from audiomend.detect.finding import Finding, sureness
from audiomend.detect.levels import BANDS, FLOOR_DB, BandLevels
from audiomend.detect.speech_snr import NOISY_DB

FALL_S = 0.25  # over which a straight line is laid
STEEPEST = 0.05  # share of the falls that are steeper than the one that is taken
ABOVE_DB = 4.0  # of the band's 5 % point, where a fall must end: below lies noise
QUIET = 0.05
# ln T60 = A − B ln(fall in dB/s): least squares over 119 clips of training speech, dry and in 34 rooms.
A, B = 7.356, 1.737
LEAST_FALLS = 50
SLOWEST, FASTEST, STEP = 5.0, 2000.0, 0.04  # of the falls that are counted, dB/s, and the relative step
CEILING_DB = 10.0
LONG_S, SURE_S, NONE_S = 0.45, 1.0, 0.2
CLEAR_S = 0.75  # longer ones are a room even where the voice seems noisy: one noisy voice in seven reads so


@dataclass(frozen=True)
class Reverberation:
    """The room around a voice.

    Attributes:
        t60_s: time in which it decays by 60 dB; 0 if too little falls to tell.
        confidence: 0 to 1, that it is a reverberant room if this is a voice; from 0.5, 0.45 s.
    """

    t60_s: float
    confidence: float


class ReverberationDetector:
    """Add blocks, then ask for the result."""

    def __init__(self, channels: int, sample_rate: float) -> None:
        self._bands = BandLevels(channels, sample_rate)
        self._span = round(FALL_S / self._bands.step_s) + 1  # frames of a line
        place = np.arange(self._span) - (self._span - 1) / 2
        self._line = place / (np.square(place).sum() * self._bands.step_s)
        self._held = np.zeros((0, BANDS))
        self._rates = int(log(FASTEST / SLOWEST) / STEP) + 1
        self._falls = np.zeros((BANDS, int(CEILING_DB - FLOOR_DB) + 1, self._rates))
        self._levels = np.zeros((BANDS, self._falls.shape[1]))

    def add(self, block: NDArray[np.floating]) -> None:
        """Take the next samples, (channels, n)."""
        held = np.concatenate([self._held, self._bands.add(block)])
        if len(held) < self._span:
            self._held = held
            return
        windows = np.lib.stride_tricks.sliding_window_view(held, self._span, axis=0)  # (frames, BANDS, span)
        windows = windows[np.all((windows > FLOOR_DB).any(axis=1), axis=1)]  # a gap is no fall of the room's
        fall = -windows @ self._line
        level = np.clip(windows[..., -1] - FLOOR_DB, 0, self._levels.shape[1] - 1).astype(np.int64)
        frame, band = np.nonzero(fall > SLOWEST)
        rate = (np.log(fall[frame, band] / SLOWEST) / STEP).astype(np.int64)
        np.add.at(self._falls, (band, level[frame, band], np.minimum(rate, self._rates - 1)), 1)
        np.add.at(self._levels, (np.broadcast_to(np.arange(BANDS), level.shape), level), 1)
        self._held = held[1 - self._span :]

    def result(self) -> Reverberation:
        """The verdict on what was added so far."""
        below = np.cumsum(self._levels, axis=1) < QUIET * self._levels.sum(axis=1, keepdims=True)
        quiet = below.sum(axis=1, keepdims=True)
        loud = np.arange(self._levels.shape[1]) > quiet + ABOVE_DB
        falls = (self._falls * loud[..., None]).sum(axis=(0, 1))
        if falls.sum() < LEAST_FALLS:
            return Reverberation(0.0, 0.0)
        slower = np.cumsum(falls) < (1 - STEEPEST) * falls.sum()
        steepest = SLOWEST * exp((slower.sum() + 0.5) * STEP)
        t60_s = exp(A - B * log(steepest))
        return Reverberation(t60_s, sureness(t60_s, NONE_S, LONG_S, SURE_S))


def find_reverberation(x: NDArray[np.floating], sample_rate: float) -> Reverberation:
    """The room in x, (channels, time), at a rate in Hz."""
    detector = ReverberationDetector(len(x), sample_rate)
    detector.add(x)
    return detector.result()


def finding(room: Reverberation, speech: float, snr_db: float, *, is_clipped: bool) -> Finding:
    """The verdict in words. It is about a voice: the ring of instruments is not told from a room's.

    speech: how sure it is a voice, 0 to 1.
    snr_db: of the voice. Noise fills the falls of levels as a room does, but seldom so long as CLEAR_S.
    is_clipped: music that is clipped moves as a voice does.
    """
    facts = {"t60_s": round(room.t60_s, 2) if room.t60_s else None}
    if speech < SURE_VOICE:
        return Finding("reverberation", 0.0, "not told from the ring of music", facts, is_told=False)
    if is_clipped:
        return Finding("reverberation", 0.0, "not told from the clipping", facts, is_told=False)
    if snr_db < NOISY_DB and room.t60_s < CLEAR_S:
        return Finding("reverberation", 0.0, "not told from the noise", facts, is_told=False)
    if room.confidence < 0.5:
        return Finding("reverberation", room.confidence, "little", facts)
    return Finding("reverberation", room.confidence, f"T60 of about {room.t60_s:.1f} s", facts)
