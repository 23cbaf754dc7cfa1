"""A block of CQT-Diff with half of its products, and with a gradient that keeps little.

    x <- x gamma,  y = W GELU(x),  y <- (y + conv_i(GELU(y))) / sqrt 2 for each i,  (y + R x) / sqrt 2

Kernels have 5 rows and 3 columns and are dilated by 2^i along the rows. Along the columns each convolution is
Winograd's F(4, 3) (Winograd 1980; Lavin and Gray 2016): the four outputs of a tile are linear in six products
instead of twelve, Y = A [(G k) * (B x)], and each product is a convolution over the rows alone. A few columns
at a time go through all of it, since what they need then stays in the cache. For the gradient nothing is kept
but x and, if wanted, every y.

Inside, y has margins: column c lies at c + 1, since a tile sees one column more on each side.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

_ROWS, _COLUMNS = 5, 3  # taps of a kernel
_TILE = 4  # outputs of a tile
_SEEN = _TILE + _COLUMNS - 1  # its inputs, and its products
_POINTS = (0.0, 0.75, -0.75, 1.5, -1.5)  # of interpolation, besides infinity; exact in bfloat16, too
_AT_ONCE = 2**18  # bytes of a piece for each input of a tile: six of them stay in a core's cache
_SHARED = 2**19  # values instead, with several threads, which would else wait for each other
_HALF = math.sqrt(0.5)  # of the variance

Place = tuple[int, slice]


def dilated_block(
    x: Tensor,
    factor: Tensor,
    first: Tensor,
    direct: Tensor | None,
    kernels: Sequence[Tensor],
    precision: torch.dtype,
    keep: bool = True,
) -> Tensor:
    """x (batch, columns, rows, inputs) -> (batch, columns, rows, outputs). Gradients reach x only.

    Args:
        x: of two columns or more. Edges are reflected.
        factor: gamma, (batch, 1, 1, inputs).
        first, direct: W and R, (outputs, inputs); None stands for the unit matrix.
        kernels: (outputs, outputs, 5, 3) each; the i-th reflects 2^(i + 1) rows and needs one more.
        precision: number format of y.
        keep: whether the gradient finds every y in memory; otherwise it computes them once more.
    """
    return _DilatedBlock.apply(  # pyright: ignore[reportReturnType]
        x, factor, first, direct, precision, keep, *kernels
    )


class _DilatedBlock(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        factor: Tensor,
        first: Tensor,
        direct: Tensor | None,
        precision: torch.dtype,
        keep: bool,
        *kernels: Tensor,
    ) -> Tensor:
        columns = x.shape[1]
        y = _entered(x, factor, first, precision)
        kept = _convolve_all(y, columns, kernels, keep and ctx.needs_input_grad[0])
        ctx.save_for_backward(x, factor, first, direct, kept, *kernels)
        result = x.new_empty(*x.shape[:3], len(first))
        for outside, inside in _places(y, columns):
            scaled = x[outside] * (_HALF * factor[outside[0]])
            scaled = scaled if direct is None else F.linear(scaled, direct)
            torch.add(scaled, y[inside], alpha=_HALF, out=result[outside])
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        gradient = grads[0]
        x, factor, first, direct, kept, *kernels = ctx.saved_tensors
        columns = x.shape[1]
        if not len(kept):
            kept = _convolve_all(_entered(x, factor, first, kept.dtype), columns, kernels, keep=True)
        g = torch.zeros_like(kept[0])
        torch.mul(gradient, _HALF, out=g[:, 1 : columns + 1])
        for i in reversed(range(len(kernels))):
            _convolve_back(g, kept[i], columns, _transformed(kernels[i], g.dtype), 2**i)
        result = torch.empty_like(x)
        for outside, inside in _places(g, columns):
            through = gradient[outside] * _HALF
            through = through if direct is None else F.linear(through, direct.T)
            modulated = x[outside] * factor[outside[0]]
            entered = F.linear(g[inside], first.T.to(g.dtype)).to(x.dtype)
            through = through + torch.ops.aten.gelu_backward(entered, modulated)
            torch.mul(through, factor[outside[0]], out=result[outside])
        return result, None, None, None, None, None, *[None] * len(kernels)


def _matrices() -> tuple[Tensor, Tensor, Tensor]:
    """A (4, 6), G (6, 3) and B (6, 6), by the interpolation of Toom and Cook."""
    a, g, b = np.zeros((_TILE, _SEEN)), np.zeros((_SEEN, _COLUMNS)), np.zeros((_SEEN, _SEEN))
    for j, point in enumerate(_POINTS):
        others = np.delete(_POINTS, j)
        a[:, j] = point ** np.arange(_TILE)
        g[j] = point ** np.arange(_COLUMNS) / np.prod(point - others)
        b[j, :-1] = np.poly(others)[::-1]
    a[-1, -1] = g[-1, -1] = 1
    b[-1] = np.poly(_POINTS)[::-1]
    return torch.from_numpy(a), torch.from_numpy(g), torch.from_numpy(b)


_A, _G, _B = _matrices()


def _transformed(kernel: Tensor, precision: torch.dtype) -> list[Tensor]:
    """(out, in, 5, 3) -> six (out, in, 1, 5), for the rows alone; the division by sqrt 2 is theirs, too."""
    products = torch.einsum("pt,oirt->poir", _HALF * _G.to(kernel), kernel).to(precision)
    return [k.contiguous(memory_format=torch.channels_last) for k in products[:, :, :, None]]


def _pieces(y: Tensor) -> Iterator[tuple[int, int, int]]:
    """Example, first column and number of tiles of each piece of a y with margins."""
    batch, width, rows, channels = y.shape
    tiles = width // _TILE - 1
    values = _AT_ONCE // y.itemsize if torch.get_num_threads() == 1 else _SHARED
    step = max(1, values // (rows * channels))
    for example in range(batch):
        for tile in range(0, tiles, step):
            yield example, _TILE * tile, min(step, tiles - tile)


def _places(y: Tensor, columns: int) -> Iterator[tuple[Place, Place]]:
    """Where each piece lies in a tensor without margins, and where in y."""
    for example, start, tiles in _pieces(y):
        end = min(start + _TILE * tiles, columns)
        yield (example, slice(start, end)), (example, slice(start + 1, end + 1))


def _entered(x: Tensor, factor: Tensor, first: Tensor, precision: torch.dtype) -> Tensor:
    """The first y, with margins."""
    batch, columns, rows, _ = x.shape
    tiles = -(-columns // _TILE)
    y = x.new_zeros(batch, _TILE * (tiles + 1), rows, len(first), dtype=precision)
    for outside, inside in _places(y, columns):
        bent = F.gelu(x[outside] * factor[outside[0]])
        y[inside] = F.linear(bent.to(precision), first.to(precision))
    _reflect(y, columns)
    return y


def _convolve_all(y: Tensor, columns: int, kernels: Sequence[Tensor], keep: bool) -> Tensor:
    """All convolutions in place; the y that each of them took, or none."""
    kept = y.new_empty(len(kernels) if keep else 0, *y.shape)
    for i, kernel in enumerate(kernels):
        kept[i : i + 1] = y
        _convolve(y, columns, _transformed(kernel, y.dtype), 2**i)
    return kept


def _reflect(y: Tensor, columns: int) -> None:
    """Fill the columns beside the first and the last one; no output depends on what lies behind."""
    y[:, 0], y[:, columns + 1] = y[:, 2], y[:, columns - 1]


def _combined(matrix: Tensor, x: Tensor, out: Tensor) -> None:
    """out = matrix x for each tile of x (tiles, numbers, values)."""
    torch.bmm(matrix.to(x).expand(len(x), -1, -1), x, out=out)


def _convolve(y: Tensor, columns: int, kernels: list[Tensor], dilation: int) -> None:
    """y <- (y + conv(GELU(y))) / sqrt 2 in place."""
    rows, channels = y.shape[2:]
    edge = _ROWS // 2 * dilation
    before = y  # GELU of the column before a piece, which is overwritten by then
    for example, start, tiles in _pieces(y):
        end = start + _TILE * tiles
        seen = F.gelu(y[example, start : end + 2]).flatten(1)
        if start:
            seen[0] = before
        before = seen[-2]
        padded = y.new_empty(_SEEN, tiles, rows + 2 * edge, channels)
        inside = padded[:, :, edge : edge + rows]
        by_tile = inside.view(_SEEN, tiles, -1).transpose(0, 1)
        _combined(_B, seen.unfold(0, _SEEN, _TILE).transpose(1, 2), out=by_tile)
        padded[:, :, :edge] = inside[:, :, 1 : edge + 1].flip(2)
        padded[:, :, edge + rows :] = inside[:, :, rows - 1 - edge : rows - 1].flip(2)
        images = padded.permute(0, 3, 1, 2)[:, None]  # with the channels last
        products = [
            F.conv2d(image, kernel, dilation=(1, dilation))[0].permute(1, 2, 0)
            for image, kernel in zip(images, kernels, strict=True)
        ]
        outputs = y[example, start + 1 : end + 1].view(tiles, _TILE, -1)
        matrix = _A.to(y).expand(tiles, -1, -1)
        outputs.baddbmm_(matrix, torch.stack(products, dim=1).flatten(2), beta=_HALF)
    _reflect(y, columns)


def _convolve_back(g: Tensor, y: Tensor, columns: int, kernels: list[Tensor], dilation: int) -> None:
    """The gradient g after `_convolve` becomes that before it, where y was what it took.

    Behind the last column g is 0 and remains so.
    """
    rows, channels = y.shape[2:]
    edge = _ROWS // 2 * dilation
    shared = g  # what a piece adds to the two columns that it has in common with the next one
    for example, start, tiles in _pieces(y):
        end = start + _TILE * tiles
        products = g.new_empty(_SEEN, tiles, rows, channels)
        outputs = g[example, start + 1 : end + 1].view(tiles, _TILE, -1)
        _combined(_A.T, outputs, out=products.flatten(2).transpose(0, 1))
        images = products.permute(0, 3, 1, 2)[:, None]
        padded = torch.stack(
            [
                F.conv_transpose2d(image, kernel, dilation=(1, dilation))[0].permute(1, 2, 0)
                for image, kernel in zip(images, kernels, strict=True)
            ]
        )
        inside = padded[:, :, edge : edge + rows]
        inside[:, :, 1 : edge + 1] += padded[:, :, :edge].flip(2)
        inside[:, :, rows - 1 - edge : rows - 1] += padded[:, :, edge + rows :].flip(2)
        by_tile = g.new_empty(tiles, _SEEN, rows, channels)
        _combined(_B.T, inside.view(_SEEN, tiles, -1).transpose(0, 1), out=by_tile.flatten(2))

        bent = g.new_zeros(_TILE * (tiles + 1), rows, channels)  # gradient of GELU(y)
        bent[:-_TILE].unflatten(0, (tiles, _TILE)).copy_(by_tile[:, :_TILE])
        bent[_TILE:].unflatten(0, (tiles, _TILE))[:, : _SEEN - _TILE].add_(by_tile[:, _TILE:])
        if start:
            bent[:2] += shared
        else:
            bent[2] += bent[0]
        shared = bent[-_TILE : 2 - _TILE]
        if end >= columns:
            bent[columns - 1 - start] += bent[columns + 1 - start]
            end = columns + 1
        done = g[example, start:end]
        new = torch.ops.aten.gelu_backward(bent[: end - start], y[example, start:end])
        torch.add(new, done, alpha=_HALF, out=done)
