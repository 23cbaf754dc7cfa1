"""The training loop. Everything random in step n follows from (seed, n), so a resumed run is the same run."""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from audiomend.errors import TrainingError
from audiomend.recipes.recipe import Recipe
from audiomend.training.log import LOG, append
from audiomend.training.objective import Batch, draw_levels, errors
from audiomend.training.state import Run, save

SAVE_SECONDS = 300.0
VALIDATION_SHARE = 0.03  # of the time: validation that takes longer comes less often
LOG_STEPS = 50
LEVEL_EDGES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)  # of the loss by noise level, sigma / sigma_data
MOST_BAD_GRADIENTS = 3  # in a row

Batches = Callable[[int], Batch]


def train(
    run: Run,
    batches: Batches,
    folder: Path,
    *,
    max_seconds: float = math.inf,
    stop: Callable[[], bool] = lambda: False,
    report: Callable[[dict[str, Any]], object] = lambda _: None,
    validate: Callable[[Run], object] = lambda _: None,
) -> None:
    """Train until the recipe's last step, the time budget or `stop`; the state is saved at the end.

    Args:
        batches: step -> batch.
        folder: of the checkpoints and of the log, which gets a line every 50 steps.
        report: gets the same lines.
        validate: called every `validation_minutes`, or less often if it takes more than 3 % of the time.

    Raises:
        TrainingError: the loss is not a number, or three gradients in a row are not; the state of before that
            step is saved first if its weights are finite.
    """
    begun = line_begun = time.monotonic()
    line_step = run.step
    cpu = time.process_time() - run.cpu_seconds
    saving, validating = _Duty(SAVE_SECONDS), _Duty(60 * run.recipe.validation_minutes, VALIDATION_SHARE)
    while run.step < run.recipe.steps and time.monotonic() - begun < max_seconds and not stop():
        try:
            _one_step(run, batches(run.step))
        except _NotFiniteError as error:
            save(run, folder)
            raise TrainingError(f"{error}; the state before it is saved in {folder}.") from None
        run.cpu_seconds = time.process_time() - cpu
        if run.step % LOG_STEPS == 0:
            now = time.monotonic()
            line = _line(run, (now - line_begun) / (run.step - line_step))
            append(folder / LOG, line)
            report(line)
            run.losses, line_begun, line_step = {}, now, run.step
        if validating.due():
            validating.do(lambda: validate(run))
        if saving.due():
            saving.do(lambda: save(run, folder))
    save(run, folder)


class _NotFiniteError(Exception):
    """A loss or gradient that is not a number; the run's state is the one before the step."""


class _Duty:
    """Something to be done every `seconds`, or less often if it takes more than `share` of the time."""

    def __init__(self, seconds: float, share: float = 1.0) -> None:
        self.seconds, self.share = seconds, share
        self.next = time.monotonic() + seconds

    def due(self) -> bool:
        return time.monotonic() >= self.next

    def do(self, work: Callable[[], object]) -> None:
        begun = time.monotonic()
        work()
        now = time.monotonic()
        self.next = now + max(self.seconds, (now - begun) / self.share)


def _one_step(run: Run, batch: Batch) -> None:
    recipe = run.recipe
    # One hash of both numbers: torch's CPU generator looks at no more than 32 bits of its seed.
    seed = int(np.random.SeedSequence((recipe.seed, run.step)).generate_state(1)[0])
    generator = torch.Generator().manual_seed(seed)
    levels = draw_levels(
        len(batch.clean),
        recipe.level_mean,
        recipe.level_spread,
        recipe.lowest_level,
        recipe.highest_level,
        generator,
    )
    noise = torch.randn(batch.clean.shape, generator=generator)
    each = errors(run.network, batch, levels, noise)
    loss = each.mean()
    if not math.isfinite(loss.item()):
        raise _NotFiniteError(f"The loss of step {run.step} is {loss.item()}")
    if loss.item() > recipe.skip_above and run.step >= recipe.warmup_steps:
        run.skipped += 1
    else:
        loss.backward()
        _update(run)
    run.step += 1
    run.segments += len(batch.clean)
    _note_losses(run, levels, each.detach(), batch.materials)


def _update(run: Run) -> None:
    norm = torch.nn.utils.clip_grad_norm_(run.network.parameters(), run.recipe.clip_norm).item()
    if not math.isfinite(norm):
        run.optimisers.clear()
        run.skipped += 1
        run.bad_gradients += 1
        if run.bad_gradients >= MOST_BAD_GRADIENTS:
            raise _NotFiniteError(
                f"The gradients of {MOST_BAD_GRADIENTS} steps up to {run.step} are not finite"
            )
        return
    run.bad_gradients = 0
    run.optimisers.step(rate_factor(run.recipe, run.step))
    run.averages.update(run.network)


def rate_factor(recipe: Recipe, step: int) -> float:
    """Learning rate at a step over its highest: linear rise, plateau, cosine fall to 0."""
    rise = min(1.0, (step + 1) / recipe.warmup_steps)
    fall = max(min(recipe.decay_steps, recipe.steps), 1)
    left = min(1.0, (recipe.steps - step) / fall)
    return rise * 0.5 * (1 - math.cos(math.pi * left))


def _note_losses(run: Run, levels: Tensor, each: Tensor, materials: tuple[str, ...]) -> None:
    for level, loss, material in zip(levels.exp().tolist(), each.tolist(), materials, strict=True):
        band = sum(level >= edge for edge in LEVEL_EDGES)
        for key in ("all", f"level{band}", material):
            run.losses.setdefault(key, []).append(loss)


def _line(run: Run, seconds_per_step: float) -> dict[str, Any]:
    return run.progress | {
        "seconds_per_step": round(seconds_per_step, 3),
        "rate": rate_factor(run.recipe, run.step),
        "skipped": run.skipped,
        "loss": {key: round(sum(x) / len(x), 6) for key, x in sorted(run.losses.items())},
    }
