"""A band that is lost for a while: a whistle, a cough, a phone, or what was cut away with it."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from audiomend.conditions import Condition
from audiomend.errors import UsageError
from audiomend.operators.least_squares import damped
from audiomend.operators.low_pass import LOWEST_CUTOFF_HZ, LowPass

NARROWEST_HZ = 20.0  # a band's width; it bounds the length of the filters
TRANSITION = 0.1  # width of the fall at an edge as a share of its frequency


@dataclass(frozen=True)
class BandPass:
    """The sum of linear-phase bands, each the difference of two `LowPass`es: A = Aᵀ, nothing shifts.

    Gain 1/2 (−6 dB) at an edge, 1 or 0 to 80 dB from 5 % of the edge's frequency on, in a narrow band sooner.

    Attributes:
        bands: (low, high) in Hz, at least 20 Hz wide; those that overlap or touch count as one. Low is 0 or
            from 20 Hz on, high at most half the rate.
        sample_rate: in Hz.

    Raises:
        UsageError: no band, or one outside these ranges.
    """

    bands: tuple[tuple[float, float], ...]
    sample_rate: float

    def __post_init__(self) -> None:
        if not self.bands:
            raise UsageError("BandPass: there is no band.")
        for low, high in self.bands:
            self._check(low, high)

    def forward(self, x: Tensor) -> Tensor:
        """(..., time) to (..., time); the signal is taken as zero outside its ends."""
        y = torch.zeros_like(x)
        for gain, edge in self._edges:
            y = y + gain * (x if edge is None else edge.forward(x))
        return y

    def adjoint(self, y: Tensor) -> Tensor:
        """The same as forward."""
        return self.forward(y)

    @property
    def reach(self) -> int:
        """How many samples away a sample still counts."""
        return max((len(edge.taps) // 2 for _, edge in self._edges if edge is not None), default=0)

    @cached_property
    def _edges(self) -> tuple[tuple[float, LowPass | None], ...]:
        """The low-passes with their signs; None passes everything."""
        edges: list[tuple[float, LowPass | None]] = []
        for low, high in _merged(self.bands):
            edges.append((1.0, None if high == self.sample_rate / 2 else self._edge(high, high - low)))
            if low > 0:
                edges.append((-1.0, self._edge(low, high - low)))
        return tuple(edges)

    def _edge(self, frequency: float, width: float) -> LowPass:
        fall = min(max(TRANSITION * frequency, NARROWEST_HZ), width / 2, frequency)
        return LowPass(frequency, self.sample_rate, transition=fall / frequency)

    def _check(self, low: float, high: float) -> None:
        nyquist = self.sample_rate / 2
        if not (0 <= low < high <= nyquist) or 0 < low < LOWEST_CUTOFF_HZ:
            raise UsageError(
                f"The band from {low:g} to {high:g} Hz cannot be; at {self.sample_rate:g} Hz its ends rise "
                f"from 0, or from {LOWEST_CUTOFF_HZ:g} Hz on, to at most {nyquist:g} Hz."
            )
        if high - low < NARROWEST_HZ:
            raise UsageError(
                f"The band from {low:g} to {high:g} Hz is too narrow; it must be {NARROWEST_HZ:g} Hz wide."
            )


@dataclass(frozen=True, eq=False)
class BandGap:
    """A(x) = x − weight · B x: the band is taken out where the weight is 1.

    Attributes:
        band: B.
        weight: (time,) or (..., time) from 0, kept, to 1, lost.
        epsilon: regularisation of pinv and project, above 0.

    Raises:
        UsageError: epsilon out of range.
    """

    band: BandPass
    weight: Tensor
    epsilon: float = 1e-4

    def __post_init__(self) -> None:
        if not self.epsilon > 0:
            raise UsageError(f"BandGap: epsilon is {self.epsilon:g}; it must be above 0.")

    def forward(self, x: Tensor) -> Tensor:
        """(..., time) to (..., time)."""
        return x - self.weight.to(x) * self.band.forward(x)

    def adjoint(self, y: Tensor) -> Tensor:
        """y − B (weight · y)."""
        return y - self.band.adjoint(self.weight.to(y) * y)

    def pinv(self, y: Tensor) -> Tensor:
        """(AᵀA + epsilon I)⁻¹ Aᵀ y."""
        return damped(self, y, self.epsilon)

    def project(self, x: Tensor, observation: Tensor) -> Tensor:
        """The z that minimises ‖A z − observation‖² + epsilon ‖z − x‖²: x + pinv(observation − A x)."""
        return x + self.pinv(observation - self.forward(x))

    def replace_band(self, x: Tensor, observation: Tensor) -> Tensor:
        """The observation, y, with the band of x where the weight is 1: y + weight · B (x − y).

        Whatever y holds in the box has no say, as it is another sound; outside of it nothing changes: to the
        bit in time, to 80 dB outside the band.
        """
        return observation + self.weight.to(x) * self.band.forward(x - observation)

    def condition(self, observation: Tensor) -> Condition:
        """The network is shown the observation with the box emptied; its samples there are not known."""
        visible = self.forward(observation)
        return Condition(
            observation=visible,
            unknown=(self.weight > 0).to(visible.dtype).expand_as(visible),
            clip=torch.zeros_like(visible),
            cutoff_hz=visible.new_full(visible.shape[:-1], torch.inf),
        )


def _merged(bands: tuple[tuple[float, float], ...]) -> list[tuple[float, float]]:
    merged: list[tuple[float, float]] = []
    for low, high in sorted(bands):
        if merged and low <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return merged
