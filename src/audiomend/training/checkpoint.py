"""Checkpoints of a training run: written by rename, the last two kept, a broken last one passed over.

The format of tensors has no check sum, and most flipped bits load silently, so each file carries the SHA-256
of what it holds.
"""

import hashlib
import json
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from safetensors.torch import save as to_bytes
from torch import Tensor

from audiomend.errors import TrainingError

KEPT = 2
PATTERN = "step-*.safetensors"


def save(folder: Path, step: int, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> Path:
    """Write `step-00001234.safetensors`; `facts` is any JSON and travels in the file's header.

    Raises:
        TrainingError: the folder is full or cannot be written; the checkpoints before are still there.
    """
    path = folder / f"step-{step:08d}.safetensors"
    text = json.dumps(facts)
    whole = {name: tensor.contiguous() for name, tensor in tensors.items()}
    content = to_bytes(whole, {"facts": text, "sha256": _digest(whole, text)})
    temporary = path.with_suffix(".part")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise TrainingError(f"{path} cannot be written: {error.strerror}.") from None
    for old in sorted(folder.glob(PATTERN))[:-KEPT]:
        old.unlink()
    return path


def load_latest(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """Tensors and facts of the newest whole checkpoint, or None where there is none.

    A checkpoint that is broken is passed over with a warning, and renamed so that it no longer counts.

    Raises:
        TrainingError: there are checkpoints and none is whole, or the file system does not give them.
    """
    paths = sorted(folder.glob(PATTERN), reverse=True)
    for path in paths:
        try:
            return _load(path)
        except OSError as error:
            raise TrainingError(f"{path} cannot be read: {error.strerror}.") from None
        except (SafetensorError, ValueError, KeyError) as error:
            warnings.warn(f"{path.name} is broken ({error}); going back to the one before.", stacklevel=2)
            path.replace(path.with_suffix(".broken"))
    if paths:
        raise TrainingError(f"No checkpoint in {folder} is whole; take another folder to start anew.")
    return None


def _load(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    with safe_open(path, "pt") as file:
        header: dict[str, str] = file.metadata() or {}
    tensors, text = load_file(path), header["facts"]
    stated = header.get("sha256")  # checkpoints of the first version have none
    if stated is not None and stated != _digest(tensors, text):
        raise ValueError("its SHA-256 is not the one that it states")
    return tensors, json.loads(text)


def _digest(tensors: Mapping[str, Tensor], text: str) -> str:
    digest = hashlib.sha256(text.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def remove_leftovers(folder: Path) -> None:
    """Delete half-written checkpoints of a run that was killed."""
    for path in folder.glob("*.part"):
        path.unlink()
