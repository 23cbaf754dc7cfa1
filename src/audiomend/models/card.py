"""The card of a model: what it is, what it was made of, what it may be used for. No torch here."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audiomend.errors import ModelError

CARD = "card.json"
WEIGHTS = "weights.safetensors"


@dataclass(frozen=True)
class Card:
    """What `card.json` beside the weights states.

    Attributes:
        name, summary: for `audiomend models`.
        architecture: class of the network.
        arguments: its sizes.
        process, preconditioning: names, as docs/how-it-works.md explains them.
        rate: samples per second of the network.
        sigma_data: RMS of the training data.
        conditioned: whether the network may be shown the observation.
        segments, cpu_hours: of training, all runs together.
        training_data: one entry a source: what, licence, minutes.
        withheld: pieces, pianos and speakers that validation uses.
        weights_licence: of the weights, apart from the code's.
        figures: measured ones by name.
        limits: what the model does not do.
        sha256: of the weights' file.
    """

    name: str
    summary: str
    architecture: str
    arguments: dict[str, Any]
    process: str
    preconditioning: str
    rate: int
    sigma_data: float
    conditioned: bool
    segments: int
    cpu_hours: float
    training_data: list[dict[str, Any]]
    withheld: list[str]
    weights_licence: str
    figures: dict[str, float]
    limits: list[str]
    sha256: str


def read_card(folder: Path) -> Card:
    """The card of a model's folder.

    Raises:
        ModelError: no card there, or one with missing or unknown entries.
    """
    path = folder / CARD
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError(
            f"{folder} holds no {CARD}; a model is a folder with {CARD} and {WEIGHTS}."
        ) from None
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read as a card: {error}") from None
    expected = {field.name for field in dataclasses.fields(Card)}
    if not isinstance(entries, dict) or set(entries) != expected:
        odd = sorted(set(entries) ^ expected) if isinstance(entries, dict) else [type(entries).__name__]
        raise ModelError(f"{path} has missing or unknown entries: {', '.join(odd)}.")
    return Card(**entries)


def write_card(card: Card, folder: Path) -> None:
    """Write `card.json` into a model's folder."""
    text = json.dumps(dataclasses.asdict(card), indent=2, ensure_ascii=False) + "\n"
    (folder / CARD).write_text(text, encoding="utf-8")
