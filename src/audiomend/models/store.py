"""Finding models by name or path. No torch here."""

import difflib
import hashlib
from pathlib import Path

from audiomend.errors import ModelError
from audiomend.models import untrained
from audiomend.models.card import CARD, WEIGHTS, Card, read_card

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
            f"{path} has SHA-256 {found}, its card says {expected}; it is damaged or was changed."
        )
    return path
