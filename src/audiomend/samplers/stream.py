"""The walk as a pipeline: blocks of the damaged file go in, blocks of the mended file come out.

A stage needs, for window k, the state that the stage before it has left on windows k - 1, k and k + 1 only.
So each stage follows the one before it at a distance of one batch of windows, and memory is (stages x a few
batches) at any length.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from audiomend.denoisers.windowed import Faded, Problem, faded, finished
from audiomend.errors import UsageError
from audiomend.processes.base import Process, along
from audiomend.samplers.base import Signal, Walk, begin, draws
from audiomend.samplers.timeline import Timeline
from audiomend.solvers.base import Stage, State


def stream(
    blocks: Iterable[Tensor], timeline: Timeline, problem: Problem, walk: Walk, start: Signal
) -> Iterator[Tensor]:
    """Walk a file of any length; the result is that of `trajectory` up to rounding.

    blocks: the damaged signal in pieces of any size, (channels, n).
    timeline: receives the blocks; `problem` and `start` read them there.

    Yields:
        the mended signal in pieces, (channels, n); together as long as the blocks.

    Raises:
        UsageError: a process that is bound to its anchor instead of a function of the position, or a solver
            that takes norms of the whole signal.
    """
    bound = _bound(walk)
    _, stages = bound(0, 0)
    if any(stage.whole for stage in stages):
        raise UsageError("A solver that takes norms of the whole signal cannot be walked as a pipeline.")
    pipeline = [_Pipe(problem, walk, bound, index) for index in range(len(stages))]
    for first, stop, last in _stretches(blocks, timeline, walk):
        pieces = [_Piece(first, begin(walk, start, first, stop), None, last)]
        for pipe in pipeline:
            pieces = [left for piece in pieces for left in pipe.push(piece)]
        for piece in pieces:
            yield piece.state.x[:, max(-piece.first, 0) : timeline.end - piece.first]
        timeline.forget(pipeline[-1].first)


Bound = Callable[[int, int], tuple[Process, list[Stage]]]
"""(start, stop) -> the process of this stretch and the solver's stages for it."""


def _bound(walk: Walk) -> Bound:
    process = along(walk.process)
    if isinstance(walk.process, Process):  # the same everywhere
        everywhere = walk.process, walk.solver(walk.process, walk.levels)
        return lambda start, stop: everywhere

    def bound(start: int, stop: int) -> tuple[Process, list[Stage]]:
        here = process(start, stop)
        return here, walk.solver(here, walk.levels)

    return bound


def _stretches(blocks: Iterable[Tensor], timeline: Timeline, walk: Walk) -> Iterator[tuple[int, int, bool]]:
    """Cut the file: (first, stop, is it the last); each begins where a batch of windows does."""
    windows, size = walk.windows, walk.batch * walk.windows.hop
    first = -windows.overlap
    for block in blocks:
        timeline.append(block)
        while timeline.end > first + size:  # more follows, so this batch is whole and is not the last
            yield first, first + size, False
            first += size
    if timeline.end > 0:
        yield first, windows.span(windows.count(timeline.end))[1], True


@dataclass(frozen=True)
class _Piece:
    """What a stage leaves of a batch of windows: all but the last overlap, which the next batch shares."""

    first: int
    state: State
    carry: object
    last: bool


class _Pipe:
    """One stage at work: takes the pieces of the stage before it, leaves pieces for the one after it."""

    def __init__(self, problem: Problem, walk: Walk, bound: Bound, index: int) -> None:
        self.problem, self.walk, self.bound, self.index = problem, walk, bound, index
        self.first = -walk.windows.overlap  # position of the first sample that waits
        self.waiting = State(torch.empty(problem.channels, 0))
        self.carries: deque[object] = deque()
        self.tail: Faded | None = None  # of the windows evaluated last

    def push(self, piece: _Piece) -> Iterator[_Piece]:
        _, stage = self._on(piece.first, piece.state.x.shape[-1])
        draw = draws(self.walk.noise, stage, piece.first, piece.state.x)
        self.waiting = _joined(self.waiting, stage.enter(piece.state, draw))
        self.carries.append(piece.carry)
        whole = self.walk.batch * self.walk.windows.hop + self.walk.windows.overlap
        while (length := self.waiting.x.shape[-1]) > whole or (length == whole and not piece.last):
            yield self._evaluate(whole, last=False)
        if piece.last:
            yield self._evaluate(length, last=True)

    def _evaluate(self, length: int, last: bool) -> _Piece:
        """Evaluate the batch of windows that covers the first `length` samples."""
        windows, first = self.walk.windows, self.first
        process, stage = self._on(first, length)
        x, carry = self.waiting.x[:, :length], self.carries.popleft()
        part = faded(self.problem, windows, process, first, x, stage.t, stage.s, carry)
        held = 0 if last else windows.overlap
        estimate, self.tail = finished(process, x, stage.t, part, self.tail, held)
        state, self.waiting = _split(self.waiting, length - held)
        self.first += length - held
        _, stage = self._on(first, length - held)
        left = stage.leave(state, estimate, draws(self.walk.noise, stage, first, state.x))
        return _Piece(first, left, estimate.carry, last)

    def _on(self, first: int, length: int) -> tuple[Process, Stage]:
        process, stages = self.bound(first, first + length)
        return process, stages[self.index]


def _joined(a: State, b: State) -> State:
    if a.x.shape[-1] == 0:
        return b
    memory = tuple(torch.cat(pair, dim=-1) for pair in zip(a.memory, b.memory, strict=True))
    return State(torch.cat((a.x, b.x), dim=-1), memory)


def _split(state: State, at: int) -> tuple[State, State]:
    """Before and from sample `at` on; the rest is copied, so that what has passed can be freed."""
    before = State(state.x[..., :at], tuple(kept[..., :at] for kept in state.memory))
    rest = State(state.x[..., at:].clone(), tuple(kept[..., at:].clone() for kept in state.memory))
    return before, rest
