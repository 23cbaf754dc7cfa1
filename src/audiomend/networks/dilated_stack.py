"""CQT-Diff's stack of dilated residual convolutions in half of the products and a fifth of the memory.

    y <- (y + conv_i(GELU(y))) / sqrt 2,      dilation 2^i along the rows, kernels of 5 rows and 3 columns

Along the columns each convolution is Winograd's F(4, 3) (Winograd 1980; Lavin and Gray 2016): four outputs are
linear in six products instead of twelve, Y = A [(G k) * (B x)], and each product is a convolution over the
rows alone. A few columns at a time go through all of it, since what they need then stays in the cache. For the
gradient nothing is kept but the eight y.
"""

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx
from torch.nn import functional as F

_ROWS, _COLUMNS = 5, 3  # taps of a kernel
_TILE = 4  # outputs of one tile
_SEEN = _TILE + _COLUMNS - 1  # inputs of one tile, and its products
_POINTS = (0.0, 0.75, -0.75, 1.5, -1.5)  # of interpolation, besides infinity; exact in bfloat16, too
_AT_ONCE = 2**18  # numbers of one piece for each input of a tile
_HALF = math.sqrt(0.5)


def dilated_stack(y: Tensor, kernels: list[Tensor], precision: torch.dtype) -> Tensor:
    """y (batch, columns >= 2, rows, channels), kernels (channels, channels, 5, 3) -> as y, in `precision`.

    Kernel i is dilated by 2^i rows, of which there are more than 2^(i + 1); edges are reflected. Gradients
    reach y, not the kernels.
    """
    return _DilatedStack.apply(y, precision, *kernels)


class _DilatedStack(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, y: Tensor, precision: torch.dtype, *kernels: Tensor) -> Tensor:
        columns = y.shape[1]
        state = _reflected(_with_margins(y, precision), columns)
        states: list[Tensor] = []
        for i, kernel in enumerate(kernels):
            if ctx.needs_input_grad[0]:
                states.append(state)
            state = _layer(state, columns, _transformed(kernel, precision), 2**i)
        ctx.save_for_backward(*states, *kernels)
        return state[:, 1 : columns + 1]

    @staticmethod
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor | None, ...]:
        layers, columns = len(ctx.saved_tensors) // 2, gradient.shape[1]
        states, kernels = ctx.saved_tensors[:layers], ctx.saved_tensors[layers:]
        g = _with_margins(gradient, states[0].dtype)
        for i in reversed(range(layers)):
            g = _adjoint_layer(states[i], g, columns, _transformed(kernels[i], g.dtype), 2**i)
        return g[:, 1 : columns + 1], None, *[None] * layers


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


def _with_margins(y: Tensor, precision: torch.dtype) -> Tensor:
    """y with one column of zeros before it and some behind, which fill the last tile and one more."""
    columns = y.shape[1]
    behind = _TILE * (-(-columns // _TILE) + 1) - 1 - columns
    return F.pad(y.to(precision), (0, 0, 0, 0, 1, behind))


def _reflected(state: Tensor, columns: int) -> Tensor:
    """Columns beside the first and the last one; what lies behind is 0."""
    state[:, 0], state[:, columns + 1] = state[:, 2], state[:, columns - 1]
    state[:, columns + 2 :] = 0
    return state


def _pieces(state: Tensor) -> Iterator[tuple[int, int, int]]:
    """Example, first column and number of tiles of each piece."""
    batch, columns, rows, channels = state.shape
    tiles = columns // _TILE - 1
    step = max(1, _AT_ONCE // (rows * channels))
    for example in range(batch):
        for first in range(0, tiles, step):
            yield example, _TILE * first, min(step, tiles - first)


def _layer(state: Tensor, columns: int, kernels: list[Tensor], dilation: int) -> Tensor:
    rows, channels = state.shape[2:]
    edge = _ROWS // 2 * dilation
    result = torch.empty_like(state)
    for example, start, tiles in _pieces(state):
        end = start + _TILE * tiles
        seen = F.gelu(state[example, start : end + 2]).flatten(1)
        padded = seen.new_empty(_SEEN, tiles, rows + 2 * edge, channels)
        inside = padded[:, :, edge : edge + rows]
        _combine(_B, seen.unfold(0, _SEEN, _TILE).transpose(1, 2), inside.view(_SEEN, tiles, -1).transpose(0, 1))
        padded[:, :, :edge] = inside[:, :, 1 : edge + 1].flip(2)
        padded[:, :, edge + rows :] = inside[:, :, rows - 1 - edge : rows - 1].flip(2)
        images = padded.permute(0, 3, 1, 2)[:, None]
        products = [F.conv2d(x, k, dilation=(1, dilation))[0].permute(1,2,0) for x, k in zip(images, kernels, strict=True)]
        stacked = torch.stack(products, dim=1).flatten(2)
        old, new = (s[example, start + 1 : end + 1].view(tiles, _TILE, -1) for s in (state, result))
        torch.baddbmm(old, _A.to(state).expand(tiles, -1, -1), stacked, beta=_HALF, out=new)
    return _reflected(result, columns)


def _combine(matrix: Tensor, x: Tensor, out: Tensor) -> None:
    torch.bmm(matrix.to(x).expand(len(x), -1, -1), x, out=out)


def _adjoint_layer(state: Tensor, g: Tensor, columns: int, kernels: list[Tensor], dilation: int) -> Tensor:
    """Gradient with respect to `state` from that with respect to what `_layer` gives; takes g's place."""
    rows, channels = state.shape[2:]
    edge = _ROWS // 2 * dilation
    into = torch.zeros_like(state)
    for example, start, tiles in _pieces(state):
        end = start + _TILE * tiles
        products = g.new_empty(_SEEN, tiles, rows, channels)
        _combine(_A.T, g[example, start + 1 : end + 1].view(tiles, _TILE, -1), products.flatten(2).transpose(0, 1))
        images = products.permute(0, 3, 1, 2)[:, None]
        folded: list[Tensor] = []
        for x, k in zip(images, kernels, strict=True):
            padded = F.conv_transpose2d(x, k, dilation=(1, dilation))[0].permute(1, 2, 0)
            inside = padded[:, edge : edge + rows]
            inside[:, 1 : edge + 1] += padded[:, :edge].flip(1)
            inside[:, rows - 1 - edge : rows - 1] += padded[:, edge + rows :].flip(1)
            folded.append(inside)
        stacked = torch.stack(folded, dim=1).flatten(2)
        seen = torch.bmm(_B.T.to(g).expand(tiles, -1, -1), stacked).unflatten(2, (rows, channels))
        into[example, start:end].unflatten(0, (tiles, _TILE)).add_(seen[:, :_TILE])
        into[example, start + _TILE : end + _TILE].unflatten(0, (tiles, _TILE))[:, :2].add_(seen[:, _TILE:])
    into[:, 2] += into[:, 0]
    into[:, columns - 1] += into[:, columns + 1]
    g.mul_(_HALF).add_(torch.ops.aten.gelu_backward(into, state))
    g[:, columns + 1 :] = 0
    return g
