"""Erased samples: gaps and dropouts whose place is known."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, inf

import torch
from torch import Tensor

from audiomend.conditions import Condition
from audiomend.errors import UsageError


@dataclass(frozen=True, eq=False)
class Mask:
    """Keep the known samples and zero the others, A = diag(known): an orthogonal projector, so A = Aᵀ = A⁺.

    Attributes:
        known: bool, (time,) or (..., time); True where the sample survives.
    """

    known: Tensor

    def __post_init__(self) -> None:
        if self.known.dtype != torch.bool:
            raise UsageError(f"Mask: known is {self.known.dtype}; it must be torch.bool.")

    @classmethod
    def from_gaps(cls, gaps: Sequence[tuple[int, int]], start: int, stop: int) -> "Mask":
        """The mask of the samples start to stop - 1 of a file with gaps.

        Args:
            gaps: (first, end) of each gap in samples of the file, end not included. Gaps may overlap each
                other and lie partly or wholly outside start to stop.
            start, stop: the stretch of the file, in samples; either may lie outside the file.

        Raises:
            UsageError: a gap ends before it begins or holds no sample.
        """
        known = torch.ones(stop - start, dtype=torch.bool)
        for first, end in gaps:
            if end <= first:
                raise UsageError(
                    f"The gap from sample {first} to {end} is empty; it must end after it starts."
                )
            known[max(first - start, 0) : max(end - start, 0)] = False
        return cls(known)

    @classmethod
    def random(cls, length: int, share: float, generator: torch.Generator) -> "Mask":
        """Keep a share of the samples at random places (compressive sensing).

        share: from 0 to 1; ⌊length (1 − share)⌋ samples are erased. CQT-Diff keeps 0.05.

        Raises:
            UsageError: share out of range.
        """
        if not 0 <= share <= 1:
            raise UsageError(f"Mask: the share of known samples is {share}; it must be from 0 to 1.")
        known = torch.ones(length, dtype=torch.bool)
        known[torch.randperm(length, generator=generator)[: floor(length * (1 - share))]] = False
        return cls(known)

    def forward(self, x: Tensor) -> Tensor:
        """(..., time): x where known, 0 elsewhere."""
        return torch.where(self.known, x, x.new_zeros(()))

    def adjoint(self, y: Tensor) -> Tensor:
        """The same as forward: a diagonal is its own transpose."""
        return self.forward(y)

    def pinv(self, y: Tensor) -> Tensor:
        """The same as forward: the shortest signal that explains y is zero in the gaps."""
        return self.forward(y)

    def project(self, x: Tensor, observation: Tensor) -> Tensor:
        """The nearest consistent signal, exactly: the observation where known, x in the gaps."""
        return torch.where(self.known, observation, x)

    def condition(self, observation: Tensor) -> Condition:
        """Whatever the observation holds inside the gaps is hidden from the network."""
        visible = self.forward(observation)
        return Condition(
            observation=visible,
            unknown=(~self.known).to(visible.dtype).expand_as(visible),
            clip=torch.zeros_like(visible),
            cutoff_hz=visible.new_full(visible.shape[:-1], inf),
        )
