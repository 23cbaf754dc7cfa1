"""The card of a model: what it is, what it was made of, what it may be used for. No torch here."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any, get_origin, get_type_hints

from audiomend.errors import ModelError

CARD = "card.json"
WEIGHTS = "weights.safetensors"
LARGEST_SIZE = 1 << 20  # of a network: samples, channels, Hz
MOST_LEVELS = 64

_COUNTS = ("depth", "layers", "octaves", "dilations")  # of what a network has many of
_TRUTHS = ("attention", "relative_positions")
_KINDS = {str: "text", int: "whole number", float: "number", bool: "truth", dict: "object", list: "list"}


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
        ModelError: no card there, or one with missing, unknown or impossible entries.
    """
    path = folder / CARD
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError(
            f"{folder} holds no {CARD}; a model is a folder with {CARD} and {WEIGHTS}."
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path} cannot be read as a card: {error}") from None
    expected = {field.name for field in dataclasses.fields(Card)}
    if not isinstance(entries, dict) or set(entries) != expected:
        odd = sorted(set(entries) ^ expected) if isinstance(entries, dict) else [type(entries).__name__]
        raise ModelError(f"{path} has missing or unknown entries: {', '.join(odd):.200}.")
    for name, hint in get_type_hints(Card).items():
        kind = get_origin(hint) or hint
        if type(entries[name]) not in ((int, float) if kind is float else (kind,)):
            raise ModelError(f"{path} has {name} {entries[name]!r:.40}, which is no {_KINDS[kind]}.")
    card = Card(**entries)
    if not (0 < card.rate <= LARGEST_SIZE and 0 < card.sigma_data < inf):
        raise ModelError(
            f"{path} has rate {card.rate!r:.40} and sigma_data {card.sigma_data}; both are above 0."
        )
    _check_arguments(path, card.arguments)
    return card


def _check_arguments(path: Path, arguments: Mapping[str, Any]) -> None:
    """Sizes that would take all memory, or levels without end, are not given to a network."""
    for name, value in arguments.items():
        sizes: list[Any] = value if isinstance(value, list) else [value]
        largest = MOST_LEVELS if name in _COUNTS else LARGEST_SIZE
        kind = bool if name in _TRUTHS else int
        is_size = all(type(size) is kind and 0 <= size <= largest for size in sizes)
        if not is_size or len(sizes) > MOST_LEVELS:
            raise ModelError(
                f"{path} has the size {name:.40} {value!r:.40}; sizes are whole numbers from 0 to"
                f" {largest:,}, truths where a network may have something, at most {MOST_LEVELS} of either."
            )


def write_card(card: Card, folder: Path) -> None:
    """Write `card.json` into a model's folder."""
    text = json.dumps(dataclasses.asdict(card), indent=2, ensure_ascii=False) + "\n"
    (folder / CARD).write_text(text, encoding="utf-8")
