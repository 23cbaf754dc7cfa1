"""One HTML file that shows and plays what was done: no network, no other file, no trust in names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path

import numpy as np

from audiomend.audio.atomic import PartFile, write_error
from audiomend.report.differing import Differing
from audiomend.report.listening import Excerpt, Sound, excerpt_of
from audiomend.report.markup import digest, paragraph, text
from audiomend.report.players import pictures_of, players
from audiomend.report.spectrogram import Region, top_of
from audiomend.report.timeline import timeline

__all__ = ["Page", "Region", "Sound", "render", "write"]


LONGEST_WORD = 40  # letters; what is longer is a hash or a path and set as code


@dataclass(frozen=True)
class Page:
    """What a page tells. Every text is shown as it is: markup in it has no effect.

    Attributes:
        title: the heading.
        lead: a sentence or two below it.
        sounds: played in step, of one rate and length; the last two are the sound before and after mending,
            but for posterior samples of an excerpt, which follow. More than 20 s are cut to the 20 s in which
            the last two differ most.
        samples: what differs between posterior samples of the sounds, which are an excerpt then.
        facts: name to value, in order: what was found and done, settings, seed, model, times, SHA-256.
        intervals: the stretches that are marked, in seconds of the file.
        marked: what they are, one word.
        left: stretches with damage that was found and stays, in seconds of the file.
        warnings: one sentence each.
        start: where in the file the sounds begin, in seconds, if they are an excerpt already.
        duration: of the file in seconds, if the sounds are an excerpt already.
        parts: pages that follow as sections of this one, without parts of their own.
    """

    title: str
    lead: str = ""
    sounds: Sequence[Sound] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    intervals: Sequence[Region] = ()
    marked: str = "Changed"
    left: Sequence[Region] = ()
    warnings: Sequence[str] = ()
    samples: Differing | None = None
    start: float = 0.0
    duration: float | None = None
    parts: Sequence["Page"] = ()


def write(page: Page, path: str | Path) -> None:
    """Writes the page as one HTML file, which appears by rename only when it is whole.

    Raises:
        UsageError: sounds of different rates or lengths, or without a sample.
        AudioWriteError: the file cannot be written.
    """
    content = render(page).encode()
    with PartFile(Path(path), force=True) as part:
        try:
            part.file.write(content)
        except OSError as error:
            raise write_error(str(path), error) from None
        part.commit()


def render(page: Page) -> str:
    """The page as HTML. See `write` for the errors."""
    style, script = _asset("page.css"), _asset("page.js")
    # No host is named anywhere, and scripts and styles run only if their hash stands here: what a hostile
    # name might smuggle in would neither run nor reach the network.
    policy = (
        "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; media-src data:;"
        f" style-src '{digest(style)}'; script-src '{digest(script)}'"
    )
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8"/>
<meta http-equiv="Content-Security-Policy" content="{policy}"/>
<meta name="viewport" content="width=device-width, initial-scale=1"/>
<meta name="generator" content="audiomend"/>
<title>{text(page.title)}</title>
<link rel="icon" href="data:,"/>
<style>{style}</style>
</head>
<body>
<main>
{"".join(_sections(page))}
<footer><p>One file: it holds its sounds and pictures, and asks no network for anything.</p></footer>
</main>
<script>{script}</script>
</body>
</html>
"""


@dataclass(frozen=True)
class _Shown:
    """A page or part with what is drawn of its sounds."""

    page: Page
    excerpt: Excerpt | None
    pictures: Sequence[np.ndarray]


def _sections(page: Page) -> list[str]:
    """The page's own body, then its parts; all pictures under one range of levels."""
    shown = [_show(part) for part in (page, *page.parts)]
    pictures = [picture for part in shown for picture in part.pictures]
    top_db = top_of(pictures) if pictures else 0.0
    head = f"""<header><p class="maker">audiomend</p>
<h1>{text(page.title)}</h1>{paragraph(page.lead, "lead")}</header>
"""
    return [head + _body(shown[0], top_db)] + [
        f"""<section class="part">
<h2>{text(part.page.title)}</h2>{paragraph(part.page.lead, "lead")}
{_body(part, top_db)}
</section>
"""
        for part in shown[1:]
    ]


def _show(page: Page) -> _Shown:
    if not page.sounds:
        return _Shown(page, None, ())
    excerpt = excerpt_of(page.sounds, page.start, page.duration)
    return _Shown(page, excerpt, pictures_of(excerpt))


def _body(shown: _Shown, top_db: float) -> str:
    page = shown.page
    warnings = "".join(f"<li>{text(warning)}</li>" for warning in page.warnings)
    facts = "".join(f"<div><dt>{text(k)}</dt>{_fact(v)}</div>" for k, v in page.facts.items())
    blocks = [f'<ul class="warnings" aria-label="Warnings">{warnings}</ul>' if warnings else ""]
    if shown.excerpt:
        blocks.append(
            players(page.title, shown.excerpt, shown.pictures, top_db, page.intervals, page.samples)
        )
        blocks.append(timeline(page.intervals, shown.excerpt, page.marked))
        blocks.append(timeline(page.left, shown.excerpt, "Found, not mended"))
    blocks.append(f'<dl class="facts">{facts}</dl>' if facts else "")
    return "\n".join(block for block in blocks if block)


def _fact(value: str) -> str:
    code = ' class="code"' if len(value) > LONGEST_WORD and " " not in value else ""
    return f"<dd{code}>{text(value)}</dd>"


@cache
def _asset(name: str) -> str:
    return resources.files("audiomend.report").joinpath("assets", name).read_text("utf-8")
