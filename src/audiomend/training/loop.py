"""The training loop. Everything random in step n follows from (seed, n), so a resumed run is the same run."""

import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from audiomend.errors import TrainingError
from audiomend.networks.patch_unet import PatchUnet
from audiomend.recipes.prior import Recipe
from audiomend.training import checkpoint
from audiomend.training.ema import Averages
from audiomend.training.objective import Batch, draw_levels, errors
from audiomend.training.optimisers import Optimisers

SAVE_SECONDS = 300.0
LOG_STEPS = 50
LEVEL_EDGES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)  # of the loss by noise level, sigma / sigma_data

Batches = Callable[[int], Batch]


@dataclass
class Run:
    """A run's whole state but its data."""

    recipe: Recipe
    network: PatchUnet
    optimisers: Optimisers
    averages: Averages
    step: int = 0
    skipped: int = 0
    cpu_seconds: float = 0.0
    segments_before: int = 0  # seen by the weights that this run started from
    cpu_seconds_before: float = 0.0


def start(recipe: Recipe, precision: torch.dtype) -> Run:
    """A fresh run with weights drawn from the recipe's seed."""
    torch.manual_seed(recipe.seed)
    network = PatchUnet(recipe.architecture, precision)
    return Run(recipe, network, Optimisers(network, recipe.muon_rate, recipe.adam_rate), Averages(network))


def train(
    run: Run,
    batches: Batches,
    folder: Path,
    *,
    max_seconds: float = math.inf,
    stop: Callable[[], bool] = lambda: False,
    report: Callable[[dict[str, Any]], None] = lambda _: None,
) -> None:
    """Train until the recipe's last step, the time budget or `stop`; the state is saved at the end.

    Raises TrainingError when the loss is not a number; the state of before that step is saved first.
    """
    begun, saved = time.monotonic(), time.monotonic()
    log = _Log(folder / "log.jsonl", run, report)
    cpu = time.process_time() - run.cpu_seconds
    while run.step < run.recipe.steps and time.monotonic() - begun < max_seconds and not stop():
        _one_step(run, batches(run.step), log)
        run.cpu_seconds = time.process_time() - cpu
        if time.monotonic() - saved > SAVE_SECONDS:
            save(run, folder)
            saved = time.monotonic()
    save(run, folder)


def _one_step(run: Run, batch: Batch, log: "_Log") -> None:
    recipe = run.recipe
    generator = torch.Generator().manual_seed((recipe.seed << 32) + run.step)
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
        save(run, log.path.parent)
        raise TrainingError(f"the loss of step {run.step} is {loss.item()}; the state before it was saved")
    if loss.item() <= recipe.skip_above or run.step < recipe.warmup_steps:
        loss.backward()
        torch.nn.utils.clip_grad_norm_(run.network.parameters(), recipe.clip_norm)
        run.optimisers.step(rate_factor(recipe, run.step))
        run.averages.update(run.network)
    else:
        run.skipped += 1
    run.step += 1
    log.add(levels, each.detach(), batch.materials)


def rate_factor(recipe: Recipe, step: int) -> float:
    """Learning rate at a step over its highest: linear rise, plateau, cosine fall to 0."""
    rise = min(1.0, (step + 1) / recipe.warmup_steps)
    left = min(1.0, (recipe.steps - step) / max(recipe.decay_steps, 1))
    return rise * 0.5 * (1 - math.cos(math.pi * left))


def save(run: Run, folder: Path) -> None:
    """Write a checkpoint of the whole run."""
    weights = {f"network.{n}": t for n, t in run.network.state_dict().items()}
    averages = {f"average.{n}": t for n, t in run.averages.state().items()}
    optimisers = {f"optimiser.{n}": t for n, t in run.optimisers.state().items()}
    facts = {
        "averaged": run.averages.step,
        "architecture": repr(run.recipe.architecture),
        "recipe": repr(run.recipe),
        **{name: getattr(run, name) for name in _COUNTERS},
    }
    checkpoint.save(folder, run.step, weights | averages | optimisers, facts)


_COUNTERS = ("step", "skipped", "cpu_seconds", "segments_before", "cpu_seconds_before")


def resume(run: Run, folder: Path) -> bool:
    """Bring a fresh run to the state of the folder's newest checkpoint; False where there is none.

    Raises TrainingError if the checkpoint is of another architecture.
    """
    checkpoint.remove_leftovers(folder)
    found = checkpoint.load_latest(folder)
    if found is None:
        return False
    tensors, facts = found
    ours = repr(run.recipe.architecture)
    if facts["architecture"] != ours:
        raise TrainingError(f"the checkpoint is of {facts['architecture']}, the recipe asks for {ours}")
    run.network.load_state_dict(dict(_under("network", tensors)))
    run.averages.load(facts["averaged"], dict(_under("average", tensors)))
    run.optimisers.load(dict(_under("optimiser", tensors)))
    for name in _COUNTERS:
        setattr(run, name, facts[name])
    return True


def _under(prefix: str, tensors: dict[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    for name, tensor in tensors.items():
        if name.startswith(prefix + "."):
            yield name[len(prefix) + 1 :], tensor


class _Log:
    """One line of JSON every `LOG_STEPS` steps: mean loss, loss by noise level and by material."""

    def __init__(self, path: Path, run: Run, report: Callable[[dict[str, Any]], None]) -> None:
        self.path, self.run, self.report = path, run, report
        self.losses: dict[str, list[float]] = {}
        self.since = time.monotonic()

    def add(self, levels: Tensor, each: Tensor, materials: tuple[str, ...]) -> None:
        for level, loss, material in zip(levels.exp().tolist(), each.tolist(), materials, strict=True):
            band = sum(level >= edge for edge in LEVEL_EDGES)
            for key in ("all", f"level{band}", material):
                self.losses.setdefault(key, []).append(loss)
        if self.run.step % LOG_STEPS == 0:
            self._flush()

    def _flush(self) -> None:
        run, now = self.run, time.monotonic()
        line: dict[str, Any] = {
            "step": run.step,
            "segments": run.segments_before + run.step * run.recipe.batch,
            "cpu_hours": round((run.cpu_seconds + run.cpu_seconds_before) / 3600, 4),
            "seconds_per_step": round((now - self.since) / LOG_STEPS, 3),
            "rate": rate_factor(run.recipe, run.step),
            "skipped": run.skipped,
            "loss": {k: round(sum(v) / len(v), 4) for k, v in sorted(self.losses.items())},
        }
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        self.report(line)
        self.losses, self.since = {}, now
