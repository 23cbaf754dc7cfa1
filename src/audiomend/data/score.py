"""Notes in time: what a renderer plays."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Score:
    """N notes sorted by onset, times in seconds.

    Attributes:
        onset: (N,) key down.
        release: (N,) key up.
        key: (N,) MIDI key, 60 is middle C, 69 is A at 440 Hz.
        velocity: (N,) 1 to 127.
        track: (N,) number of the track that the note came from.
        pedal: (P, 2) spans in which the sustain pedal is down, disjoint and sorted.
        beats: (B,) times of the beats.
    """

    onset: Floats
    release: Floats
    key: Ints
    velocity: Ints
    track: Ints
    pedal: Floats
    beats: Floats

    @property
    def seconds(self) -> float:
        """Time of the last key-up."""
        return float(self.release.max(initial=0.0))


def sounding_end(score: Score) -> Floats:
    """Time (N,) at which the damper falls on each note: key-up, or pedal-up where the pedal is down then."""
    if len(score.pedal) == 0:
        return score.release
    span = np.searchsorted(score.pedal[:, 0], score.release, side="right") - 1
    end = np.where(span >= 0, score.pedal[span, 1], -np.inf)
    return np.maximum(score.release, end)


def select(score: Score, chosen: NDArray[np.bool_]) -> Score:
    """The notes where `chosen` (N,) is true, with pedal and beats as they are."""
    return replace(
        score,
        onset=score.onset[chosen],
        release=score.release[chosen],
        key=score.key[chosen],
        velocity=score.velocity[chosen],
        track=score.track[chosen],
    )


def excerpt(score: Score, start: float, seconds: float) -> Score:
    """Notes that begin in [start, start + seconds), with times counted from `start`."""
    kept = select(score, (score.onset >= start) & (score.onset < start + seconds))
    pedal = score.pedal[(score.pedal[:, 1] > start) & (score.pedal[:, 0] < start + seconds)]
    beats = score.beats[(score.beats >= start) & (score.beats < start + seconds)]
    return replace(
        kept, onset=kept.onset - start, release=kept.release - start, pedal=pedal - start, beats=beats - start
    )


def random_score(seconds: float, generator: np.random.Generator) -> Score:
    """Notes made at random: a melody and chords in a scale, for pools that may not use the MIDI pieces.

    All begin before `seconds`, of which there must be at least 2.
    Tempo 50 to 160 beats a minute, key and mode at random, dynamics as a slow random walk, pedal renewed
    with each chord in two thirds of the scores.
    """
    beat = 60 / generator.uniform(50, 160)
    beats = np.arange(0, seconds - beat, beat)
    scale = _scale(generator)
    loudness = np.clip(64 + np.cumsum(generator.normal(0, 5, len(beats))), 25, 115)
    rows: list[tuple[float, float, int, float, int]] = []
    place = int(generator.integers(len(scale) // 2, len(scale) - 8))
    for i, start in enumerate(beats):
        parts = int(generator.choice([1, 2, 3, 4], p=[0.3, 0.4, 0.1, 0.2]))
        for part in range(parts):  # melody: small steps in the upper half of the scale
            place = int(np.clip(place + generator.integers(-3, 4), len(scale) // 3, len(scale) - 1))
            on = start + part * beat / parts
            length = beat / parts * generator.uniform(0.4, 1.1)
            rows.append((on, on + length, scale[place], loudness[i] + 8, 0))
        if i % 2 == 0:  # chord: stacked thirds in the lower half
            root = int(generator.integers(0, len(scale) // 2))
            length = 2 * beat * generator.uniform(0.5, 1.0)
            rows += [(start, start + length, scale[root + step], loudness[i], 1) for step in (0, 2, 4)]
    table = np.array(rows, np.float64)
    table[:, 0] += generator.uniform(0, 0.015, len(table))  # hands are not exactly together
    table = table[np.argsort(table[:, 0], kind="stable")]
    pedal = np.stack([beats[::2] + 0.08, beats[::2] + 2 * beat - 0.02], axis=1)
    return Score(
        onset=table[:, 0],
        release=table[:, 1],
        key=table[:, 2].astype(np.int64),
        velocity=np.clip(table[:, 3] + generator.normal(0, 6, len(table)), 1, 127).astype(np.int64),
        track=table[:, 4].astype(np.int64),
        pedal=pedal if generator.random() < 2 / 3 else pedal[:0],
        beats=beats,
    )


def _scale(generator: np.random.Generator) -> list[int]:
    """Keys 36 to 96 of a major, minor or pentatonic scale on a random tonic."""
    modes = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10), (0, 2, 4, 7, 9))
    degrees = modes[int(generator.integers(len(modes)))]
    tonic = int(generator.integers(12))
    return [key for key in range(36, 97) if (key - tonic) % 12 in degrees]
