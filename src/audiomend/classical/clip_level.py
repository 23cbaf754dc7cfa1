"""How loud the sound behind clipping was, told by how many of its samples lie beyond the clip level.

If the samples are Gaussian, a share p of them lies beyond -c or c where p = 2 (1 - Phi(c / sigma)). Over
20 ms of music or speech this holds well. In 60 recordings clipped at input SDRs of 1 to 15 dB the true
RMS around a clipped sample has a median of 0.94 to 1 times this sigma for shares of 0.005 to 0.9, and is
below 1.3 times in nine of ten.
"""

import torch
from torch import Tensor
from torch.nn.functional import pad

WINDOW_S = 0.02
LOUDEST = 1.3  # times the Gaussian level, see above
LEAST_SHARE, MOST_SHARE = 1e-4, 0.97  # a window's share tells too little beyond them


def gaussian_rms(level: Tensor, share: Tensor, polarities: Tensor) -> Tensor:
    """RMS of a Gaussian signal of which a share, above 0 and below 1, lies beyond its clip levels.

    Args:
        level: magnitude of the clip level, the mean where the polarities have two.
        polarities: how many of them are clipped, 1 or 2.
    """
    return level / torch.special.ndtri(1 - share / polarities)


def held(x: Tensor, observation: Tensor, low: Tensor, high: Tensor, window: int) -> Tensor:
    """x, with its restored peaks made smaller where they are louder than the clipping tells.

    An estimate that has run away is as consistent with the clip levels as a good one. What lies beyond
    the level is multiplied, in the window around each sample, by the factor that brings the RMS down to
    1.3 times that of a Gaussian signal with as many clipped samples.

    Args:
        x: (..., time), consistent with the observation.
        observation: (..., time), clipped.
        low, high: the levels, broadcast against it; -inf and inf for a polarity that is not clipped.
        window: in samples, odd.
    """
    clipped = (observation <= low) | (observation >= high)
    sides = torch.stack(torch.broadcast_tensors(-low, high))
    polarities = sides.isfinite().sum(dim=0)
    level = torch.where(sides.isfinite(), sides, 0).sum(dim=0) / polarities
    share = local_mean(clipped.to(x.dtype), window).clamp(LEAST_SHARE, MOST_SHARE)
    bound = LOUDEST * gaussian_rms(level, share, polarities)
    excess = torch.where(clipped, (x - observation).abs(), 0)

    # The factor f solves mean((|observation| + f excess)^2) = bound^2.
    a = local_mean(excess.square(), window)
    b = local_mean(observation.abs() * excess, window)
    c = local_mean(observation.square(), window) - bound.square()
    factor = -c / (b + (b.square() - a * c).clamp(min=0).sqrt()).clamp(min=1e-30)
    return torch.where(clipped, observation + factor.clamp(0, 1) * (x - observation), x)


def local_mean(x: Tensor, window: int) -> Tensor:
    """(..., time) the mean over an odd number of samples around each, mirrored at the ends.

    What is shorter than half of the window is mirrored once only, and the window as much shorter.
    """
    half = min(window // 2, x.shape[-1] - 1)
    window = 2 * half + 1
    rows = pad(x.reshape(-1, x.shape[-1]), (half, half), mode="reflect")
    total = pad(rows.double().cumsum(dim=-1), (1, 0))
    return ((total[:, window:] - total[:, :-window]) / window).to(x.dtype).view_as(x)
