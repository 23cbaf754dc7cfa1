"""Training by name: a recipe, data, a folder; out comes a model."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from audiomend.data.pool import Pool
from audiomend.data.split import is_sharealike
from audiomend.errors import UsageError
from audiomend.models.precision import choose
from audiomend.models.prior import TrainedPrior, WienerPrior, load
from audiomend.recipes import find_recipe
from audiomend.training import checkpoint
from audiomend.training.batches import pool_batches
from audiomend.training.ema import Averages
from audiomend.training.export import exported_prior, list_training_data, write_model
from audiomend.training.growth import growing, skipped_files, wait_for_audio
from audiomend.training.log import VALIDATION, append, read
from audiomend.training.loop import train
from audiomend.training.restoration import restorations
from audiomend.training.segments import Segment, fixed_segments
from audiomend.training.settings import differences, with_settings
from audiomend.training.state import Origin, Run, bring_back, read_saved, start
from audiomend.training.tables import denoising_table, figures, learning_curve
from audiomend.training.validation import Gains, denoising_gains

RUNS = Path("runs")
MODEL = "model"
TABLES = "validation.md"
PLACES = "validation.json"


@dataclass(frozen=True)
class Outcome:
    """What a call of `train_recipe` came to.

    Attributes:
        step: the run's; `complete` says whether it was the last.
        model: folder of the model.
        skipped: "NAME: reason" of each broken, silent or short file of the data.
    """

    step: int
    complete: bool
    model: Path
    skipped: list[str]


def train_recipe(
    recipe: str,
    *,
    data: Path | None = None,
    pool: Path | None = None,
    out: Path | None = None,
    settings: Sequence[str] = (),
    max_minutes: float | None = None,
    resume: bool = False,
    init: str | None = None,
    no_sharealike: bool = False,
    report: Callable[[dict[str, Any]], object] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Train a model, or go on with it, and write it to OUT/model.

    Args:
        recipe: a name of `audiomend.recipes`.
        data: folder of recordings and MIDI files; the pool grows from it while training runs.
        pool: folder of the prepared training audio; None is OUT/pool.
        out: folder of log, checkpoints and model; None is runs/RECIPE.
        settings: `key=value`, typed by the recipe's fields.
        max_minutes: of training, waiting for the first audio included; None has no limit.
        resume: go on from the newest checkpoint in `out`, or start anew where there is none. The settings of
            the run stay but for those given now.
        init: a model whose weights are the start, by name or folder.
        no_sharealike: leave out data whose licence is share-alike.
        report: gets each line of the log.
        stop: asked between steps; True ends the run after it was saved.

    Raises:
        UsageError: an unknown recipe or setting, a folder that cannot be used, a model that does not fit.
        TrainingError: no audio, a loss that is not a number, no whole checkpoint, another architecture.
        ModelError: `init` is not a model.
        Cancelled: by `stop`, before there was any audio.
    """
    begun = time.monotonic()
    out = out or RUNS / recipe
    pool = pool or out / "pool"
    run = _prepared(recipe, out, settings, resumed=resume, init=init, no_sharealike=no_sharealike)
    with growing(pool, data, no_sharealike) as process:
        audio = Pool(pool, run.recipe.materials, "train", no_sharealike)
        wait_for_audio(audio, process, stop)
        journal = _Journal(out, audio)
        spent = time.monotonic() - begun
        train(
            run,
            pool_batches(audio, run.recipe),
            out,
            max_seconds=math.inf if max_minutes is None else 60 * max_minutes - spent,
            stop=stop,
            report=report,
            validate=journal.validate,
        )
        if stop() or (journal.lines and journal.lines[-1]["step"] == run.step):
            journal.export(run)
        else:
            journal.validate(run)
    return Outcome(run.step, run.step >= run.recipe.steps, out / MODEL, skipped_files(pool))


def _prepared(
    name: str, out: Path, settings: Sequence[str], resumed: bool, init: str | None, no_sharealike: bool
) -> Run:
    """A run that is fresh, started from a model's weights, or brought back from `out`."""
    asked = with_settings(find_recipe(name), settings)
    origin = Origin(name, sharealike=not no_sharealike)
    precision = getattr(torch, choose("auto", "cpu"))
    out.mkdir(parents=True, exist_ok=True)
    checkpoint.remove_leftovers(out)
    if not resumed and any(out.glob(checkpoint.PATTERN)):
        raise UsageError(f"{out} holds a run already; resume it, or take another folder.")
    saved = read_saved(out) if resumed else None
    if saved is None:
        run = start(asked, precision, origin)
        if init is not None:
            _take_weights(run, init)
        return run
    if init is not None:
        raise UsageError(f"The run in {out} goes on from its own weights, not from those of {init}.")
    if saved.origin.recipe != name:
        raise UsageError(f"{out} holds a run of the recipe {saved.origin.recipe}, not of {name}.")
    if saved.origin.sharealike != origin.sharealike:
        used = "with" if saved.origin.sharealike else "without"
        raise UsageError(f"The run in {out} was begun {used} share-alike data; it can only go on like that.")
    run = start(with_settings(saved.recipe, settings), precision)
    bring_back(run, saved, out)
    return run


def _take_weights(run: Run, init: str) -> None:
    model = load(init)
    if not isinstance(model, TrainedPrior):
        raise UsageError(f"The model {init} has no weights to start from.")
    ours, theirs = run.recipe.architecture, model.network.architecture
    if theirs.depth > ours.depth or replace(theirs, depth=ours.depth) != ours:
        raise UsageError(
            f"The model {init} is of another architecture than the recipe: {differences(ours, theirs)};"
            " only its depth may be less."
        )
    if model.card.sigma_data != run.recipe.sigma_data:
        raise UsageError(
            f"The model {init} has sigma_data {model.card.sigma_data:g}; the recipe's"
            f" {run.recipe.sigma_data:g} must be the same."
        )
    if not run.origin.sharealike and any(is_sharealike(x["licence"]) for x in model.card.training_data):
        raise UsageError(f"The model {init} was made of share-alike data, which is to be left out.")
    run.network.load_state_dict(model.network.state_dict(), strict=ours == theirs)
    run.averages = Averages(run.network)
    run.origin = replace(run.origin, init=model.card)


class _Journal:
    """What is written beside the checkpoints: validation, its tables, the model."""

    def __init__(self, out: Path, audio: Pool) -> None:
        self.out, self.audio = out, audio
        self.segments: list[Segment] = []
        self.wiener: Gains = {}

    @property
    def lines(self) -> list[dict[str, Any]]:
        return read(self.out / VALIDATION)

    def validate(self, run: Run) -> None:
        """Add a line to the validation, and export. No line while the pool withholds nothing."""
        prior = exported_prior(run, [], {})
        if not self.segments:
            withheld = Pool(self.audio.path, split="validation", no_sharealike=self.audio.no_sharealike)
            self.segments = fixed_segments(self.out / PLACES, withheld, prior.length)
            self.wiener = denoising_gains(WienerPrior(), self.segments, told=False)
        if self.segments:
            gain = {
                "wiener": self.wiener,
                "network": denoising_gains(prior, self.segments, told=False),
                "told": denoising_gains(prior, self.segments, told=True),
            }
            restoration = restorations(prior, self.segments)
            append(self.out / VALIDATION, run.progress | {"gain": gain, "restoration": restoration})
        self.export(run)

    def export(self, run: Run) -> None:
        """Write the model with the newest figures, and the tables."""
        lines = self.lines
        newest = figures(lines[-1]) if lines else {}
        write_model(exported_prior(run, list_training_data(self.audio.items()), newest), self.out / MODEL)
        if lines:
            tables = ("## Denoising", denoising_table(lines[-1]), "## Learning curve", learning_curve(lines))
            (self.out / TABLES).write_text("\n\n".join(tables), encoding="utf-8")
