"""Resampling by soxr, in this package's order of axes."""

from typing import Any

import numpy as np
import soxr
from numpy.typing import NDArray

Array = NDArray[Any]


def resampled_length(length: int, rate_in: float, rate_out: float) -> int:
    """Samples that `length` samples become: length * rate_out / rate_in, rounded (halves to even)."""
    return round(length * rate_out / rate_in)


def resample(samples: Array, rate_in: float, rate_out: float) -> Array:
    """Change the sample rate with a linear-phase filter (soxr's VHQ, 28-bit).

    Args:
        samples: (channels, time) or (time,), float32 or float64.
        rate_in: Hz.
        rate_out: Hz.

    Returns:
        The same order of axes and dtype, `resampled_length` samples long.
    """
    if rate_in == rate_out:
        return samples.copy()
    length = resampled_length(samples.shape[-1], rate_in, rate_out)
    # soxr takes (frames, channels); handed (channels, frames) it resamples across the channels, silently.
    resampled = np.ascontiguousarray(soxr.resample(samples.T, rate_in, rate_out, quality="VHQ").T)
    missing = length - resampled.shape[-1]
    if missing > 0:
        padding = [(0, 0)] * (samples.ndim - 1) + [(0, missing)]
        return np.pad(resampled, padding)
    return resampled[..., :length]
