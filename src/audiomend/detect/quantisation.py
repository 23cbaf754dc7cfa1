"""Quantisation: the step of the grid on which all samples lie.

A file of 24 bits may hold what once had 8. Whatever the gain was since, all differences between samples are
multiples of one step, which an approximate greatest common divisor finds: the smallest difference first, then
what remains of the others after division, until nothing does. Filters, resamplers and lossy codecs spread
the samples off any grid; a step is not found then, and none is there to be mended.
"""

from dataclasses import dataclass
from math import inf, log2, log10

import numpy as np
from numpy.typing import NDArray

from audiomend.detect.finding import Finding, sureness

FINEST = 2.0**-24  # relative to full scale: smaller steps say nothing that could be heard
ROUNDING = 2.0**-22  # relative to the largest magnitude: float32 with a bit of arithmetic on it
MISFIT = 0.1  # of a step, up to which a remainder counts as none
NOISY_DB = 45.0  # signal to quantisation noise, below which the noise is heard
COARSE = 32  # steps: what is smaller takes too few values to tell how a sound was bent


@dataclass(frozen=True)
class Quantisation:
    """The grid of all channels together.

    Attributes:
        step: of the grid, full scale 1; 0 if there is none that is coarser than 2^-24.
        snr_db: of the sound to step²/12, the noise of rounding; inf without a step.
        confidence: 0 to 1 that the step is heard; from 0.5, where snr_db is 45 dB or less.
    """

    step: float
    snr_db: float
    confidence: float

    @property
    def bits(self) -> float:
        """How many bits full scale takes with this step; inf without one."""
        return 1 - log2(self.step) if self.step else inf


class QuantisationDetector:
    """Add blocks, then ask for the result."""

    def __init__(self) -> None:
        self._step: float | None = None  # None until two values differ; 0 when there is no grid
        self._origin = 0.0
        self._energy, self._samples = 0.0, 0

    def add(self, block: NDArray[np.floating]) -> None:
        """Take the next samples, (channels, n)."""
        x = block.astype(np.float64).ravel()
        self._energy += float(np.square(x).sum())
        self._samples += x.size
        if self._step == 0 or not x.size:
            return
        if self._step is None:
            self._origin = float(x[0])
        distance = np.abs(x - self._origin)
        rounding = ROUNDING * float(np.abs(x).max())
        if self._step is None or _odd(distance, self._step, rounding).size:
            self._step = _common(np.unique(distance), self._step, rounding)

    @property
    def step(self) -> float:
        """Of the grid of what was added so far; 0 without one."""
        return self._step or 0.0

    @property
    def noise(self) -> float:
        """Power of rounding to that grid (Bennett 1948)."""
        return self.step**2 / 12

    def result(self) -> Quantisation:
        """The verdict on what was added so far."""
        power = self._energy / max(self._samples, 1)
        if not self.step or not power:
            return Quantisation(0.0, inf, 0.0)
        snr_db = 10 * log10(power / self.noise)
        return Quantisation(self.step, snr_db, sureness(snr_db, NOISY_DB + 20, NOISY_DB, NOISY_DB - 20))


def _odd(values: NDArray[np.float64], step: float, rounding: float) -> NDArray[np.float64]:
    """What is left of those values that are no multiples of the step."""
    remainder = np.abs(values - np.rint(values / step) * step)
    return remainder[remainder > MISFIT * step + rounding]


def _common(values: NDArray[np.float64], step: float | None, rounding: float) -> float | None:
    """The largest step that divides all values (sorted, not negative) and the given one.

    0 if it is too fine to be told from rounding; None if all values are 0.
    """
    values = values[values > rounding]
    if not len(values):
        return step
    least = max(FINEST, 2 * rounding / MISFIT)
    if step is None:
        apart = np.diff(values)
        step = float(min(values[0], apart[apart > rounding].min(initial=np.inf)))
    while step >= least:
        step, odd = _refined(values, step, rounding)
        if odd is None:
            return step
        step = odd
    return 0.0


def _refined(values: NDArray[np.float64], step: float, rounding: float) -> tuple[float, float | None]:
    """The step fitted to its multiples, and the least remainder if some value is none.

    Near values first: a small error of the step is a whole step at the far ones.
    """
    reach = 8 * step
    while True:
        near = values[: np.searchsorted(values, reach, "right")]
        odd = _odd(near, step, rounding)
        if odd.size:
            return step, float(odd.min())
        if near.size:
            counts = np.rint(near / step)
            step = float(counts @ near / (counts @ counts))
        if reach >= values[-1]:
            return step, None
        reach *= 4


def find_quantisation(x: NDArray[np.floating]) -> Quantisation:
    """The grid of x, (channels, time)."""
    detector = QuantisationDetector()
    detector.add(x)
    return detector.result()


def finding(quantisation: Quantisation) -> Finding:
    """The verdict in words."""
    if not quantisation.step:
        return Finding("quantisation", 0.0, "no step", {"step": None, "bits": None, "snr_db": None})
    facts = {
        "step": quantisation.step,
        "bits": round(quantisation.bits, 2),
        "snr_db": round(quantisation.snr_db, 1),
    }
    summary = f"{quantisation.bits:.1f} bits, its noise {quantisation.snr_db:.0f} dB below the sound"
    return Finding("quantisation", quantisation.confidence, summary, facts)
