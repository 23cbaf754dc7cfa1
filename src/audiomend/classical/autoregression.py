"""Missing samples as an autoregressive process has them.

Janssen, Veldhuis, Vries, "Adaptive interpolation of discrete-time signals that can be modeled as
autoregressive processes", IEEE Trans. ASSP 34(2), 1986: coefficients a from the present samples, then the
missing samples that make the energy of the residual a * x least, in turn. The signal counts as zero beyond
the ends of its segment, so that both steps are Toeplitz, and zeros appended to a segment change nothing.
"""

import math
from collections.abc import Iterator

import numpy as np
import torch
from scipy.fft import next_fast_len
from scipy.linalg import LinAlgError, solveh_banded
from torch import Tensor
from torch.nn.functional import pad

CONDITION = 1e-9  # least share of the greatest magnitude that is inverted
WIDE = 2  # bands of a matrix that is solved as one, not as a band
MATRIX_ELEMENTS = 1 << 22  # of the normal matrices held at a time, unless a single one is larger


def lpc(x: Tensor, order: int, white: float | Tensor = 0.0) -> Tensor:
    """Coefficients by the autocorrelation method, solved by Levinson's recursion.

    Args:
        x: (rows, time) real.
        order: at least 1.
        white: energy of white noise that the model is to hold besides, over the row: one number or (rows,).

    Returns:
        (rows, order + 1), the first 1; silence gives 1, 0, 0, ...
    """
    size = x.shape[-1] + order
    r = torch.fft.irfft(torch.fft.rfft(x, size).abs().square(), size)[:, : order + 1]
    r[:, 0] += white
    r = torch.where(r[:, :1] > 0, r, 0)
    a = torch.zeros_like(r)
    a[:, 0] = 1
    error = torch.where(r[:, 0] > 0, r[:, 0], 1)
    for m in range(1, order + 1):
        k = -(a[:, :m] * r[:, 1 : m + 1].flip(-1)).sum(dim=-1) / error
        a[:, 1 : m + 1] += k[:, None] * a[:, :m].flip(-1)
        error = error * (1 - k.square())
    return a


def burg(x: Tensor, order: int, lengths: Tensor) -> Tensor:
    """Coefficients by Burg's method: at each order the reflection of least forward and backward error.

    Args:
        x: (rows, time) real, of which row i holds lengths[i] samples and then zeros.
        order: at least 1, less than the lengths.
        lengths: (rows,) in samples.

    Returns:
        (rows, order + 1), the first 1; silence gives 1, 0, 0, ...
    """
    a = x.new_zeros(x.shape[0], order + 1)
    a[:, 0] = 1
    inside = (torch.arange(x.shape[-1], device=x.device) < lengths[:, None]).to(x.dtype)
    is_ragged = bool((inside == 0).any())
    forward, backward, least = x, x, torch.finfo(x.dtype).tiny
    for m in range(1, order + 1):
        forward, backward = forward[..., 1:], backward[..., :-1]
        if is_ragged:  # the backward error's last sample has no forward error beside it
            backward = backward * inside[:, m:]
        energy = _energy(forward).add_(_energy(backward)).clamp_(min=least)
        k = torch.linalg.vecdot(forward, backward)[:, None].mul_(-2).div_(energy)
        forward, backward = (
            torch.addcmul(forward, k, backward),
            torch.addcmul(backward, k, forward),
        )
        a[:, 1 : m + 1].addcmul_(k, a[:, :m].flip(-1))
    return a


def _energy(x: Tensor) -> Tensor:
    return torch.linalg.vector_norm(x, dim=-1, keepdim=True).square_()


def least_residual(x: Tensor, missing: Tensor, a: Tensor) -> Tensor:
    """x with the missing samples that make the energy of a * x least, the sum going over the whole line.

    They solve B_mm x_m = -B_mo x_o with B[i, j] = b[|i - j|] and b the autocorrelation of a (Janssen et
    al. 1986). The right side is the known part filtered twice, by two FFTs. Rows are solved together with
    those that miss about as many samples, each matrix filled up with ones on its diagonal. Where many more
    are missing than in any `order` + 1 samples in a row, the matrix is a band, since b ends after the order:
    time and memory grow with their number, not with its third and second power.

    Args:
        x: (rows, time) real.
        missing: (rows, time) bool.
        a: (rows, order + 1), the first 1.

    Returns:
        (rows, time). A row whose matrix is not positive in its precision stays as it is.
    """
    time, order = x.shape[-1], a.shape[-1] - 1
    size = time + order
    power = torch.fft.rfft(a, size).abs().square()
    known = torch.where(missing, 0, x)
    right = -torch.fft.irfft(power * torch.fft.rfft(known, size), size)[:, :time]
    b = x.new_zeros(x.shape[0], time)
    b[:, : order + 1] = _autocorrelation(a)[:, :time]

    out, counts, widths = x.clone(), missing.sum(dim=-1), _most_within(missing, order + 1)
    is_band = counts > WIDE * widths
    for row in is_band.nonzero()[:, 0].tolist():
        gap, width = missing[row], int(widths[row])
        out[row, gap] = _filled_as_band(x[row, gap], gap, b[row, : order + 1], right[row, gap], width)
    for rows, count in _alike(torch.where(is_band, 0, counts)):
        out[rows] = _filled(x[rows], missing[rows], b[rows], right[rows], count)
    return out


def _filled(x: Tensor, missing: Tensor, b: Tensor, right: Tensor, count: int) -> Tensor:
    """(rows, time), at most `count` samples of each missing."""
    time = x.shape[-1]
    # The places of the missing samples come first, in their order, then places that stand for none.
    places = missing.to(torch.int8).argsort(dim=-1, descending=True, stable=True)[:, :count]
    real = missing.gather(-1, places)
    # lines[row, i, time - 1 - j] = b[|i - j|]
    lines = torch.cat((b.flip(-1), b[:, 1:]), dim=-1).unfold(-1, time, 1)
    row = torch.arange(len(x), device=x.device)[:, None, None]
    matrix = lines[row, places[:, :, None], time - 1 - places[:, None, :]]
    matrix *= real[:, :, None]
    matrix *= real[:, None, :]
    matrix.diagonal(dim1=-2, dim2=-1).add_((~real).to(x.dtype))
    factor, failed = torch.linalg.cholesky_ex(matrix)
    side = torch.where(real, right.gather(-1, places), 0)
    values = torch.cholesky_solve(side[..., None], factor)[..., 0]
    solved = real & (failed == 0)[:, None] & values.isfinite()
    return x.scatter(-1, places, torch.where(solved, values, x.gather(-1, places)))


def _most_within(missing: Tensor, length: int) -> Tensor:
    """(rows, time) bool to (rows,): how many are missing in `length` samples in a row, at most."""
    before = pad(missing.cumsum(dim=-1), (length, 0))
    return (before[:, length:] - before[:, :-length]).amax(dim=-1)


def _filled_as_band(x: Tensor, missing: Tensor, b: Tensor, right: Tensor, width: int) -> Tensor:
    """The missing samples of one row by a Cholesky factor of the lower band; x where it has none.

    x, right: (count,). missing: (time,) bool. b: (order + 1,). width: diagonals of the band.
    """
    places = missing.nonzero()[:, 0].numpy(force=True)
    padded = np.append(b.numpy(force=True), 0)  # beyond the order
    band = np.zeros((width, len(places)), padded.dtype, order="F")  # as LAPACK takes it, without a copy
    for k in range(width):
        lags = places[k:] - places[: len(places) - k]
        band[k, : len(lags)] = padded[np.minimum(lags, len(b))]
    try:
        values = solveh_banded(
            band, right.numpy(force=True), lower=True, overwrite_ab=True, check_finite=False
        )
    except (LinAlgError, ValueError):
        return x
    return torch.from_numpy(values).to(x) if np.isfinite(values).all() else x


def approached(x: Tensor, missing: Tensor, a: Tensor, steps: int) -> Tensor:
    """`least_residual` by conjugate gradients that begin at x: near it in 50 steps from a good start.

    The matrix is a Toeplitz one without the rows of known samples; two FFTs of all rows for each product. It
    is preconditioned by the Toeplitz matrix of 1 / |a|, which took half of the steps of 1 / |a|².

    Args, Returns: as `least_residual`; all missing samples of x are a start.
    """
    time = x.shape[-1]
    size = next_fast_len(time + a.shape[-1] - 1, real=True)
    magnitude = torch.fft.rfft(a, size).abs()
    power, inverse = magnitude.square(), 1 / (magnitude + CONDITION * magnitude.amax(dim=-1, keepdim=True))
    free = missing.to(x.dtype)

    def filtered(v: Tensor, response: Tensor) -> Tensor:
        return torch.fft.irfft(response * torch.fft.rfft(v, size), size)[:, :time] * free

    def dot(u: Tensor, v: Tensor) -> Tensor:
        return (u * v).sum(dim=-1, keepdim=True)

    residual = -filtered(x, power)
    direction = downhill = filtered(residual, inverse)
    energy = dot(residual, downhill)
    for _ in range(steps):
        change = filtered(direction, power)
        stride = _ratio(energy, dot(direction, change))
        x = x + stride * direction
        residual = residual - stride * change
        downhill = filtered(residual, inverse)
        energy, last = dot(residual, downhill), energy
        direction = downhill + _ratio(energy, last) * direction
    return x


def _ratio(a: Tensor, b: Tensor) -> Tensor:
    return a / torch.where(b > 0, b, math.inf)  # a row that is done stays


def _autocorrelation(a: Tensor) -> Tensor:
    size = 2 * a.shape[-1]
    return torch.fft.irfft(torch.fft.rfft(a, size).abs().square(), size)[:, : a.shape[-1]]


def _alike(counts: Tensor) -> Iterator[tuple[Tensor, int]]:
    """Groups of rows that miss samples, the greatest count of each first, within MATRIX_ELEMENTS."""
    order = counts.argsort(descending=True)
    order = order[counts[order] > 0]
    while len(order) > 0:
        count = int(counts[order[0]])
        group = order[: max(1, MATRIX_ELEMENTS // count**2)]
        group = group[counts[group] > 0.9 * count]  # a tenth more rows cost a third more work
        yield group, count
        order = order[len(group) :]
