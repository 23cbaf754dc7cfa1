"""A solver that tells what it sees: every estimate on the way, for listening to a walk."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from torch import Tensor

from audiomend.denoisers.base import Estimate
from audiomend.processes.base import Process
from audiomend.solvers.base import Draw, Solver, Stage, State

Watch = Callable[[int, int, Tensor], None]
"""(index of the evaluation, position, x_0): the estimate (..., n) of the samples from `position` on."""


def watched(solver: Solver, watch: Watch, first: int = 0) -> Solver:
    """The same solver, which tells `watch` of every estimate. It changes nothing.

    Both walks hand a stage the pieces of its state in order and without a gap, so their lengths tell where
    they stand. A solver made of this one serves one walk.

    first: position of the first sample of the state.
    """

    def stages(process: Process, levels: Sequence[float]) -> list[Stage]:
        return [_watched(stage, index, watch, first) for index, stage in enumerate(solver(process, levels))]

    return stages


def _watched(stage: Stage, index: int, watch: Watch, first: int) -> Stage:
    position = first

    def leave(state: State, estimate: Estimate, draw: Draw) -> State:
        nonlocal position
        watch(index, position, estimate.clean)
        position += estimate.clean.shape[-1]
        return stage.leave(state, estimate, draw)

    return replace(stage, leave=leave)
