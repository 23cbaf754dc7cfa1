"""Runs of samples: where the stretches of a mask begin and end."""

import torch
from torch import Tensor


def runs(mask: Tensor) -> tuple[Tensor, Tensor]:
    """Where runs of True in mask, (time,) bool, begin, and where they end, exclusive."""
    edges = torch.nn.functional.pad(mask.to(torch.int8), (1, 1)).diff()
    return (edges == 1).nonzero()[:, 0], (edges == -1).nonzero()[:, 0]
