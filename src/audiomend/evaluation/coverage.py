"""How often the truth lies within what posterior samples span, in each bin of a short-time spectrum.

If truth and samples were drawn from one distribution, each of the K + 1 would be the loudest in a bin equally
often: the truth would lie within the levels of K samples with probability (K - 1) / (K + 1), whatever the
distribution. 19 samples make it a 90 % band.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audiomend.errors import UsageError
from audiomend.evaluation.damages import Clip, Damage, damaged_samples
from audiomend.evaluation.metrics import frame_size
from audiomend.evaluation.spread import frame_spectra

Bools = NDArray[np.bool_]

AUDIBLE_DB = 60.0  # bins further below the loudest one are not counted


@dataclass(frozen=True)
class Coverage:
    """Bins counted.

    Attributes:
        bins: all of them.
        louder, softer: those in which the truth is louder, softer than every sample.
        error: sum of |truth - mean of the samples|².
        expected: what `error` would be on average if the truth were one more sample.
    """

    bins: int
    louder: int
    softer: int
    error: float
    expected: float

    @property
    def inside(self) -> float:
        """Share of the bins in which the truth lies within the samples' levels."""
        return 1 - (self.louder + self.softer) / self.bins

    @property
    def ratio(self) -> float:
        """RMS error of the samples' mean over the one expected: above 1 the samples differ too little."""
        return float(np.sqrt(self.error / self.expected))


def nominal(samples: int) -> float:
    """How often the truth lies within so many samples of the right distribution."""
    return (samples - 1) / (samples + 1)


def coverage(samples: Sequence[Clip], truth: Clip, rate: int, how: Damage) -> Coverage:
    """Count the bins that a damage touches.

    Counted are frames whose centre lies in a gap, bins above a cut-off by a twentieth, or frames whose middle
    half holds a clipped sample, wherever truth and samples together are within 60 dB of their loudest bin.
    Frames are as long as those of `spread.spread`. The choice treats truth and samples alike.

    samples: K >= 2 mended clips (channels, time).

    Raises:
        UsageError: fewer than two samples, or no bin to be counted.
    """
    if len(samples) < 2:
        raise UsageError(f"{len(samples)} samples span nothing; 2 or more do.")
    size = frame_size(rate)
    spectra = np.stack([frame_spectra(np.asarray(one, np.float64), size) for one in (truth, *samples)])
    energy = np.square(np.abs(spectra))
    mean = energy.mean(axis=0)
    counted = touched(truth, rate, how) & (mean >= mean.max() * 10 ** (-AUDIBLE_DB / 10)) & (mean > 0)
    if not counted.any():
        raise UsageError("The damage touches no bin of this clip.")
    true, *drawn = (one[counted] for one in energy)
    first, *others = (one[counted] for one in spectra)
    drawn, others = np.stack(drawn), np.stack(others)
    count = len(samples)
    variance = np.square(np.abs(others - others.mean(axis=0))).sum(axis=0) / (count - 1)
    return Coverage(
        bins=int(counted.sum()),
        louder=int((true > drawn.max(axis=0)).sum()),
        softer=int((true < drawn.min(axis=0)).sum()),
        error=float(np.square(np.abs(first - others.mean(axis=0))).sum()),
        expected=float((1 + 1 / count) * variance.sum()),
    )


def touched(truth: Clip, rate: int, how: Damage) -> Bools:
    """(channels, frames, bins) the bins that a damage touches, by `coverage`'s rule."""
    size = frame_size(rate)
    frames = max(0, (truth.shape[1] - size) // (size // 4) + 1)
    mask = np.zeros((len(truth), frames, size // 2 + 1), np.bool_)
    if how.task == "extend":
        mask[:, :, np.fft.rfftfreq(size, 1 / rate) > 1.05 * how.severity] = True
        return mask
    reach = size // 4 if how.task == "declip" else 0
    lost: Bools = np.asarray(damaged_samples(truth, rate, how))
    for frame in range(frames):
        centre = frame * (size // 4) + size // 2
        mask[:, frame] = lost[:, centre - reach : centre + reach + 1].any(axis=1, keepdims=True)
    return mask


def total(parts: Iterable[Coverage]) -> Coverage:
    """All bins of several clips; errors count relative to what is expected of each clip."""
    each = list(parts)
    return Coverage(
        bins=sum(one.bins for one in each),
        louder=sum(one.louder for one in each),
        softer=sum(one.softer for one in each),
        error=sum(one.bins * one.error / one.expected for one in each),
        expected=float(sum(one.bins for one in each)),
    )
