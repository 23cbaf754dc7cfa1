"""A solver is a list of stages: one network evaluation each, everything else pointwise in time.

So the same stages walk a whole signal (samplers/trajectory.py) or form a pipeline that blocks flow through
(samplers/stream.py), and both give the same result.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from audiomend.denoisers.base import Estimate
from audiomend.processes.base import Process


@dataclass(frozen=True)
class State:
    """What goes from stage to stage; every tensor is (..., time) over the same stretch.

    Attributes:
        x: the state of the process.
        memory: what the solver needs of earlier stages; empty at the start and after fresh noise from
            elsewhere, and then a multistep solver starts anew.
    """

    x: Tensor
    memory: tuple[Tensor, ...] = ()


Draw = Callable[[int], Tensor]
"""Draw number -> standard normal noise (time,) for this stage and stretch; the same for every channel."""


def unchanged(state: State, draw: Draw) -> State:
    """The `enter` of a stage that evaluates the state as it comes."""
    del draw
    return state


@dataclass(frozen=True)
class Stage:
    """One evaluation of the denoiser.

    Attributes:
        step: index of the solver's step that this evaluation belongs to.
        t: the time at which the denoiser is evaluated.
        s: the time stepped to.
        leave: the state after the evaluation, from the state before it and the estimate.
        enter: the state before the evaluation (churn); most leave it unchanged.
        whole: whether it takes a norm of the whole signal, which a pipeline never sees.
    """

    step: int
    t: float
    s: float
    leave: Callable[[State, Estimate, Draw], State]
    enter: Callable[[State, Draw], State] = unchanged
    whole: bool = False


Solver = Callable[[Process, Sequence[float]], list[Stage]]
"""(process, times from the first to the last, which may be 0) -> stages."""


def drawing_later(stage: Stage, by: int) -> Stage:
    """The stage with its draws renumbered from `by` on, so that what surrounds it can have the first ones."""

    def later(draw: Draw) -> Draw:
        return lambda number: draw(number + by)

    def enter(state: State, draw: Draw) -> State:
        return stage.enter(state, later(draw))

    def leave(state: State, estimate: Estimate, draw: Draw) -> State:
        return stage.leave(state, estimate, later(draw))

    return replace(stage, enter=enter, leave=leave)
