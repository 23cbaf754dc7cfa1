"""The page about one inspected file: what was found in it, where, and how it looks and sounds there."""

from collections.abc import Sequence
from pathlib import Path

from audiomend import __version__
from audiomend.audio.file import open_sound
from audiomend.audio.reader import by_position
from audiomend.detect.finding import Finding
from audiomend.report.listening import EXCERPT_SECONDS
from audiomend.report.page import Page, Region, Sound
from audiomend.restorers.inspection import Inspection
from audiomend.words import percent


def page_of(found: Inspection) -> Page:
    """The page of an inspected file, which is read again where the excerpt lies.

    Raises:
        AudioReadError: the file cannot be read again.
    """
    diagnosis = found.diagnosis
    rate, frames = diagnosis.rate, diagnosis.frames
    present = [finding for finding in diagnosis.findings if finding.is_found]
    start = _busiest(present, rate, frames)
    stop = min(start + round(EXCERPT_SECONDS * rate), frames)
    with open_sound(found.source) as file, by_position(file, frames) as reader:
        sound = Sound("As it is", reader.read(start, stop), rate, found.source)
    intervals = sorted((p.start / rate, p.stop / rate) for finding in present for p in finding.places)
    return Page(
        title=f"Inspected: {Path(found.source).name}",
        lead=_lead(present),
        sounds=[sound],
        facts=_facts(found, present),
        intervals=[Region(first, last) for first, last in intervals],
        marked="Found here",
        warnings=found.warnings,
        start=start / rate,
        duration=frames / rate,
    )


def _lead(present: list[Finding]) -> str:
    if not present:
        return "Nothing was found that would have to be mended."
    return "Found: " + "; ".join(f"{finding.damage}, {finding.summary}" for finding in present) + "."


def _facts(found: Inspection, present: list[Finding]) -> dict[str, str]:
    diagnosis = found.diagnosis
    sure = {f.damage[0].upper() + f.damage[1:]: f"{f.summary}; {percent(f.confidence)} sure" for f in present}
    return {
        **sure,
        **absent(diagnosis.findings),
        "Content": diagnosis.content.kind,
        "Length": f"{diagnosis.seconds:,.3f} s, {diagnosis.frames:,} frames",
        "Rate": f"{diagnosis.rate:,} Hz",
        "Channels": f"{diagnosis.channels}",
        "Peak": f"{diagnosis.peak:.4f} of full scale",
        "SHA-256": found.sha256,
        "audiomend": __version__,
    }


def absent(findings: Sequence[Finding]) -> dict[str, str]:
    """The damages that were not found, and those of which the recording does not tell."""
    names = [one.damage for one in findings if not one.is_found and one.is_told]
    untold = [f"{one.damage} ({one.summary})" for one in findings if not one.is_told]
    facts = {"Not found": ", ".join(names), "Not told": "; ".join(untold)}
    return {name: value for name, value in facts.items() if value}


def _busiest(present: list[Finding], rate: int, frames: int) -> int:
    """First frame of the excerpt: it begins a second before the place after which most others follow."""
    length = round(EXCERPT_SECONDS * rate)
    starts = sorted(place.start for finding in present for place in finding.places)
    if not starts or frames <= length:
        return 0
    first, best, last = starts[0], 0, 0
    for k, start in enumerate(starts):
        last = max(last, k)
        while last < len(starts) and starts[last] < start + length - 2 * rate:
            last += 1
        if last - k > best:
            first, best = start, last - k
    return min(max(first - rate, 0), frames - length)
