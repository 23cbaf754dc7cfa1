"""What both walks share: what is walked, noise by absolute position, the state to start from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from audiomend.denoisers.windowed import Windows
from audiomend.noise import normal
from audiomend.processes.base import Along, Process, along, combine
from audiomend.solvers.base import Draw, Solver, Stage, State

Noise = Callable[[int, int, int, int], Tensor]
"""(step, draw, start, stop) -> standard normal (stop - start,), the same for every channel.

For a complex state it has to be complex, with E|e|^2 = 1, and may have the shape of the state.

Step 0 is the noise that the walk starts from; the solver's step i draws at step i + 1.
"""

Signal = Callable[[int, int], Tensor]
"""(start, stop) -> (channels, stop - start)."""


@dataclass(frozen=True)
class Walk:
    """How a file is walked.

    Attributes:
        process: the process of the denoiser; with an anchor, a function of the stretch.
        levels: its times from the first to the last, which is 0 for a clean result.
        solver: what makes stages of them.
        noise: the source of all noise.
        windows: how the state is cut for the denoiser.
        batch: number of windows denoised at once: memory and latency against speed.
    """

    process: Process | Along
    levels: Sequence[float]
    solver: Solver
    noise: Noise
    windows: Windows
    batch: int = 1


@dataclass(frozen=True)
class Reached:
    """Where the walk stands after a step.

    Attributes:
        t: the time reached.
        x: the state there.
        evaluations: of the denoiser so far.
    """

    t: float
    x: Tensor
    evaluations: int


def seeded(seed: int, sample: int = 0) -> Noise:
    """Counter-based noise (audiomend.noise) of one posterior sample, float32."""

    def noise(step: int, draw: int, start: int, stop: int) -> Tensor:
        return torch.from_numpy(normal(seed, sample, step, draw, start, stop))

    return noise


def silence(channels: int) -> Signal:
    """The signal that a cold walk starts from."""
    return lambda start, stop: torch.zeros(channels, stop - start)


def begin(walk: Walk, start: Signal, first: int, stop: int) -> State:
    """The state at the first time on the stretch [first, stop) if the clean signal were `start`."""
    clean, process = start(first, stop), along(walk.process)(first, stop)
    noise = walk.noise(0, 0, first, stop).to(clean)
    return State(combine(process, process.coefficients(walk.levels[0]), clean, noise))


def draws(noise: Noise, stage: Stage, first: int, like: Tensor) -> Draw:
    """The draws of a stage on the stretch that `like` (..., time) covers from position `first` on."""
    return lambda draw: noise(stage.step + 1, draw, first, first + like.shape[-1]).to(like)
