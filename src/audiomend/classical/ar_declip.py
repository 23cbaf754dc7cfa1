"""Clipped samples restored by an autoregressive model in overlapping frames.

Mokrý and Rajmic, "Regularized autoregressive modeling and its application to audio signal reconstruction"
(2024), inpainting with unregularised coefficients: rectangular frames, the clipped signal as the start, and
extrapolation from one iteration to the next. From a better start, two iterations are enough, and an
approximate solution of their equations. Generalized linear prediction (GLP), of which they give an account
after Atlas and Clark, US patent 8,126,578, is the same with samples reflected at the clip level in between.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from audiomend.classical.autoregression import approached, least_residual, lpc
from audiomend.classical.thresholding import SOFT, USUAL, bounded
from audiomend.errors import UsageError


@dataclass(frozen=True)
class ArDeclip:
    """How clipped samples are restored.

    Attributes:
        order: of the model, from 1 to half a frame.
        frame: in samples, even; frames begin half a frame apart.
        iterations: at least 1.
        start: steps of the thresholding in each frame that gives the start; 0 begins at the clipped signal.
        gradients: steps of conjugate gradients in each iteration; 0 solves the equations exactly.
        reflected: after each iteration but the last, samples that fall short of the clip level go as far
            beyond it (GLP).
        consistent: end with the nearest consistent signal, which is never farther from the true one.
    """

    order: int = 512
    frame: int = 8192
    iterations: int = 2
    start: int = 75
    gradients: int = 50
    reflected: bool = False
    consistent: bool = True

    def __post_init__(self) -> None:
        if self.frame < 2 or self.frame % 2:
            raise UsageError(f"ArDeclip: frame is {self.frame}; it must be even and positive.")
        if not 1 <= self.order <= self.frame // 2:
            raise UsageError(f"ArDeclip: order is {self.order}; it must be from 1 to {self.frame // 2}.")
        if self.iterations < 1:
            raise UsageError(f"ArDeclip: iterations is {self.iterations}; it must be 1 or more.")


DEFAULT = ArDeclip()
PUBLISHED = ArDeclip(iterations=5, start=0, gradients=0, consistent=False)
GLP = replace(PUBLISHED, reflected=True)  # patented; nothing else takes it
SHORTER = 4  # times, the frames that the start is made in


def declipped(y: Tensor, low: float | Tensor, high: float | Tensor, settings: ArDeclip = DEFAULT) -> Tensor:
    """y with the samples on and beyond the clip levels restored. Computed in float64.

    Frames without a clipped sample take no part.

    Args:
        y: (..., time) real, finite.
        low, high: the levels, which broadcast against it, as (channels, 1); -inf and inf for a polarity that
            is not clipped.

    Returns:
        (..., time) of y's dtype, equal to y between the levels to the bit.
    """
    above, below = y >= high, y <= low
    signal = y.double().reshape(-1, y.shape[-1])
    sign = (above.double() - below.double()).view(signal.shape)
    frames, signs = _frames(signal, settings.frame), _frames(sign, settings.frame)

    damaged = (signs != 0).any(dim=-1)
    restored = frames.clone()
    restored[damaged] = _restored(frames[damaged], signs[damaged], settings)
    out = _overlap_add(restored, y.shape[-1]).view(y.shape)
    if settings.consistent:
        out = torch.where(above, torch.maximum(out, y), torch.where(below, torch.minimum(out, y), out))
    return torch.where(above | below, out.to(y.dtype), y)


def _started(y: Tensor, sign: Tensor, settings: ArDeclip) -> Tensor:
    """(rows, frame): the mean of a hard threshold and of shrinkage by neighbours, each frame by itself."""
    if settings.start == 0:
        return y
    lower, upper = torch.where(sign < 0, -torch.inf, y), torch.where(sign > 0, torch.inf, y)
    kinds = (
        replace(k, window=settings.frame // SHORTER, steps=settings.start, rising=0.0) for k in (USUAL, SOFT)
    )
    y, lower, upper = y.float(), lower.float(), upper.float()
    return torch.stack([bounded(y, lower, upper, kind) for kind in kinds]).mean(0).double()


def _restored(y: Tensor, sign: Tensor, settings: ArDeclip) -> Tensor:
    """(rows, frame) with the samples restored where the sign, that of the level they passed, is not 0."""
    x, missing, last = _started(y, sign, settings), sign != 0, settings.iterations
    for i in range(1, last + 1):
        a = lpc(x, settings.order)
        if settings.gradients > 0:
            new = approached(x, missing, a, settings.gradients)
        else:
            new = least_residual(x, missing, a)
        if settings.reflected and i < last:
            new = y + sign * (new - y).abs()
        if 1 < i < last:
            new = new + (last - i) / (last - 1) * (new - x)
        x = new
    return x


def _frames(x: Tensor, frame: int) -> Tensor:
    """(channels, time) -> (channels, frames, frame): the first is centred at sample 0, zeros beyond."""
    hop = frame // 2
    behind = -x.shape[-1] % hop + hop
    return torch.nn.functional.pad(x, (hop, behind)).unfold(-1, frame, hop)


def _overlap_add(frames: Tensor, time: int) -> Tensor:
    """(channels, frames, frame) -> (channels, time), weighted by Hann windows, which sum to 1."""
    hop = frames.shape[-1] // 2
    window = torch.hann_window(2 * hop, dtype=frames.dtype, device=frames.device)
    rising, falling = (frames * window).split(hop, dim=-1)
    return (falling[:, :-1] + rising[:, 1:]).flatten(1)[:, :time]
