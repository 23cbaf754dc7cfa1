"""Dropouts: the level falls for a moment and comes back, as where a tape leaves its head."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

import torch
from torch import Tensor

from audiomend.conditions import Condition
from audiomend.errors import OptionError, UsageError


@dataclass(frozen=True, eq=False)
class Dropout:
    """A(x) = gain · x, a diagonal.

    Attributes:
        gain: (time,) or (..., time), 0 or more; 1 where nothing is wrong.
    """

    gain: Tensor

    def __post_init__(self) -> None:
        if not bool((self.gain >= 0).all()):
            raise UsageError("Dropout: a gain is below 0 or no number; gains are 0 or more.")

    @classmethod
    def at(
        cls, stretches: Sequence[tuple[int, int]], depth_db: float, fade: int, start: int, stop: int
    ) -> "Dropout":
        """The dropouts of the samples start to stop - 1 of a file.

        Args:
            stretches: (first, end) of each dropout in samples of the file.
            depth_db: by how much the level falls, above 0.
            fade: samples over which the level, in dB, falls and rises along a line, inside the ends.
        """
        if not depth_db > 0:
            raise OptionError("depth_db", f"is {depth_db:g}; it must be above 0.")
        place = torch.arange(start, stop, dtype=torch.float64)
        share = torch.zeros_like(place)
        for first, end in stretches:
            inside = torch.minimum(place - (first - 1), end - place) / (fade + 1)
            share = torch.maximum(share, inside.clamp(0, 1))
        return cls(10 ** (-depth_db * share / 20))

    def forward(self, x: Tensor) -> Tensor:
        """(..., time) to (..., time)."""
        return self.gain.to(x) * x

    def adjoint(self, y: Tensor) -> Tensor:
        """The same as forward."""
        return self.forward(y)

    def pinv(self, y: Tensor) -> Tensor:
        """y / gain; 0 where the gain is 0."""
        gain = self.gain.to(y)
        return torch.where(gain > 0, y / torch.where(gain > 0, gain, 1), 0)

    def project(self, x: Tensor, observation: Tensor) -> Tensor:
        """The nearest consistent signal, exactly: the observation undone, x where nothing was left."""
        return torch.where(self.gain.to(x) > 0, self.pinv(observation), x)

    def condition(self, observation: Tensor) -> Condition:
        """Samples that were turned down count as unknown: what noise there was has come up with them."""
        return Condition(
            observation=observation,
            unknown=(self.gain < 1).to(observation.dtype).expand_as(observation),
            clip=torch.zeros_like(observation),
            cutoff_hz=observation.new_full(observation.shape[:-1], inf),
        )
