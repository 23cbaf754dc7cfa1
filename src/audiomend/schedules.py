"""The noise levels of a walk: `steps` falling levels from `highest` to `lowest`, then 0."""

from audiomend.errors import UsageError


def karras(steps: int, lowest: float, highest: float, rho: float = 7.0) -> list[float]:
    """Equal steps of level^(1/rho) (Karras et al. 2022, eq. 5); rho 7 is theirs, CQT-Diff uses 13.

    Returns:
        steps + 1 levels, the last one 0.

    Raises:
        UsageError: unless steps >= 1 and 0 < lowest <= highest.
    """
    return [
        (highest ** (1 / rho) + share * (lowest ** (1 / rho) - highest ** (1 / rho))) ** rho
        for share in _shares(steps, lowest, highest)
    ] + [0.0]


def log(steps: int, lowest: float, highest: float) -> list[float]:
    """Equal ratios: the limit of `karras` for large rho. Arguments, result and errors as there."""
    return [highest * (lowest / highest) ** share for share in _shares(steps, lowest, highest)] + [0.0]


def linear(steps: int, lowest: float, highest: float) -> list[float]:
    """Equal differences: `karras` with rho 1. Arguments, result and errors as there."""
    return [highest + share * (lowest - highest) for share in _shares(steps, lowest, highest)] + [0.0]


def _shares(steps: int, lowest: float, highest: float) -> list[float]:
    """How far along the way each level is, from 0 to 1; a single step starts at the highest level."""
    if steps < 1:
        raise UsageError(f"{steps} steps are too few: a walk takes at least 1.")
    if not 0 < lowest <= highest:
        raise UsageError(f"Noise levels from {highest:g} down to {lowest:g} do not fall towards 0.")
    return [step / max(steps - 1, 1) for step in range(steps)]
