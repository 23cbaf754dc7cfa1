"""Checkpoints from the network: asked for by name only, kept whole or not at all. No torch here.

Nothing of a fetched file is run: it is read by `audiomend.models.torch_file`. Where its publisher states no
hash, the first fetch is trusted, and its SHA-256 is kept beside the file: another file under the same address
is refused from then on.
"""

import hashlib
import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from audiomend.audio.atomic import PartFile
from audiomend.errors import ModelError
from audiomend.models.sources import Source

TIMEOUT_S = 15.0  # without a byte
MOST_BYTES = 4 << 30  # some thirty times the largest published file
PIECE = 1 << 20  # bytes


@dataclass(frozen=True)
class Fetched:
    """A checkpoint on this machine.

    Attributes:
        path, sha256: of the file.
        known: whether the hash was known before: stated by the publisher, or kept from an earlier fetch.
        asked: whether the network was asked for it.
    """

    path: Path
    sha256: str
    known: bool
    asked: bool


def cache() -> Path:
    """Where fetched files are kept: audiomend/checkpoints in XDG_CACHE_HOME, by default ~/.cache."""
    home = os.environ.get("XDG_CACHE_HOME")
    return Path(home or Path.home() / ".cache") / "audiomend" / "checkpoints"


def fetch(
    source: Source,
    folder: Path,
    *,
    offline: bool = False,
    progress: Callable[[float], object] = lambda share: None,
) -> Fetched:
    """The checkpoint of a source, from the folder if it is there, or else from the network.

    Args:
        folder: NAME.pt in it is the file, NAME.sha256 the hash that it must have.
        offline: whether the network must not be asked.
        progress: called with the share that has come, where the server says how much there is.

    Raises:
        ModelError: it is not here and the network is forbidden, out of reach, or gave another file than the
            one that is known; nothing of it is kept.
        AudioWriteError: the folder takes no file.
    """
    path, note = folder / f"{source.name}.pt", folder / f"{source.name}.sha256"
    known = source.sha256 or _kept(note)
    if path.exists() and known is not None and _hash(path) == known:
        return Fetched(path, known, known=True, asked=False)
    if offline:
        raise ModelError(
            f"--offline: {source.name} is not on this machine; it lies at {source.address}, and the "
            f"network was not asked. A copy is read by `audiomend models import FILE --as {source.layout}`."
        )
    folder.mkdir(parents=True, exist_ok=True)
    with PartFile(path, force=True) as part:
        found = _download(source, part, progress)
        if known is not None and found != known:
            raise ModelError(
                f"{source.address} gave a file with SHA-256 {found}, not {known}: it is another file and "
                f"was not kept. If its publisher has replaced it, remove {note}."
            )
        part.commit()
    with PartFile(note, force=True) as kept:
        kept.file.write(f"{found}\n".encode())
        kept.commit()
    return Fetched(path, found, known=known is not None, asked=True)


def _download(source: Source, part: PartFile, progress: Callable[[float], object]) -> str:
    """Write what the address gives to the part file; its SHA-256."""
    digest, count = hashlib.sha256(), 0
    try:
        with urllib.request.urlopen(source.address, timeout=TIMEOUT_S) as answer:
            stated = answer.headers.get("Content-Length")
            total = int(stated) if stated is not None else None
            while piece := answer.read(PIECE):
                count += len(piece)
                if max(count, total or 0) > MOST_BYTES:
                    raise ModelError(
                        f"{source.address} gives more than {MOST_BYTES:,} bytes: that is no checkpoint."
                    )
                part.file.write(piece)
                digest.update(piece)
                if total:
                    progress(min(count / total, 1.0))
    except urllib.error.HTTPError as error:
        error.close()  # it is an answer too
        raise _unreachable(source, error.reason) from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise _unreachable(source, str(getattr(error, "reason", error)) or type(error).__name__) from None
    if total is not None and count < total:
        raise _unreachable(source, f"{count:,} of {total:,} bytes came")
    return digest.hexdigest()


def _unreachable(source: Source, reason: str) -> ModelError:
    return ModelError(
        f"{source.name} could not be fetched from {source.address} ({reason}); nothing was kept. A copy "
        f"is read by `audiomend models import FILE --as {source.layout}`."
    )


def _kept(note: Path) -> str | None:
    try:
        return note.read_text(encoding="ascii").strip() or None
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ModelError(f"{note} cannot be read as a hash: {error}.") from None


def _hash(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}.") from None
