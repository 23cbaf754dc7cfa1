"""Clicks: short sounds on top of the sound, as scratches and dust on a record make them."""

from dataclasses import dataclass
from math import exp, inf, log

import numpy as np
import torch
from torch import Tensor

from audiomend.conditions import Condition
from audiomend.errors import OptionError, UsageError

SHORTEST_S, LONGEST_S = 1 / 44_100, 60 / 44_100
DECAY = 3.0  # time constants of a click within its length
RANGE_DB = 20.0  # the faintest click is this far below the loudest


@dataclass(frozen=True, eq=False)
class Clicks:
    """A(x) = x + added.

    Attributes:
        added: (time,) or (..., time), 0 between the clicks.
    """

    added: Tensor

    @classmethod
    def random(cls, start: int, stop: int, rate: int, per_second: float, peak: float, seed: int) -> "Clicks":
        """Clicks at random places of a file, the samples start to stop - 1; the same whatever these two are.

        A Poisson number in each second, decaying noise of 1 to 60 samples at 44.1 kHz, each length as likely
        as its half, and peaks that are spread evenly in dB.

        Args:
            per_second: mean number, above 0.
            peak: of the loudest clicks, above 0; the faintest have a tenth of it.

        Raises:
            UsageError: per_second or peak out of range.
        """
        if not 0 < per_second < inf:
            raise OptionError("per_second", f"is {per_second:g}; it must be above 0.")
        if not 0 < peak < inf:
            raise UsageError(f"Clicks: peak is {peak:g}; it must be above 0.")
        added = torch.zeros(stop - start, dtype=torch.float64)
        for second in range(max(start // rate - 1, 0), -(-stop // rate)):
            random = np.random.default_rng((seed, second))
            for _ in range(random.poisson(per_second)):
                place = second * rate + int(random.integers(rate)) - start
                click = (
                    torch.from_numpy(_click(random, rate)) * peak * 10 ** (-random.random() * RANGE_DB / 20)
                )
                first, last = max(place, 0), min(place + len(click), stop - start)
                if first < last:
                    added[first:last] += click[first - place : last - place]
        return cls(added)

    def forward(self, x: Tensor) -> Tensor:
        """(..., time) to (..., time)."""
        return x + self.added.to(x)

    def project(self, x: Tensor, observation: Tensor) -> Tensor:
        """The one consistent signal, whatever x is."""
        del x
        return observation - self.added.to(observation)

    def condition(self, observation: Tensor) -> Condition:
        """What lies under a click is hidden from the network."""
        known = (self.added == 0).expand_as(observation)
        visible = torch.where(known, observation, 0)
        return Condition(
            observation=visible,
            unknown=(~known).to(visible.dtype),
            clip=torch.zeros_like(visible),
            cutoff_hz=visible.new_full(visible.shape[:-1], inf),
        )


def _click(random: np.random.Generator, rate: int) -> "np.typing.NDArray[np.float64]":
    """Decaying noise with a peak of 1."""
    seconds = exp(random.uniform(log(SHORTEST_S), log(LONGEST_S)))
    length = max(round(seconds * rate), 1)
    shape = random.standard_normal(length) * np.exp(-DECAY * np.arange(length) / length)
    return shape / np.abs(shape).max()
