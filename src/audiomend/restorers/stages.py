"""The stages of `restore`, each on what the one before left.

A stage sees the sound through the changes of the earlier ones, so nothing but changed samples is kept, and
what no stage touches comes out to the bit.
"""

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import inf, log10
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from audiomend.audio.blocks import MERGED_S, Runs, Spill
from audiomend.audio.level import ActiveLevel
from audiomend.audio.reader import Overlaid, SoundReader, blocks
from audiomend.classical.curve import Bend, Name
from audiomend.detect.bandwidth import BandwidthDetector
from audiomend.detect.bandwidth import finding as bandwidth_finding
from audiomend.detect.clicks import BESIDE_S, Click, ClickDetector, find_clicks, finding
from audiomend.detect.offset import OffsetDetector
from audiomend.detect.quantisation import QuantisationDetector
from audiomend.errors import Cancelled
from audiomend.operators.low_pass import LowPass
from audiomend.restorers.damage import Bent, Damage, Dull, Gaps
from audiomend.restorers.frame import Progress, prepare, run
from audiomend.restorers.jobs import Sink
from audiomend.restorers.lifting import Lift, lifts_of
from audiomend.restorers.locate import Beyond, clicked
from audiomend.restorers.methods import SUBTRACTION, WITHOUT_PRIOR
from audiomend.restorers.options import Options
from audiomend.restorers.plan import (
    SURE,
    Declick,
    Declip,
    ExtendBand,
    FillGaps,
    RemoveOffset,
    Span,
    Stage,
    clicks_to_mend,
    levels_to_remove,
    spans,
)
from audiomend.restorers.regions import Interval, merge
from audiomend.tuning import give_back
from audiomend.words import plural

Array = NDArray[Any]
OVERSHOT = 1.01  # times a clip level: what was cut there and not disturbed since stays below
APART = 2  # samples between a click and a flat top
SEEN_S = 0.1  # on either side of where clicks are sought

_Touched = Callable[[int, int, int], bool]
"""Whether samples [start, stop) of a channel were changed by a stage, or lie in a gap."""


@dataclass(frozen=True)
class _Work:
    """A stage to be done.

    Attributes:
        stage: of the plan.
        original: the sound as the file holds it.
        source: the sound as the stages before left it.
        options: those of every stage.
        sink: takes the changed samples.
        progress: told of the stage's share done.
        foretold: told how many seconds a part of the stage will take, before it begins, which costs a trial.
        touched: whether samples are no longer, or will not stay, what the file holds.
    """

    stage: Stage
    original: SoundReader
    source: SoundReader
    options: Options
    sink: Sink
    progress: Progress | None
    foretold: Callable[[float], object] | None
    touched: _Touched


_Mending = Callable[[_Work], tuple[str, str]]
"""Mends, and tells the method and its settings in words; empty if nothing had to be done."""


@dataclass(frozen=True)
class Done:
    """What a stage did.

    Attributes:
        stage: of the plan.
        method, settings: what mended, in words; empty if nothing had to be.
        changed: samples over all channels.
        intervals: frames that hold changed samples, half-open, in order.
        level_db: energy of the change over that of the file before this stage; -inf if nothing changed.
        seconds: wall time.
    """

    stage: Stage
    method: str
    settings: str
    changed: int
    intervals: tuple[Interval, ...]
    level_db: float
    seconds: float


def mend_stages(
    source: SoundReader,
    stages: Sequence[Stage],
    options: Options,
    sink: Sink,
    progress: Callable[[Stage, float], object] | None = None,
    dtype: type[np.float32] | type[np.float64] = np.float64,
    foretold: Callable[[Stage, float], object] | None = None,
) -> tuple[tuple[Done, ...], Runs, float]:
    """Do the stages one after the other; every changed sample goes to the sink.

    Args:
        dtype: of what is kept between the stages.
        foretold: called with a stage and how many seconds a part of it will take, before that begins.

    Returns:
        what each did, where samples changed, and the energy of all changes over that of the source, in dB.
    """
    now, done, spills, gaps = source, list[Done](), list[Spill](), _gaps_of(stages, source)
    with contextlib.ExitStack() as stack:
        for stage in stages:
            changes = stack.enter_context(Spill(source.channels, dtype))
            told = None if progress is None else partial(progress, stage)
            seconds = None if foretold is None else partial(foretold, stage)
            touched = partial(_touched, spills, gaps)
            work = _Work(stage, source, now, options, changes, told, seconds, touched)
            done.append(_do(work, changes))
            spills.append(changes)
            now = Overlaid(now, changes)
        return tuple(done), *_compare(source, now, sink)


def _do(work: _Work, changes: Spill) -> Done:
    """Do a stage whose sink is `changes`."""
    begun = time.monotonic()
    give_back()  # of the stage before
    _tell(work, 0.0)
    method, settings = _MENDING[work.stage.stage](work)
    _tell(work, 1.0)
    runs, level_db = _compare(work.source, Overlaid(work.source, changes))
    if not runs.samples:
        method = settings = ""
    seconds = time.monotonic() - begun
    return Done(work.stage, method, settings, runs.samples, tuple(runs.intervals), level_db, seconds)


def _tell(work: _Work, share: float) -> None:
    """Tell how much of a stage is done; whoever is told may end it."""
    if work.progress is not None and work.progress(share) is False:
        raise Cancelled("The work was cancelled; nothing was written.")


def _compare(before: SoundReader, after: SoundReader, changes: Sink | None = None) -> tuple[Runs, float]:
    """Where two signals differ, and the energy of their difference over that of the first, in dB.

    changes: takes all that differs.
    """
    runs = Runs(round(MERGED_S * before.rate))
    error = energy = 0.0
    for start, stop in blocks(before):
        old, new = before.read(start, stop), after.read(start, stop)
        runs.add(start, (new != old).T)
        if changes is not None:
            changes.add(start, new, new != old)
        energy += float(np.square(old).sum())
        error += float(np.square(new - old).sum())
    return runs, 10 * float(np.log10(error / energy)) if error > 0 and energy > 0 else -inf


def _gaps_of(stages: Sequence[Stage], source: SoundReader) -> list[tuple[int, Interval]]:
    """(channel, frames) of all gaps and dropouts that are to be mended."""
    filling = [stage.settings for stage in stages if isinstance(stage.settings, FillGaps)]
    every = [span for settings in filling for span in (*settings.gaps, *settings.dropouts)]
    return [(span.channel, _frames(span, source)) for span in every]


def _touched(
    spills: Sequence[Spill], gaps: Sequence[tuple[int, Interval]], channel: int, start: int, stop: int
) -> bool:
    """Whether a stage has changed a sample of [start, stop) of a channel, or one of them lies in a gap."""
    if any(channel == other and first < stop and start < end for other, (first, end) in gaps):
        return True
    return any(not np.isnan(spill.read(max(start, 0), stop)[channel]).all() for spill in spills)


def _subtract(work: _Work) -> tuple[str, str]:
    """The offset, a constant for each channel: that of the plan, or else what is there now."""
    settings, source, options = work.stage.settings, work.source, work.options
    assert isinstance(settings, RemoveOffset)
    levels = options.strength * np.array(settings.levels or _offset(source, options))[:, None]
    for start, stop in blocks(source):
        changed = np.broadcast_to(levels != 0, (source.channels, stop - start)) & _inside(
            options, start, stop
        )
        work.sink.add(start, source.read(start, stop) - levels, changed)
        _tell(work, stop / source.frames)
    return SUBTRACTION, f"of {', '.join(f'{level:+.4f}' for level in levels[:, 0])} of full scale"


def _offset(source: SoundReader, options: Options) -> tuple[float, ...]:
    """What is to be subtracted from each channel, by the regions: the rest may be clipped yet."""
    detector = OffsetDetector(source.channels, source.rate)
    for start, stop in blocks(source):
        detector.add(source.read(start, stop)[:, _inside(options, start, stop)])
    return levels_to_remove(detector.result())


def _inside(options: Options, start: int, stop: int) -> NDArray[np.bool_]:
    inside = np.full(stop - start, not options.regions)
    for first, last in options.regions:
        inside[max(first - start, 0) : max(last - start, 0)] = True
    return inside


def _mend(damage_of: Callable[[_Work], Damage | Bent | None], work: _Work) -> tuple[str, str]:
    """As the verb of the damage does."""
    source, options = work.source, work.options
    damage, level = damage_of(work), ActiveLevel(source.rate)
    for start, stop in blocks(source):
        level.add(source.read(start, stop))
    if damage is None or level.rms == 0 or options.strength == 0:
        return "", ""
    options = replace(options, method=getattr(work.stage.settings, "method", "auto"))
    if damage.verb in WITHOUT_PRIOR:
        options = replace(options, model=None, quality=None)
    job = prepare(source, damage, level.gain, options)
    if work.foretold is not None:
        work.foretold(job.estimate_seconds)
    run(job, work.sink, work.progress)
    return job.method, job.settings


def _declip(work: _Work) -> tuple[str, str]:
    """The clipped peaks, after the clicks that came upon them later: what overshoots a level is no peak."""
    settings, source, strength = work.stage.settings, work.source, work.options.strength
    assert isinstance(settings, Declip)
    clicks = clicks_over(settings, source) if settings.kind == "hard" or settings.curve else []
    if not clicks or strength == 0:
        return _mend(_clipped, work)
    clamped = partial(_without_clicks, clicks, settings)
    (method, _), words = _in_two(work, clamped, partial(_mend, _clipped))
    return f"{method} at {plural(len(clicks), 'click')}, {words[0]}", words[1]


def _without_clicks(clicks: Sequence[Click], settings: Declip, work: _Work) -> tuple[str, str]:
    first = Stage("declick", Declick(spans(clicks, work.source.rate)))
    return _mend(_clicked, replace(work, stage=first, sink=_Clamped(work.sink, settings)))


def _in_two(work: _Work, first: _Mending, second: _Mending) -> tuple[tuple[str, str], tuple[str, str]]:
    """Two steps, the second on what the first left; of the change by both there is a share, the strength."""
    source, strength = work.source, work.options.strength
    whole = replace(work, options=replace(work.options, strength=1.0))
    with contextlib.ExitStack() as stack:
        one, two = (stack.enter_context(Spill(source.channels, np.float64)) for _ in range(2))
        told = first(replace(whole, sink=one, progress=None))
        between = Overlaid(source, one)
        words = second(replace(whole, source=between, sink=two))
        mended = Overlaid(between, two)
        for start, stop in blocks(source):
            before, after = source.read(start, stop), mended.read(start, stop)
            work.sink.add(start, before + strength * (after - before), after != before)
    return told, words


def clicks_over(settings: Declip, source: SoundReader) -> list[Click]:
    """The clicks of a signal, if any of them goes beyond the level that it was clipped at or bent towards.

    The edges of flat tops look like clicks, but a click does not hold samples at the level.
    """
    low, high = _levels(settings)
    margin = round(SEEN_S * source.rate)
    found, overshoots = [list[Interval]() for _ in range(source.channels)], 0
    for start, stop in blocks(source):
        first, last = max(start - margin, 0), min(stop + margin, source.frames)
        samples = source.read(first, last)
        over = (samples > OVERSHOT * high) | (samples < OVERSHOT * low)
        flat = ((samples >= high / OVERSHOT) | (samples <= low / OVERSHOT)) & ~over
        overshoots += int(over.sum())
        places = [Click(row, k, k + 1, 1.0) for row, k in np.argwhere(over).tolist()]
        for click in [*find_clicks(samples, source.rate), *places]:
            near = slice(max(click.start - APART, 0), click.stop + APART)
            is_over = over[click.channel, click.start : click.stop].any()
            if (is_over or not flat[click.channel, near].any()) and start <= click.start + first < stop:
                found[click.channel].append((click.start + first, click.stop + first))
    if not overshoots:
        return []
    return [Click(row, *run, confidence=1.0) for row, runs in enumerate(found) for run in merge(runs)]


class _Clamped:
    """Hands on samples that do not pass clip levels, since it is not known yet that they should."""

    def __init__(self, sink: Sink, settings: Declip) -> None:
        self._sink, (self._low, self._high) = sink, _levels(settings)

    def add(self, start: int, samples: Array, changed: Array) -> None:
        self._sink.add(start, np.clip(samples, self._low, self._high), changed)


def _levels(settings: Declip) -> tuple[Array, Array]:
    """(channels, 1) each; -inf and inf for a polarity that is not clipped."""
    low = [[-inf if level is None else level] for level in settings.low]
    return np.array(low), np.array([[inf if level is None else level] for level in settings.high])


def _clipped(work: _Work) -> Damage | Bent | None:
    settings, source = work.stage.settings, work.source
    assert isinstance(settings, Declip)
    if settings.kind == "soft" and settings.curve:
        levels = zip(settings.curve, settings.low, settings.high, strict=True)
        bends = tuple(_bend(curve, low, high) for curve, low, high in levels)
        return Bent(bends) if any(bends) else None
    beyond = Beyond(*_levels(settings))
    for start, stop in blocks(source):
        beyond.add(source.read(start, stop))
    return beyond.clipped(source.rate)


def _bend(curve: Name | Literal["straight"], low: float | None, high: float | None) -> Bend | None:
    if curve == "straight" or high is None:
        return None
    return Bend(curve, high, None if low is None or low == -high else -low)


def _clicked(work: _Work) -> Damage | None:
    """The clicks of the plan, or else those that are there and no edge of a restored peak or of a gap."""
    settings, source = work.stage.settings, work.source
    assert isinstance(settings, Declick)
    clicks = [Click(span.channel, *_frames(span, source), confidence=1.0) for span in settings.clicks]
    if not clicks:
        detector = ClickDetector(source.channels, source.rate, _rounding(work.original))
        for start, stop in blocks(source):
            detector.add(source.read(start, stop))
        near = round(BESIDE_S * source.rate)
        every = clicks_to_mend(detector.result(), source.rate)
        clicks = [k for k in every if not work.touched(k.channel, k.start - near, k.stop + near)]
        told = finding(tuple(clicks), source.frames / source.rate, source.rate, is_clipped=False)
        if told.confidence < SURE["declick"]:
            return None
    return clicked(clicks, source.rate, source.channels) if clicks else None


def _rounding(source: SoundReader) -> float:
    """Power of the noise of rounding in a file: what was mended in it lies on no grid."""
    grid = QuantisationDetector()
    for start, stop in blocks(source):
        grid.add(source.read(start, stop))
    return grid.noise


def _fill(work: _Work) -> tuple[str, str]:
    """The gaps, and of dropouts the ends; what lies between them is lifted, or filled, too."""
    settings = work.stage.settings
    assert isinstance(settings, FillGaps)
    gaps, dropouts = (_merged(spans, work.source) for spans in (settings.gaps, settings.dropouts))
    lifts, left = lifts_of(work.source, work.original, dropouts)
    fill = partial(_mend, partial(_holed, gaps + left))
    if not lifts or work.options.strength == 0:
        return fill(work)
    told, words = _in_two(work, partial(_lift, lifts), fill)
    return ", ".join((told[0], words[0])), "; ".join((told[1], words[1]))


def _merged(spans: Sequence[Span], source: SoundReader) -> list[tuple[int, Interval]]:
    """(channel, frames) of stretches that do not touch."""
    return [
        (channel, frames)
        for channel in range(source.channels)
        for frames in merge(_frames(span, source) for span in spans if span.channel == channel)
    ]


def _lift(lifts: Sequence[Lift], work: _Work) -> tuple[str, str]:
    for start, stop in merge((one.start, one.stop) for one in lifts):
        x, changed = work.source.read(start, stop), np.zeros((work.source.channels, stop - start), np.bool_)
        for one in lifts:
            if start <= one.start < stop:
                part = np.s_[one.channel, one.start - start : one.stop - start]
                x[part], changed[part] = one.gain * (x[part] + one.offset) - one.offset, True
        work.sink.add(start, x, changed & _inside(work.options, start, stop))
    levels = [20 * log10(one.gain) for one in lifts]
    return f"lifting of {plural(len(lifts), 'dropout')}", f"by {min(levels):.1f} to {max(levels):.1f} dB"


def _holed(gaps: Sequence[tuple[int, Interval]], work: _Work) -> Damage | None:
    rows = tuple(
        tuple(merge(frames for row, frames in gaps if row == channel))
        for channel in range(work.source.channels)
    )
    lengths = [stop - start for row in rows for start, stop in row]
    return Gaps(rows, max(lengths) / work.source.rate) if lengths else None


def _frames(span: Span, source: SoundReader) -> Interval:
    return round(span.start_s * source.rate), min(round(span.stop_s * source.rate), source.frames)


def _dull(work: _Work) -> Damage | None:
    settings, source = work.stage.settings, work.source
    assert isinstance(settings, ExtendBand)
    cutoff_hz = _edge(source) if settings.cutoff_hz is None else settings.cutoff_hz
    return None if cutoff_hz is None else Dull(LowPass(cutoff_hz, source.rate), bandwidth_hz=source.rate / 2)


def _edge(source: SoundReader) -> float | None:
    """Where the sound ends now, if it does before it should."""
    detector = BandwidthDetector(source.channels, source.rate)
    for start, stop in blocks(source):
        detector.add(source.read(start, stop))
    found = detector.result()
    return found.cutoff_hz if bandwidth_finding(found, source.rate).is_found else None


_MENDING: Mapping[str, _Mending] = {
    "declip": _declip,
    "offset": _subtract,
    "declick": partial(_mend, _clicked),
    "gaps": _fill,
    "band": partial(_mend, _dull),
}
