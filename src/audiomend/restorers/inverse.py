"""Any operator inverted in memory: damages that no verb finds, such as lost phases or random sampling."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from audiomend.denoisers.base import Denoiser, Estimate
from audiomend.denoisers.windowed import windowed
from audiomend.errors import UsageError, unknown
from audiomend.guidance.gradient import euclidean
from audiomend.guidance.reconstruction import spectral
from audiomend.models.prior import Prior
from audiomend.operators import Forward
from audiomend.restorers.diffusion import FILL_SAMPLE, PROCESS, at_file, fill, windows_for
from audiomend.restorers.guiding import GUIDANCE, REPLACING, Measured, check
from audiomend.restorers.options import Options
from audiomend.restorers.presets import find
from audiomend.restorers.settings import way
from audiomend.restorers.way import WITHOUT_SOLVER
from audiomend.samplers.base import seeded
from audiomend.samplers.trajectory import evaluations
from audiomend.solvers.base import State


def invert(
    observation: Tensor,
    operator: Forward,
    frames: int,
    sample_rate: int,
    *,
    preset: str = "cqtdiff-dc-rg",
    task: str = "inpaint",
    guidance: str | None = None,
    solver: str | None = None,
    steps: int | None = None,
    model: str | Path | Prior | None = None,
    seed: int = 0,
    precision: str = "auto",
    device: str = "auto",
    walk: Mapping[str, object] | None = None,
) -> Tensor:
    """A signal that the operator turns into the observation and that the prior finds likely.

    Args:
        observation: (channels, ...) what the operator made of a clean signal at the prior's level, an RMS of
            `load_model(model).card.sigma_data`.
        operator: of `audiomend.operators`, or any object with `forward` and what the guidance needs of
            `project`, `pinv` and `adjoint`. It acts on (channels, frames).
        frames: length of the signal. All of it is in memory, and with a gradient the graph of every window.
        sample_rate: in Hz.
        task: which of the preset's settings to take: those of a verb, or of one of its tasks without a verb,
            as random-samples of cqtdiff.
        preset, guidance, solver, steps, model, seed, precision, device, walk: as for `audiomend.declip`; in
            less than half of a preset's steps the result may be worse than silence. Norms of a residual are
            Euclidean in each channel; of matrices, such as magnitudes, spectral, as CQT-Diff's code has it.

    Returns:
        (channels, frames) float32.

    Raises:
        UsageError: an unknown name, a task that the preset has no settings for, a guidance that does not fit
            the operator, or a sampler that is no walk.
        ModelError: an unknown or damaged model.
    """
    options = Options(
        model=model,
        steps=steps,
        guidance=guidance,
        solver=solver,
        seed=seed,
        precision=precision,
        device=device,
        walk=walk or {},
    )
    if task not in (known := {"inpaint", *find(preset).tasks}):
        raise unknown("task", task, sorted(known))
    changed = way("inpaint", None, steps, options.changes, preset=preset, task=task)
    chosen = replace(changed, conditioned=False)
    if chosen.sampler in WITHOUT_SOLVER:
        raise UsageError(f"The sampler {chosen.sampler} takes no solver, and invert walks by one.")
    if chosen.guidance in REPLACING and observation.shape[1:] != (frames,):
        raise UsageError(
            f"The guidance {chosen.guidance} replaces {frames:,} samples a channel; the observation has shape"
            f" {tuple(observation.shape)}."
        )
    check(chosen.guidance, operator)
    prior = options.prior()
    channels, sigma_data = len(observation), prior.card.sigma_data
    norm = spectral if observation.ndim > 2 else euclidean
    with torch.no_grad():
        inner = _between_silence(Unguided(prior, sample_rate, channels, seed), frames)
        measured = Measured(inner, PROCESS, operator, observation, sigma_data, chosen, norm, damaged=False)
        levels, noise = chosen.levels(sigma_data), seeded(seed)
        start = State((levels[0] * noise(0, 0, 0, frames)).expand(channels, -1))
        guided = GUIDANCE[chosen.guidance].make(measured)
        *_, last = evaluations(guided, chosen.stages(PROCESS, levels), start, noise)
    return last.state.x


@dataclass(frozen=True, eq=False)
class Unguided:
    """The prior alone, window by window, as a `Problem`."""

    prior: Prior
    rate: int
    channels: int
    seed: int

    def idle(self, start: int, stop: int) -> None:
        del start, stop

    def observation(self, start: int, stop: int) -> Tensor:
        return torch.zeros(self.channels, stop - start)

    def denoiser(self, starts: Sequence[int], length: int, rows: Tensor) -> Denoiser:
        return at_file(
            self.prior, self.rate, length, lambda: fill(self.prior, self.rate, self.seed, starts, rows)
        )


def _between_silence(problem: Unguided, frames: int) -> Denoiser:
    """The denoiser of states (channels, frames); before and after them its windows see silence with noise."""
    windows = windows_for(problem.prior, problem.rate)
    first, stop = windows.span(windows.count(frames))
    whole = windowed(problem, windows, PROCESS, batch=1)
    noise = seeded(problem.seed, FILL_SAMPLE + 1)
    before, after = noise(0, 0, first, 0), noise(0, 0, frames, stop)

    def denoise(x: Tensor, t: float, s: float, carry: object = None) -> Estimate:
        ends = (t * end.to(x).expand(len(x), -1) for end in (before, after))
        estimate = whole(torch.cat((next(ends), x, next(ends)), dim=-1), t, s, carry)
        return Estimate(estimate.clean[:, -first : frames - first], carry=estimate.carry)

    return denoise
