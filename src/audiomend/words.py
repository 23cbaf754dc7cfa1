"""Numbers and lists as people read them."""

import math
from collections.abc import Iterable


def percent(share: float) -> str:
    """A share, 0 to 1, with two digits that say something: 100%, 41%, 2.1%, 0.032%."""
    value = 100 * share
    return f"{value:.0f}%" if value >= 10 else f"{value:.2g}%"


def plural(count: int, thing: str, things: str = "") -> str:
    """1 gap, 2 gaps, 1,000 gaps; `things` where an s is not enough."""
    return f"{count:,} {thing if count == 1 else things or f'{thing}s'}"


def listed(things: Iterable[object], word: str = "and") -> str:
    """a, b and c; a."""
    *most, last = map(str, things)
    return f"{', '.join(most)} {word} {last}" if most else last


def beside(level_db: float) -> str:
    """A level relative to another: 3.5 dB below, 0.4 dB above."""
    return f"{abs(level_db):.1f} dB {'above' if level_db > 0 else 'below'}"


def decibels(gain: float) -> float:
    """A gain in dB."""
    return 20 * math.log10(gain)
