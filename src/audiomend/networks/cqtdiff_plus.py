"""The network of CQT-Diff+, BABE and BABE-2: a U-Net whose levels are octaves (Moliner and Välimäki 2024).

The highest octave has the most columns and enters first. Each downsampling halves the columns, and the next
octave, which has just as many, joins below: rows grow towards the middle and shrink on the way back, where
every level gives its own octave.

Parameters have the names, the order and the shapes of the published state dict. Tensors are (batch, channels,
rows, columns), the lowest row first.
"""

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from audiomend.errors import UsageError
from audiomend.networks.cqtdiff import NoiseEmbedding
from audiomend.transforms.cqt import OctaveCqt

_EMBEDDING = (64, 128, 256)  # Fourier features and the first layers
_KERNEL = (5, 3)  # rows, columns
_SPECTRUM = 2  # channels of the transform: real and imaginary part
_GROUPS = 8  # of a norm
_NEARLY_ZERO = 1e-7  # scale of a new gate's weights
# Halves and doubles the columns: the bicubic kernel.
_RESAMPLING = (
    -0.01171875,
    -0.03515625,
    0.11328125,
    0.43359375,
    0.43359375,
    0.11328125,
    -0.03515625,
    -0.01171875,
)
_BUCKETS = 32  # distances that attention tells apart, half of them for each direction
_FARTHEST = 64  # frames; beyond, all distances are one


@dataclass(frozen=True)
class Architecture:
    """Sizes of a `CqtDiffPlus`; tuples begin with the highest octave.

    Attributes:
        rate, length, octaves, bins: those of the transform (`audiomend.transforms.cqt.OctaveCqt`), where
            every octave must have twice the columns of the one below.
        widths: channels of each octave's level.
        dilations: how many convolutions a block has, the dilation along frequency doubles with each.
        attention: which levels attend over time, and in the last place whether the middle does.
        embedding: size of the noise level's embedding.
        heads: of the attention.
        relative_positions: whether attention knows how far frames are apart.
    """

    rate: int
    length: int
    octaves: int
    bins: int
    widths: tuple[int, ...]
    dilations: tuple[int, ...]
    attention: tuple[bool, ...]
    embedding: int = 256
    heads: int = 8
    relative_positions: bool = True


class CqtDiffPlus(nn.Module):
    """x (batch, length) of about unit variance, c_noise (batch, 1) = ln(sigma) / 4 -> F (batch, length).

    F is the target of EDM (Karras et al. 2022, eq. 7), without the bands at 0 Hz and at Nyquist.

    Raises:
        UsageError: where an octave has not twice the columns of the one below.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        a = architecture
        self.architecture = a
        self.transform = OctaveCqt(a.rate, a.length, a.octaves, a.bins, published=True)
        columns = self.transform.columns
        if any(above != 2 * below for below, above in pairwise(columns)):
            raise UsageError(
                f"Octaves of {columns} columns do not fit together: each needs twice the one before."
            )
        self.embedding = NoiseEmbedding((*_EMBEDDING, a.embedding))
        self.downsamplerT = _Halve()
        self.upsamplerT = _Double()

        before = (a.widths[0], *a.widths[:-1])
        self.downs = nn.ModuleList(
            nn.ModuleList(
                [
                    _Block(_SPECTRUM, old, old, a.embedding),
                    _conv(_SPECTRUM, new, _KERNEL),
                    _level_block(a, old, new, level),
                ]
            )
            for level, (old, new) in enumerate(zip(before, a.widths, strict=True))
        )
        last = a.widths[-1]
        out = _Block(last, last, _SPECTRUM, a.embedding)
        self.middle = nn.ModuleList([nn.ModuleList([out, _level_block(a, last, last, a.octaves)])])
        self.ups = nn.ModuleList(
            nn.ModuleList([_Block(old, old, _SPECTRUM, a.embedding), _level_block(a, 2 * new, old, level)])
            for level, (old, new) in reversed(list(enumerate(zip(before, a.widths, strict=True))))
        )
        self._begin()

    def _begin(self) -> None:
        for name, module in self.named_modules():
            if isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)
                if "gate" in name:
                    module.weight.data *= _NEARLY_ZERO

    def forward(self, x: Tensor, c_noise: Tensor) -> Tensor:
        embedding = self.embedding(c_noise)
        octaves = [torch.view_as_real(c).permute(0, 3, 1, 2) for c in self.transform.forward(x)]
        h, skips = self._encode(octaves, embedding)
        residuals = self._decode(h, skips, embedding)
        return self.transform.inverse(
            [torch.view_as_complex(r.permute(0, 2, 3, 1).contiguous()) for r in residuals]
        )

    def _encode(self, octaves: list[Tensor], embedding: Tensor) -> tuple[Tensor, list[Tensor]]:
        h = pyramid = octaves[-1][:, :, :0]
        skips: list[Tensor] = []
        for level, octave in zip(self.downs, reversed(octaves), strict=True):
            into, project, block = level.children()
            new = into(octave, embedding)
            h = block(torch.cat((new, h), dim=2) if skips else new, embedding)
            skips.append(h)
            pyramid = torch.cat((octave, pyramid), dim=2)
            if len(skips) < len(octaves):
                h, pyramid = self.downsamplerT(h), self.downsamplerT(pyramid)
            h = (h + project(pyramid)) / math.sqrt(2)
        return h, skips

    def _decode(self, h: Tensor, skips: list[Tensor], embedding: Tensor) -> list[Tensor]:
        """The residual of each octave, lowest first."""
        out, block = self.middle[0].children()
        h = block(h, embedding)
        residual = out(h, embedding)
        octaves: list[Tensor] = []
        for level in self.ups:
            out, block = level.children()
            h = block(torch.cat((h, skips.pop()), dim=1), embedding)
            residual = (residual + out(h, embedding)) / math.sqrt(2)
            bins = self.architecture.bins
            octaves.append(residual[:, :, :bins])
            h, residual = h[:, :, bins:], residual[:, :, bins:]
            if skips:
                h, residual = self.upsamplerT(h), self.upsamplerT(residual)
        return octaves


class _Block(nn.Module):
    """Gated residual convolutions between two projections, steered by the noise level.

    The projections lead from `inputs` to `inner` channels and on to `outputs`, and there is none where two of
    these are the same. Attention, where there is one, comes before the convolutions.
    """

    def __init__(
        self,
        inputs: int,
        inner: int,
        outputs: int,
        embedding: int,
        layers: int = 1,
        kernel: tuple[int, int] = (1, 1),
        attention: "_Attention | None" = None,
    ) -> None:
        super().__init__()
        self.proj_out = _projection(inner, outputs)
        self.res_conv = _projection(inputs, outputs)
        self.proj_in = _projection(inputs, inner)
        self.H = nn.ModuleList(_conv(inner, inner, kernel, 2**i) for i in range(layers))
        self.affine = nn.ModuleList(nn.Linear(embedding, inner) for _ in range(layers))
        self.gate = nn.ModuleList(nn.Linear(embedding, inner) for _ in range(layers))
        self.norm = nn.ModuleList(_Norm(inner) for _ in range(layers))
        self.attends = attention is not None
        if attention is not None:
            self.norm2 = _Norm(inner)
            self.affine2 = nn.Linear(embedding, inner)
            self.gate2 = nn.Linear(embedding, inner)
            self.attn_block = attention

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        h = self.proj_in(x)
        if self.attends:
            z = self.norm2(h) * (_per_channel(self.affine2(embedding)) + 1)
            h = (h + _per_channel(self.gate2(embedding)) * self.attn_block(z)) / math.sqrt(2)
        for conv, affine, gate, norm in zip(self.H, self.affine, self.gate, self.norm, strict=True):
            z = norm(h) * (_per_channel(affine(embedding)) + 1)
            h = (h + _per_channel(gate(embedding)) * conv(F.gelu(z))) / math.sqrt(2)
        return (self.proj_out(h) + self.res_conv(x)) / math.sqrt(2)


def _level_block(a: Architecture, inputs: int, outputs: int, level: int) -> _Block:
    """The main block of an octave, `level` 0 being the highest, or of the middle, which comes last."""
    octaves = min(level + 1, a.octaves)
    attention = None
    if a.attention[level]:
        attention = _Attention(outputs, a.heads, octaves * a.bins, a.relative_positions)
    return _Block(inputs, outputs, outputs, a.embedding, a.dilations[octaves - 1], _KERNEL, attention)


def _projection(inputs: int, outputs: int) -> nn.Module:
    return nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1, bias=False)


def _conv(inputs: int, outputs: int, kernel: tuple[int, int], dilation: int = 1) -> nn.Conv2d:
    """Convolution to the same size, dilated along frequency, without bias; beyond the edges is 0."""
    padding = (kernel[0] // 2 * dilation, kernel[1] // 2)
    return nn.Conv2d(inputs, outputs, kernel, padding=padding, dilation=(dilation, 1), bias=False)


def _per_channel(values: Tensor) -> Tensor:
    return values[..., None, None]


class _Norm(nn.Module):
    """Groups of channels over their deviation; as published the mean, which that is about, stays in."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(1, channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        deviation = x.unflatten(1, (_GROUPS, -1)).std(dim=(2, 3, 4)) + 1e-7
        return x / deviation.repeat_interleave(x.shape[1] // _GROUPS, dim=1)[..., None, None] * self.gamma


class _Attention(nn.Module):
    """Self-attention over the columns; a head sees all rows of one channel and passes them on as they are."""

    def __init__(self, channels: int, heads: int, rows: int, relative: bool) -> None:
        super().__init__()
        self.heads = heads
        self.qk = nn.Conv1d(heads * rows, 2 * heads * rows, 1, bias=False)
        self.proj_in = nn.Conv2d(channels, heads, 1, bias=False)
        self.proj_out = nn.Conv2d(heads, channels, 1, bias=False)
        self.rel_pos = _RelativePositions(heads) if relative else None

    def forward(self, x: Tensor) -> Tensor:
        values = self.proj_in(x)
        rows, columns = values.shape[-2:]
        query, key = self.qk(values.flatten(1, 2)).unflatten(1, (self.heads, 2, rows)).unbind(2)
        scores = query.mT @ key
        if self.rel_pos is not None:
            scores = scores + self.rel_pos(columns)  # before the scale, as published
        weights = (scores / math.sqrt(rows)).softmax(-1)
        return self.proj_out(values @ weights.mT)


class _RelativePositions(nn.Module):
    """What a head adds for the distance of a key from its query, (heads, columns, columns)."""

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.relative_attention_bias = nn.Embedding(_BUCKETS, heads)

    def forward(self, columns: int) -> Tensor:
        place = torch.arange(columns, device=self.relative_attention_bias.weight.device)
        return self.relative_attention_bias(_bucket(place - place[:, None])).permute(2, 0, 1)


def _bucket(ahead: Tensor) -> Tensor:
    """Distances that count as one: the nearest are by themselves, then steps grow (Raffel et al. 2020)."""
    half, near = _BUCKETS // 2, _BUCKETS // 4
    distance = ahead.abs()
    steps = (distance.clamp_min(1) / near).log() / math.log(_FARTHEST / near) * (half - near)
    far = (near + steps.long()).clamp_max(half - 1)
    return torch.where(distance < near, distance, far) + half * (ahead >= 0)


class _Halve(nn.Module):
    """Half the columns."""

    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("kernel", torch.tensor(_RESAMPLING))

    def forward(self, x: Tensor) -> Tensor:
        padded = F.pad(x, (3, 3, 0, 0), mode="reflect")
        return F.conv1d(padded.flatten(0, 2)[:, None], self.kernel[None, None], stride=2).view(
            *x.shape[:-1], -1
        )


class _Double(nn.Module):
    """Twice the columns. As published the kernel is not doubled: a constant comes out as half of it."""

    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("kernel", torch.tensor(_RESAMPLING))

    def forward(self, x: Tensor) -> Tensor:
        padded = F.pad(x, (2, 2, 0, 0), mode="reflect").flatten(0, 2)[:, None]
        doubled = F.conv_transpose1d(padded, self.kernel[None, None], stride=2, padding=7)
        return doubled.view(*x.shape[:-1], -1)
