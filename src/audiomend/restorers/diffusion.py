"""Restoration by a diffusion prior: the damaged stretches of a signal, walked as a pipeline."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import count

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from audiomend.audio.reader import SoundReader
from audiomend.conditions import Condition
from audiomend.denoisers.at_rate import at_rate
from audiomend.denoisers.base import Denoiser, Estimate
from audiomend.denoisers.wiener import wiener
from audiomend.denoisers.windowed import Windows
from audiomend.guidance.gradient import pulled_back
from audiomend.models.prior import Prior
from audiomend.noise import normal
from audiomend.operators import Operator
from audiomend.processes.edm import EDM
from audiomend.restorers.damage import Damage
from audiomend.restorers.guiding import GUIDANCE, Measured
from audiomend.restorers.memory import read_padded
from audiomend.restorers.walking import SAMPLERS, shifted
from audiomend.restorers.way import MEASURING, Way
from audiomend.samplers.base import Walk, seeded, silence
from audiomend.solvers.base import Solver
from audiomend.solvers.watched import watched
from audiomend.tuning import give_back

OVERLAP = 1 / 8  # of a window, cross-faded with the next
AT_ONCE = 4  # evaluations after which memory is given back
PROCESS = EDM()  # the one that every prior here is trained for
FILL_SAMPLE = 1 << 32  # the noise above a file's Nyquist frequency is a posterior sample of its own

Evaluated = Callable[[int], None]
"""Called with the number of windows that were just evaluated."""

Preview = Callable[[int, int, NDArray[np.float64]], None]
"""(index of the evaluation, position, (channels, n)): the estimate after it, at the file's level."""


@dataclass(frozen=True)
class Stretch:
    """Neighbouring windows that hold damage.

    Attributes:
        first, last: of the file's grid, both included.
        inputs: network inputs of one step: windows times their damaged channels.
    """

    first: int
    last: int
    inputs: int


def windows_for(prior: Prior, rate: int) -> Windows:
    """The grid of a file: each window covers the time that the prior's network takes in."""
    length = round(prior.length * rate / prior.card.rate)
    return Windows(length, length - round(length * OVERLAP))


def stretches(source: SoundReader, damage: Damage, windows: Windows) -> list[Stretch]:
    """Where there is work to do, found by reading the file once."""
    found: list[Stretch] = []
    for k in range(windows.count(source.frames)):
        start = k * windows.hop - windows.overlap
        samples = read_padded(source, start, start + windows.length)
        busy = int(busy_channels(damage, start, samples, source.frames).sum())
        if busy and found and found[-1].last == k - 1:
            found[-1] = Stretch(found[-1].first, k, found[-1].inputs + busy)
        elif busy:
            found.append(Stretch(k, k, busy))
    return found


def busy_channels(damage: Damage, start: int, samples: NDArray[np.float64], frames: int) -> NDArray[np.bool_]:
    """(channels,) which channels of a window sound and have lost samples."""
    inside = np.arange(start, start + samples.shape[1])
    lost = damage.lost(start, samples) & ((inside >= 0) & (inside < frames))
    return lost.any(axis=1) & (samples != 0).any(axis=1)


@lru_cache(maxsize=8)
@torch.inference_mode()
def seconds_per_evaluation(prior: Prior, gradient: bool = False) -> float:
    """Wall time of one network input, the second of two; measured once per model.

    gradient: with a backward pass.
    """
    level = prior.card.sigma_data
    x = torch.randn(1, prior.length, generator=torch.Generator().manual_seed(0)) * level
    denoise = prior.denoiser()

    def evaluate() -> None:
        if gradient:
            pulled_back(denoise, x, level, 0.0, None, lambda clean: clean)
        else:
            denoise(x, level, 0.0)

    evaluate()
    begun = time.perf_counter()
    evaluate()
    return time.perf_counter() - begun


@dataclass(frozen=True, eq=False)
class Restoration:
    """One stretch of a damaged file as the engine's Problem; positions count from `offset`.

    Attributes:
        source, damage: the file and what is wrong with it.
        prior: the network with its card.
        way: how it is walked.
        gain: from the file's level to the prior's.
        seed: of the noise that fills the band above the file's Nyquist frequency.
        offset: position in the file of position 0 here.
        evaluated: told of every window that was evaluated.
    """

    source: SoundReader
    damage: Damage
    prior: Prior
    way: Way
    gain: float
    seed: int
    offset: int
    evaluated: Evaluated

    @property
    def channels(self) -> int:
        return self.source.channels

    @property
    def sigma_data(self) -> float:
        return self.prior.card.sigma_data

    def operator(self, start: int, stop: int) -> Operator:
        rows = torch.ones(1, self.channels, dtype=torch.bool)
        return self.damage.operator([start + self.offset], stop - start, rows, self.gain)

    def observation(self, start: int, stop: int) -> Tensor:
        return self._damaged(start + self.offset, stop + self.offset)

    def guess(self, start: int, stop: int) -> Tensor:
        """What a warm walk starts from."""
        return self.damage.warm(self._damaged, start + self.offset, stop + self.offset)

    def idle(self, start: int, stop: int) -> Tensor | None:
        samples = read_padded(self.source, start + self.offset, stop + self.offset)
        busy = busy_channels(self.damage, start + self.offset, samples, self.source.frames)
        return None if busy.all() else torch.from_numpy(~busy)

    def denoiser(self, starts: Sequence[int], length: int, rows: Tensor) -> Denoiser:
        observation = torch.stack([self.observation(start, start + length) for start in starts])[rows]
        places = [start + self.offset for start in starts]
        operator = self.damage.operator(places, length, rows, self.gain)
        condition = operator.condition(observation) if self.way.conditioned else None
        resampled = None if condition is None else at_prior(condition, self.prior.length)
        inner = at_file(
            self.prior,
            self.source.rate,
            length,
            partial(fill, self.prior, self.source.rate, self.seed, places, rows),
            self.damage.bandwidth_hz,
            resampled,
        )
        measured = Measured(inner, PROCESS, operator, observation, self.sigma_data, self.way)
        return self._counted(GUIDANCE[self.way.guidance].make(measured))

    def _damaged(self, start: int, stop: int) -> Tensor:
        """By position in the file, at the prior's level."""
        samples = read_padded(self.source, start, stop)
        return torch.from_numpy(samples.astype(np.float32) * np.float32(self.gain))

    def _counted(self, denoise: Denoiser) -> Denoiser:
        def counted(x: Tensor, t: float, s: float, carry: object = None) -> Estimate:
            estimate = denoise(x, t, s, carry)
            self.evaluated(x.shape[0])
            return estimate

        return counted


def at_file(
    prior: Prior,
    rate: int,
    length: int,
    filling: Callable[[], Tensor],
    bandwidth_hz: float | None = None,
    condition: Condition | None = None,
) -> Denoiser:
    """The prior for windows (batch, length) of a file, the empirical Wiener estimate above its own band.

    filling: noise (batch, prior.length) for the band that a file of a lower rate leaves empty.
    bandwidth_hz, condition: as `Prior.denoiser` takes them. Where the band is not known, a file of a lower
        rate tells it.
    """
    nyquist = min(rate, prior.card.rate) / 2
    if bandwidth_hz is None and nyquist < prior.card.rate / 2:
        bandwidth_hz = nyquist
    above = wiener(rate, prior.card.sigma_data)
    return at_rate(prior.denoiser(bandwidth_hz, condition), length, prior.length, above, filling)


def fill(prior: Prior, rate: int, seed: int, places: Sequence[int], rows: Tensor) -> Tensor:
    """(rows.sum(), prior.length) noise by position in the file, the same for every channel."""
    ratio = prior.card.rate / rate
    starts = [round(place * ratio) for place in places]
    noise = [normal(seed, FILL_SAMPLE, 0, 0, start, start + prior.length) for start in starts]
    return torch.from_numpy(np.stack(noise))[:, None].expand(-1, rows.shape[1], -1)[rows]


def at_prior(condition: Condition, length: int) -> Condition:
    """A condition (batch, n) resampled to the prior's window of `length` samples."""
    n = condition.observation.shape[-1]
    if n == length:
        return condition
    shared = (min(n, length) + 1) // 2
    spectrum = torch.fft.rfft(condition.observation)[..., :shared]
    place = (torch.arange(length) * n) // length  # flags take the value of the sample that covers them

    return Condition(
        observation=torch.fft.irfft(spectrum * (length / n), n=length),
        unknown=condition.unknown[..., place],
        clip=condition.clip[..., place],
        cutoff_hz=condition.cutoff_hz,
    )


def mend(
    source: SoundReader,
    damage: Damage,
    work: Sequence[Stretch],
    prior: Prior,
    way: Way,
    gain: float,
    seed: int,
    evaluated: Evaluated = lambda _: None,
    preview: Preview | None = None,
) -> Iterator[tuple[int, NDArray[np.float64]]]:
    """Walk the stretches.

    Args:
        work: what `stretches` found on the grid of `windows_for`.
        gain: from the file's level to the prior's.
        preview: told of the estimates on the way, those of one evaluation in order of position.

    Yields:
        (position, (channels, n)) pieces of the mended signal at the file's level, in order of position; only
        lost samples in them are to be used.
    """
    differentiated = GUIDANCE[way.guidance].gradient or way.sampler in MEASURING
    without_graph = torch.no_grad if differentiated else torch.inference_mode
    return without_graph()(_walked)(source, damage, work, prior, way, gain, seed, evaluated, preview)


def _walked(
    source: SoundReader,
    damage: Damage,
    work: Sequence[Stretch],
    prior: Prior,
    way: Way,
    gain: float,
    seed: int,
    evaluated: Evaluated,
    preview: Preview | None,
) -> Iterator[tuple[int, NDArray[np.float64]]]:
    windows = windows_for(prior, source.rate)
    calls = count(1)

    def told(inputs: int) -> None:
        evaluated(inputs)
        if next(calls) % AT_ONCE == 0:
            give_back()

    for stretch in work:
        give_back()
        # One idle window before the stretch: its neighbours need what they cross-fade with.
        offset = (stretch.first - 1) * windows.hop
        length = (stretch.last + 1) * windows.hop - offset
        problem = Restoration(source, damage, prior, way, gain, seed, offset, told)
        walk = Walk(
            process=PROCESS,
            levels=way.levels(prior.card.sigma_data),
            solver=_told(way, preview, offset, length, windows, source.frames, gain),
            noise=shifted(seeded(seed), offset),
            windows=windows,
        )
        start = problem.guess if way.warm else silence(source.channels)
        position = offset
        for piece in SAMPLERS[way.sampler](problem, walk, start, length):
            yield from _inside(piece, position, 0, source.frames, gain)
            position += piece.shape[1]


def _inside(
    piece: Tensor, position: int, start: int, stop: int, gain: float
) -> Iterator[tuple[int, NDArray[np.float64]]]:
    """What of a piece from `position` on lies in [start, stop), at the file's level; nothing if none does."""
    first, last = max(position, start), min(position + piece.shape[1], stop)
    if first < last:
        yield first, piece[:, first - position : last - position].double().numpy() / gain


def _told(
    way: Way, preview: Preview | None, offset: int, length: int, windows: Windows, frames: int, gain: float
) -> Solver:
    """The solver of a stretch, which tells of its estimates where somebody wants to know of them."""
    if preview is None:
        return way.stages

    def watch(index: int, position: int, clean: Tensor) -> None:
        for first, samples in _inside(clean, position, max(offset, 0), min(offset + length, frames), gain):
            preview(index, first, samples)

    return watched(way.stages, watch, offset - windows.overlap)
