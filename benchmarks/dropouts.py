"""Dropouts, lifted where the sound goes on inside or filled as gaps are: how near the mended ones come.

Run: python benchmarks/dropouts.py --data DIR [--set train] [--clips 48]

In each of so many clips of 3 s a fall of level that the detector finds is sought, in 16 bits. SDR in what was
found, in dB. Then the same with noise at the level of the fall in place of the sound: how much of that is
taken for it.
"""

from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from recordings import clips, options, row

import audiomend
from audiomend.classical.lifting import lift
from audiomend.detect.dropouts import Dropout as Found
from audiomend.detect.dropouts import find_dropouts
from audiomend.evaluation.metrics import sdr
from audiomend.operators.dropout import Dropout
from audiomend.restorers.plan import FillGaps, Input, MendingPlan, Stage, spans

CLIP_S = 3
FADE_S = 0.002  # as `degrade dropout` does
MILLISECONDS, DEPTHS_DB = (20, 50, 200), (26.0, 36.0)
POWERS = {"the sound": None, "white noise": 0.0, "pink noise": 1.0, "brown noise": 2.0}  # of 1 / Hz
TRIES = 12
STEP = 2**-15
Array = np.ndarray


def noise(length: int, rate: int, power: float, random: np.random.Generator) -> Array:
    hz = np.maximum(np.fft.rfftfreq(length, 1 / rate), 50)
    x = np.fft.irfft(np.fft.rfft(random.standard_normal(length)) * hz ** (-power / 2), length)
    return x / x.std()


def worn(x: Array, rate: int, ends: tuple[int, int], depth_db: float, inside: Array | None) -> Array:
    """x after a dropout, with another sound at its level where the fall is complete."""
    gain = Dropout.at([ends], depth_db, round(FADE_S * rate), 0, len(x)).gain.numpy()
    y = gain * x
    if inside is not None:
        lowest = slice(ends[0] + round(FADE_S * rate), ends[1] - round(FADE_S * rate))
        y[lowest] = inside[: lowest.stop - lowest.start] * gain[lowest] * x[slice(*ends)].std()
    return np.rint(y / STEP) * STEP


@dataclass(frozen=True)
class Case:
    """A damaged clip and the dropout that was found in it."""

    clean: Array
    damaged: Array
    rate: int
    found: Found

    @property
    def is_lifted(self) -> bool:
        return lift(torch.from_numpy(self.damaged), self.found.start, self.found.stop, self.rate) is not None

    def score(self, as_gap: bool) -> float:
        """SDR of the mended dropout, filled as a gap is, or lifted where it can be."""
        place, there = spans([self.found], self.rate), slice(self.found.start, self.found.stop)
        stage = Stage("gaps", FillGaps(place) if as_gap else FillGaps((), dropouts=place))
        plan = MendingPlan(Input("", "", self.rate, 1, len(self.damaged)), (stage,))
        return sdr(self.clean[there], audiomend.restore(self.damaged, self.rate, plan=plan)[0][there])


def case(
    x: Array, rate: int, length: int, depth_db: float, power: float | None, random: np.random.Generator
) -> Case | None:
    """A dropout of so many samples, at the first of some random places where the detector finds it."""
    inside = None if power is None else noise(length, rate, power, random)
    for _ in range(TRIES):
        start = int(random.uniform(0.3 * rate, len(x) - 0.3 * rate - length))
        y = worn(x, rate, (start, start + length), depth_db, inside)
        for one in find_dropouts(y[None], rate):
            if one.start < start + length and start < one.stop:
                return Case(x, y, rate, one)
    return None


def main() -> None:
    arguments = options(__doc__, "train", clips=48).parse_args()
    every = list(clips(arguments.data, arguments.set, arguments.clips, CLIP_S))
    print(row(("inside", "ms", "dB", "found in", "lifted", "all filled", "all mended", "the lifted")))
    print(row(["---"] * 8))
    for (name, power), milliseconds, depth_db in product(POWERS.items(), MILLISECONDS, DEPTHS_DB):
        random = np.random.default_rng(0)
        tried = [case(x, r, round(milliseconds * r / 1000), depth_db, power, random) for x, r in every]
        found = [one for one in tried if one is not None]
        which = np.array([one.is_lifted for one in found])
        medians = ["–"] * 3
        if power is None:
            filled, mended = (np.array([one.score(as_gap) for one in found]) for as_gap in (True, False))
            medians = [f"{np.median(scores):.1f}" for scores in (filled, mended, mended[which])]
        cells = (name, milliseconds, depth_db, len(found), f"{which.mean():.0%}", *medians)
        print(row(cells), flush=True)


if __name__ == "__main__":
    main()
