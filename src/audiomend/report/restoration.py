"""The page about one restored file: what was found, what each stage did, how it sounds before and after."""

from pathlib import Path

from audiomend import __version__
from audiomend.detect.finding import Place
from audiomend.report.comparison import compared
from audiomend.report.inspection import absent
from audiomend.report.page import Page, Region
from audiomend.restorers.damage import near
from audiomend.restorers.methods import invents
from audiomend.restorers.plan import DAMAGES
from audiomend.restorers.regions import merge
from audiomend.restorers.restoration import Restored, RestoreRequest
from audiomend.restorers.stages import Done
from audiomend.words import beside, decibels, percent

INVENTED = "What stands in the place of what was lost is invented: likely sound, not the lost one."


def page_of(request: RestoreRequest, restored: Restored) -> Page:
    """The page of a file that `restore_file` has mended. Both files are read again, in blocks.

    Args:
        request: what was asked; its source and output are files, and not the same one.
        restored: what came of it.

    Raises:
        AudioReadError: a file cannot be read again.
    """
    rate, frames = restored.rate, restored.survey.frames
    with compared(request.source, request.output, frames, restored.assembly.gain) as both:
        start, sounds = both.start, both.sounds
    return Page(
        title=f"Restored: {Path(request.output).name}",
        lead=_lead(restored),
        sounds=sounds,
        facts=_facts(request, restored),
        intervals=[Region(first / rate, end / rate) for first, end in restored.intervals],
        left=[Region(place.start / rate, place.stop / rate) for place in _places_left(restored)],
        warnings=[*restored.survey.warnings, *restored.assembly.warnings, *_left(restored)],
        start=start / rate,
        duration=frames / rate,
    )


def _lead(restored: Restored) -> str:
    found = [f"{one.damage}, {one.summary}" for one in restored.diagnosis.findings if one.is_found]
    said = f"Found: {'; '.join(found)}." if found else "Nothing was found that would have to be mended."
    if not restored.changed:
        return f"{said} Nothing was changed."
    share = restored.changed / (restored.survey.frames * restored.channels)
    invented = f" {INVENTED}" if any(invents(one.method) for one in restored.done if one.changed) else ""
    return (
        f"{said} {restored.changed:,} samples were changed, {percent(share)} of all; the energy of the change"
        f" is {beside(restored.residue_db)} that of the input.{invented}"
    )


def _facts(request: RestoreRequest, restored: Restored) -> dict[str, str]:
    options, assembly = request.options, restored.assembly
    sure = {
        f"Found: {one.damage}": f"{one.summary}; {percent(one.confidence)} sure"
        for one in restored.diagnosis.findings
        if one.is_found
    }
    facts = {
        **sure,
        **absent(restored.diagnosis.findings),
        **{f"Stage {k}: {one.stage.stage}": _stage(one) for k, one in enumerate(restored.done, 1)},
        "Not done": ", ".join(stage.stage for stage in restored.left),
        "Input": request.source,
        "SHA-256 of the input": restored.input_sha256,
        "Output": request.output,
        "SHA-256 of the output": restored.output_sha256,
        "Format": f"{assembly.format.container} {assembly.format.subtype}, {restored.rate:,} Hz, "
        f"channels: {restored.channels}, frames: {restored.survey.frames:,}",
        "Gain": f"{assembly.gain:.4f} ({decibels(assembly.gain):.2f} dB), clip mode {request.clip_mode}",
        "Residue": request.residue or "",
        "Regions": ", ".join(request.regions) or "everywhere",
        "Settings": f"strength {options.strength:g}, quality {options.quality or 'balanced'}, seed"
        f" {options.seed}",
        "Time": f"{restored.seconds:.1f} s",
        "Made by": f"audiomend {__version__}",
    }
    return {name: value for name, value in facts.items() if value}


def _stage(done: Done) -> str:
    if not done.changed:
        return f"nothing changed. Why it was looked at: {done.stage.reason}"
    return (
        f"{done.method} ({done.settings}): {done.changed:,} samples, a change {beside(done.level_db)} the"
        f" sound, in {done.seconds:.1f} s. Why: {done.stage.reason}"
    )


def _places_left(restored: Restored) -> list[Place]:
    """Where damage was found and no stage that could mend it changed a sample.

    Clicks may go with the peaks; if a curve was undone, which changes all, none is told to be left.
    """
    left = list[Place]()
    for finding in restored.diagnosis.findings:
        if finding.is_found and finding.places:
            able = {stage for stage, damages in DAMAGES.items() if finding.damage in damages}
            able |= {"declip"} if finding.damage == "clicks" else set()
            mended = merge(run for one in restored.done if one.stage.stage in able for run in one.intervals)
            left += [place for place in finding.places if not near(mended, place.start, place.stop)]
    return sorted(left, key=lambda place: place.start)


def _left(restored: Restored) -> list[str]:
    """Damage that was found and stays."""
    return [f"Not mended: {stage.stage}, {stage.reason}." for stage in restored.left if not stage.enabled]
