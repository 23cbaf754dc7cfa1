"""The part of a page that is heard and looked at: players that run in step, a spectrogram under each name."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from audiomend.report import spectrogram
from audiomend.report.differing import Differing, differing
from audiomend.report.listening import Excerpt, Sound, damaged_samples, decibels, flac, match
from audiomend.report.markup import data_url, paragraph, percent, text
from audiomend.report.spectrogram import Region, height

PICTURE = (1000, 240)  # columns and rows of a spectrogram; the page stretches it
PLAY = "M7 4.5v15l12.5-7.5z"
PAUSE = "M6.5 5h4v14h-4zM13.5 5h4v14h-4z"


def pictures_of(excerpt: Excerpt) -> list[np.ndarray]:
    """The spectrogram of each sound in dB."""
    return [spectrogram.levels(sound.audio, sound.rate, *PICTURE) for sound in excerpt.sounds]


def players(
    title: str,
    excerpt: Excerpt,
    pictures: Sequence[np.ndarray],
    top_db: float,
    intervals: Sequence[Region],
    samples: Differing | None = None,
) -> str:
    """The section with one player for all sounds of the excerpt.

    Args:
        title: what the sounds are, for those who do not see the page.
        excerpt: the sounds.
        pictures: their spectrograms in dB.
        top_db: the level of the brightest colour, one for all pictures of a page.
        intervals: the changed stretches, in seconds of the file.
        samples: what differs between posterior samples of the excerpt, if there are any.
    """
    matched = match([sound.audio for sound in excerpt.sounds], damaged_samples(intervals, excerpt))
    marks = _marks(intervals, excerpt)
    rows = zip(excerpt.sounds, matched.gains, pictures, strict=True)
    tracks = "".join(_track(sound, gain, spectrogram.paint(p, top_db), marks) for sound, gain, p in rows)
    differs = "" if samples is None else differing(samples, excerpt.rate, PICTURE, top_db, marks.outlines)
    basis = "undamaged samples" if matched.undamaged else "whole"
    lowered = " All were lowered together, so that no peak exceeds full scale." if matched.lowered else ""
    how = f"Played in step and level-matched: equal RMS on the {basis}.{lowered}"
    if len(excerpt.sounds) == 1:
        how = "Played as it is."
    return f"""<section class="listen" data-seconds="{excerpt.seconds:.4f}" aria-label="{text(title)}">
{_transport(excerpt)}
<p class="how">{how}{_place(excerpt)}</p>
<div class="tracks">
{tracks}{differs}{_time_axis(excerpt)}
</div>
{_legend(top_db)}
</section>"""


def clock(seconds: float) -> str:
    """A time to the millisecond."""
    return spectrogram.clock(seconds, 0.001)


def _place(excerpt: Excerpt) -> str:
    if excerpt.seconds >= excerpt.duration:
        return ""
    place = f" An excerpt, {clock(excerpt.start)} to {clock(excerpt.end)} of {clock(excerpt.duration)}"
    return f"{place}." if len(excerpt.sounds) == 1 else f"{place}: the stretch that changed most."


def _transport(excerpt: Excerpt) -> str:
    picks = "".join(
        f'<button type="button" class="pick" aria-pressed="false" aria-keyshortcuts="{number}">'
        f"<kbd>{number}</kbd> {text(sound.name)}</button>"
        for number, sound in enumerate(excerpt.sounds, 1)
    )
    return f"""<div class="transport" hidden="hidden">
<button type="button" class="play" aria-label="Play" aria-keyshortcuts="Space"><svg viewBox="0 0 24 24"
 aria-hidden="true"><path class="to-play" d="{PLAY}"/><path class="to-pause" d="{PAUSE}"/></svg></button>
<div class="picks" role="group" aria-label="Which sound">{picks}</div>
<input type="range" class="seek" aria-label="Position in seconds" min="0" max="{excerpt.seconds:.3f}"
 step="0.01" value="0"/>
<output class="clock">0.0 / {excerpt.seconds:.1f} s</output>
</div>"""


@dataclass(frozen=True)
class _Marks:
    """Where a picture shows the changed stretches: bars above it for all, outlines for those wide enough."""

    bars: str
    outlines: str


def _marks(intervals: Sequence[Region], excerpt: Excerpt) -> _Marks:
    bars, outlines = "", ""
    for box in spectrogram.boxes(intervals, excerpt.seconds, excerpt.rate, excerpt.start):
        left, top, right, bottom = box
        across = f'x="{percent(left)}" width="{percent(right - left)}"'
        bars += f'<rect class="bar" {across} height="4"/>'
        if right - left >= spectrogram.NARROW:
            down = f'y="{percent(top)}" height="{percent(bottom - top)}"'
            outlines += f'<rect class="outline" {across} {down}/>'
    return _Marks(bars, outlines)


def _track(sound: Sound, gain: float, picture: Image.Image, marks: _Marks) -> str:
    ticks = "".join(
        f'<text x="100%" dx="-8" dy="0.35em" y="{percent(1 - height(hz, sound.rate))}">{label}</text>'
        for hz, label in spectrogram.frequency_ticks(sound.rate)
    )
    image = data_url("image/png", spectrogram.png(picture))
    source = data_url("audio/flac", flac(sound.audio * gain, sound.rate))
    return f"""<article class="track">
<header><h3>{text(sound.name)}</h3>{paragraph(sound.note, "note")}
<p class="gain">gain {decibels(gain)}</p></header>
<svg class="axis" aria-hidden="true">{ticks}</svg>
<div><svg class="strip" aria-hidden="true">{marks.bars}</svg>
<svg class="picture" role="img" aria-label="Spectrogram of {text(sound.name)}">
<image width="100%" height="100%" preserveAspectRatio="none" href="{image}"/>{marks.outlines}
<line class="playhead" x1="0%" x2="0%" y1="0" y2="100%"/></svg></div>
<audio controls="controls" preload="auto" src="{source}"></audio>
</article>
"""


def _time_axis(excerpt: Excerpt) -> str:
    ticks = "".join(
        f'<text y="1em" x="{percent((at - excerpt.start) / excerpt.seconds)}">{label}</text>'
        for at, label in spectrogram.time_ticks(excerpt.start, excerpt.end, most=6)
    )
    return f'<svg class="times" aria-hidden="true">{ticks}</svg>'


def _legend(top_db: float) -> str:
    bottom_db = top_db - spectrogram.RANGE_DB
    ramp = spectrogram.paint(np.linspace(bottom_db, top_db, 160)[None], top_db)
    image = f'<img src="{data_url("image/png", spectrogram.png(ramp))}" alt="to"/>'
    return f'<p class="legend">{bottom_db:.0f} dB {image} {top_db:.0f} dB re a sine at full scale</p>'
