"""Gaps filled by sparsity in overlapping frames: A-SPAIN.

SPADE whose known samples are fixed and whose missing ones are free (Mokrý, Záviška, Rajmic, Veselý,
"Introducing SPAIN (SParse Audio INpainter)", EUSIPCO 2019). Each gap has frames of its own, laid so that its
centre is midway between the centres of two of them.
"""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from audiomend.classical.runs import runs
from audiomend.classical.spade import HANN_POWER, OVERLAPS, Spade, a_form, solve
from audiomend.errors import UsageError


@dataclass(frozen=True)
class Spain:
    """How A-SPAIN runs; as it stands, as in github.com/ondrejmokry/InpaintingAutoregressive (2024).

    Attributes:
        window: frame length in samples, a multiple of 4.
        step: k begins there and grows by it after each iteration.
        tolerance: a frame is done when the 2-norm of the difference is at most this.
        rms: level that what is around a gap is brought to, since tolerance is absolute; None leaves it.
        dtype: number format of all arithmetic.
    """

    window: int = 4096
    step: int = 1
    tolerance: float = 0.01
    rms: float | None = None
    dtype: torch.dtype = torch.float64

    def __post_init__(self) -> None:
        if self.window < OVERLAPS or self.window % OVERLAPS:
            raise UsageError(f"Spain: window is {self.window}; it must be a multiple of {OVERLAPS}.")


PUBLISHED = Spain()
DEFAULT = replace(PUBLISHED, rms=0.15, dtype=torch.float32)


def interpolated(x: Tensor, known: Tensor, settings: Spain = DEFAULT) -> Tensor:
    """x with its gaps filled; missing samples begin as zeros. Beyond its ends the signal counts as zero.

    Args:
        x: (..., time) real, finite at the known samples.
        known: (time,) bool, the same for all channels.

    Returns:
        (..., time) of x's dtype, equal to x where known to the bit.
    """
    time = x.shape[-1]
    signal = torch.where(known, x, 0).double().reshape(-1, time)
    filled = signal.clone()
    for start, end in zip(*(ends.tolist() for ends in runs(~known)), strict=True):
        filled[:, start:end] = _gap(signal, known, start, end, settings)
    return torch.where(known, x, filled.view(x.shape).to(x.dtype))


def _gap(signal: Tensor, known: Tensor, start: int, end: int, settings: Spain) -> Tensor:
    """(channels, end - start) what fills one gap of (channels, time)."""
    channels, time = signal.shape
    w, hop = settings.window, settings.window // OVERLAPS
    firsts = torch.arange(_first_frame(start, end, w), end, hop, device=signal.device)
    positions = firsts[:, None] + torch.arange(w, device=signal.device)
    inside = (positions >= 0) & (positions < time)
    places = positions.clamp(0, time - 1)
    free = inside & ~known[places]

    frames = torch.where(inside, signal[:, places], 0)
    gain = _gain(frames[:, (inside & ~free)], settings)[:, None, None]
    window = torch.hann_window(w, dtype=torch.float64, device=signal.device)
    y = (frames * gain * window).to(settings.dtype).flatten(0, 1)
    free = free.repeat(channels, 1)
    lower, upper = (torch.where(free, bound, y) for bound in (-math.inf, math.inf))
    spade = Spade(w, step=settings.step, every=1, tolerance=settings.tolerance)
    restored, _ = solve(y, lower, upper, spade, a_form(spade.redundancy))

    restored = restored.double().view(channels, -1, w) * (window / HANN_POWER) / gain
    out = signal.new_zeros(channels, len(firsts) * hop + w)
    out.index_add_(1, (positions - firsts[0]).flatten(), restored.flatten(1))
    return out[:, start - int(firsts[0]) : end - int(firsts[0])]


def _first_frame(start: int, end: int, window: int) -> int:
    """Where the first frame begins that reaches into [start, end), of the grid that the gap is centred on.

    Published counting from 1: with centre c = ⌈(s + f) / 2⌉ of the first and the last missing sample, one
    frame of hop a is centred at c − ⌈a / 2⌉.
    """
    hop = window // OVERLAPS
    centre = (start + end) // 2 - math.ceil(hop / 2)
    first = centre - window // 2
    return first - (first + window - 1 - start) // hop * hop


def _gain(known: Tensor, settings: Spain) -> Tensor:
    """(channels,) what brings the known samples (channels, n) to the settings' level; 1 for silence."""
    if settings.rms is None or known.shape[-1] == 0:
        return known.new_ones(known.shape[0])
    rms = known.square().mean(-1).sqrt()
    return torch.where(rms > 0, settings.rms / rms, 1)
