"""audiomend mends damaged sound: clipped, holed and dull recordings.

    import audiomend
    mended = audiomend.declip(samples, 44_100)      # (time,) or (channels, time), NumPy or torch

The verbs import torch when they are first used, not before.
"""

from typing import TYPE_CHECKING, Any

from audiomend.errors import AudiomendError, Cancelled

if TYPE_CHECKING:
    from audiomend.models.prior import load_model
    from audiomend.restorers.arrays import declick, declip, extend, inpaint, mend_blocks, restore
    from audiomend.restorers.generation import generate
    from audiomend.restorers.inspection import inspect
    from audiomend.restorers.inverse import invert
    from audiomend.restorers.locate import Given
    from audiomend.restorers.options import Options
    from audiomend.tuning import tune_process

__version__ = "0.1.0"

__all__ = [
    "AudiomendError",
    "Cancelled",
    "Given",
    "Options",
    "declick",
    "declip",
    "extend",
    "generate",
    "inpaint",
    "inspect",
    "invert",
    "load_model",
    "mend_blocks",
    "restore",
    "tune_process",
]

_LAZY = {
    "Given": ("audiomend.restorers.locate", "Given"),
    "Options": ("audiomend.restorers.options", "Options"),
    "declick": ("audiomend.restorers.arrays", "declick"),
    "declip": ("audiomend.restorers.arrays", "declip"),
    "extend": ("audiomend.restorers.arrays", "extend"),
    "generate": ("audiomend.restorers.generation", "generate"),
    "inpaint": ("audiomend.restorers.arrays", "inpaint"),
    "inspect": ("audiomend.restorers.inspection", "inspect"),
    "invert": ("audiomend.restorers.inverse", "invert"),
    "mend_blocks": ("audiomend.restorers.arrays", "mend_blocks"),
    "restore": ("audiomend.restorers.arrays", "restore"),
    "load_model": ("audiomend.models.prior", "load_model"),
    "tune_process": ("audiomend.tuning", "tune_process"),
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    import importlib

    module, attribute = _LAZY[name]
    return getattr(importlib.import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted(__all__)
