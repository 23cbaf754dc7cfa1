"""Dropouts lifted: what is left of a sound is brought back to the level of what is beside it.

Both ends of a dropout tell the gain, by the levels of a few milliseconds outside and inside, but only where
the sound goes on inside: the noise of a tape, lifted, would be worse than a hole (docs/choices.md).
"""

import math

import torch
from torch import Tensor

EDGE_S = 0.004  # at each end, in which the level falls and rises: two frames of the detector
BESIDE_S = 0.008  # outside and inside of an edge, whose levels are compared
LOWEST_HZ = 125.0  # of bands of half an octave
ALIKE = 0.8  # least cosine between the magnitudes of bands outside and inside, the mean of both ends
APART_DB = 12.0  # most that the gains of both ends may differ
SIDE_S, ABOVE_DB = 0.02, 3.0  # the whole is not lifted further beyond the louder of what is so near


def lift(x: Tensor, start: int, stop: int, rate: float) -> float | None:
    """The factor above 0 that undoes the fall of level between start and stop, but for EDGE_S at either end.

    It brings the whole to ABOVE_DB above the louder side at most.

    Args:
        x: (time,) real.
        start, stop: of the dropout in samples.
        rate: in Hz.

    Returns:
        None where the sound does not go on inside, its ends disagree, or there is too little to tell.
    """
    edge, beside = round(EDGE_S * rate), round(BESIDE_S * rate)
    width = min(beside, stop - start - 2 * edge)
    if width < edge or start < width or stop + width > len(x):
        return None
    x = x.double()
    ends = (
        (x[start - width : start], x[start + edge : start + edge + width]),
        (x[stop : stop + width], x[stop - edge - width : stop - edge]),
    )
    ratios = [float(outside.norm() / inside.norm()) for outside, inside in ends]
    if not all(0 < ratio < math.inf for ratio in ratios):
        return None
    agree = abs(20 * math.log10(ratios[0] / ratios[1])) <= APART_DB
    alike = sum(likeness(*end, rate) for end in ends) / len(ends)
    if not agree or alike < ALIKE:
        return None
    side = round(SIDE_S * rate)
    louder = max(_rms(x[max(start - side, 0) : start]), _rms(x[stop : stop + side]))
    most = louder * 10 ** (ABOVE_DB / 20) / _rms(x[start + edge : stop - edge])
    return min(math.sqrt(ratios[0] * ratios[1]), most)


def likeness(x: Tensor, y: Tensor, rate: float) -> float:
    """The cosine between magnitudes in bands of two sounds, (time,) each: 1 if only their levels differ."""
    one, other = _magnitudes(x, rate), _magnitudes(y, rate)
    return float(one @ other / (one.norm() * other.norm()))


def _rms(x: Tensor) -> float:
    return float(x.square().mean().sqrt())


def _magnitudes(x: Tensor, rate: float) -> Tensor:
    """(bands,) the root of the energy in each half octave; below the lowest, in one."""
    window = torch.hann_window(len(x) + 2, periodic=False, dtype=x.dtype)[1:-1]
    power = torch.fft.rfft(x * window, 2 * len(x)).abs().square()
    hz = torch.arange(len(power), dtype=x.dtype) * (rate / (2 * len(x)))
    band = (2 * (hz / LOWEST_HZ).log2()).floor().clamp(min=-1).long() + 1
    return power.new_zeros(int(band.max()) + 1).index_add_(0, band, power).sqrt()
