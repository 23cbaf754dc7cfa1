"""Gaps of up to some 100 ms, interpolated one by one by an autoregressive model of what is around them.

Janssen, Veldhuis, Vries (1986), gap by gap as in github.com/ondrejmokry/InpaintingAutoregressive (2024): the
whole gap with 4096 samples on either side is one system, without windows or overlap.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from audiomend.classical.autoregression import burg, least_residual, lpc
from audiomend.classical.runs import runs
from audiomend.errors import UsageError


@dataclass(frozen=True)
class Janssen:
    """How gaps are interpolated; as it stands, as by that code with Burg's method, but for its iterations.

    Attributes:
        order: of the model, at least 1 and below the context.
        context: samples on either side of a gap.
        iterations: at least 1; from 5 to 20, published, they gain little and can lose.
        burg: coefficients by Burg's method, which does not taper the ends; else by autocorrelation.
    """

    order: int = 1024
    context: int = 4096
    iterations: int = 5
    burg: bool = True

    def __post_init__(self) -> None:
        if not 1 <= self.order < self.context:
            raise UsageError(f"Janssen: order is {self.order}; it must be from 1 to {self.context - 1}.")
        if self.iterations < 1:
            raise UsageError(f"Janssen: iterations is {self.iterations}; it must be 1 or more.")


PUBLISHED = Janssen()


def interpolated(x: Tensor, known: Tensor, settings: Janssen = PUBLISHED) -> Tensor:
    """x with its gaps filled; missing samples begin as zeros. Computed in float64.

    Another gap within the context of one is filled along with it, and then once more in its own middle.

    Args:
        x: (..., time) real, finite at the known samples.
        known: (time,) bool, the same for all channels.

    Returns:
        (..., time) of x's dtype, equal to x where known to the bit.
    """
    starts, ends = runs(~known)
    if len(starts) == 0:
        return x.clone()
    time = x.shape[-1]
    signal = torch.where(known, x, 0).double().reshape(-1, time)
    first = (starts - settings.context).clamp(min=0)
    lengths = (ends + settings.context).clamp(max=time) - first
    offsets = torch.arange(int(lengths.max()), device=x.device)
    places = (first[:, None] + offsets).clamp(max=time - 1)
    inside = offsets < lengths[:, None]

    channels = signal.shape[0]
    segments = torch.where(inside, signal[:, places], 0).flatten(0, 1)
    missing = (inside & ~known[places]).repeat(channels, 1)
    rows = lengths.repeat(channels)
    order = min(settings.order, int(lengths.min()) - 1)
    if order < 1:
        return torch.where(known, x, 0)
    for _ in range(settings.iterations):
        a = burg(segments, order, rows) if settings.burg else lpc(segments, order)
        segments = least_residual(segments, missing, a)

    own = inside & (places >= starts[:, None]) & (places < ends[:, None])
    filled = signal.clone()
    filled[:, places[own]] = segments.view(channels, *places.shape)[:, own]
    return torch.where(known, x, filled.view(x.shape).to(x.dtype))
