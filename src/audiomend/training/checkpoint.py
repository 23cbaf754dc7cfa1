"""Checkpoints of a training run: written by rename, the last two kept, a broken last one passed over."""

import contextlib
import json
import os
import struct
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from audiomend.errors import TrainingError

KEPT = 2


def save(folder: Path, step: int, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> Path:
    """Write `step-00001234.safetensors`; `facts` is any JSON and travels in the file's header."""
    path = folder / f"step-{step:08d}.safetensors"
    temporary = path.with_suffix(".part")
    save_file({n: t.contiguous() for n, t in tensors.items()}, temporary, {"facts": json.dumps(facts)})
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    temporary.replace(path)
    for old in sorted(folder.glob("step-*.safetensors"))[:-KEPT]:
        old.unlink()
    return path


def load_latest(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """Tensors and facts of the newest whole checkpoint, or None where there is none.

    A checkpoint that cannot be read is passed over with a warning.
    Raises TrainingError if there are checkpoints and none can be read.
    """
    paths = sorted(folder.glob("step-*.safetensors"), reverse=True)
    for path in paths:
        try:
            return load_file(path), json.loads(_metadata(path)["facts"])
        except (SafetensorError, OSError, ValueError, KeyError) as error:
            warnings.warn(f"{path.name} cannot be read ({error}); going back to the one before", stacklevel=2)
    if paths:
        raise TrainingError(f"no checkpoint in {folder} can be read; remove them to start anew")
    return None


def _metadata(path: Path) -> dict[str, str]:
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        return json.loads(file.read(length))["__metadata__"]


def remove_leftovers(folder: Path) -> None:
    """Delete half-written checkpoints of a run that was killed."""
    for path in folder.glob("*.part"):
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
