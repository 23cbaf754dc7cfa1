"""The state of a training run, saved and brought back."""

import ast
import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from audiomend.errors import TrainingError
from audiomend.models.card import Card
from audiomend.networks.patch_unet import PatchUnet
from audiomend.recipes.recipe import Recipe
from audiomend.training import checkpoint
from audiomend.training.ema import Averages
from audiomend.training.log import LOG, VALIDATION, rewind
from audiomend.training.optimisers import Optimisers
from audiomend.training.settings import differences, from_plain


@dataclass(frozen=True)
class Origin:
    """Where a run comes from; it never changes.

    Attributes:
        recipe: the name that was typed.
        sharealike: whether share-alike data may be used.
        init: card of the model whose weights the run started from.
    """

    recipe: str
    sharealike: bool = True
    init: Card | None = None


@dataclass
class Run:
    """A run's whole state but its data.

    Attributes:
        step: the next one.
        segments, cpu_seconds: of this run, without those of `origin.init`.
        skipped: steps whose loss was too high or whose gradient was not finite.
        bad_gradients: steps in a row whose gradient was not finite.
        losses: since the last line of the log, by noise level and material.
    """

    recipe: Recipe
    network: PatchUnet
    optimisers: Optimisers
    averages: Averages
    origin: Origin
    step: int = 0
    segments: int = 0
    cpu_seconds: float = 0.0
    skipped: int = 0
    bad_gradients: int = 0
    losses: dict[str, list[float]] = field(default_factory=dict[str, list[float]])

    @property
    def progress(self) -> dict[str, Any]:
        """Step, segments and CPU hours, those of the model it started from included."""
        init = self.origin.init
        hours = self.cpu_seconds / 3600 + (init.cpu_hours if init else 0.0)
        segments = self.segments + (init.segments if init else 0)
        return {"step": self.step, "segments": segments, "cpu_hours": round(hours, 4)}


_COUNTERS = ("step", "segments", "cpu_seconds", "skipped", "bad_gradients", "losses")


def start(recipe: Recipe, precision: torch.dtype, origin: Origin | None = None) -> Run:
    """A fresh run with weights drawn from the recipe's seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        network = PatchUnet(recipe.architecture, precision)
    optimisers = Optimisers(network, recipe.muon_rate, recipe.adam_rate)
    return Run(recipe, network, optimisers, Averages(network), origin or Origin(recipe.name))


def save(run: Run, folder: Path) -> None:
    """Write a checkpoint of the whole run.

    Raises:
        TrainingError: the weights are not finite (the last checkpoint stays the newest), or the disk is full.
    """
    if not all(bool(p.isfinite().all()) for p in run.network.parameters()):
        raise TrainingError(
            f"The weights before step {run.step} are not finite and are not saved;"
            f" the checkpoints in {folder} are from before."
        )
    weights = {f"network.{n}": t for n, t in run.network.state_dict().items()}
    averages = {f"average.{n}": t for n, t in run.averages.state().items()}
    optimisers = {f"optimiser.{n}": t for n, t in run.optimisers.state().items()}
    facts = {
        "averaged": run.averages.step,
        "recipe": dataclasses.asdict(run.recipe),
        "origin": dataclasses.asdict(run.origin),
        **{name: getattr(run, name) for name in _COUNTERS},
    }
    checkpoint.save(folder, run.step, weights | averages | optimisers, facts)


@dataclass(frozen=True)
class Saved:
    """A checkpoint as it was read.

    Attributes:
        recipe, origin: of the run that wrote it.
        facts, tensors: all of it.
    """

    recipe: Recipe
    origin: Origin
    facts: Mapping[str, Any]
    tensors: Mapping[str, Tensor]


def read_saved(folder: Path) -> Saved | None:
    """The newest whole checkpoint of a folder, or None where there is none."""
    found = checkpoint.load_latest(folder)
    if found is None:
        return None
    tensors, facts = found
    if "origin" not in facts:
        facts = _of_first_version(facts)
    origin = facts["origin"]
    init = Card(**origin["init"]) if origin["init"] else None
    return Saved(from_plain(Recipe, facts["recipe"]), Origin(**origin | {"init": init}), facts, tensors)


def _of_first_version(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Facts as they are now, from the first version's, which held the recipe as Python text."""
    call = ast.parse(facts["recipe"], mode="eval").body
    recipe = _keywords(call)
    segments = facts["step"] * recipe["batch"]
    origin = {"recipe": recipe["name"], "sharealike": True, "init": None}
    return {
        **facts,
        "recipe": recipe,
        "origin": origin,
        "segments": segments,
        "bad_gradients": 0,
        "losses": {},
    }


def _keywords(node: ast.expr) -> Any:
    if isinstance(node, ast.Call):
        return {str(word.arg): _keywords(word.value) for word in node.keywords}
    return ast.literal_eval(node)


def bring_back(run: Run, saved: Saved, folder: Path) -> None:
    """Bring a fresh run to a saved state. Its own recipe stays: the schedule, say, may be another now.

    Lines of the folder's log from after the checkpoint are dropped, since they will be written again.

    Raises:
        TrainingError: the checkpoint is of another architecture.
    """
    ours, theirs = run.recipe.architecture, saved.recipe.architecture
    if ours != theirs:
        raise TrainingError(
            f"The run in {folder} is of another architecture than the recipe: {differences(ours, theirs)}."
        )
    run.network.load_state_dict(dict(_under("network", saved.tensors)))
    run.averages.load(saved.facts["averaged"], dict(_under("average", saved.tensors)))
    run.optimisers.load(dict(_under("optimiser", saved.tensors)))
    run.origin = saved.origin
    for name in _COUNTERS:
        setattr(run, name, saved.facts[name])
    for name in (LOG, VALIDATION):
        rewind(folder / name, run.step)


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    for name, tensor in tensors.items():
        if name.startswith(prefix + "."):
            yield name[len(prefix) + 1 :], tensor
