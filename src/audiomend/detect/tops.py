"""The verdict on clipping of all kinds, from exact tops, bent ones and curves."""

from dataclasses import dataclass
from math import inf
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from audiomend.classical.curve import Bend
from audiomend.detect.bends import BendDetector, SoftClipping
from audiomend.detect.bent_tops import BentTop, BentTopDetector
from audiomend.detect.clipping import CERTAIN, Clipping, ClippingDetector
from audiomend.detect.finding import FOUND, Finding, sureness


@dataclass(frozen=True)
class Tops:
    """Clipping of one channel, of whatever kind.

    Attributes:
        low, high: clip levels, full scale 1; -inf and inf for a polarity that is not clipped. Of a curve,
            what it tends to, or is flat at.
        share: of the samples, those at or beyond them.
        kind: hard, flat to the sample; bent, flat once, but disturbed since; soft, a curve; none.
        confidence: 0 to 1; it is clipping from 0.5.
        bend: the curve, if soft.
    """

    low: float
    high: float
    share: float
    kind: Literal["hard", "bent", "soft", "none"]
    confidence: float
    bend: Bend | None = None


class TopsDetector:
    """Add blocks, then ask for the result."""

    def __init__(self, channels: int, sample_rate: float) -> None:
        self._hard = ClippingDetector(channels)
        self._bent = BentTopDetector(channels)
        self._soft = BendDetector(channels, sample_rate)

    def add(self, block: NDArray[np.floating]) -> None:
        """Take the next samples, (channels, n)."""
        for detector in (self._hard, self._bent, self._soft):
            detector.add(block)

    def result(self, *, is_voice: bool = False) -> tuple[Tops, ...]:
        """One entry for each channel; is_voice: whether this is surely a voice."""
        both = zip(self._hard.result(), self._bent.result(is_voice=is_voice), strict=True)
        return tuple(
            tops(hard, bent, soft_clipping(self._soft, channel, hard))
            for channel, (hard, bent) in enumerate(both)
        )


def find_tops(x: NDArray[np.floating], sample_rate: float, *, is_voice: bool = False) -> tuple[Tops, ...]:
    """Clipping of any kind in each channel of x, (channels, time), at a rate in Hz."""
    detector = TopsDetector(len(x), sample_rate)
    detector.add(x)
    return detector.result(is_voice=is_voice)


def soft_clipping(detector: BendDetector, channel: int, hard: Clipping) -> SoftClipping:
    """The verdict on curves, for a channel with this one on flat tops."""
    return detector.flat(channel, hard.low, hard.high) if hard.clipped else detector.result(channel)


def tops(hard: Clipping, bent: BentTop, soft: SoftClipping) -> Tops:
    """The verdict on one channel. A curve says all there is to say, then flat tops do, then a pile."""
    share = hard.clipped / max(hard.samples, 1)
    if soft.bend is not None and soft.confidence >= FOUND:
        return Tops(soft.bend.low, soft.bend.level, share, "soft", soft.confidence, soft.bend)
    if hard.clipped:
        return Tops(hard.low, hard.high, share, "hard", sureness(hard.confidence, 0, CERTAIN, 1))
    if bent.confidence >= FOUND:
        return Tops(bent.low, bent.high, bent.share, "bent", bent.confidence)
    confidence = max(sureness(hard.confidence, 0, CERTAIN, 1), bent.confidence, soft.confidence)
    return Tops(-inf, inf, 0.0, "none", confidence)


def finding(channels: tuple[Tops, ...]) -> Finding:
    """The verdict in words."""
    share = sum(channel.share for channel in channels) / len(channels)
    facts = {
        "kind": [channel.kind for channel in channels],
        "low": [channel.low if channel.low > -inf else None for channel in channels],
        "high": [channel.high if channel.high < inf else None for channel in channels],
        "share": share,
        "curve": [None if channel.bend is None else channel.bend.curve for channel in channels],
    }
    confidence = max(channel.confidence for channel in channels)
    levels = [abs(at) for channel in channels for at in (channel.low, channel.high) if abs(at) < inf]
    if not levels:
        return Finding("clipping", confidence, "none", facts)
    lowest, highest = f"{min(levels):.4g}", f"{max(levels):.4g}"
    where = lowest if max(levels) - min(levels) < 5e-4 else f"{lowest} to {highest}"
    kinds = sorted({channel.kind for channel in channels} - {"none"})
    if kinds == ["soft"]:
        curves = " and ".join(sorted({channel.bend.curve for channel in channels if channel.bend}))
        flat = f", {share:.2%} of the samples flat" if share else ""
        words = f"soft, a curve ({curves}) towards {where} of full scale{flat}"
        return Finding("clipping", confidence, words, facts)
    words = f"{' and '.join(kinds)}, at {where} of full scale, {share:.2%} of the samples"
    return Finding("clipping", confidence, words, facts)
