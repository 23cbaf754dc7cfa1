"""What goes on into a gap from either side, as autoregressive models of the two sides have it.

Etter, "Restoration of a discrete-time signal segment by interpolation based on the left-sided and right-sided
autoregressive parameters", IEEE Trans. SP 44(5), 1996; Kauppinen, Kauppinen, Saarinen 2001.
"""

import torch
from torch import Tensor
from torch.nn.functional import pad

from audiomend.classical.autoregression import burg

CONTINUED = 4096  # samples that a continuation is fitted to
SOLVED = 512  # new samples at a time


def agreement(x: Tensor, known: Tensor, start: int, end: int, order: int) -> Tensor:
    """How sure a model of what is around a gap can be of what is in it, 0 to 1.

    The correlation of the two continuations, from before the gap and from after it, over its whole length;
    0 where they disagree in sign.

    Args:
        x: (channels, time) real, finite at the known samples.
        known: (time,) bool.
        start, end: of the gap.
        order: of the models.

    Returns:
        (channels,).
    """
    forth, back = continuations(torch.where(known, x, 0).double(), known, start, end, end - start, order)
    norm = forth.norm(dim=-1) * back.norm(dim=-1)
    return ((forth * back).sum(-1) / norm.clamp(min=1e-30)).clamp(0, 1)


def continuations(
    x: Tensor, known: Tensor, start: int, end: int, count: int, order: int
) -> tuple[Tensor, Tensor]:
    """(channels, count) each: what follows on what is before a gap, and what leads to what is after it."""
    before, after = x[:, _before(known, start) : start], x[:, end : _after(known, end)].flip(-1)
    if before.shape == after.shape:
        forth, back = continued(torch.cat((before, after)), count, order).chunk(2)
    else:
        forth, back = continued(before, count, order), continued(after, count, order)
    return forth, back.flip(-1)


def continued(x: Tensor, count: int, order: int) -> Tensor:
    """(rows, time) to (rows, count): the samples after x that an autoregressive model of x expects.

    Burg's method; the recursion s[n] = -sum a[k] s[n - k] over SOLVED new samples is one triangular system.
    """
    time = x.shape[-1]
    order = min(order, time // 3)
    if order < 1:
        return x.new_zeros(x.shape[0], count)
    a = burg(x, order, torch.full((len(x),), time, device=x.device))
    solved = max(SOLVED, order)
    matrix = pad(a.flip(-1), (solved - 1 - order, solved - 1)).unfold(-1, solved, 1).flip(1)
    size = 2 * order + solved
    response = torch.fft.rfft(a, size)
    parts = [x[:, -order:]]
    for _ in range(0, count, solved):
        driven = torch.fft.irfft(torch.fft.rfft(parts[-1][:, -order:], size) * response, size)
        right = -driven[:, order : order + solved, None]
        parts.append(torch.linalg.solve_triangular(matrix, right, upper=False, unitriangular=True)[..., 0])
    return torch.cat(parts[1:], dim=-1)[:, :count]


def _before(known: Tensor, start: int) -> int:
    """Where the known samples that end at `start` begin."""
    lost = (~known[:start]).nonzero()
    return max(int(lost[-1]) + 1 if len(lost) else 0, start - CONTINUED)


def _after(known: Tensor, end: int) -> int:
    lost = (~known[end:]).nonzero()
    return min(end + int(lost[0]) if len(lost) else len(known), end + CONTINUED)
