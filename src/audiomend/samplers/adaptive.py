"""The probability-flow equation by an adaptive Runge-Kutta method, which chooses its own times.

Its steps depend on the error of the whole signal, so it is a walk of its own and no list of stages.
"""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.integrate import RK45
from torch import Tensor

from audiomend.denoisers.base import Denoiser, noise_of
from audiomend.errors import UsageError
from audiomend.processes.base import Process, combine
from audiomend.samplers.base import Reached


def adaptive(
    denoise: Denoiser, process: Process, x: Tensor, start: float, stop: float, tolerance: float = 1e-5
) -> Iterator[Reached]:
    """Walk from x (..., time) at time `start` to time `stop` (Song et al. 2021, appendix D.4).

    The pair of Dormand and Prince (1980) in SciPy's implementation, in double precision; 6 evaluations a
    step, refused ones included, and 2 at the start.

    x: (..., time), real or complex.
    start, stop: times with s > 0, of which `start` is the noisier one.
    tolerance: of the error of a step, relative and absolute, in the root mean square over the signal.

    Raises:
        UsageError: if the process has no slope at one of the ends, or the tolerance is out of reach.
    """
    for end in (start, stop):
        if process.coefficients(end).s == 0:
            raise UsageError(f"The walk cannot start or end at time {end:g}, where there is no noise.")
    carry: object = None

    def slope(t: float, flat: NDArray[np.generic]) -> NDArray[np.generic]:
        nonlocal carry
        state, t = _tensor(flat, x), float(t)
        estimate = denoise(state, t, stop, carry)
        carry = estimate.carry
        noise = noise_of(process, state, t, estimate)
        return _flat(combine(process, process.derivatives(t), estimate.clean, noise))

    solver = RK45(slope, start, _flat(x), stop, rtol=tolerance, atol=tolerance)
    while solver.status == "running":
        if solver.step() is not None:
            raise UsageError(
                f"No step from time {solver.t:g} is small enough for a tolerance of {tolerance:g}."
            )
        yield Reached(float(solver.t), _tensor(solver.y, x), solver.nfev)


def _flat(x: Tensor) -> NDArray[np.generic]:
    return x.cpu().numpy().reshape(-1)


def _tensor(flat: NDArray[np.generic], like: Tensor) -> Tensor:
    return torch.from_numpy(flat.reshape(like.shape)).to(like)
