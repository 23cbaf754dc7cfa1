"""The walk of a whole signal, step by step: the plain form, which the pipeline (stream.py) must equal."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from audiomend.denoisers.base import Denoiser, Estimate
from audiomend.denoisers.windowed import Problem, windowed
from audiomend.processes.base import along
from audiomend.samplers.base import Noise, Signal, Walk, begin, draws
from audiomend.solvers.base import Stage, State


@dataclass(frozen=True)
class Step:
    """One evaluation of the denoiser and what became of it.

    Attributes:
        index: 0 <= index < total, the number of evaluations.
        t: the time of the evaluation.
        state: after the evaluation; the last step's state.x is the mended signal.
        estimate: the answer of the denoiser.
    """

    index: int
    total: int
    t: float
    state: State
    estimate: Estimate


def evaluations(
    denoise: Denoiser, stages: Sequence[Stage], state: State, noise: Noise, first: int = 0
) -> Iterator[Step]:
    """Walk stage by stage. Whoever stops asking has cancelled the walk.

    state: its tensors are (..., time) from position `first` on.
    """
    carry: object = None
    for index, stage in enumerate(stages):
        draw = draws(noise, stage, first, state.x)
        state = stage.enter(state, draw)
        estimate = denoise(state.x, stage.t, stage.s, carry)
        state, carry = stage.leave(state, estimate, draw), estimate.carry
        yield Step(index, len(stages), stage.t, state, estimate)


def trajectory(problem: Problem, walk: Walk, start: Signal, length: int) -> Iterator[Step]:
    """Walk a file of `length` samples, all of it at once.

    start: the walk starts from a(t) start + b(t) anchor + s(t) e: problem.observation for a warm start,
        silence for a cold.

    Yields:
        a Step per evaluation; its tensors are (channels, length).

    Raises:
        UsageError: a process that is bound to its anchor instead of a function of the position.
    """
    first, stop = walk.windows.span(walk.windows.count(length))
    process = along(walk.process)
    denoise = windowed(problem, walk.windows, process, walk.batch)
    stages = walk.solver(process(first, stop), walk.levels)
    for step in evaluations(denoise, stages, begin(walk, start, first, stop), walk.noise, first):
        yield _cut(step, slice(-first, length - first))


def _cut(step: Step, stretch: slice) -> Step:
    state = State(step.state.x[..., stretch], tuple(kept[..., stretch] for kept in step.state.memory))
    noise = None if step.estimate.noise is None else step.estimate.noise[..., stretch]
    estimate = Estimate(step.estimate.clean[..., stretch], noise, step.estimate.carry)
    return Step(step.index, step.total, step.t, state, estimate)
