"""Any length: overlapping windows of one shared state, denoised as batches and cross-faded.

All windows share one trajectory, so there are no seams (MultiDiffusion, Bar-Tal et al. 2023). Guidance acts
inside the window: a cross-fade of estimates that lie in a convex set lies in it too, and filters see their
context.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Protocol

import torch
from torch import Tensor

from audiomend.denoisers.base import Denoiser, Estimate, implied_noise, noise_beside, noise_of
from audiomend.errors import UsageError
from audiomend.processes.base import Along, Process, along, centred


class Problem(Protocol):
    """Everything known about the file, addressed by absolute position in samples."""

    @property
    def channels(self) -> int: ...

    def idle(self, start: int, stop: int) -> Tensor | None:
        """(channels,) bool: the channels whose every sample in [start, stop) is known; None: no channel."""
        ...

    def observation(self, start: int, stop: int) -> Tensor:
        """(channels, stop - start) the damaged signal; zeros outside the file."""
        ...

    def denoiser(self, starts: Sequence[int], length: int, rows: Tensor) -> Denoiser:
        """The guided denoiser of the windows [start, start + length), for the chosen channels of each.

        rows: (len(starts), channels) bool, True for what is to be evaluated. The states that the denoiser
        gets are (rows.sum(), length), window by window and channel by channel, as x[rows] orders them.
        """
        ...


@dataclass(frozen=True)
class Windows:
    """Window k covers the samples k hop - overlap <= n < k hop - overlap + length, overlap = length - hop.

    Sample 0 stands where the fade-in of window 0 is complete. hop <= length <= 2 hop, so that no sample lies
    in more than two windows.
    """

    length: int
    hop: int

    def __post_init__(self) -> None:
        if not 0 < self.hop <= self.length <= 2 * self.hop:
            raise UsageError(
                f"Windows of {self.length} samples every {self.hop} do not fit: "
                "the hop must be between half a window and a whole one."
            )

    @property
    def overlap(self) -> int:
        return self.length - self.hop

    def count(self, length: int) -> int:
        """Number of windows that touch the samples 0 <= n < length."""
        return -(-(length + self.overlap) // self.hop) if length > 0 else 0

    def span(self, count: int) -> tuple[int, int]:
        """First sample and end of the stretch that the first `count` windows cover."""
        return -self.overlap, count * self.hop

    def fade(self) -> Tensor:
        """(length,) the weight of a window: raised cosines that add up to 1 with the neighbours'."""
        phase = (torch.arange(self.overlap) + 0.5) / max(self.overlap, 1)
        rise = torch.sin(torch.pi / 2 * phase) ** 2
        return torch.cat((rise, torch.ones(self.hop - self.overlap), 1 - rise))


@dataclass(frozen=True)
class Faded:
    """The weighted sum of the estimates of neighbouring windows; both its ends are faded.

    Attributes:
        clean: (channels, time) sum of w x_0.
        surplus: (channels, time) sum of w (e - implied e); None: every e is the implied one.
        carry: of the denoiser of these windows.
    """

    clean: Tensor
    surplus: Tensor | None
    carry: object


def windowed(problem: Problem, windows: Windows, process: Process | Along, batch: int) -> Denoiser:
    """The denoiser of a whole state (channels, time) that covers windows.span(n) for some n.

    Before the first and after the last window the estimate is silence.

    batch: number of windows denoised at once. The carry is the list of the batches' carries.
    """
    size, overlap, bound = batch * windows.hop, windows.overlap, along(process)

    def denoise(x: Tensor, t: float, s: float, carry: object = None) -> Estimate:
        stretches = [x[:, start : start + size + overlap] for start in range(0, x.shape[-1] - overlap, size)]
        carries = carry if isinstance(carry, list) else [None] * len(stretches)
        estimates: list[Estimate] = []
        tail = None
        for place, (stretch, carried) in enumerate(zip(stretches, carries, strict=True)):
            first = place * size - overlap
            here = bound(first, first + stretch.shape[-1])
            part = faded(problem, windows, here, first, stretch, t, s, carried)
            held = overlap if place + 1 < len(stretches) else 0
            estimate, tail = finished(here, stretch, t, part, tail, held)
            estimates.append(estimate)
        return _concatenated(bound, -overlap, x, t, estimates)

    return denoise


def faded(
    problem: Problem,
    windows: Windows,
    process: Process,
    first: int,
    x: Tensor,
    t: float,
    s: float,
    carry: object,
) -> Faded:
    """Denoise the windows that cover the state x (channels, time) from position `first` on, as one batch.

    process: bound to this stretch.
    Idle channels of a window are not evaluated: their estimate is the observation.
    """
    tiles = _tiles(x, windows)
    starts = [first + place * windows.hop for place in range(len(tiles))]
    rows = _active(problem, starts, windows.length)
    clean, surplus = torch.empty_like(tiles), None
    if not rows.all():
        clean = torch.stack([problem.observation(start, start + windows.length) for start in starts]).to(x)
    if rows.any():
        estimate = problem.denoiser(starts, windows.length, rows)(tiles[rows], t, s, carry)
        clean[rows], carry = estimate.clean, estimate.carry
        if estimate.noise is not None:
            surplus = torch.zeros_like(tiles)
            without_anchor = _tiles(centred(process, x, t), windows)[rows]
            implied = noise_beside(process.coefficients(t), without_anchor, estimate.clean)
            surplus[rows] = estimate.noise - implied
            surplus = _overlap_add(surplus, windows)
    return Faded(_overlap_add(clean, windows), surplus, carry)


def finished(
    process: Process, x: Tensor, t: float, part: Faded, tail: Faded | None, held: int
) -> tuple[Estimate, Faded]:
    """Add the tail of the windows before, and hold back the last `held` samples as the tail for the next.

    process: bound to the stretch of x.

    Returns:
        the estimate at x (channels, time) but for the samples held back, and the new tail.
    """
    clean, surplus = part.clean, part.surplus
    if tail is not None:
        clean = _added(clean, tail.clean)
    if tail is not None and tail.surplus is not None:
        surplus = _added(torch.zeros_like(clean) if surplus is None else surplus, tail.surplus)
    done = x.shape[-1] - held
    noise = None
    if surplus is not None:
        noise = (implied_noise(process, x, t, clean) + surplus)[:, :done]
    left = Faded(clean[:, done:], None if surplus is None else surplus[:, done:], None)
    return Estimate(clean[:, :done], noise, part.carry), left


def _added(x: Tensor, start: Tensor) -> Tensor:
    """x (channels, time) with the shorter `start` added at its beginning."""
    return x + torch.nn.functional.pad(start, (0, x.shape[-1] - start.shape[-1]))


def _concatenated(bound: Along, first: int, x: Tensor, t: float, estimates: Sequence[Estimate]) -> Estimate:
    """The estimate at x (channels, time), which begins at `first`, from those at its consecutive pieces."""
    clean = torch.cat([estimate.clean for estimate in estimates], dim=-1)
    noise = None
    if any(estimate.noise is not None for estimate in estimates):
        ends = list(accumulate((estimate.clean.shape[-1] for estimate in estimates), initial=0))
        noise = [
            noise_of(bound(first + start, first + stop), x[..., start:stop], t, estimate)
            for (start, stop), estimate in zip(pairwise(ends), estimates, strict=True)
        ]
        noise = torch.cat(noise, dim=-1)
    return Estimate(clean, noise, [estimate.carry for estimate in estimates])


def _active(problem: Problem, starts: Sequence[int], length: int) -> Tensor:
    """(windows, channels) bool: what has to be evaluated."""
    none = torch.zeros(problem.channels, dtype=torch.bool)
    idle = [problem.idle(start, start + length) for start in starts]
    return ~torch.stack([none if known is None else known.to(none) for known in idle])


def _tiles(x: Tensor, windows: Windows) -> Tensor:
    """(channels, time) -> (windows, channels, length)."""
    return x.unfold(-1, windows.length, windows.hop).transpose(0, 1)


def _overlap_add(tiles: Tensor, windows: Windows) -> Tensor:
    """(windows, channels, length) -> (channels, windows hop + overlap): the sum of the weighted windows."""
    weighted = (tiles * windows.fade().to(tiles)).transpose(0, 1)
    total = torch.nn.functional.pad(weighted[..., : windows.hop], (0, 0, 0, 1))  # one more hop for the end
    total[:, 1:, : windows.overlap] += weighted[..., windows.hop :]
    return total.flatten(1)[:, : len(tiles) * windows.hop + windows.overlap]
