"""SaShiMi-Diff: a U-Net over the waveform whose layers are state spaces (Goel et al. 2022; Kong et al. 2021).

Each channel of a layer is filtered by two linear systems of 64 states, one for the past and one for the
future (S4, Gu et al. 2022). Levels pool 4 samples into one of twice the channels. Parameters have the names,
the order and the shapes of the published state dict. Tensors are (batch, channels, time).

Without its compiled extensions the published code leaves out half of the states; here all count.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from audiomend.errors import UsageError

_STATES = 64  # of a system, in conjugate pairs of which one is stored
_WIDEN = 2  # channels per pooling, and within a block's last part
_BLOCK_EMBEDDING = 512
_STEP_SIZES = (0.001, 0.1)  # where the systems' time steps begin
_SLOWEST = 1e4  # longest period of the embedding of steps


@dataclass(frozen=True)
class Architecture:
    """Sizes of a `Sashimi`.

    Attributes:
        width: channels of the first level.
        layers: blocks per level.
        pool: samples that become one, for each pooling.
        embedding: numbers that a step becomes, and size of the layer after it.
    """

    width: int = 64
    layers: int = 6
    pool: tuple[int, ...] = (4, 4)
    embedding: tuple[int, int] = (128, 512)

    @property
    def pooled(self) -> int:
        """Samples that become one on the coarsest level; a signal's length is a multiple."""
        return math.prod(self.pool)


class Sashimi(nn.Module):
    """x (batch, length), step (batch, 1) -> (batch, length); before training it is 0.

    A length must be a multiple of all pools.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        a = architecture
        self.architecture = a
        self.init_conv = nn.Sequential(_Conv(1, a.width), nn.ReLU())
        self.fc_t1 = nn.Linear(a.embedding[0], a.embedding[1])
        self.fc_t2 = nn.Linear(a.embedding[1], _BLOCK_EMBEDDING)
        widths = [a.width * _WIDEN**level for level in range(len(a.pool) + 1)]
        self.d_layers = nn.ModuleList()
        self.c_layers = nn.ModuleList(_Block(widths[-1]) for _ in range(a.layers))
        self.u_layers = nn.ModuleList()
        for level, pool in enumerate(a.pool):
            fine, coarse = widths[level], widths[level + 1]
            self.d_layers.extend([*(_Block(fine) for _ in range(a.layers)), _Down(fine, coarse, pool)])
        for level, pool in reversed(list(enumerate(a.pool))):
            fine, coarse = widths[level], widths[level + 1]
            self.u_layers.extend([_Up(coarse, fine, pool), *(_Block(fine) for _ in range(a.layers))])
        self.norm = _Norm()
        self.final_conv = nn.Sequential(_Conv(a.width, a.width), nn.ReLU(), _ZeroConv(a.width, 1))

    def forward(self, x: Tensor, step: Tensor) -> Tensor:
        """Raises UsageError where the length is no multiple of all pools."""
        pooled = self.architecture.pooled
        if x.shape[-1] % pooled:
            raise UsageError(f"{x.shape[-1]} samples are no multiple of {pooled}, which the network pools.")
        embedding = F.silu(self.fc_t2(F.silu(self.fc_t1(self._waves(step)))))
        h = self.init_conv(x[:, None])
        inputs: list[Tensor] = []
        for layer in self.d_layers:
            inputs.append(h)
            h = layer(h, embedding)
        centre = h
        for layer in self.c_layers:
            h = layer(h, embedding)
        h = h + centre
        for layer in self.u_layers:
            h = layer(h, embedding) + inputs.pop()
        return self.final_conv(self.norm(h))[:, 0]

    def _waves(self, step: Tensor) -> Tensor:
        """(batch, 1) -> (batch, embedding): sines, then cosines, of geometric periods."""
        count = self.architecture.embedding[0] // 2
        shares = torch.arange(count, dtype=torch.float64, device=step.device) / (count - 1)
        turns = step * torch.exp(-math.log(_SLOWEST) * shares)
        return torch.cat((turns.sin(), turns.cos()), dim=1).to(self.fc_t1.weight.dtype)


class _Block(nn.Module):
    """Filters over time, then mixes channels; both are added to what comes in."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc_t = nn.Linear(_BLOCK_EMBEDDING, channels)
        self.layer = _S4(channels)
        self.ff = _Mix(channels)
        self.norm1 = _Norm()
        self.norm2 = _Norm()

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        x = x + self.layer(self.norm1(x) + self.fc_t(embedding)[..., None])
        return x + self.ff(self.norm2(x))


class _Mix(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        wide = _WIDEN * channels
        self.ff = nn.Sequential(_Conv(channels, wide), nn.GELU(), _Conv(wide, channels))

    def forward(self, x: Tensor) -> Tensor:
        return self.ff(x)


class _Down(nn.Module):
    """`pool` neighbours become one."""

    def __init__(self, inputs: int, outputs: int, pool: int) -> None:
        super().__init__()
        self.pool = pool
        self.linear = _Conv(inputs * pool, outputs)

    def forward(self, x: Tensor, _: Tensor) -> Tensor:
        return self.linear(x.unflatten(2, (-1, self.pool)).transpose(2, 3).flatten(1, 2))


class _Up(nn.Module):
    """One becomes `pool` neighbours."""

    def __init__(self, inputs: int, outputs: int, pool: int) -> None:
        super().__init__()
        self.pool = pool
        self.linear = _Conv(inputs, outputs * pool)

    def forward(self, x: Tensor, _: Tensor) -> Tensor:
        return self.linear(x).unflatten(1, (-1, self.pool)).transpose(2, 3).flatten(2, 3)


class _Norm(nn.Module):
    """Zero mean and unit deviation over each sample's channels, then one offset and one factor for all."""

    def __init__(self) -> None:
        super().__init__()
        self.m = nn.Parameter(torch.zeros(1))
        self.s = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        deviation, mean = torch.std_mean(x, dim=1, correction=0, keepdim=True)
        return (x - mean + self.m) * (self.s / deviation)


class _Conv(nn.Module):
    """Convolution of a single tap, the weight kept as direction and length (Salimans and Kingma 2016)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = _Weighted(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class _Weighted(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.empty(outputs).uniform_(-1, 1) / math.sqrt(inputs))
        direction = nn.init.kaiming_normal_(torch.empty(outputs, inputs, 1))
        self.weight_g = nn.Parameter(direction.norm(dim=1, keepdim=True))
        self.weight_v = nn.Parameter(direction)

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight_g * self.weight_v / self.weight_v.norm(dim=1, keepdim=True)
        return F.conv1d(x, weight, self.bias)


class _ZeroConv(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(inputs, outputs, 1)
        for parameter in self.conv.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class _S4(nn.Module):
    """Each channel by its own two filters, over past and future, then a gated mixture of channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.D = nn.Parameter(torch.randn(1, channels))
        self.kernel = _Kernel(channels)
        self.output_linear = nn.Sequential(nn.Conv1d(channels, 2 * channels, 1), nn.GLU(dim=1))

    def forward(self, x: Tensor) -> Tensor:
        length = x.shape[-1]
        past, future = self.kernel(length)
        both = torch.cat((past, future.flip(-1)), dim=-1)  # circular: the sample before is the last one
        spectrum = torch.fft.rfft(x, n=2 * length) * torch.fft.rfft(both)
        y = torch.fft.irfft(spectrum, n=2 * length)[..., :length] + x * self.D[0, :, None]
        return self.output_linear(F.gelu(y))


class _Kernel(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.kernel = StateSpaces(channels)

    def forward(self, length: int) -> Tensor:
        return self.kernel(length)


class StateSpaces(nn.Module):
    """length -> (2, channels, length), the responses of `channels` systems read out in two ways.

    With A = diag(w) - P P* and bilinear steps of size dt (Gu et al. 2022, eq. 3),

        k[l] = Re C A_d^l B_d,    A_d = (1 - dt/2 A)^-1 (1 + dt/2 A),    B_d = (1 - dt/2 A)^-1 dt B

    over all 64 states. Half of them are conjugates of the stored ones, so real and imaginary parts of the
    stored half are a real system of 64 states, and that is what is evaluated, in float64. Responses of frozen
    parameters are kept.

    Attributes:
        L: 0 where C is as in the formula. Published weights hold C (1 - A_d^L) in its place, for this L.
    """

    L: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        w, p, b = legs()
        low, high = (math.log(size) for size in _STEP_SIZES)
        self.C = nn.Parameter(torch.randn(2, channels, _STATES // 2, 2) * math.sqrt(0.5))
        self.log_dt = nn.Parameter(torch.rand(channels) * (high - low) + low)
        self.B = nn.Parameter(torch.view_as_real(b).float().repeat(1, channels, 1, 1))
        self.P = nn.Parameter(torch.view_as_real(p).float().repeat(1, channels, 1, 1))
        self.inv_w_real = nn.Parameter((-w.real).log().float().repeat(channels, 1))
        self.w_imag = nn.Parameter(w.imag.float().repeat(channels, 1))
        self.register_buffer("L", torch.tensor(0))
        self._kept: tuple[object, Tensor] | None = None

    def forward(self, length: int) -> Tensor:
        if any(parameter.requires_grad for parameter in self.parameters()):
            return self._responses(length)
        entries = (*self.parameters(), self.L)
        versions = [entry._version for entry in entries]  # pyright: ignore[reportPrivateUsage]
        state = (length, self.C.dtype, self.C.device, versions)
        if self._kept is None or self._kept[0] != state:
            self._kept = (state, self._responses(length))
        return self._kept[1]

    def _responses(self, length: int) -> Tensor:
        step, drive = self._discrete()
        read = 2 * _halves(self.C, sign=-1)  # (2, channels, states)
        if self.L:
            rest = torch.eye(_STATES, dtype=step.dtype, device=step.device)
            rest = rest - torch.linalg.matrix_power(step, int(self.L))
            read = torch.linalg.solve(rest.mT, read[..., None])[..., 0]
        return _products(step, drive, read, length).to(self.C.dtype)

    def _discrete(self) -> tuple[Tensor, Tensor]:
        """A_d (channels, states, states) and B_d (channels, states) of the real system."""
        real, imaginary = -self.inv_w_real.double().exp(), self.w_imag.double()
        diagonal = torch.cat(
            (
                torch.cat((torch.diag_embed(real), torch.diag_embed(-imaginary)), dim=-1),
                torch.cat((torch.diag_embed(imaginary), torch.diag_embed(real)), dim=-1),
            ),
            dim=-2,
        )
        p = _halves(self.P)[0]
        a = diagonal - 2 * p[..., :, None] * p[..., None, :]  # the conjugates double Re P* x
        dt = self.log_dt.double().exp()[:, None, None]
        one = torch.eye(_STATES, dtype=a.dtype, device=a.device)
        right = torch.cat((one + dt / 2 * a, dt * _halves(self.B)[0][..., None]), dim=-1)
        discrete = torch.linalg.solve(one - dt / 2 * a, right)
        return discrete[..., :-1], discrete[..., -1]


def _halves(pairs: Tensor, sign: int = 1) -> Tensor:
    """(..., n, 2) -> (..., 2 n): all real parts, then all imaginary ones times `sign`."""
    real, imaginary = pairs.double().unbind(-1)
    return torch.cat((real, sign * imaginary), dim=-1)


def _products(step: Tensor, drive: Tensor, read: Tensor, length: int) -> Tensor:
    """read step^l drive for all l < length.

    With l = i m + j, m near the root of the length, it is the product of read step^(i m) and step^j drive.

    Args:
        step: (channels, states, states).
        drive: (channels, states).
        read: (2, channels, states).

    Returns:
        (2, channels, length).
    """
    doublings = math.ceil(math.log2(length) / 2)
    states = drive[..., None]  # (channels, n, columns)
    for _ in range(doublings):
        states = torch.cat((states, step @ states), dim=-1)
        step = step @ step
    reads = read.unsqueeze(-2)  # (2, channels, rows, n)
    while reads.shape[-2] * states.shape[-1] < length:
        reads = torch.cat((reads, reads @ step), dim=-2)
        step = step @ step
    return (reads @ states).flatten(-2)[..., :length]


def legs() -> tuple[Tensor, Tensor, Tensor]:
    """w, P and B of the scaled Legendre measure, 32 complex values each (HiPPO-LegS; Gu et al. 2022).

    A = diag(w) - P P* in the basis of its normal part's eigenvectors, whose phases are free; of each pair the
    one with negative frequency, the fastest first.
    """
    n = np.arange(_STATES)
    roots = np.sqrt(2 * n + 1)
    skew = (np.tril(np.ones((_STATES, _STATES)), -1).T - np.tril(np.ones((_STATES, _STATES)), -1)) / 2
    frequencies, vectors = np.linalg.eigh(-1j * skew * np.outer(roots, roots))
    kept = vectors[:, : _STATES // 2].conj().T
    w = torch.from_numpy(-0.5 + 1j * frequencies[: _STATES // 2])
    return w, torch.from_numpy(kept @ roots / math.sqrt(2)), torch.from_numpy(kept @ roots)
