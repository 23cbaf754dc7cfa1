"""The page about one mended file: what was found, what was done to it, and how it sounds before and after."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from audiomend import __version__
from audiomend.audio.file import open_sound
from audiomend.audio.formats import Format, is_refinement
from audiomend.audio.reader import by_position
from audiomend.report.comparison import compared
from audiomend.report.coverage import held
from audiomend.report.differing import Differing
from audiomend.report.page import Page, Region, Sound
from audiomend.restorers.files import Outcome, Request
from audiomend.restorers.methods import INVERSE, invents
from audiomend.restorers.options import Options
from audiomend.words import decibels, percent

LISTED = 5  # values of a finding that are written out
TITLES = {
    "declip": "Declipped",
    "declick": "Clicks removed",
    "inpaint": "Gaps filled",
    "extend": "Treble extended",
}
INVENTED = {
    "declip": "What lies beyond the clip level is invented: likely peaks, not the lost ones."
    " All other samples are those of the input.",
    "declick": "What stands in the place of a click is interpolated from the sound on either side."
    " All other samples are those of the input.",
    "inpaint": "What stands in the gaps is invented: likely sound, not the lost one."
    " All other samples are those of the input.",
    "extend": "The band above the cut-off is invented: likely sound, not the lost one."
    " The band below it is that of the input, but for where the two meet.",
}
STRAIGHTENED = "The curve that had bent the sound is inverted, which moves all samples but the soft ones."
FLAT = "What it had made flat is invented: likely peaks, not the lost ones."
UNITS = {"hz": "Hz", "s": "s", "db": "dB"}  # at the end of a finding's name


def page_of(request: Request, outcome: Outcome) -> Page:
    """The page of a file that `mend_file` has mended. Both files are read again, in blocks.

    Args:
        request: what was asked; its source and output are files, and not the same one.
        outcome: what came of it.

    Raises:
        AudioReadError: a file cannot be read again.
    """
    rate, frames = outcome.rate, outcome.survey.frames
    with compared(request.source, request.output, frames, outcome.assembly.gain) as both:
        samples = _samples(outcome, both.start, both.stop)
        runs = list(outcome.intervals)
        if request.verb != "extend" and outcome.assembly.format.is_exact:  # else every sample differs
            runs = both.changed(_tolerance(both.format, outcome))
    low_hz = outcome.plan.found.facts.get("cutoff_hz", 0.0)
    return Page(
        title=f"{TITLES[request.verb]}: {Path(request.output).name}",
        lead=f"{_found(outcome)}. {_done(request.verb, outcome)}",
        sounds=[*both.sounds, *samples],
        samples=_differing(request, outcome, samples) if samples else None,
        facts=_facts(request, outcome),
        intervals=[Region(first / rate, end / rate, low_hz=low_hz) for first, end in runs],
        warnings=[*outcome.survey.warnings, *outcome.assembly.warnings, *_losses(outcome)],
        start=both.start / rate,
        duration=frames / rate,
    )


def _samples(outcome: Outcome, start: int, stop: int) -> list[Sound]:
    """The posterior samples' part of the excerpt."""
    sounds = list[Sound]()
    for number, sample in enumerate(() if outcome.drawn is None else outcome.drawn.samples, 1):
        with open_sound(sample.path) as file, by_position(file, outcome.survey.frames) as reader:
            note = f"{sample.path}, seed {sample.seed}"
            sounds.append(Sound(f"Sample {number}", reader.read(start, stop), outcome.rate, note))
    return sounds


def _differing(request: Request, outcome: Outcome, samples: Sequence[Sound]) -> Differing:
    """All samples at the level of the input, and what is known of their band."""
    gains = [] if outcome.drawn is None else [one.assembly.gain for one in outcome.drawn.samples]
    rows = [sound.audio / gain for sound, gain in zip(samples, gains, strict=True)]
    return Differing(np.stack(rows), held(outcome.model, request.verb))


def _tolerance(source: Format, outcome: Outcome) -> float:
    """Samples that differ by no more than rounding count as equal."""
    chosen, gain = outcome.assembly.format, outcome.assembly.gain
    is_copy = gain == 1 and is_refinement(chosen, source)
    return 0.0 if is_copy else 2.0 ** (1 - chosen.bits) / gain


def _found(outcome: Outcome) -> str:
    found = outcome.plan.found
    if found.damage is None:
        return found.summary[:1].upper() + found.summary[1:]
    return f"Found: {found.summary}"


def _done(verb: str, outcome: Outcome) -> str:
    if not outcome.changed:
        return "Nothing was changed."
    share = outcome.changed / (outcome.survey.frames * outcome.channels)
    return (
        f"{outcome.changed:,} samples were changed, {percent(share)} of {_of_all(outcome)}."
        f" {_invented(verb, outcome.method)}"
    )


def _invented(verb: str, method: str) -> str:
    if not method.startswith(INVERSE):
        return INVENTED[verb]
    return f"{STRAIGHTENED} {FLAT}" if invents(method) else STRAIGHTENED


def _of_all(outcome: Outcome) -> str:
    return "all samples" if outcome.channels == 1 else f"all samples of {outcome.channels} channels"


def _losses(outcome: Outcome) -> list[str]:
    """What the format of the output did to level and peaks."""
    assembly, found = outcome.assembly, list[str]()
    if assembly.gain < 1:
        found.append(f"The whole file is {-decibels(assembly.gain):.2f} dB quieter, so that its peaks fit.")
    if assembly.clamped:
        found.append(f"{assembly.clamped:,} samples were clamped to full scale.")
    return found


def _facts(request: Request, outcome: Outcome) -> dict[str, str]:
    options, assembly, found = request.options, outcome.assembly, outcome.plan.found.facts
    facts = {
        "Input": request.source,
        "SHA-256 of the input": outcome.input_sha256,
        "Output": request.output,
        "SHA-256 of the output": outcome.output_sha256,
        "Format": f"{assembly.format.container} {assembly.format.subtype}, {outcome.rate:,} Hz, "
        f"channels: {outcome.channels}, frames: {outcome.survey.frames:,}",
        "Gain": f"{assembly.gain:.4f} ({decibels(assembly.gain):.2f} dB), clip mode {request.clip_mode}",
        "Residue": request.residue or "",
        **{f"Found: {_named(name)}": _words(value) for name, value in found.items()},
        "Regions": ", ".join(request.regions) or "everywhere",
        "Method": outcome.method and f"{outcome.method}: {outcome.settings}",
        "Model": outcome.model or "none was needed",
        "Settings": ", ".join(_settings(outcome, options)),
        "Preset": options.preset or "",
        "Chosen": ", ".join(f"{what} {name}" for what, name in options.changes.items()),
        "Started from": _started_from(outcome),
        "Seed": str(options.seed) if outcome.model else "",
        "Posterior samples": _of_samples(outcome),
        "Time": f"{outcome.seconds:.1f} s",
        "Made by": f"audiomend {__version__}",
    }
    return {name: value for name, value in facts.items() if value}


def _started_from(outcome: Outcome) -> str:
    if outcome.drawn is None:
        return outcome.started_from
    return f"{outcome.started_from} (the output; the posterior samples say themselves)"


def _settings(outcome: Outcome, options: Options) -> Iterator[str]:
    if outcome.model:
        yield f"{outcome.steps:,} steps"
    yield f"strength {options.strength:g}"
    if outcome.model:
        yield f"precision {outcome.precision}"


def _of_samples(outcome: Outcome) -> str:
    if outcome.drawn is None:
        return ""
    drawn = outcome.drawn
    first, last = drawn.samples[0].seed, drawn.samples[-1].seed
    return (
        f"{len(drawn.samples)}, seeds {first} to {last}, started from {drawn.started_from};"
        f" {percent(drawn.share)} of the energy of what they changed, in the whole file, differs between them"
    )


def _named(name: str) -> str:
    """The name of a finding as text: cutoff_hz is cutoff, Hz."""
    *words, last = name.split("_")
    return f"{' '.join(words)}, {UNITS[last]}" if words and last in UNITS else name.replace("_", " ")


def _words(value: Any) -> str:
    """A finding as text; of long lists the beginning."""
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list | tuple):
        more = f" and {len(value) - LISTED} more" if len(value) > LISTED else ""
        return ", ".join(_words(entry) for entry in value[:LISTED]) + more
    return "none" if value is None else str(value)
