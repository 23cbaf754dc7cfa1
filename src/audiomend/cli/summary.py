"""What was found and what was done: in words for people, as plain data for programs."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from audiomend.cli.console import about, duration
from audiomend.words import decibels, percent, plural

if TYPE_CHECKING:
    from audiomend.audio.blocks import Assembly
    from audiomend.restorers.beside import Drawn
    from audiomend.restorers.files import Outcome, Plan, Request
    from audiomend.restorers.restoration import Restored, RestoreRequest

LISTED = 1000  # changed stretches that JSON lists
CHOSEN = ("quality", "preset", "guidance", "solver", "sampler", "seed", "strength", "device")  # by the user


def before(plan: "Plan", request: "Request") -> str:
    """What was found, and how long mending it will take."""
    found = f"{request.source}: {plan.found.summary}"
    work = f"{found}; {plan.damaged_seconds:.1f} of {plan.seconds:.1f} s to be worked on"
    return f"{work}, in {about(plan.estimate_seconds)}" if plan.estimate_seconds else work


def after(request: "Request", outcome: "Outcome") -> str:
    """What was done."""
    name = _name(request)
    if not outcome.changed:
        return _unchanged(name, outcome)
    share = outcome.changed / (outcome.survey.frames * outcome.channels)
    return (
        f"{name}: {plural(outcome.changed, 'sample')} changed ({percent(share)}), "
        f"by {_by(request, outcome)}, in {duration(outcome.seconds)}"
        f"{invented(outcome.method)}{_differing(outcome)}"
    )


def invented(*methods: str) -> str:
    """That there is invented sound in the result, if one of the methods makes some."""
    from audiomend.restorers.methods import invents

    return "; what was filled in is invented" if any(map(invents, methods)) else ""


def _by(request: "Request", outcome: "Outcome") -> str:
    """What mended, with its settings."""
    if not outcome.model:
        return f"{outcome.method} ({outcome.settings})"
    how = f"{outcome.precision}, seed {request.options.seed}"
    walked = f"{outcome.model} in {_steps(request, outcome)} ({how})"
    return walked if outcome.method == "diffusion" else f"{outcome.method}: {walked}"


def _unchanged(name: str, outcome: "Outcome") -> str:
    """That the output is the input, and what may be done about it."""
    found = outcome.plan.found
    result = f"{name} is a copy of the input" if outcome.assembly.is_copy else f"nothing was mended in {name}"
    hint = f"; {found.hint}" if found.hint else ""
    return f"{found.summary}{', so' if found.damage is None else ', but'} {result}{hint}"


def _name(request: "Request") -> str:
    return "standard output" if request.output == "-" else request.output


def _steps(request: "Request", outcome: "Outcome") -> str:
    """How many evaluations it took: a solver or a sampler may not have walks of the number asked for."""
    asked = _asked(request)
    taken = plural(outcome.steps, "step")
    return taken if asked in (None, outcome.steps) else f"{taken} ({asked:,} asked for)"


def _asked(request: "Request") -> int | None:
    from audiomend.restorers.options import QUALITY_STEPS

    options = request.options
    return options.steps or (QUALITY_STEPS[options.quality] if options.quality else None)


def _differing(outcome: "Outcome") -> str:
    if outcome.drawn is None:
        return ""
    names = f"{outcome.drawn.samples[0].path} to {outcome.drawn.samples[-1].path}"
    share = percent(outcome.drawn.share)
    return f"; of the energy of what they changed, {share} differs between the posterior samples {names}"


def warnings(request: "Request", outcome: "Outcome") -> list[str]:
    """What a user should know even if nobody watches."""
    found = [*outcome.survey.warnings, *of_assembly(request.output, outcome.assembly)]
    for sample in () if outcome.drawn is None else outcome.drawn.samples:
        found += of_assembly(sample.path, sample.assembly)
    return found + _of_steps(request, outcome)


def _of_steps(request: "Request", outcome: "Outcome") -> list[str]:
    """A published walk cut so short that it is none."""
    from audiomend.restorers.presets import find

    if request.options.preset is None or not outcome.steps:
        return []
    preset = find(request.options.preset)
    fewest = preset.fewest_steps(request.verb)
    if outcome.steps >= fewest:
        return []
    return [
        f"{request.options.preset} was published with {preset.steps(request.verb):,} steps; with fewer than "
        f"{fewest:,} (here {outcome.steps:,}) it may do worse than no preset at all"
    ]


def of_assembly(name: str, assembly: "Assembly") -> list[str]:
    """What happened to the level and the peaks of an output."""
    found = list(assembly.warnings)
    if assembly.gain < 1:
        found.append(
            f"the whole of {name} is {-decibels(assembly.gain):.2f} dB quieter (gain {assembly.gain:.4f}), "
            "so that its peaks fit; --clip-mode float keeps the level"
        )
    if assembly.clamped:
        found.append(
            f"{plural(assembly.clamped, 'sample')} clamped to full scale; --clip-mode rescale or float keeps "
            "the peaks"
        )
    return found


def as_json(request: "Request", outcome: "Outcome") -> dict[str, Any]:
    """All of it as plain data; paths as the user gave them, times in seconds."""
    rate, frames = outcome.rate, outcome.survey.frames
    return {
        "verb": request.verb,
        **files(request, outcome),
        "found": {"summary": outcome.plan.found.summary, **outcome.plan.found.facts},
        "changed": {
            "samples": outcome.changed,
            "share": outcome.changed / (frames * outcome.channels),
            "stretches": len(outcome.intervals),
            "stretches_s": in_seconds(outcome.intervals[:LISTED], rate),
        },
        "settings": {
            **{name: getattr(request.options, name) for name in CHOSEN},
            "regions": list(request.regions),
            "clip_mode": request.clip_mode,
            "method": outcome.method or request.options.method,
            "method_settings": outcome.settings or None,
            "model": outcome.model or None,
            "steps": outcome.steps,
            "steps_asked": _asked(request),
            "started_from": outcome.started_from or None,
            "precision": outcome.precision or None,
        },
        "residue": request.residue,
        "samples": _samples(outcome.drawn),
        "previews": list(outcome.previews),
        "estimate_s": outcome.plan.estimate_seconds,
        "seconds": outcome.seconds,
        "warnings": warnings(request, outcome) + ([] if outcome.changed else [after(request, outcome)]),
    }


def files(request: "Request | RestoreRequest", outcome: "Outcome | Restored") -> dict[str, Any]:
    """Input and output as plain data."""
    survey, assembly = outcome.survey, outcome.assembly
    return {
        "input": {
            "path": request.source,
            "sha256": outcome.input_sha256,
            "rate": outcome.rate,
            "channels": outcome.channels,
            "frames": survey.frames,
            "peak": survey.peak,
        },
        "output": {
            "path": request.output,
            "sha256": outcome.output_sha256,
            "container": assembly.format.container,
            "subtype": assembly.format.subtype,
            "gain": assembly.gain,
            "clamped_samples": assembly.clamped,
        },
    }


def _samples(drawn: "Drawn | None") -> dict[str, Any] | None:
    """Posterior samples, and the share of the energy of what was changed that differs between them."""
    if drawn is None:
        return None
    files = [
        {
            "path": sample.path,
            "seed": sample.seed,
            "sha256": sample.sha256,
            "gain": sample.assembly.gain,
            "clamped_samples": sample.assembly.clamped,
        }
        for sample in drawn.samples
    ]
    return {"share": drawn.share, "started_from": drawn.started_from, "files": files}


def in_seconds(intervals: Sequence[tuple[int, int]], rate: int) -> list[tuple[float, float]]:
    """Frames as seconds."""
    return [(start / rate, stop / rate) for start, stop in intervals]
