"""declip, declick, inpaint, extend."""

import functools
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from audiomend.cli import batch, interrupts, summary
from audiomend.cli.console import Bar, print_json, progress_bar, say, warn
from audiomend.cli.offline import forbid_network
from audiomend.cli.options import (
    WHERE,
    WITHOUT_PRIOR,
    Bands,
    DeclickMethod,
    DeclipMethod,
    ExtendMethod,
    Gap,
    InpaintMethod,
    Names,
    Settings,
    takes,
)
from audiomend.errors import Cancelled, UsageError

if TYPE_CHECKING:
    from audiomend.models.card import Card
    from audiomend.restorers.files import Outcome, Plan, Request
    from audiomend.restorers.locate import Given

PIPE = "-"


def add_to(app: typer.Typer) -> None:
    """Add the four verbs."""
    app.command(
        epilog="Examples:\n\n"
        "  audiomend declip clipped.wav mended.wav\n\n"
        "  audiomend declip loud.flac mended.flac --quality best --report page.html"
    )(declip)
    app.command(
        epilog="Examples:\n\n"
        "  audiomend declick record.wav mended.wav\n\n"
        "  audiomend declick record.flac mended.flac --residue clicks.wav --report page.html"
    )(declick)
    app.command(
        epilog="Examples:\n\n"
        "  audiomend inpaint dropouts.wav mended.wav\n\n"
        "  audiomend inpaint tape.wav mended.wav --gap 1.20-1.45 --gap 0:01:23.4-0:01:23.6\n\n"
        "  audiomend inpaint whistle.wav mended.wav --band 2k-6k --region 1.2-1.8"
    )(inpaint)
    app.command(
        epilog="Examples:\n\n"
        "  audiomend extend dull.wav bright.wav\n\n"
        "  audiomend extend dull.wav bright.wav --cutoff-hz 8000 --region 12.0-15.5"
    )(extend)


@takes(Settings)
def declip(
    names: Names,
    *,
    settings: Settings,
    method: DeclipMethod = "auto",
    clip_level: Annotated[
        float | None,
        typer.Option(
            metavar="LEVEL",
            help="Samples whose magnitude reaches it are clipped; above 0, full scale is 1.",
            show_default="found, for each channel and polarity",
            rich_help_panel=WHERE,
        ),
    ] = None,
) -> None:
    """Restore the peaks that clipping cut off, or the sound that a curve has bent.

    Where it was clipped hard, samples that are not clipped stay as they are, to the bit. Soft clipping, as a
    valve or a tape does it, moves every loud sample: its curve is found and inverted.
    """
    _mend("declip", names, settings, method, clip_level=clip_level)


@takes(Settings, *WITHOUT_PRIOR)
def declick(names: Names, *, settings: Settings, method: DeclickMethod = "auto") -> None:
    """Remove clicks and crackle.

    A few samples that what is around them does not predict are taken out and interpolated; all others stay
    as they are, to the bit. Drums and consonants are left alone.
    """
    _mend("declick", names, settings, method)


@takes(Settings)
def inpaint(
    names: Names, *, settings: Settings, method: InpaintMethod = "auto", gap: Gap = None, band: Bands = None
) -> None:
    """Fill gaps: dropouts, cuts, stretches that are lost.

    Samples outside the gaps stay as they are, to the bit. With --band, what a whistle or a cough
    covers in one band is replaced, and the sound outside the band stays; name 10 ms more than it lasts on
    either side, where the two are mixed.
    """
    _mend("inpaint", names, settings, method, gaps=tuple(gap or ()), bands=tuple(band or ()))


@takes(Settings)
def extend(
    names: Names,
    *,
    settings: Settings,
    method: ExtendMethod = "auto",
    cutoff_hz: Annotated[
        float | None,
        typer.Option(
            metavar="HZ",
            help="Where the sound ends, from 20 Hz to below half the sample rate.",
            show_default="found by its edge",
            rich_help_panel=WHERE,
        ),
    ] = None,
) -> None:
    """Invent the band above a cut-off, where a recording is dull.

    The band below the cut-off stays as it is, but for where the two meet.
    """
    _mend("extend", names, settings, method, cutoff_hz=cutoff_hz)


def _mend(
    verb: str,
    names: Sequence[str],
    settings: Settings,
    method: str,
    *,
    clip_level: float | None = None,
    gaps: tuple[str, ...] = (),
    bands: tuple[str, ...] = (),
    cutoff_hz: float | None = None,
) -> None:
    if settings.offline:
        forbid_network()
    _check_published(verb, method, settings)

    def request(source: str = "", output: str = "") -> "Request":
        from audiomend.restorers.bands import parse_bands
        from audiomend.restorers.locate import Given

        given = Given(clip_level=clip_level, bands=parse_bands(bands), cutoff_hz=cutoff_hz)
        return _request(verb, source, output, settings, method, given, gaps)

    if settings.output_dir is not None:
        batch.check(names, settings)
        card = check_names(settings)
        from audiomend.restorers.batch import settings_sha256

        asked = request()
        work = functools.partial(batch.mend_one, asked, settings.threads)
        batch.run(verb, names, settings.output_dir, work, settings_sha256(asked, card), settings)
    else:
        _mend_one(*in_and_out(names, settings), request, settings)


def in_and_out(names: Sequence[str], settings: Settings) -> tuple[str, str]:
    """IN and OUT.

    Raises:
        UsageError: there are not two names, or an option is for many files.
    """
    if settings.recursive or settings.jobs != 1:
        raise UsageError("--recursive and --jobs are for many files, so they need -o DIR")
    if len(names) != 2:
        what = "Missing argument 'OUT'" if len(names) < 2 else f"{len(names)} names are too many"
        raise UsageError(f"{what}: give IN and OUT, or any number of files and folders with -o DIR")
    return names[0], names[1]


def _mend_one(source: str, output: str, asked: Callable[[str, str], "Request"], settings: Settings) -> None:
    with interrupts.scratch():
        check_paths(source, output, settings)
        with progress_bar(f"Opening {source}") as bar:
            from audiomend.restorers.files import mend_file
            from audiomend.restorers.frame import threads

            request = asked(source, output)
            bar.show(f"Reading {source}")
            with threads(settings.threads):
                outcome = mend_file(request, lambda plan: _announce(plan, request, bar), bar.advance)
            if settings.report is not None:
                bar.show(f"Writing {settings.report}")
                _report(request, outcome, settings.report)
    _conclude(request, outcome, settings)


def _request(
    verb: str,
    source: str,
    output: str,
    settings: Settings,
    method: str,
    given: "Given",
    gaps: tuple[str, ...],
) -> "Request":
    from audiomend.restorers.files import Request
    from audiomend.restorers.options import Options

    return Request(
        verb=verb,
        source=source,
        output=output,
        options=Options(
            method=method,
            model=settings.model,
            quality=settings.quality,
            steps=settings.steps,
            preset=settings.preset,
            guidance=settings.guidance,
            solver=settings.solver,
            sampler=settings.sampler,
            seed=settings.seed,
            strength=settings.strength,
            precision=settings.precision,
            device=settings.device,
        ),
        given=given,
        regions=tuple(settings.region or ()),
        gaps=gaps,
        clip_mode=settings.clip_mode,
        residue=None if settings.residue is None else str(settings.residue),
        samples=settings.samples,
        previews=None if settings.preview_steps is None else str(settings.preview_steps),
        force=settings.force,
    )


def check_paths(source: str, output: str, settings: Settings) -> None:
    """Find out what can be found out at once, before torch is loaded."""
    from audiomend.audio.file import open_sound
    from audiomend.audio.output import check_output
    from audiomend.restorers.beside import sample_paths

    if output == PIPE and settings.json:
        raise UsageError("With OUT - the sound goes to standard output, so --json cannot; give OUT a name")
    if settings.report is not None:
        if PIPE in (source, output):
            raise UsageError("--report reads IN and OUT once more, so neither can be -; give them names")
        others = [source, output, settings.residue, *sample_paths(output, settings.samples)]
        _check_report(settings.report, others, force=settings.force)
    check_names(settings)
    if source != PIPE:  # a pipe can be read only once
        with open_sound(source) as sound:
            check_output(output, sound, force=settings.force, clip_mode=settings.clip_mode)


def check_names(settings: Settings) -> "Card":
    """Of the preset and the model, whose card is given back.

    Raises:
        UsageError, ModelError: there is none by that name.
    """
    from audiomend.models.store import card_of
    from audiomend.restorers.presets import PUBLISHED, find

    if settings.preset not in (None, PUBLISHED):
        find(settings.preset)
    return card_of(settings.model)


def _check_published(verb: str, method: str, settings: Settings) -> None:
    """Find out before torch is loaded, and once for a batch, whether the preset is of the method."""
    from audiomend.restorers.presets import PUBLISHED, check_published

    if settings.preset == PUBLISHED:
        check_published(verb, method, settings.quality)


def _check_report(page: Path, others: Sequence[str | Path | None], *, force: bool) -> None:
    from audiomend.audio.atomic import PartFile

    places = [os.path.realpath(path) for path in (page, *others) if path is not None]
    if len(set(places)) < len(places):
        raise UsageError(
            "with --report, IN, OUT, PAGE.html and the residue are different files: "
            "the page shows the sound before and after"
        )
    if page.exists() and not force:
        raise UsageError(f"{page} exists; --force replaces it")
    with PartFile(page, force=force):  # the folder takes a file
        pass


def _announce(plan: "Plan", request: "Request", bar: Bar) -> None:
    if plan.damaged_seconds:
        say(summary.before(plan, request))
    bar.show(f"{request.verb} {request.source}")
    bar.advance(0.0)


def _report(request: "Request", outcome: "Outcome", page: Path) -> None:
    from audiomend.report.page import write
    from audiomend.report.verb import page_of

    try:
        write(page_of(request, outcome), page)
    except KeyboardInterrupt:
        raise Cancelled(f"Interrupted: {request.output} is whole, {page} was not written") from None


def _conclude(request: "Request", outcome: "Outcome", settings: Settings) -> None:
    for warning in summary.warnings(request, outcome):
        warn(warning)
    (say if outcome.changed else warn)(summary.after(request, outcome))
    if settings.json:
        print_json("mend", summary.as_json(request, outcome))
