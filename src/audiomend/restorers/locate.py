"""Finding what a verb is to mend, unless the user has said it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiomend.audio.file import Accumulator
from audiomend.detect.bandwidth import BandwidthDetector, is_whole
from audiomend.detect.bandwidth import finding as bandwidth_finding
from audiomend.detect.bends import BendDetector, SoftClipping
from audiomend.detect.clicks import Click, ClickDetector, apart_from
from audiomend.detect.clipping import ClippingDetector
from audiomend.detect.finding import FOUND
from audiomend.detect.gaps import GapDetector
from audiomend.detect.tops import soft_clipping
from audiomend.errors import OptionError, UsageError
from audiomend.operators.band_gap import BandPass
from audiomend.operators.low_pass import LowPass
from audiomend.restorers.bands import Band
from audiomend.restorers.damage import Bent, Boxes, Clipped, Damage, Dull, Gaps
from audiomend.restorers.regions import Interval, merge
from audiomend.words import plural

Array = NDArray[Any]
VERBS = ("declip", "declick", "inpaint", "extend")
LEAST_KNOWN = 0.01  # of a channel's samples between its clip levels, for the rest to be mended
HIGHER_LEVEL = "a higher --clip-level takes fewer samples for clipped"
LOWER_LEVEL = "a lower --clip-level takes more samples for clipped"
CLIPPED_TOO = "; the sound is clipped, and edges of its tops look like clicks: declip it first, or restore it"
SET_LEVEL = "--clip-level sets a level by hand"
SET_GAP = "--gap names one by hand, and restore finds dropouts"
SET_CUTOFF = "--cutoff-hz sets a cut-off by hand"


@dataclass(frozen=True)
class Given:
    """What the user knows of the damage.

    Attributes:
        clip_level: samples whose magnitude reaches it are clipped; full scale 1.
        gaps: half-open sample intervals.
        bands: (low, high) in Hz, all that is lost in the gaps; empty means everything.
        cutoff_hz: where the sound ends.
    """

    clip_level: float | None = None
    gaps: tuple[Interval, ...] = ()
    bands: tuple[Band, ...] = ()
    cutoff_hz: float | None = None


@dataclass(frozen=True)
class Found:
    """What is wrong with a signal.

    Attributes:
        damage: to be mended; None if there is none of this kind.
        summary: one sentence for the user.
        facts: names and values for reports.
        hint: which option of the command line says by hand what was looked for; empty where something was
            found.
    """

    damage: Damage | Bent | None
    summary: str
    facts: dict[str, Any] = field(default_factory=dict[str, Any])
    hint: str = ""


@dataclass(frozen=True)
class Search:
    """Feed `accumulators` the whole signal, then ask `conclude`."""

    accumulators: tuple[Accumulator, ...]
    conclude: Callable[[], Found]


def search(verb: str, given: Given, rate: int, channels: int) -> Search:
    """What has to be looked at in one pass over the signal, and what follows from it.

    Raises:
        UsageError: a value that cannot be, such as a cut-off above Nyquist.
    """
    if verb == "declip":
        return _search_clipping(given.clip_level, rate, channels)
    if verb == "declick":
        return _search_clicks(rate, channels)
    if verb == "inpaint" and given.bands:
        return _search_boxes(given.bands, given.gaps, rate)
    if verb == "inpaint":
        return _search_gaps(given.gaps, rate, channels)
    if verb == "extend":
        return _search_cutoff(given.cutoff_hz, rate, channels)
    raise UsageError(f"There is no verb {verb}; there are {', '.join(VERBS)}.")


@dataclass
class Beyond:
    """Counts the samples of each channel at or beyond levels, (channels, 1) each."""

    low: Array
    high: Array
    counts: Array = field(default_factory=lambda: np.zeros(1, np.int64))
    frames: int = 0

    def add(self, samples: Array) -> None:
        self.counts = self.counts + ((samples <= self.low) | (samples >= self.high)).sum(axis=1)
        self.frames += samples.shape[1]

    @property
    def unknown(self) -> NDArray[np.bool_]:
        """(channels,) where so little lies between the levels that nothing tells what lay beyond."""
        return self.counts > (1 - LEAST_KNOWN) * self.frames

    def clipped(self, rate: int) -> Clipped | None:
        """The damage, in the channels that tell something; None if none does or nothing is clipped."""
        counts = np.where(self.unknown, 0, self.counts)
        if not counts.any():
            return None
        low, high = (
            np.where(self.unknown[:, None], np.copysign(np.inf, x), x) for x in (self.low, self.high)
        )
        return Clipped(low, high, rate, float(counts.mean()) / self.frames)


def _search_clipping(level: float | None, rate: int, channels: int) -> Search:
    if level is not None:
        return _search_given_level(level, rate, channels)
    detector, bends = ClippingDetector(channels), BendDetector(channels, rate)

    def conclude() -> Found:
        verdicts = detector.result()
        low = np.array([[v.low] for v in verdicts])
        high = np.array([[v.high] for v in verdicts])
        clipped, samples = sum(v.clipped for v in verdicts), sum(v.samples for v in verdicts)
        facts = {
            "clip_low": [_finite(v.low) for v in verdicts],
            "clip_high": [_finite(v.high) for v in verdicts],
            "clipped_samples": clipped,
            "confidence": [round(v.confidence, 3) for v in verdicts],
        }
        flat = [bends.flat(channel, v.low, v.high) for channel, v in enumerate(verdicts) if v.clipped]
        if all(soft.confidence >= FOUND for soft in flat):
            return _bent(tuple(soft_clipping(bends, *hard) for hard in enumerate(verdicts)), facts)
        levels = [abs(x) for x in (*low.ravel(), *high.ravel()) if np.isfinite(x)]
        least, most = min(levels), max(levels)
        where = f"{least:.4g}" if most - least < 5e-4 else f"{least:.4g} to {most:.4g}"
        share = clipped / samples
        damage = Clipped(low, high, rate, share)
        return Found(damage, f"clipped at {where} of full scale, {share:.2%} of the samples", facts)

    return Search((detector, bends), conclude)


def _search_given_level(level: float, rate: int, channels: int) -> Search:
    if not 0 < level < np.inf:
        raise OptionError("clip_level", f"is {level:g}; it must be above 0.")
    levels = np.full((channels, 1), level)
    beyond = Beyond(-levels, levels)

    def conclude() -> Found:
        facts = {"clip_level": level, "clipped_samples": int(beyond.counts.sum())}
        if not beyond.counts.any():
            return Found(None, f"no sample reaches the clip level of {level:g}", facts, LOWER_LEVEL)
        least, damage = f"less than {LEAST_KNOWN:.0%} of the samples", beyond.clipped(rate)
        if damage is None:
            why = f"{least} lie below the clip level of {level:g}: too little is known to mend the rest"
            return Found(None, why, facts, HIGHER_LEVEL)
        left = [str(k) for k in np.flatnonzero(beyond.unknown)]
        stays = f"; channel {' and '.join(left)} stays, as {least} there lie below" if left else ""
        return Found(damage, f"clipped at {level:g} of full scale, as given{stays}", facts)

    return Search((beyond,), conclude)


def _bent(verdicts: tuple[SoftClipping, ...], facts: dict[str, Any]) -> Found:
    """Curves, where no channel was clipped hard."""
    bends = tuple(v.bend if v.confidence >= FOUND else None for v in verdicts)
    known = [bend for bend in bends if bend is not None]
    if not known:
        return Found(None, "no clipping was found", facts, SET_LEVEL)
    facts = {
        **facts,
        "curve": [bend and bend.curve for bend in bends],
        "curve_low": [bend and bend.low for bend in bends],
        "curve_level": [bend and bend.level for bend in bends],
        "confidence": [round(v.confidence, 3) for v in verdicts],
    }
    towards = " and ".join(dict.fromkeys(bend.towards for bend in known))
    curves = " and ".join(dict.fromkeys(bend.curve for bend in known))
    return Found(Bent(bends), f"bent by a curve ({curves}) towards {towards} of full scale", facts)


def _search_clicks(rate: int, channels: int) -> Search:
    detector, gaps = ClickDetector(channels, rate), GapDetector(channels, rate)
    clipping = ClippingDetector(channels)

    def conclude() -> Found:
        clicks = apart_from(gaps.result(), detector.result(), rate)
        facts = {"clicks": len(clicks), "clicked_samples": sum(click.stop - click.start for click in clicks)}
        if not clicks:
            return Found(None, "no click was found", facts)
        damage = clicked(clicks, rate, channels)
        longest = f"the longest of {1000 * damage.severity:.1f} ms"
        is_clipped = any(verdict.clipped for verdict in clipping.result())
        doubt = CLIPPED_TOO if is_clipped else ""
        return Found(damage, f"{plural(len(clicks), 'click')}, {longest}{doubt}", facts)

    return Search((detector, gaps, clipping), conclude)


def clicked(clicks: Sequence[Click], rate: int, channels: int) -> Gaps:
    """Clicks, at least one, as what is lost: they and a sample on either side.

    A click's ends are as faint as the residual of the sound itself.
    """
    rows = tuple(
        tuple(merge((max(k.start - 1, 0), k.stop + 1) for k in clicks if k.channel == channel))
        for channel in range(channels)
    )
    longest = max(stop - start for row in rows for start, stop in row) / rate
    return Gaps(rows, longest, verb="declick")


def _search_gaps(gaps: tuple[Interval, ...], rate: int, channels: int) -> Search:
    def found(rows: tuple[tuple[Interval, ...], ...], how: str) -> Found:
        intervals = merge(interval for row in rows for interval in row)
        seconds = sum(stop - start for start, stop in intervals) / rate
        facts = {"gaps_s": [[start / rate, stop / rate] for start, stop in intervals]}
        if not intervals:
            return Found(None, "no digital silence that breaks off a sound was found", facts, SET_GAP)
        return Found(
            Gaps(rows, max(stop - start for start, stop in intervals) / rate),
            f"{plural(len(intervals), 'gap')}, {seconds:.3f} s together, {how}",
            facts,
        )

    if gaps:
        return Search((), lambda: found((gaps,) * channels, "as given"))
    detector = GapDetector(channels, rate)

    def conclude() -> Found:
        verdicts = detector.result()
        rows = (tuple((g.start, g.stop) for g in verdicts if g.channel == c) for c in range(channels))
        return found(tuple(rows), "digital silence")

    return Search((detector,), conclude)


def _search_boxes(bands: tuple[Band, ...], gaps: tuple[Interval, ...], rate: int) -> Search:
    if not gaps:
        raise UsageError("A band is filled where it is lost; a region or a gap must say where that is.")
    intervals = merge(gaps)
    damage = Boxes(
        BandPass(bands, rate), tuple(intervals), max(stop - start for start, stop in intervals) / rate
    )
    named = " and ".join(f"{low:,.0f} to {high:,.0f} Hz" for low, high in bands)
    count = plural(len(intervals), "stretch", "stretches")
    seconds = sum(stop - start for start, stop in intervals) / rate
    facts = {
        "bands_hz": [list(band) for band in bands],
        "gaps_s": [[start / rate, stop / rate] for start, stop in intervals],
    }
    found = Found(damage, f"{named} in {count}, {seconds:.3f} s together, as given", facts)
    return Search((), lambda: found)


def _search_cutoff(cutoff_hz: float | None, rate: int, channels: int) -> Search:
    def found(cutoff: float, how: str, facts: dict[str, Any]) -> Found:
        damage = Dull(LowPass(cutoff, rate), bandwidth_hz=rate / 2)
        return Found(damage, f"nothing above {cutoff:,.0f} Hz, {how}", {"cutoff_hz": cutoff, **facts})

    if cutoff_hz is not None:
        given = found(cutoff_hz, "as given", {})
        return Search((), lambda: given)
    detector = BandwidthDetector(channels, rate)

    def conclude() -> Found:
        verdict = detector.result()
        facts: dict[str, Any] = {
            "edge_hz": round(verdict.cutoff_hz, 1) if verdict.rule == "edge" else None,
            "rule": verdict.rule,
            "confidence": round(verdict.confidence, 3),
        }
        if is_whole(verdict, rate):
            return Found(None, f"the band is whole, up to {verdict.cutoff_hz:,.0f} Hz", facts, SET_CUTOFF)
        # Without a clear edge any cut-off is a guess, and would cost good treble.
        if not bandwidth_finding(verdict, rate).is_found:
            facts["edge_hz"] = None
            return Found(None, "no clear edge was found where the sound ends", facts, SET_CUTOFF)
        return found(verdict.cutoff_hz, f"found by an edge of {verdict.fall_db:.0f} dB", facts)

    return Search((detector,), conclude)


def _finite(x: float) -> float | None:
    return x if np.isfinite(x) else None
