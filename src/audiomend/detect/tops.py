"""The verdict on clipping of all kinds, from exact tops and from bent ones."""

from dataclasses import dataclass
from math import inf
from typing import Literal

from audiomend.detect.bent_tops import BentTop
from audiomend.detect.clipping import CERTAIN, Clipping
from audiomend.detect.finding import FOUND, Finding, sureness


@dataclass(frozen=True)
class Tops:
    """Clipping of one channel, of whatever kind.

    Attributes:
        low, high: clip levels, full scale 1; -inf and inf for a polarity that is not clipped.
        share: of the samples, those at or beyond them.
        kind: hard, flat to the sample; bent, flat once, but disturbed since; soft, a curve; none.
        confidence: 0 to 1; it is clipping from 0.5.
    """

    low: float
    high: float
    share: float
    kind: Literal["hard", "bent", "soft", "none"]
    confidence: float


def tops(hard: tuple[Clipping, ...], bent: tuple[BentTop, ...]) -> tuple[Tops, ...]:
    """One entry for each channel. Flat tops say all there is to say; bent ones count where there are none."""
    return tuple(_of_channel(h, b) for h, b in zip(hard, bent, strict=True))


def _of_channel(hard: Clipping, bent: BentTop) -> Tops:
    if hard.clipped:
        share = hard.clipped / max(hard.samples, 1)
        return Tops(hard.low, hard.high, share, "hard", sureness(hard.confidence, 0, CERTAIN, 1))
    if bent.confidence >= FOUND:
        return Tops(bent.low, bent.high, bent.share, bent.kind, bent.confidence)
    confidence = max(sureness(hard.confidence, 0, CERTAIN, 1), bent.confidence)
    return Tops(-inf, inf, 0.0, "none", confidence)


def finding(channels: tuple[Tops, ...]) -> Finding:
    """The verdict in words."""
    share = sum(channel.share for channel in channels) / len(channels)
    facts = {
        "kind": [channel.kind for channel in channels],
        "low": [channel.low if channel.low > -inf else None for channel in channels],
        "high": [channel.high if channel.high < inf else None for channel in channels],
        "share": share,
    }
    confidence = max(channel.confidence for channel in channels)
    levels = [abs(at) for channel in channels for at in (channel.low, channel.high) if abs(at) < inf]
    if not levels:
        return Finding("clipping", confidence, "none", facts)
    lowest, highest = f"{min(levels):.4g}", f"{max(levels):.4g}"
    where = lowest if max(levels) - min(levels) < 5e-4 else f"{lowest} to {highest}"
    kinds = " and ".join(sorted({channel.kind for channel in channels} - {"none"}))
    return Finding(
        "clipping", confidence, f"{kinds}, at {where} of full scale, {share:.2%} of the samples", facts
    )
