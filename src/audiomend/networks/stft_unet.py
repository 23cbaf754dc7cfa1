"""A U-Net over the short-time Fourier transform, as in image generation: what CQT-Diff is compared with.

Of their STFT-Diff, Moliner, Lehtinen and Välimäki (2023) say that it has 2-D convolutions, is adapted from
image generation and has 65 million parameters. The rest is chosen here, after NCSN++ (Song et al. 2021); no
published weights fit. Rows and columns both halve from level to level. Tensors are (batch, channels, columns,
rows), that is time and frequency.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from audiomend.errors import UsageError
from audiomend.networks.cqtdiff import NoiseEmbedding
from audiomend.transforms.stft import Stft

_EMBEDDING = (64, 128, 256, 512)
_SPECTRUM = 2  # channels of the transform: real and imaginary part
_GROUPS = 8  # of a norm


@dataclass(frozen=True)
class Architecture:
    """Sizes of a `StftUnet`, 65 million parameters by default.

    Attributes:
        window, hop: those of the transform (`audiomend.transforms.stft.Stft`); `window` / 2 bins are used.
        widths: channels of each level, multiples of 8.
    """

    window: int = 1024
    hop: int = 256
    widths: tuple[int, ...] = (128, 256, 320, 384, 448, 448)


class StftUnet(nn.Module):
    """x (batch, length) of about unit variance, c_noise (batch, 1) = ln(sigma) / 4 -> F (batch, length).

    F is the target of EDM (Karras et al. 2022, eq. 7). Before training it is 0. Lengths are multiples of the
    window and of as many hops as can be halved at each level.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        a = architecture
        self.architecture = a
        self.transform = Stft(a.window, a.hop, a.window // 2)
        self.embedding = NoiseEmbedding(_EMBEDDING)
        self.stem = nn.Conv2d(_SPECTRUM, a.widths[0], 3, padding=1)
        before = (a.widths[0], *a.widths[:-1])
        levels = list(zip(before, a.widths, strict=True))
        self.encoder = nn.ModuleList(
            nn.ModuleList([_Block(old, new), _Block(new, new)]) for old, new in levels
        )
        self.middle = _Block(a.widths[-1], a.widths[-1])
        self.decoder = nn.ModuleList(
            nn.ModuleList([_Block(2 * new, old), _Block(old, old)]) for old, new in reversed(levels)
        )
        self.out = nn.Conv2d(a.widths[0], _SPECTRUM, 3, padding=1)
        for parameter in self.out.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor, c_noise: Tensor) -> Tensor:
        """Raises UsageError where the length does not fit."""
        a = self.architecture
        step = max(a.window, a.hop * 2 ** (len(a.widths) - 1))
        if x.shape[-1] % step:
            raise UsageError(f"{x.shape[-1]} samples are no multiple of {step}, which the network needs.")
        embedding = self.embedding(c_noise)
        h = self.stem(torch.view_as_real(self.transform.forward(x)).permute(0, 3, 1, 2))
        skips: list[Tensor] = []
        for level in self.encoder:
            h = F.avg_pool2d(h, 2) if skips else h
            for block in level.children():
                h = block(h, embedding)
            skips.append(h)
        h = self.middle(h, embedding)
        for level in self.decoder:
            h = torch.cat((h, skips.pop()), dim=1)
            for block in level.children():
                h = block(h, embedding)
            h = F.interpolate(h, scale_factor=2) if skips else h
        spectrum = self.out(F.silu(h)).permute(0, 2, 3, 1).contiguous()
        return self.transform.inverse(torch.view_as_complex(spectrum))


class _Block(nn.Module):
    """x + conv(silu((1 + a) norm(conv(silu(norm(x)))) + b), over sqrt2; a and b from the noise level."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.norm_in = nn.GroupNorm(_GROUPS, inputs)
        self.conv_in = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.modulation = nn.Linear(_EMBEDDING[-1], 2 * outputs)
        self.norm_out = nn.GroupNorm(_GROUPS, outputs)
        self.conv_out = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.shortcut = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        scale, shift = self.modulation(embedding)[..., None, None].chunk(2, dim=1)
        h = self.norm_out(self.conv_in(F.silu(self.norm_in(x))))
        h = self.conv_out(F.silu(torch.addcmul(shift, h, 1 + scale)))
        return (self.shortcut(x) + h) / math.sqrt(2)
