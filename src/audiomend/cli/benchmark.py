"""benchmark: every table of docs/results.md, by one command."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from audiomend.cli.console import progress_bar, warn

if TYPE_CHECKING:
    from audiomend.evaluation.benchmark import Progress

EXAMPLE = (
    "Example:\n\n  audiomend benchmark declip --data recordings --out results "
    "--methods damaged,diffusion@steps=8 "
    '--peer "ffmpeg=ffmpeg -i {input} -af adeclip=m=s {output}"'
)


def benchmark(
    task: Annotated[
        Literal["declip", "inpaint", "band", "extend", "declick"],
        typer.Argument(
            metavar="TASK",
            help="declip, inpaint, band (gaps from 2 to 6 kHz), extend or declick.",
            show_default=False,
        ),
    ],
    data: Annotated[
        Path,
        typer.Option(
            metavar="DIR",
            help="Folder of clean recordings: DIR/SPLIT/SET/*.flac (wav, ogg, mp3).",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder of the results; a run goes on where it stopped.")
    ] = Path("results"),
    methods: Annotated[
        list[str],
        typer.Option(
            metavar="A,B",
            help="What is measured: damaged (the clip as it is), a method or a preset with options of the "
            "verb, such as diffusion@steps=8,seed=1 or cqtdiff-rg; repeatable.",
        ),
    ] = ["damaged", "diffusion"],  # noqa: B006 (typer reads it, nobody changes it)
    peer: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=COMMAND",
            help="Another program, with {input} and {output} for its files; repeatable.",
            show_default=False,
        ),
    ] = None,
    split: Annotated[str, typer.Option(metavar="NAME", help="Folder in DIR.")] = "test",
    sets: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME",
            help="Folder in SPLIT; repeatable.",
            show_default="piano_render, music, speech",
        ),
    ] = None,
    names: Annotated[
        list[str] | None,
        typer.Option(
            "--name", metavar="NAME", help="File without its ending; repeatable.", show_default="all"
        ),
    ] = None,
    severities: Annotated[
        list[float] | None,
        typer.Option(
            "--severity",
            metavar="NUMBER",
            help="Input SDR in dB (declip), gap in ms (inpaint, band), cut-off in Hz (extend) or clicks a "
            "second (declick); repeatable.",
            show_default="those of the published tables",
        ),
    ] = None,
    clip_seconds: Annotated[
        float, typer.Option(metavar="SECONDS", help="Longer files are cut to this length at a seeded place.")
    ] = 12.0,
    seed: Annotated[int, typer.Option(metavar="NUMBER", help="Of damages, methods and intervals.")] = 0,
    timeout: Annotated[
        float, typer.Option(metavar="SECONDS", help="A file that takes a method longer counts as failed.")
    ] = 3600.0,
) -> None:
    """Measure methods and other programs on seeded damages, and write tables.

    Each result is kept as soon as it is there: the same command goes on after an interruption.
    """
    with progress_bar("Damaging the recordings") as bar:
        from audiomend.evaluation.benchmark import benchmark as measure
        from audiomend.evaluation.manifest import SETS

        def show(progress: "Progress") -> None:
            result = progress.result
            bar.show(f"{progress.done}/{progress.total} {result.method}")
            bar.advance(progress.done / progress.total)
            if result.error is not None:
                warn(f"{result.method} failed on {result.clip}: {result.error}")

        measure(
            task,
            data,
            out,
            split_methods(methods),
            tuple(peer or ()),
            split=split,
            sets=tuple(sets or SETS),
            names=tuple(names or ()),
            severities=tuple(severities or ()),
            clip_s=clip_seconds,
            seed=seed,
            timeout_s=timeout,
            progress=show,
        )
    print(out / f"{task}.md")


def split_methods(texts: list[str]) -> list[str]:
    """Single methods from comma-separated ones, whose options have commas between them too.

    A piece with = but without @ is a further option of the method before it.
    """
    found: list[str] = []
    for piece in ",".join(texts).split(","):
        if "=" in piece and "@" not in piece and found:
            found[-1] += f",{piece}"
        else:
            found.append(piece)
    return found
