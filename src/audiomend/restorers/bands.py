"""Bands of frequency that a user names: `2k-6k`, `300-3400`, `2.5k-4000Hz`."""

import re
from collections.abc import Sequence

from audiomend.errors import UsageError

Band = tuple[float, float]  # Hz

_FREQUENCY = r"(\d{1,9}(?:\.\d*)?|\.\d+)(k?)(?:Hz)?"
_BAND = re.compile(rf"\s*{_FREQUENCY}\s*-\s*{_FREQUENCY}\s*", re.ASCII | re.IGNORECASE)


def parse_bands(texts: Sequence[str]) -> tuple[Band, ...]:
    """(low, high) in Hz of each text LOW-HIGH; k stands for a thousand.

    Raises:
        UsageError: a text is no band, or its ends do not rise.
    """
    return tuple(_band(text) for text in texts)


def _band(text: str) -> Band:
    found = _BAND.fullmatch(text)
    if found is None:
        raise UsageError(f"'{text}' is not a band; bands are LOW-HIGH in Hz (300-3400) or kHz (2k-6k)")
    low, high = (
        float(number) * (1000 if kilo else 1) for number, kilo in (found.groups()[:2], found.groups()[2:])
    )
    if low >= high:
        raise UsageError(
            f"'{text}' does not rise; bands are LOW-HIGH, and {low:g} Hz is not below {high:g} Hz"
        )
    return low, high
