"""Resampling by a windowed sinc, as a damage: what lay above the lower rate's half is lost or folded."""

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

from audiomend.errors import UsageError
from audiomend.operators.least_squares import damped

ZERO_CROSSINGS = 6  # of the sinc on each side of its centre
ROLLOFF = 0.99  # cut-off as a share of half the lower rate


@dataclass(frozen=True)
class Resample:
    """Band-limited interpolation (Smith & Gossett 1984): y[j] = Σ_i h(i / rate_in − j / rate_out) x[i].

    h is a sinc of cut-off 0.99 times the lower rate's half under a Hann window of six zero crossings a side:
    the common default of audio libraries, by which CQT-Diff resamples. The signal is zero outside its ends.

    Attributes:
        rate_in, rate_out: whole numbers, in Hz or any other unit; only their ratio matters.
        length: of the signal in samples, at least 1.
        epsilon: regularisation of pinv and project, above 0.

    Raises:
        UsageError: a value outside these ranges.
    """

    rate_in: int
    rate_out: int
    length: int
    epsilon: float = 1e-4

    def __post_init__(self) -> None:
        if min(self.rate_in, self.rate_out, self.length) < 1:
            raise UsageError(
                f"Resample: from {self.rate_in} to {self.rate_out} over {self.length} samples; "
                "both rates and the length must be at least 1."
            )
        if not self.epsilon > 0:
            raise UsageError(f"Resample: epsilon is {self.epsilon:g}; it must be above 0.")

    def forward(self, x: Tensor) -> Tensor:
        """(..., length) to (..., ⌈length rate_out / rate_in⌉)."""
        bank, pad, stride = self._bank(x)
        rows = F.pad(x.reshape(-1, 1, self.length), (pad, pad + stride))
        phases = F.conv1d(rows, bank, stride=stride)
        return phases.mT.reshape(*x.shape[:-1], -1)[..., : self._short]

    def adjoint(self, y: Tensor) -> Tensor:
        """(..., ⌈length rate_out / rate_in⌉) to (..., length): each sample spreads its kernel."""
        bank, pad, stride = self._bank(y)
        count = self.length // stride + 1  # of the positions of the bank
        rows = F.pad(y.reshape(-1, self._short), (0, count * len(bank) - self._short))
        spread = F.conv_transpose1d(rows.unflatten(-1, (count, -1)).mT, bank, stride=stride)
        return spread[:, 0, pad : pad + self.length].reshape(*y.shape[:-1], self.length)

    def pinv(self, y: Tensor) -> Tensor:
        """(AᵀA + epsilon I)⁻¹ Aᵀ y."""
        return damped(self, y, self.epsilon)

    def project(self, x: Tensor, observation: Tensor) -> Tensor:
        """The z that minimises ‖A z − observation‖² + epsilon ‖z − x‖²."""
        return x + self.pinv(observation - self.forward(x))

    @property
    def _short(self) -> int:
        return -(-self.length * self.rate_out // self.rate_in)

    def _bank(self, x: Tensor) -> tuple[Tensor, int, int]:
        """(phases, 1, taps) kernels, the zeros before the signal, the step from one position to the next."""
        common = math.gcd(self.rate_in, self.rate_out)
        stride, phases = self.rate_in // common, self.rate_out // common
        bank = _kernels(stride, phases)
        return bank.to(x.dtype).to(x.device), (bank.shape[-1] - stride) // 2, stride


@lru_cache(maxsize=16)
@torch.inference_mode(False)  # what is kept must serve walks with gradient too
def _kernels(stride: int, phases: int) -> Tensor:
    """(phases, 1, 2 pad + stride): h from the inputs of a stride, and pad more, to each output."""
    base = ROLLOFF * min(stride, phases)  # twice the cut-off
    pad = math.ceil(ZERO_CROSSINGS * stride / base)
    inputs = torch.arange(-pad, pad + stride, dtype=torch.float64) / stride
    outputs = torch.arange(phases, dtype=torch.float64) / phases
    distance = (base * (inputs - outputs[:, None])).clamp(-ZERO_CROSSINGS, ZERO_CROSSINGS)
    window = torch.cos(math.pi * distance / (2 * ZERO_CROSSINGS)).square()
    return (torch.sinc(distance) * window * (base / stride))[:, None]
