"""Which number format the network runs in: by what the processor has, never by a timing."""

from collections.abc import Callable, Mapping

import torch

from audiomend.errors import UsageError, unknown

PRECISIONS = ("auto", "float32", "bfloat16")
_PRESENT: Mapping[str, Callable[[], bool]] = {
    "cuda": lambda: torch.cuda.is_available(),
    "mps": lambda: torch.backends.mps.is_available(),
    "cpu": lambda: True,
}
DEVICES = ("auto", *_PRESENT)
_MATRIX_FLAGS = ("amx_bf16", "avx512_bf16")


def check(precision: str, device: str) -> None:
    """Refuse what no network could run in or on, whether one will take part or not.

    Raises:
        UsageError: an unknown precision, an unknown device, or one that this machine lacks.
    """
    if precision not in PRECISIONS:
        raise unknown("precision", precision, PRECISIONS)
    if device not in DEVICES:
        raise unknown("device", device, DEVICES)
    if device != "auto" and not _PRESENT[device]():
        here = ", ".join(name for name in DEVICES[1:] if _PRESENT[name]())
        raise UsageError(f"The device {device} is not on this machine; there is {here}.")


def choose(precision: str, device: str) -> str:
    """float32 or bfloat16 for a request of auto, float32 or bfloat16."""
    if precision != "auto":
        return precision
    if device.startswith("cuda"):
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float32"
    return "bfloat16" if device == "cpu" and _has_bf16_units() else "float32"


def choose_device(device: str) -> str:
    """cpu, cuda or mps for a request of auto, cpu, cuda or mps: auto takes the first that is here."""
    return next(name for name, here in _PRESENT.items() if here()) if device == "auto" else device


def _has_bf16_units() -> bool:
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
            flags = next((line for line in file if line.startswith("flags")), "")
    except OSError:  # not Linux: no such units are known
        return False
    return any(flag in flags.split() for flag in _MATRIX_FLAGS)
