"""Which number format the network runs in: by what the processor has, never by a timing."""

import torch

from audiomend.errors import UsageError

PRECISIONS = ("auto", "float32", "bfloat16")
_MATRIX_FLAGS = ("amx_bf16", "avx512_bf16")


def choose(precision: str, device: str) -> str:
    """float32 or bfloat16 for a request of auto, float32 or bfloat16.

    Raises:
        UsageError: an unknown request.
    """
    if precision not in PRECISIONS:
        raise UsageError(f"The precision {precision} is unknown; it is one of {', '.join(PRECISIONS)}.")
    if precision != "auto":
        return precision
    if device.startswith("cuda"):
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float32"
    return "bfloat16" if device == "cpu" and _has_bf16_units() else "float32"


def choose_device(device: str) -> str:
    """cpu, cuda or mps for a request of auto, cpu, cuda or mps.

    Raises:
        UsageError: an unknown device, or one that this machine lacks.
    """
    present = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if device == "auto":
        return next(name for name, here in present.items() if here)
    if device not in present:
        raise UsageError(f"The device {device} is unknown; it is one of auto, {', '.join(present)}.")
    if not present[device]:
        here = ", ".join(name for name, yes in present.items() if yes)
        raise UsageError(f"The device {device} is not on this machine; there is {here}.")
    return device


def _has_bf16_units() -> bool:
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
            flags = next((line for line in file if line.startswith("flags")), "")
    except OSError:  # not Linux: no such units are known
        return False
    return any(flag in flags.split() for flag in _MATRIX_FLAGS)
