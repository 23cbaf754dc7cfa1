"""The network of CQT-Diff: a U-Net over the constant-Q transform (Moliner, Lehtinen, Välimäki 2023).

Rows of the transform are never resampled; each block reaches over all of them by eight convolutions whose
dilation along frequency doubles. Columns halve from level to level. A pyramid of the transform itself goes
down beside the encoder, and one of residuals comes up beside the decoder; the inverse transform projects its
end onto what a signal can have.

Parameters have the names, the order and the shapes of the published state dict (181 entries; the transform
has none). Tensors are (batch, columns, rows, channels), as suits processors best.
"""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from audiomend.errors import UsageError
from audiomend.networks.dilated_block import dilated_block
from audiomend.transforms.cqt import Cqt

_FREQUENCIES = 32  # random ones, for the noise level and for the rows
_FREQUENCY_SPREAD = 16.0
_EMBEDDING = (64, 128, 256, 512)
_DILATIONS = tuple(2**i for i in range(8))
_KERNEL = (5, 3)  # rows, columns
_WIDEST = _KERNEL[0] // 2 * _DILATIONS[-1]  # rows that the widest convolution reflects
_SPECTRUM = 2  # channels of the transform: real and imaginary part
_SINC_ZEROS = 6  # zero crossings of the resamplers' sinc on each side
_SINC_ROLLOFF = 0.99  # their cut-off over Nyquist
_STEPS = 8  # of a resampler at a time


@dataclass(frozen=True)
class Architecture:
    """Sizes of a `CqtDiff`, the paper's by default.

    Attributes:
        rate, length, octaves, bins: those of the transform (`audiomend.transforms.cqt.Cqt`), which must have
            more than 256 rows: the widest convolution reflects that many.
        widths: channels of each level of the encoder, two or more.
    """

    rate: int = 22050
    length: int = 65536
    octaves: int = 7
    bins: int = 64
    widths: tuple[int, ...] = (32, 64, 64, 128, 128, 128)


class CqtDiff(nn.Module):
    """x (batch, length) of about unit variance, c_noise (batch, 1) = ln(sigma) / 4 -> F (batch, length).

    F is the target of EDM (Karras et al. 2022, eq. 7). Before training it is 0. `precision` is the number
    format of the dilated convolutions, which are nearly all of the work.

    Raises:
        UsageError: where the transform has 256 rows or fewer.
    """

    def __init__(self, architecture: Architecture, precision: torch.dtype = torch.float32) -> None:
        super().__init__()
        a = architecture
        self.architecture = a
        self.transform = Cqt(a.rate, a.length, a.octaves, a.bins)
        if self.transform.rows <= _WIDEST:
            raise UsageError(f"{self.transform.rows} rows are too few: CQT-Diff needs more than {_WIDEST}.")
        self.embedding = NoiseEmbedding(_EMBEDDING)
        self.freq_encoding = _RowEmbedding(self.transform.rows)
        self.init_conv = _FirstConv(_SPECTRUM + 2 * _FREQUENCIES, a.widths[0])

        # The narrowest blocks take the most memory for the least work: a gradient runs them again, but for
        # the last one, whose turn comes while all others are in memory.
        last = len(a.widths) - 1
        self.downs = nn.ModuleList()
        for level, width in enumerate(a.widths):
            block = _Block(a.widths[max(level - 1, 0)], width, precision, keep=width > a.widths[0])
            steps = [] if level == last else [_Resample(2, 1), _Projection(_SPECTRUM, width)]
            self.downs.append(nn.ModuleList([block, *steps]))
        self.middle = nn.ModuleList([nn.ModuleList([_Block(a.widths[-1], a.widths[-1], precision)])])
        self.ups = nn.ModuleList()
        for level, width in reversed(list(enumerate(a.widths))):
            to = a.widths[max(level - 1, 0)]
            steps = [] if level == 0 else [_Resample(1, 2), _Projection(to, _SPECTRUM, zero=True)]
            keep = level == 0 or to > a.widths[0]
            self.ups.append(nn.ModuleList([_Block(2 * width, to, precision, keep), *steps]))

    def forward(self, x: Tensor, c_noise: Tensor) -> Tensor:
        embedding = self.embedding(c_noise)
        spectrum = torch.view_as_real(self.transform.forward(x)).transpose(1, 2)
        h = self.init_conv(spectrum, self.freq_encoding())
        h, skips = self._encode(h, spectrum, embedding)
        (middle,) = self.middle[0].children()
        residual = self._decode(middle(h, embedding), skips, embedding)
        return self.transform.inverse(torch.view_as_complex(residual.transpose(1, 2).contiguous()))

    def _encode(self, h: Tensor, pyramid: Tensor, embedding: Tensor) -> tuple[Tensor, list[Tensor]]:
        skips: list[Tensor] = []
        for level in self.downs:
            block, *steps = level.children()
            h = block(h, embedding)
            skips.append(h)
            if steps:
                halve, project = steps
                pyramid = halve(pyramid)
                h = (project(pyramid) + halve(h)) / math.sqrt(2)
        return h, skips

    def _decode(self, h: Tensor, skips: list[Tensor], embedding: Tensor) -> Tensor:
        *levels, last = self.ups
        residual: Tensor | None = None
        for level in levels:
            block, double, project = level.children()
            h = block(_joined(h, skips.pop()), embedding)
            residual = _added(residual, project(h))
            h, residual = double(h), double(residual)
        (block,) = last.children()
        h = block(_joined(h, skips.pop()), embedding)
        # The last block has no projection of its own, but shares that of the one before it.
        *_, project = levels[-1].children()
        return _added(residual, project(h))


def _joined(h: Tensor, skip: Tensor) -> Tensor:
    """Channels side by side; of an odd number of columns, doubled again, the last one is left out."""
    first = (h.shape[1] - skip.shape[1]) // 2
    return torch.cat((h[:, first : first + skip.shape[1]], skip), dim=-1)


def _added(residual: Tensor | None, more: Tensor) -> Tensor:
    return more if residual is None else (residual[:, : more.shape[1]] + more) / math.sqrt(2)


class NoiseEmbedding(nn.Module):
    """(batch, 1) noise level -> (batch, sizes[-1]): random Fourier features, then linear layers with ReLU.

    `sizes` are the features and the widths of the layers.
    """

    def __init__(self, sizes: tuple[int, ...]) -> None:
        super().__init__()
        self.RFF_freq = nn.Parameter(_FREQUENCY_SPREAD * torch.randn(1, sizes[0] // 2), requires_grad=False)
        self.MLP = nn.ModuleList(nn.Linear(n, m) for n, m in pairwise(sizes))

    def forward(self, level: Tensor) -> Tensor:
        # Hundreds of turns: in float32 their rounding is nine tenths of the whole network's. Not every device
        # has float64, so they are taken on the processor.
        turns = 2 * math.pi * level.cpu().double() * self.RFF_freq.cpu().double()
        h = torch.cat((turns.sin(), turns.cos()), dim=1).to(level)
        for layer in self.MLP:
            h = F.relu(layer(h))
        return h


class _RowEmbedding(nn.Module):
    """(1, 64, rows): random Fourier features of the row's number.

    The table is a parameter because its arguments reach 1e5, where float32 cannot rebuild it.
    """

    def __init__(self, rows: int) -> None:
        super().__init__()
        self.RFF_freq = nn.Parameter(_FREQUENCY_SPREAD * torch.randn(1, _FREQUENCIES), requires_grad=False)
        turns = 2 * math.pi * self.RFF_freq.double().T * torch.arange(rows)
        table = torch.cat((turns.sin(), turns.cos()))[None].float()
        self.embeddings = nn.Parameter(table, requires_grad=False)

    def forward(self) -> Tensor:
        return self.embeddings


class _Block(nn.Module):
    """Modulation by the noise level and eight residual convolutions, dilated along frequency."""

    def __init__(self, inputs: int, outputs: int, precision: torch.dtype, keep: bool = True) -> None:
        super().__init__()
        self.film = _Film(inputs)
        if inputs != outputs:
            self.res_conv = _Pointwise(inputs, outputs)
        self.H = nn.ModuleList(_DilatedConv(outputs, dilation) for dilation in _DILATIONS)
        self.first_conv = nn.Sequential(nn.GELU(), _Pointwise(inputs, outputs))
        self.changes_width = inputs != outputs
        self.precision = precision
        self.keep = keep

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        factor = self.film(embedding)
        trained = factor.requires_grad or any(weight.requires_grad for weight in self.parameters())
        if x.device.type == "cpu" and not (trained and torch.is_grad_enabled()):
            first = self.get_parameter("first_conv.1.weight")[:, :, 0, 0]
            direct = self.get_parameter("res_conv.weight")[:, :, 0, 0] if self.changes_width else None
            kernels = [conv.get_parameter("conv.weight") for conv in self.H]
            return dilated_block(x, factor, first, direct, kernels, self.precision, self.keep)
        # The same, for gradients of the parameters and for processors that have no use for it.
        x = x * factor
        y = self.first_conv(x)
        for conv in self.H:
            y = (y + conv(F.gelu(y).to(self.precision))) / math.sqrt(2)
        return (y + (self.res_conv(x) if self.changes_width else x)) / math.sqrt(2)


class _Film(nn.Module):
    """A factor per channel, (batch, 1, 1, channels)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.output_layer = nn.Linear(_EMBEDDING[-1], channels)

    def forward(self, embedding: Tensor) -> Tensor:
        return self.output_layer(embedding)[:, None, None]


class _Pointwise(nn.Module):
    """Convolution of one tap, without bias."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = _kernel(outputs, inputs, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight[:, :, 0, 0])


class _Conv(nn.Module):
    """Convolution to the same size in the input's precision, without bias, the edges reflected."""

    def __init__(self, inputs: int, outputs: int, dilation: int = 1) -> None:
        super().__init__()
        self.dilation = dilation
        self.weight = _kernel(outputs, inputs, *_KERNEL)

    def forward(self, x: Tensor) -> Tensor:
        return _convolved(x, self.weight, self.dilation)


class _FirstConv(nn.Module):
    """`_Conv` of the spectrum (batch, columns, rows, 2) beside the features (1, 64, rows) of its rows."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = _kernel(outputs, inputs, *_KERNEL)

    def forward(self, x: Tensor, features: Tensor) -> Tensor:
        # The features are the same in all columns, so what becomes of them is, too.
        of_columns = self.weight[:, _SPECTRUM:].sum(dim=3)
        places = F.conv1d(F.pad(features, (_KERNEL[0] // 2,) * 2, mode="reflect"), of_columns)
        return _convolved(x, self.weight[:, :_SPECTRUM]) + places.transpose(1, 2)[:, None]


def _kernel(*shape: int) -> nn.Parameter:
    weight = nn.Parameter(torch.empty(shape))
    nn.init.kaiming_uniform_(weight, a=math.sqrt(5))
    return weight


def _convolved(x: Tensor, kernel: Tensor, dilation: int = 1) -> Tensor:
    rows, columns = _KERNEL[0] // 2 * dilation, _KERNEL[1] // 2
    padded = F.pad(x.permute(0, 3, 1, 2), (rows, rows, columns, columns), mode="reflect")
    return F.conv2d(padded, kernel.to(x.dtype).transpose(2, 3), dilation=(1, dilation)).permute(0, 2, 3, 1)


class _DilatedConv(nn.Module):
    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.conv = _Conv(channels, channels, dilation)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class _Projection(nn.Module):
    """To or from the two channels of the spectrum."""

    def __init__(self, inputs: int, outputs: int, zero: bool = False) -> None:
        super().__init__()
        self.conv1x1 = _Pointwise(inputs, outputs)
        if zero:
            nn.init.zeros_(self.conv1x1.weight)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv1x1(x)


class _Resample(nn.Module):
    """Halves the columns (2, 1) or doubles them (1, 2); an odd number is halved upwards."""

    def __init__(self, old: int, new: int) -> None:
        super().__init__()
        self.old, self.new = old, new
        self.resample = _SincKernel(old, new)

    def forward(self, x: Tensor) -> Tensor:
        # Some outputs at a time are a matrix times the columns that they see.
        kernel = self.resample.kernel[:, 0]
        reach = (kernel.shape[-1] - self.old) // 2
        columns = -(-x.shape[1] * self.new // self.old)
        pieces = -(-columns // (_STEPS * self.new))
        step, seen = _STEPS * self.old, (_STEPS - 1) * self.old + kernel.shape[-1]
        behind = (pieces - 1) * step + seen - reach - x.shape[1]
        padded = F.pad(x, (0, 0, 0, 0, reach, behind)).flatten(2)
        matrix = torch.cat(
            [F.pad(kernel, (n * self.old, seen - n * self.old - kernel.shape[-1])) for n in range(_STEPS)]
        )
        resampled: Tensor = _Windowed.apply(padded, matrix, step)  # pyright: ignore[reportAssignmentType]
        return resampled.flatten(1, 2)[:, :columns].unflatten(2, x.shape[2:])


class _Windowed(torch.autograd.Function):
    """x (batch, columns, values), matrix (n, m), step -> (batch, windows, n, values): matrix times window.

    Windows have m columns and begin `step` after each other. The gradient reaches x only.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, matrix: Tensor, step: int) -> Tensor:
        ctx.save_for_backward(matrix)
        ctx.step = step
        return matrix @ x.unfold(1, matrix.shape[1], step).transpose(2, 3)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        gradient = grads[0]
        (matrix,) = ctx.saved_tensors
        batch, windows, _, values = gradient.shape
        size, step = matrix.shape[1], ctx.step
        pieces = gradient.new_zeros(batch, windows + -(-size // step), step, values)
        seen = matrix.T @ gradient
        for i, start in enumerate(range(0, size, step)):
            part = seen[:, :, start : start + step]
            pieces[:, i : i + windows, : part.shape[2]] += part
        return pieces.flatten(1, 2)[:, : (windows - 1) * step + size], None, None


class _SincKernel(nn.Module):
    """The published taps, (phases, 1, taps): a sinc in a window of Hann, computed once and then stored."""

    kernel: Tensor

    def __init__(self, old: int, new: int) -> None:
        super().__init__()
        base = min(old, new) * _SINC_ROLLOFF
        reach = math.ceil(_SINC_ZEROS * old / base)
        taps = torch.arange(-reach, reach + old, dtype=torch.float64) / old
        phases = torch.arange(new, dtype=torch.float64)[:, None] / new
        t = (base * (taps - phases)).clamp(-_SINC_ZEROS, _SINC_ZEROS)
        window = torch.cos(math.pi * t / (2 * _SINC_ZEROS)).square()
        self.register_buffer("kernel", (torch.sinc(t) * window * base / old).float()[:, None])
