"""Coefficients shrunk by the power around them, and what a clipped observation has that an estimate lacks."""

import math

import torch
from torch import Tensor

ALONE = 1, 1  # frames and bins around a coefficient: itself


def wiener(power: Tensor, threshold: Tensor | float) -> Tensor:
    """max(0, 1 - threshold² / power); 0 where there is no power. The threshold is above 0."""
    negative = torch.as_tensor(-(threshold**2), dtype=power.dtype, device=power.device)
    return (negative / power).add_(1).clamp_(min=0)


def local_sum(x: Tensor, size: int, dim: int) -> Tensor:
    """The sum of an odd number of neighbours; the edges are mirrored and count twice."""
    if size == 3:
        return _sum_of_three(x, dim)
    half, length = size // 2, x.shape[dim]
    ends = x.narrow(dim, 0, half).flip(dim), x.narrow(dim, length - half, half).flip(dim)
    sums = torch.cat((ends[0], x, ends[1]), dim)
    total, reach = sums.narrow(dim, 0, length), 1
    for bit in range(1, size.bit_length()):  # sums of 2, 4, ... neighbours
        more = sums.shape[dim] - 2 ** (bit - 1)
        sums = sums.narrow(dim, 0, more) + sums.narrow(dim, 2 ** (bit - 1), more)
        if size & 2**bit:
            total = total + sums.narrow(dim, reach, length)
            reach += 2**bit
    return total


def _sum_of_three(x: Tensor, dim: int) -> Tensor:
    """`local_sum` in two passes."""
    last = x.shape[dim] - 1
    sums = torch.empty_like(x)
    torch.add(x.narrow(dim, 0, last - 1), x.narrow(dim, 2, last - 1), out=sums.narrow(dim, 1, last - 1))
    for end, beside in ((0, 1), (last, last - 1)):
        torch.add(x.select(dim, end), x.select(dim, beside), out=sums.select(dim, end))
    return sums.add_(x)


def reach(y: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """The magnitude beyond which a sample may lie anywhere: its clip level's, inf where it is not clipped."""
    return torch.where(y >= high, high, torch.where(y <= low, -low, math.inf))


def misfit(x: Tensor, y: Tensor, level: Tensor) -> Tensor:
    """What is missing of the observation: 0 where a clipped sample is louder than its level, of either sign.

    That a clipped sample of the wrong sign passes too is as published. level: what `reach` gives.
    """
    return (y - x).mul_(x.abs().le_(level))  # numbers 0 and 1: several times faster than to fill by a mask
