"""Finding models by name or path. No torch here."""

import contextlib
import dataclasses
import difflib
import hashlib
import shutil
from pathlib import Path

from audiomend.errors import ModelError
from audiomend.models import untrained
from audiomend.models.card import CARD, WEIGHTS, Card, read_card, write_card

SHIPPED = Path(__file__).parent / "weights"
DEFAULT = "prior"


def names() -> list[str]:
    """Models that ship with the package, the untrained one last."""
    return [*sorted(path.parent.name for path in SHIPPED.glob(f"*/{CARD}")), untrained.NAME]


def find(name: str | Path | None) -> Path:
    """Folder of a model: a shipped name, a folder, or None for the default one.

    Raises:
        ModelError: no such model; the nearest name is offered.
    """
    name = DEFAULT if name is None else str(name)
    if name in names() and name != untrained.NAME:
        return SHIPPED / name
    if Path(name).is_dir():
        return Path(name)
    close = difflib.get_close_matches(name, names(), n=1, cutoff=0.5)
    hint = f" Did you mean {close[0]}?" if close else ""
    raise ModelError(f"There is no model {name}; there are {', '.join(names())}, or a model's folder.{hint}")


def card_of(name: str | Path | None) -> Card:
    """The card of a model by name, path or default."""
    return untrained.CARD if name == untrained.NAME else read_card(find(name))


def checked_weights(folder: Path) -> Path:
    """The weights' file of a model, after its hash was compared with the card.

    Raises:
        ModelError: the file is missing or is not the one that the card names.
    """
    path = folder / WEIGHTS
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}.") from None
    expected = read_card(folder).sha256
    if found != expected:
        raise ModelError(
            f"{path} has SHA-256 {found}, its card says {expected:.80}; it is damaged or was changed."
        )
    return path


def write_model(card: Card, weights: bytes, folder: Path) -> Card:
    """Write a model's folder, whole or not at all; one that is there already is replaced.

    Args:
        card: its hash is set to that of the weights.
        weights: content of the safetensors file.

    Returns:
        the card as it was written.

    Raises:
        ModelError: the place takes no folder; what was there before still stands.
    """
    card = dataclasses.replace(card, sha256=hashlib.sha256(weights).hexdigest())
    new, old = folder.with_name(folder.name + ".part"), folder.with_name(folder.name + ".old")
    try:
        for leftover in (new, old):
            shutil.rmtree(leftover, ignore_errors=True)
        new.mkdir(parents=True)
        (new / WEIGHTS).write_bytes(weights)
        write_card(card, new)
        if folder.exists():
            folder.rename(old)
        new.rename(folder)
    except OSError as error:
        raise ModelError(f"{folder} cannot be written: {error.strerror}.") from None
    finally:
        shutil.rmtree(new, ignore_errors=True)
        if not folder.exists():
            with contextlib.suppress(OSError):
                old.rename(folder)
        shutil.rmtree(old, ignore_errors=True)
    return card
