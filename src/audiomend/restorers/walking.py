"""Samplers by name: how a stretch of a file is walked, block by block or all of it in memory."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Protocol

import torch
from torch import Tensor
from torch.special import ndtr

from audiomend.denoisers.base import Denoiser, Estimate
from audiomend.denoisers.windowed import Problem, windowed
from audiomend.operators import Operator
from audiomend.processes.base import along, combine
from audiomend.restorers.way import ADAPTIVE, MEASURING, PARTICLES, Way
from audiomend.samplers.adaptive import adaptive
from audiomend.samplers.base import Noise, Reached, Signal, Walk, begin
from audiomend.samplers.daps import daps
from audiomend.samplers.particles import twisted
from audiomend.samplers.red_diff import red_diff
from audiomend.samplers.stream import stream
from audiomend.samplers.timeline import Timeline
from audiomend.samplers.trajectory import trajectory

LONGEST_S = 300.0  # of a stretch that is walked in memory: about 1 GB at 44.1 kHz in stereo
LONGEST_WITH_GRAPH_S = 6.0  # where the graph of every window and particle is kept, too: about 2.5 GB
IMAGE_RMS = 0.5  # of the data of DAPS and RED-diff, whose constants are absolute (Karras et al. 2022)
DAPS_END, RED_DIFF_RATE = 0.01, 0.1


class Stretched(Problem, Protocol):
    """A stretch of a damaged file; position 0 is its first sample."""

    @property
    def way(self) -> Way: ...

    @property
    def sigma_data(self) -> float: ...

    def operator(self, start: int, stop: int) -> Operator:
        """The operator of the samples [start, stop) of all channels."""
        ...


Sampler = Callable[[Stretched, Walk, Signal, int], Iterator[Tensor]]
"""(stretch, walk, what it starts from, its length) -> the mended signal in pieces (channels, n), in order."""


def streamed(problem: Stretched, walk: Walk, start: Signal, length: int) -> Iterator[Tensor]:
    """As a pipeline, in constant memory."""
    hop = walk.windows.hop
    blocks = (problem.observation(at, min(at + hop, length)) for at in range(0, length, hop))
    return stream(blocks, Timeline(problem.channels), problem, walk, start)


def in_memory(problem: Stretched, walk: Walk, start: Signal, length: int) -> Iterator[Tensor]:
    """The same walk, step by step over the whole stretch."""
    *_, last = trajectory(problem, walk, start, length)
    yield last.state.x


def annealed(problem: Stretched, walk: Walk, start: Signal, length: int) -> Iterator[Tensor]:
    """DAPS, with the paper's numbers of steps."""
    first, stop, denoise, noise = _whole(problem, walk, length)
    *_, last = daps(
        denoise,
        along(walk.process)(first, stop),
        begin(walk, start, first, stop).x,
        walk.levels,
        problem.operator(first, stop).forward,
        _measured(problem, first, stop),
        noise,
        noise_level=problem.way.sigma_y * problem.sigma_data,
        ode_steps=MEASURING["daps"],
        ode_end=DAPS_END * problem.sigma_data / IMAGE_RMS,
    )
    yield _cut(last, first, length)


def fitted(problem: Stretched, walk: Walk, start: Signal, length: int) -> Iterator[Tensor]:
    """RED-diff, from the start without noise."""
    first, stop, denoise, noise = _whole(problem, walk, length)
    *_, last = red_diff(
        denoise,
        along(walk.process)(first, stop),
        start(first, stop),
        walk.levels[:-1],
        problem.operator(first, stop).forward,
        _measured(problem, first, stop),
        noise,
        rate=RED_DIFF_RATE * problem.sigma_data / IMAGE_RMS,
    )
    yield _cut(last, first, length)


def by_tolerance(problem: Stretched, walk: Walk, start: Signal, length: int) -> Iterator[Tensor]:
    """Runge-Kutta 4(5) from the first level to the last above 0, and the estimate there."""
    first, stop, denoise, _ = _whole(problem, walk, length)
    process, (begun, *_, end, _) = along(walk.process)(first, stop), walk.levels
    tolerance = problem.way.tolerance * problem.sigma_data
    *_, last = adaptive(denoise, process, begin(walk, start, first, stop).x, begun, end, tolerance)
    clean = denoise(last.x, end, 0.0).clean
    yield _cut(replace(last, x=clean), first, length)


def by_particles(problem: Stretched, walk: Walk, start: Signal, length: int) -> Iterator[Tensor]:
    """TDS: one of its particles for each channel, drawn by weight."""
    first, stop, denoise, noise = _whole(problem, walk, length)
    process = along(walk.process)(first, stop)
    begun = process.coefficients(walk.levels[0])
    clean = start(first, stop)
    states = [combine(process, begun, clean, noise(0, k, 0, stop - first)) for k in range(PARTICLES)]

    def each(x: Tensor, t: float, s: float, carry: object = None) -> Estimate:
        del carry
        return Estimate(torch.stack([denoise(one, t, s).clean for one in x]))

    *_, last = twisted(
        each,
        process,
        torch.stack(states),
        walk.levels,
        problem.operator(first, stop).forward,
        _measured(problem, first, stop),
        noise,
        noise_level=problem.way.sigma_y * problem.sigma_data,
        sigma_data=problem.sigma_data,
        longest=1.0,
    )
    u = ndtr(noise(len(walk.levels), 0, 0, 1))
    chosen = (last.log_weights.softmax(0).cumsum(0) < u).sum(0).clamp(max=PARTICLES - 1)
    x = last.x[chosen, torch.arange(problem.channels)]
    yield _cut(Reached(last.t, x, last.evaluations), first, length)


def _whole(problem: Stretched, walk: Walk, length: int) -> tuple[int, int, Denoiser, Noise]:
    """First sample and end of the windows over a stretch, their denoiser, and noise that begins there."""
    first, stop = walk.windows.span(walk.windows.count(length))
    denoise = windowed(problem, walk.windows, walk.process, walk.batch)
    return first, stop, denoise, shifted(walk.noise, first)


def _measured(problem: Stretched, first: int, stop: int) -> Tensor:
    return problem.operator(first, stop).forward(problem.observation(first, stop))


def _cut(reached: Reached, first: int, length: int) -> Tensor:
    return reached.x[:, -first : length - first]


def shifted(noise: Noise, offset: int) -> Noise:
    """Noise whose position 0 is `offset` of the given one's."""
    return lambda step, draw, start, stop: noise(step, draw, start + offset, stop + offset)


SAMPLERS: dict[str, Sampler] = {
    "stream": streamed,
    "trajectory": in_memory,
    "repaint": streamed,
    "daps": annealed,
    "red-diff": fitted,
    ADAPTIVE: by_tolerance,
    "tds": by_particles,
}
