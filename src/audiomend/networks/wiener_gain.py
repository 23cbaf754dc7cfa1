"""The gain of the empirical Wiener filter, per bin of a noisy spectrum."""

import torch
from torch import Tensor

_THRESHOLD = 2.5  # in units of the noise power: below it a bin counts as noise
_THRESHOLD_SLOPE = 1.5  # per octave of sigma / sigma_data + 1: at high levels nearly every bin is noise


def wiener_gain(power: Tensor, log_level: Tensor) -> Tensor:
    """max(0, 1 - threshold / q), q the noisy power over the noise's, half of it smoothed over three frames.

    Args:
        power: (..., frames, bins) |u|^2 of the noisy spectrum, noise variance 1 per real part; frames are
            circular.
        log_level: ln(sigma / sigma_data), broadcast against it.

    Returns:
        (..., frames, bins), 0 to 1.
    """
    q = power / 2
    smooth = (q.roll(1, -2) + q + q.roll(-1, -2)) / 3
    threshold = _THRESHOLD + _THRESHOLD_SLOPE * torch.log2(1 + log_level.exp())
    return (1 - threshold / (0.5 * (q + smooth)).clamp_min(1e-9)).clamp_min(0)
