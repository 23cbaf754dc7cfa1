"""restore: what is wrong is found and mended, in the order that does the least harm."""

import functools
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from audiomend.cli import batch, console, interrupts, mend, summary
from audiomend.cli.console import Bar, about, duration, print_json, progress_bar, say, warn
from audiomend.cli.offline import forbid_network
from audiomend.cli.options import HOW, Names, Settings, takes
from audiomend.errors import Cancelled, UsageError
from audiomend.words import beside, percent, plural

if TYPE_CHECKING:
    from audiomend.detect.diagnosis import Diagnosis
    from audiomend.restorers.batch import Done
    from audiomend.restorers.plan import MendingPlan, Stage
    from audiomend.restorers.restoration import Restored, RestoreRequest

EXAMPLE = (
    "Examples:\n\n  audiomend restore old.wav new.wav --report page.html\n\n"
    "  audiomend inspect old.wav --plan plan.json\n\n"
    "  audiomend restore old.wav new.wav --plan plan.json --skip band\n\n"
    "  audiomend restore tapes/ -o mended/ --recursive --jobs 2"
)
TAKEN = (
    *("region", "model", "quality", "seed", "strength", "residue", "report", "output_dir", "recursive"),
    *("jobs", "clip_mode", "force", "json", "precision", "threads", "device", "offline"),
)
Stages = Annotated[
    list[str] | None,
    typer.Option(
        metavar="STAGE",
        help="declip, offset, declick, gaps or band; repeatable.",
        show_default=False,
        rich_help_panel=HOW,
    ),
]


@takes(Settings, *TAKEN)
def restore(
    names: Names,
    *,
    settings: Settings,
    plan: Annotated[
        Path | None,
        typer.Option(
            metavar="PLAN.json",
            help="Do what it says, as `audiomend inspect --plan` wrote it and you may have changed it.",
            show_default="what is found in IN",
            rich_help_panel=HOW,
        ),
    ] = None,
    only: Stages = None,
    skip: Stages = None,
) -> None:
    """Find out what is wrong with a recording, and mend it.

    Clipping, an offset, clicks, gaps and a missing band are mended, in this order; hum, noise and rooms are
    named, but not mended yet. What is not damaged stays as it is, to the bit.
    """
    if settings.offline:
        forbid_network()
    if settings.output_dir is not None:
        _restore_all(names, settings.output_dir, settings, plan, only or (), skip or ())
    else:
        _restore_one(*mend.in_and_out(names, settings), settings, plan, only or (), skip or ())


def _restore_one(
    source: str,
    output: str,
    settings: Settings,
    plan: Path | None,
    only: Sequence[str],
    skip: Sequence[str],
) -> None:
    with interrupts.scratch():
        mend.check_paths(source, output, settings)
        with progress_bar(f"Reading {source}") as bar:
            from audiomend.restorers.frame import threads
            from audiomend.restorers.restoration import restore_file

            request = _request(source, output, settings, plan, only, skip)
            announce = functools.partial(_announce, source)
            with threads(settings.threads):
                foretold = _foretell if console.is_interactive() else None
                restored = restore_file(request, announce, functools.partial(_show, bar), foretold)
            if settings.report is not None:
                bar.show(f"Writing {settings.report}")
                _report(request, restored, settings.report)
    for warning in warnings(request, restored):
        warn(warning)
    if restored.changed:  # else a warning says so
        say(after(request, restored))
    if settings.json:
        print_json("restore", as_json(request, restored))


def _restore_all(
    names: Sequence[str],
    folder: Path,
    settings: Settings,
    plan: Path | None,
    only: Sequence[str],
    skip: Sequence[str],
) -> None:
    batch.check(names, settings)
    if plan is not None:
        raise UsageError("--plan is made for one file, so it cannot go with -o")
    card = mend.check_names(settings)
    from audiomend.restorers.batch import settings_sha256

    request = _request("", "", settings, None, only, skip)
    work = functools.partial(restore_one, request, settings.threads)
    batch.run("restore", names, folder, work, settings_sha256(request, card), settings)


def restore_one(
    request: "RestoreRequest", count: int | None, source: Path, output: Path, force: bool
) -> "Done":
    """Restore one file of a batch as `request` says, with so many threads, in whatever process."""
    from dataclasses import replace

    from audiomend.restorers.batch import Done
    from audiomend.restorers.frame import threads
    from audiomend.restorers.restoration import restore_file

    begun = time.monotonic()
    own = replace(request, source=str(source), output=str(output), force=force)
    with threads(count):
        restored = restore_file(own)
    return Done(
        message=after(own, restored),
        changed=restored.changed > 0,
        output_sha256=restored.output_sha256,
        seconds=time.monotonic() - begun,
        warnings=tuple(warnings(own, restored)),
    )


def _request(
    source: str,
    output: str,
    settings: Settings,
    plan: Path | None,
    only: Sequence[str],
    skip: Sequence[str],
) -> "RestoreRequest":
    from audiomend.restorers.options import Options
    from audiomend.restorers.plan import read_plan
    from audiomend.restorers.restoration import RestoreRequest

    return RestoreRequest(
        source=source,
        output=output,
        options=Options(
            model=settings.model,
            quality=settings.quality,
            seed=settings.seed,
            strength=settings.strength,
            precision=settings.precision,
            device=settings.device,
        ),
        plan=None if plan is None else read_plan(plan),
        only=tuple(only),
        skip=tuple(skip),
        regions=tuple(settings.region or ()),
        clip_mode=settings.clip_mode,
        residue=None if settings.residue is None else str(settings.residue),
        force=settings.force,
    )


def _announce(source: str, diagnosis: "Diagnosis", plan: "MendingPlan", wanted: Sequence["Stage"]) -> None:
    del plan
    found = [f"{one.damage} ({one.summary})" for one in diagnosis.findings if one.is_found]
    say(f"{source}: {'; '.join(found) or 'nothing is wrong with it'}")
    say(f"Stages: {', '.join(stage.stage for stage in wanted) or 'none, there is nothing to mend'}")


def _foretell(stage: "Stage", seconds: float) -> None:
    if seconds:
        say(f"{stage.stage}: {about(seconds)}")


def _show(bar: Bar, stage: "Stage", share: float) -> None:
    if share == 0:
        bar.show(stage.stage)
    bar.advance(share)


def _report(request: "RestoreRequest", restored: "Restored", page: Path) -> None:
    from audiomend.report.page import write
    from audiomend.report.restoration import page_of

    try:
        write(page_of(request, restored), page)
    except KeyboardInterrupt:
        raise Cancelled(f"Interrupted: {request.output} is whole, {page} was not written") from None


def warnings(request: "RestoreRequest", restored: "Restored") -> list[str]:
    """What a user should know even if nobody watches."""
    found = [*restored.survey.warnings, *summary.of_assembly(request.output, restored.assembly)]
    if missing := [stage for stage in restored.left if not stage.enabled]:
        names = ", ".join(f"{stage.stage} ({stage.reason})" for stage in missing)
        found.append(f"found, but left: {names}")
    gaps = next(one for one in restored.diagnosis.findings if one.damage == "gaps")
    if soft := cast(int, gaps.facts["soft_count"]):
        silence = plural(soft, "stretch", "stretches")
        found.append(f"left: {silence} of silence in what is soft, as a gate makes; inpaint fills them")
    if not restored.changed:
        copy = "a copy of the input" if restored.assembly.format.is_exact else "the input, encoded anew"
        found.append(f"nothing {'was mended' if missing else 'to mend'}; {request.output} is {copy}")
    return found


def after(request: "RestoreRequest", restored: "Restored") -> str:
    """What was done."""
    if not restored.changed:
        return f"{request.output}: nothing to mend"
    stages = ", ".join(f"{one.stage.stage} by {one.method}" for one in restored.done if one.changed)
    methods = [one.method for one in restored.done if one.changed]
    share = restored.changed / (restored.survey.frames * restored.channels)
    return (
        f"{request.output}: {stages}; {plural(restored.changed, 'sample')} changed"
        f" ({percent(share)}), residue {beside(restored.residue_db)} the input"
        f" in {duration(restored.seconds)}{summary.invented(*methods)}"
    )


def as_json(request: "RestoreRequest", restored: "Restored") -> dict[str, Any]:
    """All of it as plain data; paths as the user gave them, times in seconds."""
    import json

    from audiomend.cli.inspect import findings_of
    from audiomend.restorers.plan import to_json

    rate, frames = restored.rate, restored.survey.frames
    return {
        **summary.files(request, restored),
        "findings": findings_of(restored.diagnosis),
        "plan": json.loads(to_json(restored.plan)),
        "done": [
            {
                "stage": one.stage.stage,
                "method": one.method or None,
                "settings": one.settings or None,
                "changed_samples": one.changed,
                "stretches": len(one.intervals),
                "stretches_s": summary.in_seconds(one.intervals[: summary.LISTED], rate),
                "level_db": _finite(one.level_db),
                "seconds": one.seconds,
            }
            for one in restored.done
        ],
        "left": [stage.stage for stage in restored.left],
        "changed": {
            "samples": restored.changed,
            "share": restored.changed / (frames * restored.channels),
            "stretches": len(restored.intervals),
            "stretches_s": summary.in_seconds(restored.intervals[: summary.LISTED], rate),
            "residue_db": _finite(restored.residue_db),
        },
        "residue": request.residue,
        "seconds": restored.seconds,
        "warnings": warnings(request, restored),
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
