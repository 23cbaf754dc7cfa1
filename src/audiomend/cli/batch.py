"""Many files by one command: `-o DIR`."""

import functools
import os
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import typer

from audiomend.cli import interrupts, summary
from audiomend.cli.console import as_typed, print_json, progress_bar, say, tell, warn
from audiomend.cli.options import Settings
from audiomend.errors import OptionError, UsageError
from audiomend.words import plural

if TYPE_CHECKING:
    from audiomend.restorers.batch import Done, Item, Work
    from audiomend.restorers.files import Request
    from audiomend.restorers.manifest import Row

PARTIAL = 3  # exit code: some files failed and some did not
_SEMAPHORES = "ignore:resource_tracker"
_OF_ONE_FILE = ("residue", "report", "preview_steps")


def check(sources: Sequence[str], settings: Settings) -> None:
    """Refuse what makes sense for one file only.

    Raises:
        UsageError: such an option, or a pipe.
    """
    for name in _OF_ONE_FILE:
        if getattr(settings, name) is not None:
            raise UsageError(f"--{name.replace('_', '-')} names one file, so it cannot go with -o")
    if "-" in sources:
        raise UsageError("a pipe has no name, so it cannot go with -o")


def run(
    verb: str,
    sources: Sequence[str],
    folder: Path,
    work: "Work",
    digest: str,
    settings: Settings,
    in_words: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Work on files and folders into a folder; leaves with PARTIAL if some failed, 1 if all did.

    Args:
        work: does one file; a function of a module, with what it needs filled in.
        digest: of all that the outputs follow from besides their inputs.
        in_words: what states of files are called.
    """
    from audiomend.restorers.batch import items, run_batch

    wanted = items(sources, folder, recursive=settings.recursive)
    # Interrupted, this process leaves its semaphores to the one that multiprocessing has for that, which
    # removes them and complains.
    os.environ["PYTHONWARNINGS"] = ",".join(filter(None, (os.environ.get("PYTHONWARNINGS"), _SEMAPHORES)))
    done = Counter[str]()
    told: list[tuple[Row, Done | None]] = []
    with progress_bar(f"{verb}: {plural(len(wanted), 'file')}") as bar:

        def finished(item: "Item", row: "Row", what: "Done | None") -> None:
            told.append((row, what))
            done["done before" if what is None else in_words.get(row.state, row.state)] += 1
            _tell(item, row, what)
            bar.advance(len(told) / len(wanted))

        rows = run_batch(
            functools.partial(_named_as_typed, work),
            wanted,
            folder,
            digest,
            jobs=settings.jobs,
            force=settings.force,
            begin=functools.partial(_begin, settings.jobs),
            tell=finished,
        )
    counts = ", ".join(f"{count:,} {words}" for words, count in done.items())
    (tell if done["failed"] else say)(f"{folder}: {plural(len(wanted), 'file')}, {counts}")
    if settings.json:
        print_json("batch", _as_json(verb, folder, told))
    conclude(done["failed"], len(rows))


def conclude(failed: int, count: int) -> None:
    """End the command with PARTIAL if some of so many files failed, with 1 if all did."""
    if failed:
        raise typer.Exit(PARTIAL if failed < count else 1)


def mend_one(request: "Request", count: int | None, source: Path, output: Path, force: bool) -> "Done":
    """Mend one file of a batch as `request` says, with so many threads, in whatever process."""
    from audiomend.restorers.batch import Done
    from audiomend.restorers.files import mend_file
    from audiomend.restorers.frame import threads

    begun = time.monotonic()
    own = replace(request, source=str(source), output=str(output), force=force)
    with threads(count):
        outcome = mend_file(own)
    return Done(
        message=summary.after(own, outcome),
        changed=outcome.changed > 0,
        output_sha256=outcome.output_sha256,
        seconds=time.monotonic() - begun,
        warnings=tuple(summary.warnings(own, outcome)),
    )


def _named_as_typed(work: "Work", source: Path, output: Path, force: bool) -> "Done":
    try:
        return work(source, output, force)
    except OptionError as error:
        raise as_typed(error) from None


def _begin(jobs: int) -> None:
    """In each further process: its share of the cores, and an end that leaves nothing behind."""
    import torch

    from audiomend.tuning import tune_process

    interrupts.arm_worker()
    tune_process()
    torch.set_num_threads(max(1, torch.get_num_threads() // jobs))


def _tell(item: "Item", row: "Row", done: "Done | None") -> None:
    for warning in () if done is None else done.warnings:
        warn(f"{item.source}: {warning}")
    if row.state == "failed":
        warn(row.message)
    else:
        say(row.message if done is not None else f"{item.source} was done before")


def _as_json(verb: str, folder: Path, told: Sequence[tuple["Row", "Done | None"]]) -> dict[str, object]:
    files = [
        {
            **{name: value for name, value in vars(row).items() if name != "settings_sha256"},
            "done_before": done is None,
            "warnings": [] if done is None else list(done.warnings),
        }
        for row, done in told
    ]
    return {"verb": verb, "folder": str(folder), "files": files}
