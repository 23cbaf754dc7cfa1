"""The level that absolute thresholds and tolerances count on."""

import torch
from torch import Tensor


def level_gain(x: Tensor, rms: float | None) -> Tensor:
    """(..., 1) what brings each row of (..., time) to a root mean square of `rms`; 1 for silence and None."""
    if rms is None:
        return x.new_ones(())
    own = x.square().mean(-1, keepdim=True).sqrt()
    return torch.where(own > 0, rms / own, 1)
