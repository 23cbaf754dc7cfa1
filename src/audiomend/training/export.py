"""A run's weights as a model: `card.json` and `weights.safetensors` in float16."""

import hashlib
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

from safetensors.torch import save as to_bytes
from torch import nn

from audiomend.data.level import RATE
from audiomend.data.pool import Item
from audiomend.data.split import WITHHELD_PIECES, WITHHELD_RECORDINGS, WITHHELD_SPEAKERS, is_sharealike
from audiomend.models import store
from audiomend.models.card import Card
from audiomend.models.prior import TrainedPrior, arguments_of
from audiomend.networks.patch_unet import PatchUnet
from audiomend.training.state import Run

SHAREALIKE = (
    "CC BY-SA 4.0: part of the training data is share-alike, and whether weights are an adaptation of their"
    " data is not settled; this is the cautious reading. Name the sources in NOTICE."
)
ATTRIBUTION = "CC BY 4.0: no training data is share-alike. Name the sources in NOTICE."
LIMITS = [
    "Mono at 44.1 kHz inside; other rates are resampled, and above 22.05 kHz nothing is learned.",
    "Where little is known it invents: what it fills in is plausible at best, not what was there.",
    "Material unlike the training data is mended less well.",
]


def exported_prior(
    run: Run, training_data: Sequence[Mapping[str, Any]], figures: Mapping[str, float]
) -> TrainedPrior:
    """The prior that a run has come to: the weights that its recipe's `average` names, rounded to float16.

    Args:
        training_data: of this run, from `list_training_data`; that of the model it started from is added.
        figures: measured ones.
    """
    network = deepcopy(run.network).eval().requires_grad_(False)
    averages = {"raw": {}, "short": run.averages.short, "long": run.averages.long}
    network.load_state_dict(network.state_dict() | averages[run.recipe.average])
    for parameter in network.parameters():
        parameter.copy_(parameter.half())
    digest = hashlib.sha256(_weights(network)).hexdigest()
    return TrainedPrior(_card(run, training_data, figures, digest), network)


def write_model(prior: TrainedPrior, folder: Path) -> None:
    """Write card and weights; a model that is there already is replaced whole."""
    store.write_model(prior.card, _weights(prior.network), folder)


def list_training_data(items: Sequence[Item]) -> list[dict[str, Any]]:
    """One entry a source: material, what it is, licence, minutes. Renders of all pieces are one source."""
    minutes: dict[tuple[str, str, str], float] = {}
    for item in items:
        what = item.source.split("; ", 1)[-1].split(" programs", 1)[0]
        key = (item.material, what, item.licence)
        minutes[key] = minutes.get(key, 0.0) + item.length / RATE / 60
    return [
        {"material": material, "what": what, "licence": licence, "minutes": round(total, 1)}
        for (material, what, licence), total in sorted(minutes.items())
    ]


def _weights(network: nn.Module) -> bytes:
    # Buffers stay as they are: the frequencies of the embedding need more digits than 16 bits hold.
    parameters = {name: p.detach().half().contiguous() for name, p in network.named_parameters()}
    return to_bytes(network.state_dict() | parameters)


def _card(
    run: Run, training_data: Sequence[Mapping[str, Any]], figures: Mapping[str, float], digest: str
) -> Card:
    recipe, init = run.recipe, run.origin.init
    data = [*training_data, *(init.training_data if init else [])]
    withheld = [*withheld_names(), *(init.withheld if init else [])]
    sharealike = any(is_sharealike(entry["licence"]) for entry in data)
    return Card(
        name=recipe.name,
        summary=f"Diffusion prior at {recipe.rate / 1000:g} kHz for {', '.join(_materials(data))}.",
        architecture=PatchUnet.__name__,
        arguments=arguments_of(recipe.architecture),
        process="EDM",
        preconditioning="EDM",
        rate=recipe.rate,
        sigma_data=recipe.sigma_data,
        conditioned=True,
        segments=run.progress["segments"],
        cpu_hours=round(run.progress["cpu_hours"], 2),
        training_data=[dict(entry) for entry in _without_repeats(data)],
        withheld=list(dict.fromkeys(withheld)),
        weights_licence=SHAREALIKE if sharealike else ATTRIBUTION,
        figures=dict(figures),
        limits=LIMITS,
        sha256=digest,
    )


def withheld_names() -> list[str]:
    """Recordings, pieces and speakers that never reach training."""
    kinds = (
        ("recording", WITHHELD_RECORDINGS),
        ("piece", WITHHELD_PIECES),
        ("speaker", WITHHELD_SPEAKERS),
    )
    return [f"{kind} {name}: {why}" for kind, names in kinds for name, why in names.items()]


def _materials(data: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(str(entry["material"]) for entry in data))


def _without_repeats(data: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Entries of one source once, with the larger number of minutes: both runs drew from the same audio."""
    largest: dict[tuple[Any, ...], Mapping[str, Any]] = {}
    for entry in data:
        key = (entry["material"], entry["what"], entry["licence"])
        if key not in largest or entry["minutes"] > largest[key]["minutes"]:
            largest[key] = entry
    return list(largest.values())
