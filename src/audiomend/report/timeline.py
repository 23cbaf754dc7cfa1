"""The part of a page that shows where in the whole file something was changed."""

import math
from collections.abc import Sequence

import numpy as np

from audiomend.audio.blocks import MERGED_S
from audiomend.report import spectrogram
from audiomend.report.listening import Excerpt
from audiomend.report.markup import percent
from audiomend.report.spectrogram import Region, clock
from audiomend.words import percent as in_words
from audiomend.words import plural

POINTS = 600  # of the waveform
LISTED = 100  # marked stretches written out
SHORT_S = 0.01  # times below it are written in ms
SHORTEST_S = 1e-6  # no time is written finer


def timeline(intervals: Sequence[Region], excerpt: Excerpt, marked: str = "Changed") -> str:
    """The file as a bar with its marked stretches and its waveform where given; their times as a list."""
    stretches = spectrogram.visible(intervals, 0, excerpt.duration, MERGED_S)
    if not stretches:
        return ""
    summary = f"{marked}: {_summary(len(stretches), intervals, excerpt.duration)}"
    bars = "".join(
        f'<rect class="bar" x="{percent(left)}" width="{percent(right - left)}" height="100%"/>'
        for left, _, right, _ in spectrogram.boxes(intervals, excerpt.duration, excerpt.rate)
    )
    x, width = excerpt.start / excerpt.duration, excerpt.seconds / excerpt.duration
    across = f'x="{percent(x)}" width="{percent(width)}" height="100%"'
    frame = f'<rect class="frame" {across}/>' if width < 1 else ""
    rows = "".join(f"<li>{describe(stretch)}</li>" for stretch in stretches[:LISTED])
    more = f"<p>And {len(stretches) - LISTED} more.</p>" if len(stretches) > LISTED else ""
    return f"""<section class="timeline">
<h3>{summary}</h3>
<svg role="img" aria-label="{summary}">
{bars}<svg {across} viewBox="0 0 {POINTS - 1} 2" preserveAspectRatio="none"><path class="wave"
 d="{envelope(excerpt.sounds[-1].audio)}"/></svg>{frame}</svg>
<details><summary>{marked}: times</summary>
<p>What is less than {1000 * MERGED_S:.0f} ms apart counts as one stretch.</p>
<ol>{rows}</ol>{more}</details>
</section>"""


def _summary(count: int, intervals: Sequence[Region], duration: float) -> str:
    everywhere = [Region(region.start, region.end) for region in intervals]
    total = sum(part.end - part.start for part in spectrogram.visible(everywhere, 0, duration, closest=0))
    length = f"{total:.3f} s" if total >= SHORT_S else f"{1000 * total:.2g} ms"
    share = in_words(total / duration)
    return f"{plural(count, 'stretch', 'stretches')}, {length} of {duration:.3f} s ({share} of the time)"


def describe(stretch: Region) -> str:
    """A marked stretch in words: its times, and its band where it has one."""
    step = min(0.001, max(stretch.end - stretch.start, SHORTEST_S))
    times = f"{clock(stretch.start, step)} to {clock(stretch.end, step)}"
    if math.isinf(stretch.high_hz):
        return f"{times}, above {stretch.low_hz:.0f} Hz" if stretch.low_hz > 0 else times
    return f"{times}, {stretch.low_hz:.0f} to {stretch.high_hz:.0f} Hz"


def envelope(audio: np.ndarray) -> str:
    """The outline of the waveform as an SVG path, POINTS - 1 wide and 2 high, filled by its peak."""
    starts = np.arange(POINTS) * audio.shape[1] // POINTS
    peaks = np.maximum.reduceat(np.abs(audio).max(axis=0), starts)
    heights = peaks / max(float(peaks.max()), 1e-9)
    upper = [f"{x},{1 - h:.2f}" for x, h in enumerate(heights)]
    lower = [f"{x},{1 + h:.2f}" for x, h in enumerate(heights)]
    return f"M{' '.join(upper + lower[::-1])}z"
