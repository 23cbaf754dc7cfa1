"""The prior's network: a U-Net of dense 3x3 convolutions over patches of two short-time Fourier transforms.

The first transform covers the whole band; its upper octave is cut into coarser patches. The second, four
times longer, adds resolution in frequency below one eighth of the Nyquist frequency. Per bin the network does
not predict a value but masks for known guesses and a free remainder,

    F = (m0 + w) b0 + m1 b1 + m2 b2 + r

where b0 belongs to the empirical Wiener estimate, b1 is the compressed noisy spectrum, b2 points to the
observation (conditioned networks), and w shares b0 between the transforms. F is the target of EDM (Karras et
al. 2022, eq. 7), (x0 - c_skip y) / c_out, in units of its standard deviation, which is 1.

All sizes stand in `Architecture`; tensors are (batch, time), batch items are independent.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from audiomend.errors import UsageError
from audiomend.networks.wiener_gain import wiener_gain
from audiomend.transforms.stft import Stft

_OUTPUTS = 5  # m0, m1, m2 and the real and imaginary part of r, per bin
_STATE_FEATURES = 5  # per bin: compressed spectra (2 complex) and a log level
_SEEN_FEATURES = 3  # per bin of the observation: compressed spectrum and log level
_CLIP_FEATURES = 2
_LEVEL_FREQUENCIES = 32
_LEVEL_INPUTS = 2 * _LEVEL_FREQUENCIES + 1 + 5  # + bandwidth (2), cut-off (2), conditioned (1)
_EMBEDDING = 256
_COMPRESSION = 0.35  # spectra are seen times (1 + |u|^2) to the power of minus this
_OBSERVATION_SCALE = 30.0  # the observation is seen relative to a thirtieth of sigma_data


@dataclass(frozen=True)
class Architecture:
    """Sizes of a `PatchUnet`.

    Attributes:
        length: samples of one input, a multiple of `long_hop` times 2 ** (levels - 1).
        widths: channels per level; each level halves time and frequency.
        window, hop: first transform; `window` / 2 bins are used.
        long_window: second transform, whose hop is twice `hop` and whose lowest quarter of `window` bins
            is used.
        depth: blocks per level on the way down and on the way up; the last level has two in any case.

    Raises:
        UsageError: sizes that do not fit: the grid of tokens must halve as often as there are levels.
    """

    length: int = 131072
    widths: tuple[int, ...] = (32, 64, 96, 160, 256)
    window: int = 2048
    hop: int = 512
    long_window: int = 8192
    depth: int = 1

    def __post_init__(self) -> None:
        halvings = 2 ** (len(self.widths) - 1)
        if not self.widths or min(*self.widths, self.depth, self.window, self.hop, self.length) < 1:
            raise UsageError(f"{self} has a size below 1.")
        if self.window % (32 * halvings):
            raise UsageError(
                f"The architecture's window is {self.window}; with {len(self.widths)} widths it must be a"
                f" multiple of {32 * halvings}."
            )
        hops = self.window // self.hop
        if self.window % self.hop or hops.bit_count() != 1 or hops == 1:
            raise UsageError(
                f"The architecture's window is {self.window}, its hop {self.hop}; a window must be"
                " 2, 4, 8 ... hops."
            )
        if self.long_window != 4 * self.window:
            raise UsageError(
                f"The architecture's long_window is {self.long_window}; it must be four windows,"
                f" {4 * self.window}."
            )
        unit = math.lcm(self.long_window, 2 * self.hop * halvings)
        if self.length % unit:
            raise UsageError(f"The architecture's length is {self.length}; it must be a multiple of {unit}.")


class PatchUnet(nn.Module):
    """x (batch, length) scaled to unit variance, noise level, knowledge -> F (batch, length).

    `precision` is the number format of the convolutions; transforms, masks and sums are in float32.
    """

    def __init__(self, architecture: Architecture, precision: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.precision = precision
        a = architecture
        self.architecture = a
        bins = a.window // 2
        self.full = Stft(a.window, a.hop, bins)
        self.long = Stft(a.long_window, 2 * a.hop, a.window // 4)
        self.lower = _Patches(frames=2, bins=2, first=0, last=bins // 2)
        self.upper = _Patches(frames=2, bins=8, first=bins // 2, last=bins)
        self.fine = _Patches(frames=1, bins=8, first=0, last=a.window // 4)
        columns = self.lower.columns + self.upper.columns
        width = a.widths[0]

        self.embedding = _Embedding()
        self.stem_lower = _Conv(self.lower.size * _STATE_FEATURES, width, 3)
        self.stem_upper = _Conv(self.upper.size * _STATE_FEATURES, width, 1)
        self.stem_fine = _Conv(self.fine.size * _STATE_FEATURES, width, 1)
        self.seen_lower = _Conv(self.lower.size * (_SEEN_FEATURES + _CLIP_FEATURES), width, 1)
        self.seen_upper = _Conv(self.upper.size * (_SEEN_FEATURES + _CLIP_FEATURES), width, 1)
        self.seen_fine = _Conv(self.fine.size * _SEEN_FEATURES, width, 1)
        self.seen_unknown = nn.Parameter(torch.zeros(2, width))
        self.above = nn.Parameter(torch.zeros(2, width))
        self.column_bias = nn.Parameter(torch.zeros(columns, width))

        pairs = list(zip(a.widths, a.widths[1:], strict=False))
        self.encoder = _blocks(a)
        self.down = nn.ModuleList(_Down(w, v) for w, v in pairs)
        self.middle = nn.ModuleList(_Block(a.widths[-1]) for _ in range(2))
        self.up = nn.ModuleList(_Up(v, w) for w, v in pairs)
        self.decoder = _blocks(a)

        self.out_lower = _Conv(width, self.lower.size * _OUTPUTS, 1, zero=True)
        self.out_upper = _Conv(width, self.upper.size * _OUTPUTS, 1, zero=True)
        self.out_fine = _Conv(width, self.fine.size * _OUTPUTS, 1, zero=True)

    def forward(self, x: Tensor, log_level: Tensor, bandwidth: Tensor, seen: "Seen | None" = None) -> Tensor:
        """Predict F.

        Args:
            x: (batch, length) noisy signal over sqrt(sigma^2 + sigma_data^2).
            log_level: (batch,) ln(sigma / sigma_data).
            bandwidth: (batch,) band of the clean signal over Nyquist, 0 where it is not known.
            seen: what is known of the clean signal, or nothing.
        """
        noisy_full, noisy_long = self.full.forward(x), self.long.forward(x)
        base_full = _Bases.of(noisy_full, log_level)
        base_long = _Bases.of(noisy_long, log_level)
        dtype = self.precision
        h = self._stem(base_full, base_long, dtype) + self._knowledge(bandwidth, seen, dtype)
        seen_full = seen_long = None
        if seen is not None:
            spectrum_full = self.full.forward(seen.observation)
            spectrum_long = self.long.forward(seen.observation)
            h = h + self._stem_seen(spectrum_full, spectrum_long, seen, dtype)
            seen_full = base_full.towards(spectrum_full, noisy_full, seen.present)
            seen_long = base_long.towards(spectrum_long, noisy_long, seen.present)
        h = self._unet(h, self.embedding(log_level, bandwidth, seen))
        near, far = h[..., : self.lower.columns], h[..., self.lower.columns :]
        share = torch.ones(self.full.bins, device=x.device)
        share[: self.long.bins * self.full.window // self.long.window] = 0.5
        whole = ((self.lower, self.out_lower(near)), (self.upper, self.out_upper(far)))
        fine = ((self.fine, self.out_fine(near[..., : self.fine.columns])),)
        full = base_full.combine(whole, share, seen_full)
        long = base_long.combine(fine, share[:1], seen_long)
        return self.full.inverse(full) + self.long.inverse(long)

    def _stem(self, full: "_Bases", long: "_Bases", dtype: torch.dtype) -> Tensor:
        features = full.features().to(dtype)
        return _side_by_side(
            self.stem_lower(self.lower.join(features)),
            self.stem_upper(self.upper.join(features)),
            self.stem_fine(self.fine.join(long.features().to(dtype))),
        )

    def _knowledge(self, bandwidth: Tensor, seen: "Seen | None", dtype: torch.dtype) -> Tensor:
        """Learned value per column, and flags for columns above the bandwidth and above the cut-off."""
        columns = self._column_frequencies(bandwidth)
        band = torch.where(bandwidth > 0, bandwidth, 2.0)
        cutoff = (
            torch.full_like(band, 2.0) if seen is None else torch.where(seen.cutoff > 0, seen.cutoff, 2.0)
        )
        flags = torch.stack(((columns > band[:, None]).float(), (columns > cutoff[:, None]).float()), dim=-1)
        planes = flags @ self.above.float() + self.column_bias.float()
        return planes.permute(0, 2, 1)[:, :, None, :].to(dtype)

    def _column_frequencies(self, like: Tensor) -> Tensor:
        """Centre of each column over Nyquist: (columns,)."""
        centres = [(torch.arange(p.columns) + 0.5) * p.bins + p.first for p in (self.lower, self.upper)]
        return torch.cat(centres).to(like.device) / self.full.bins

    def _stem_seen(self, full: Tensor, long: Tensor, seen: "Seen", dtype: torch.dtype) -> Tensor:
        clip = _compressed(self.full.forward(seen.clip) * _OBSERVATION_SCALE)
        features = torch.cat((_observed(full), torch.view_as_real(clip)), dim=-1).to(dtype)
        h = _side_by_side(
            self.seen_lower(self.lower.join(features)),
            self.seen_upper(self.upper.join(features)),
            self.seen_fine(self.fine.join(_observed(long).to(dtype))),
        )
        unknown = seen.unknown.unflatten(-1, (-1, 2 * self.full.hop)).mean(-1)
        flags = torch.stack((unknown, unknown.sqrt()), dim=-1) @ self.seen_unknown.float()
        h = h + flags.permute(0, 2, 1)[..., None].to(dtype)
        return h * seen.present[:, None, None, None].to(dtype)

    def _unet(self, h: Tensor, embedding: Tensor) -> Tensor:
        h = h.contiguous(memory_format=torch.channels_last)
        skips: list[Tensor] = []
        levels = len(self.down)
        for level, down in enumerate(self.down):
            for block in self.encoder[level::levels]:
                h = block(h, embedding)
            skips.append(h)
            h = down(h)
        for block in self.middle:
            h = block(h, embedding)
        for level, up in reversed(list(enumerate(self.up))):
            h = up(h, skips.pop())
            for block in self.decoder[level::levels]:
                h = block(h, embedding)
        return F.relu(h)


@dataclass(frozen=True)
class Seen:
    """What a conditioned network sees, in units of sigma_data.

    Attributes:
        observation, unknown, clip: (batch, length), as in `audiomend.conditions.Condition`.
        cutoff: (batch,) over Nyquist, 0 without a cut-off.
        present: (batch,) 1 where there is an observation, 0 where the row has none.
    """

    observation: Tensor
    unknown: Tensor
    clip: Tensor
    cutoff: Tensor
    present: Tensor


@dataclass(frozen=True)
class _Bases:
    """Known guesses of F per bin, from the noisy spectrum X (batch, frames, bins)."""

    spectrum: Tensor  # u = X / s: in units of the noise's standard deviation
    power: Tensor  # |u|^2
    wiener: Tensor
    s: Tensor  # sigma / sqrt(sigma^2 + sigma_data^2), (batch, 1, 1)

    @staticmethod
    def of(noisy: Tensor, log_level: Tensor) -> "_Bases":
        level = log_level[:, None, None]
        s = torch.sigmoid(2 * level).sqrt()
        c = torch.sigmoid(-2 * level).sqrt()
        u = noisy / s
        power = u.real.square() + u.imag.square()
        return _Bases(u, power, u * ((wiener_gain(power, level) - c * c) / c), s)

    def features(self) -> Tensor:
        """(batch, frames, bins, 5) what the network sees of the noisy spectrum."""
        plain = torch.view_as_real(self.spectrum) * (0.5 * self.s[..., None])
        level = torch.log1p(self.power)
        compressed = torch.view_as_real(self.spectrum * torch.exp(-_COMPRESSION * level))
        return torch.cat((plain, compressed, 0.25 * level[..., None]), dim=-1)

    def towards(self, observed: Tensor, noisy: Tensor, present: Tensor) -> Tensor:
        """The F that leads to the observation, compressed; 0 in rows without one."""
        c = (1 - self.s.square()).sqrt()
        step = _bounded((observed - c * noisy) / self.s)
        return step * present[:, None, None]

    def combine(
        self, tokens: "Sequence[tuple[_Patches, Tensor]]", share: Tensor, seen: Tensor | None
    ) -> Tensor:
        """Spectrum of F (batch, frames, bins) from the network's tokens, five numbers per bin."""
        bound = self.spectrum * (1 + self.power / 16).rsqrt()
        patches = tuple(patch for patch, _ in tokens)
        return _Combination.apply(  # pyright: ignore[reportReturnType]
            self.wiener, bound, seen, share, patches, *(t for _, t in tokens)
        )


class _Combination(torch.autograd.Function):
    """(m0 + share) b0 + m1 b1 + m2 b2 + r.

    Written out because autograd would fill a full-size tensor of zeros for each of the five numbers.
    """

    @staticmethod
    def forward(
        ctx: Any,
        wiener: Tensor,
        bound: Tensor,
        seen: Tensor | None,
        share: Tensor,
        patches: "tuple[_Patches, ...]",
        *tokens: Tensor,
    ) -> Tensor:
        outputs = torch.empty(*wiener.shape, _OUTPUTS, device=wiener.device)
        for patch, t in zip(patches, tokens, strict=True):
            patch.tiles(outputs).copy_(t.permute(0, 2, 3, 1).unflatten(3, (patch.frames, patch.bins, -1)))
        masks = [outputs[..., 0] + share, outputs[..., 1]]
        total = masks[0] * wiener + masks[1] * bound
        if seen is not None:
            masks.append(outputs[..., 2])
            total = total + outputs[..., 2] * seen
        ctx.patches, ctx.dtype = patches, tokens[0].dtype
        ctx.bases = (wiener, bound, seen)
        ctx.masks = masks if any(ctx.needs_input_grad[:3]) else ()  # in training no base has a gradient
        return total + torch.view_as_complex(outputs[..., 3:].contiguous())

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        grad = grads[0]
        outputs = torch.empty(*grad.shape, _OUTPUTS, device=grad.device)
        for place, base in enumerate(ctx.bases):
            if base is None:
                outputs[..., place] = 0
            else:
                torch.addcmul(base.real * grad.real, base.imag, grad.imag, out=outputs[..., place])
        outputs[..., 3:] = torch.view_as_real(grad)
        tokens = [patch.tiles(outputs).to(ctx.dtype).flatten(3).permute(0, 3, 1, 2) for patch in ctx.patches]
        towards: list[Tensor | None] = [None, None, None]
        for place, mask in enumerate(ctx.masks):
            towards[place] = mask * grad
        return (*towards, None, None, *tokens)


def _compressed(spectrum: Tensor) -> Tensor:
    power = spectrum.real.square() + spectrum.imag.square()
    return spectrum * torch.exp(-_COMPRESSION * torch.log1p(power))


def _bounded(spectrum: Tensor) -> Tensor:
    return spectrum * (1 + (spectrum.real.square() + spectrum.imag.square()) / 16).rsqrt()


def _side_by_side(lower: Tensor, upper: Tensor, fine: Tensor) -> Tensor:
    """One grid of tokens: the lower columns, whose first ones get `fine` added, and the upper ones."""
    return _SideBySide.apply(lower, upper, fine)  # pyright: ignore[reportReturnType]


class _SideBySide(torch.autograd.Function):
    # Written out because autograd would copy the whole grid for the addition in place.
    @staticmethod
    def forward(ctx: Any, lower: Tensor, upper: Tensor, fine: Tensor) -> Tensor:
        ctx.columns = lower.shape[-1], fine.shape[-1]
        total = torch.cat((lower, upper), dim=-1)
        total[..., : fine.shape[-1]] += fine
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # pyright: ignore[reportIncompatibleMethodOverride]
        lower, fine = ctx.columns
        return grads[0][..., :lower], grads[0][..., lower:], grads[0][..., :fine]


def _observed(spectrum: Tensor) -> Tensor:
    """(batch, frames, bins, 3) what the network sees of the observation."""
    scaled = spectrum * _OBSERVATION_SCALE
    power = scaled.real.square() + scaled.imag.square()
    level = torch.log1p(power)
    compressed = torch.view_as_real(scaled * torch.exp(-_COMPRESSION * level))
    return torch.cat((compressed, 0.25 * level[..., None]), dim=-1)


@dataclass(frozen=True)
class _Patches:
    """Cuts a spectrogram's bins first..last into tokens of frames x bins, and back."""

    frames: int
    bins: int
    first: int
    last: int

    @property
    def size(self) -> int:
        return self.frames * self.bins

    @property
    def columns(self) -> int:
        return (self.last - self.first) // self.bins

    def join(self, features: Tensor) -> Tensor:
        """(batch, frames, bins, features) -> (batch, size * features, rows, columns), channels last."""
        return self.tiles(features).flatten(3).permute(0, 3, 1, 2)

    def tiles(self, features: Tensor) -> Tensor:
        """(batch, frames, bins, features) as (batch, rows, columns, frames, bins, features): a view."""
        x = features[:, :, self.first : self.last]
        x = x.unflatten(2, (self.columns, self.bins)).unflatten(1, (-1, self.frames))
        return x.permute(0, 1, 3, 2, 4, 5)


class _Conv(nn.Module):
    """Square convolution without bias, 'same' padding.

    The kernel is kept as the matrix (out, k k in): orthogonalising optimisers want matrices, and its view is
    a channels-last kernel.
    """

    def __init__(self, inputs: int, outputs: int, size: int, gain: float = 1.0, zero: bool = False) -> None:
        super().__init__()
        self.size = size
        fan_in = inputs * size * size
        scale = 0.0 if zero else gain / math.sqrt(fan_in)
        self.weight = nn.Parameter(torch.randn(outputs, fan_in) * scale)

    def forward(self, x: Tensor) -> Tensor:
        kernel = self.weight.unflatten(1, (self.size, self.size, -1)).permute(0, 3, 1, 2)
        return F.conv2d(x, kernel.to(x.dtype), padding=self.size // 2)


class _Down(nn.Module):
    """Halves time and frequency: every 2 x 2 tokens become one."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, 4 * inputs) / math.sqrt(4 * inputs))

    def forward(self, x: Tensor) -> Tensor:
        kernel = self.weight.unflatten(1, (2, 2, -1)).permute(0, 3, 1, 2)
        return F.conv2d(x, kernel.to(x.dtype), stride=2)


class _Up(nn.Module):
    """Doubles time and frequency and adds the encoder's tokens."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4 * outputs, inputs) / math.sqrt(inputs))

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        y = F.linear(x.permute(0, 2, 3, 1), self.weight.to(x.dtype))
        y = y.unflatten(3, (2, 2, -1)).permute(0, 1, 3, 2, 4, 5)  # rows, 2, columns, 2, channels
        tiled = skip.permute(0, 2, 3, 1).unflatten(2, (-1, 2)).unflatten(1, (-1, 2))
        return (tiled + y).flatten(3, 4).flatten(1, 2).permute(0, 3, 1, 2)


def _blocks(a: Architecture) -> nn.ModuleList:
    """One block of each level, then the second ones and so on, which begin as the identity.

    So a shallower network's blocks have the same names, and its weights are a start for a deeper one.
    """
    return nn.ModuleList(_Block(w, idle=place > 0) for place in range(a.depth) for w in a.widths[:-1])


class _Block(nn.Module):
    """x + conv(relu((1 + a) conv(relu(x)) + b)), a and b from the embedding; no normalisation.

    idle: it begins as the identity.
    """

    def __init__(self, width: int, idle: bool = False) -> None:
        super().__init__()
        self.first = _Conv(width, width, 3, gain=1.4)
        self.second = _Conv(width, width, 3, gain=0.2, zero=idle)
        self.modulation = nn.Linear(_EMBEDDING, 2 * width)
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        scale, shift = self.modulation(embedding).to(x.dtype)[..., None, None].chunk(2, dim=1)
        h = torch.addcmul(shift, self.first(F.relu(x)), 1 + scale)
        return x + self.second(F.relu_(h))


class _Embedding(nn.Module):
    """(batch,) noise level, bandwidth and cut-off -> (batch, 256) what steers every block."""

    frequencies: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("frequencies", torch.randn(_LEVEL_FREQUENCIES))
        self.layers = nn.Sequential(
            nn.Linear(_LEVEL_INPUTS, _EMBEDDING), nn.SiLU(), nn.Linear(_EMBEDDING, _EMBEDDING), nn.SiLU()
        )

    def forward(self, log_level: Tensor, bandwidth: Tensor, seen: Seen | None) -> Tensor:
        zeros = torch.zeros_like(bandwidth)
        cutoff, present = (zeros, zeros) if seen is None else (seen.cutoff, seen.present)
        turns = log_level[:, None] * self.frequencies
        known = [bandwidth, (bandwidth > 0).float(), cutoff, (cutoff > 0).float(), present]
        inputs = (turns.sin(), turns.cos(), log_level[:, None] / 4, torch.stack(known, dim=1))
        return self.layers(torch.cat(inputs, dim=1))
