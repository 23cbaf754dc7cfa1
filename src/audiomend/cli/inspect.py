"""inspect: what is wrong with a recording, from the recording alone."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from audiomend.cli import batch, interrupts
from audiomend.cli.console import (
    Bar,
    as_document,
    print_json,
    print_json_list,
    printable,
    progress_bar,
    say,
    tell,
    warn,
)
from audiomend.cli.options import FILES, Force, Recursive
from audiomend.errors import UsageError
from audiomend.words import plural

if TYPE_CHECKING:
    from audiomend.detect.diagnosis import Diagnosis
    from audiomend.restorers.inspection import Inspection

EXAMPLE = (
    "Examples:\n\n  audiomend inspect old.wav\n\n"
    "  audiomend inspect old.wav --report page.html --plan plan.json\n\n"
    "  audiomend inspect side_b.flac tapes/ --recursive --json"
)
LISTED = 1000  # places of a damage that JSON lists


def inspect(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="IN...",
            help="Sound files (WAV, FLAC, AIFF, CAF, OGG, Opus, MP3) and folders of them; - reads a WAV from "
            "standard input.",
            show_default=False,
        ),
    ],
    *,
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="PAGE.html",
            help="Write a page with what was found, a spectrogram and a player.",
            show_default=False,
            rich_help_panel=FILES,
        ),
    ] = None,
    plan: Annotated[
        Path | None,
        typer.Option(
            metavar="PLAN.json",
            help="Write what would be done about it, to be read and edited.",
            show_default=False,
            rich_help_panel=FILES,
        ),
    ] = None,
    recursive: Recursive = False,
    force: Force = False,
    json: Annotated[
        bool,
        typer.Option("--json", help="Print one JSON object instead of a table.", rich_help_panel=FILES),
    ] = False,
) -> None:
    """Find out what is wrong with a recording, from the recording alone.

    Each damage has a confidence from 0 to 100%; it counts as found from 50%. IN is read once and not changed.
    """
    if len(names) > 1 or os.path.isdir(names[0]):
        for option, path in (("--report", report), ("--plan", plan)):
            if path is not None:
                raise UsageError(f"{option} is of one file, so it cannot go with several or a folder")
        _inspect_all(names, recursive, json)
    else:
        _inspect_one(names[0], report, plan, force, json)


def _inspect_one(source: str, report: Path | None, plan: Path | None, force: bool, json: bool) -> None:
    with interrupts.scratch():
        _check(source, report, plan, force=force)
        with progress_bar(f"Reading {source}") as bar:
            found = _examined(source, bar)
            if plan is not None:
                from audiomend.restorers.plan import plan_of, write_plan

                write_plan(plan_of(found.diagnosis, found.source, found.sha256), plan, force=force)
            if report is not None:
                from audiomend.report.inspection import page_of
                from audiomend.report.page import write

                bar.show(f"Writing {report}")
                write(page_of(found), report)
    for warning in found.warnings:
        warn(warning)
    if json:
        print_json("inspect", as_json(found))
    else:
        _print_table(found)


def _inspect_all(names: Sequence[str], recursive: bool, json: bool) -> None:
    """Tell of each file in turn, in JSON at the end; leaves as a batch does if some could not be read."""
    from audiomend.restorers.batch import sounds

    sources = dict.fromkeys(item.source for item in sounds(names, recursive=recursive))
    failed = 0

    def each() -> Iterator[tuple[Path, "Inspection | str"]]:
        nonlocal failed
        for source in sources:
            found = _attempted(source)
            if isinstance(found, str):
                failed += 1
                warn(found)
            else:
                for warning in found.warnings:
                    warn(f"{source}: {warning}")
            yield source, found

    if json:
        entries = (_entry(source, found) for source, found in each())
        print_json_list("inspections", "files", entries)
    else:
        for _, found in each():
            if not isinstance(found, str):
                _print_table(found)
                print(flush=True)
    counts = f"{len(sources) - failed:,} inspected" + (f", {failed:,} failed" if failed else "")
    (tell if failed else say)(f"{plural(len(sources), 'file')}, {counts}")
    batch.conclude(failed, len(sources))


def _attempted(source: Path) -> "Inspection | str":
    """What was found in a file of many, or why it could not be read."""
    from audiomend.restorers.batch import FAILURES, failure

    try:
        with interrupts.scratch(), progress_bar(f"Reading {source}") as bar:
            return _examined(str(source), bar)
    except FAILURES as error:
        return failure(source, error)


def _examined(source: str, bar: Bar) -> "Inspection":
    from audiomend.restorers.inspection import frames_of, inspect_file

    return inspect_file(source, _Watch(bar, frames_of(source)))


class _Watch:
    """Moves a progress bar on with every block."""

    def __init__(self, bar: Bar, frames: int | None) -> None:
        self._bar, self._frames, self._done = bar, frames, 0

    def add(self, samples: Any, /) -> None:
        self._done += samples.shape[1]
        if self._frames:
            self._bar.advance(min(self._done / self._frames, 1.0))


def _check(source: str, report: Path | None, plan: Path | None, *, force: bool) -> None:
    """Find out what can be found out before the file is read."""
    from audiomend.audio.atomic import PartFile
    from audiomend.audio.file import PIPE

    if source == PIPE and report is not None:
        raise UsageError("--report reads IN once more, so it cannot be -; give it a name")
    written = [path for path in (report, plan) if path is not None]
    places = [os.path.realpath(path) for path in (source, *written)]
    if len(set(places)) < len(places):
        raise UsageError("IN, PAGE.html and PLAN.json are different files")
    for path in written:
        if path.exists() and not force:
            raise UsageError(f"{path} exists; --force replaces it")
        with PartFile(path, force=force):  # the folder takes a file
            pass


def _entry(source: Path, found: "Inspection | str") -> dict[str, Any]:
    """A file of many as plain data: what was found, as `as_json` has it, or why there is nothing."""
    if isinstance(found, str):
        return {"path": str(source), "error": found}
    return {"path": str(source), "inspection": as_document("inspect", as_json(found))}


def as_json(found: "Inspection") -> dict[str, Any]:
    """All of it as plain data; times in seconds, channels from 0."""
    diagnosis = found.diagnosis
    return {
        "input": {
            "path": found.source,
            "sha256": found.sha256,
            "rate": diagnosis.rate,
            "channels": diagnosis.channels,
            "frames": diagnosis.frames,
            "peak": diagnosis.peak,
        },
        "content": {"kind": diagnosis.content.kind, "speech": round(diagnosis.content.speech, 3)},
        "findings": findings_of(diagnosis),
        "warnings": list(found.warnings),
    }


def findings_of(diagnosis: "Diagnosis") -> list[dict[str, Any]]:
    """The verdicts as plain data; places as channel from 0, start and stop in seconds."""
    return [
        {
            "damage": finding.damage,
            "found": finding.is_found,
            "confidence": round(finding.confidence, 3),
            "summary": finding.summary,
            "facts": dict(finding.facts),
            "places_s": [
                [place.channel, place.start / diagnosis.rate, place.stop / diagnosis.rate]
                for place in finding.places[:LISTED]
            ],
        }
        for finding in diagnosis.findings
    ]


def _print_table(found: "Inspection") -> None:
    from rich.console import Console
    from rich.table import Table

    diagnosis = found.diagnosis
    table = Table(box=None, pad_edge=False)
    for title, justify in (("damage", "left"), ("sure", "right"), ("", "left")):
        table.add_column(title, justify=justify, no_wrap=title != "")  # pyright: ignore[reportArgumentType]
    for finding in diagnosis.findings:
        style = "bold" if finding.is_found else "dim"
        table.add_row(finding.damage, f"{finding.confidence:.0%}", finding.summary, style=style)
    console = Console(highlight=False)
    console.print(
        f"{printable(found.source)}: {diagnosis.seconds:,.1f} s, {diagnosis.rate:,} Hz,"
        f" {plural(diagnosis.channels, 'channel')}, {diagnosis.content.kind}",
        markup=False,
        soft_wrap=True,
    )
    console.print(table)
