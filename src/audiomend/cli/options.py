"""Arguments and options that several commands share: one definition, so each means the same everywhere."""

import dataclasses
import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import typer

HOW = "How it is done"
WHERE = "Where"
FILES = "Files"
MANY = "Many files"
MACHINE = "Machine"

Names = Annotated[
    list[str],
    typer.Argument(
        metavar="IN OUT",
        help="Sound file (WAV, FLAC, AIFF, CAF, OGG, Opus, MP3), and the file to be written, in the format "
        "of IN unless its name ends otherwise; - reads a WAV from standard input or writes to standard "
        "output. With -o DIR any number of files and folders, and no OUT.",
        show_default=False,
    ),
]
ClipMode = Annotated[
    Literal["rescale", "float", "clamp"],
    typer.Option(
        help="For peaks beyond what the format holds: rescale brings the whole file down by one gain, float "
        "writes 32-bit floats at the level of IN, clamp cuts them.",
        rich_help_panel=FILES,
    ),
]
Force = Annotated[
    bool,
    typer.Option("--force", help="Replace files that exist, an input too.", rich_help_panel=FILES),
]


def _method(choices: Any) -> Any:
    """The option of a verb's methods, which its help lists."""
    *others, last = get_args(choices)
    prior = "diffusion is the prior, the others need none" if "diffusion" in others else "none needs a prior"
    return typer.Option(
        metavar="METHOD",
        help=f"{', '.join(others)} or {last}. auto takes what measured best; {prior}.",
        rich_help_panel=HOW,
    )


_Declick = Literal["auto", "ar"]
_Extend = Literal["auto", "diffusion", "replication"]
_Inpaint = Literal["auto", "diffusion", "janssen", "a-spain", "similarity"]
_Declip = Literal["auto", "diffusion", "a-spade", "s-spade", "ss-ew", "ss-pew", "ar", "blend"]
DeclickMethod = Annotated[_Declick, _method(_Declick)]
ExtendMethod = Annotated[_Extend, _method(_Extend)]
InpaintMethod = Annotated[_Inpaint, _method(_Inpaint)]
DeclipMethod = Annotated[_Declip, _method(_Declip)]
Json = Annotated[
    bool,
    typer.Option(
        "--json",
        help="Print one JSON object about the result on standard output, nothing else; not with OUT -.",
        rich_help_panel=FILES,
    ),
]
Recursive = Annotated[
    bool, typer.Option("--recursive", help="Take folders within folders, too.", rich_help_panel=MANY)
]
JsonResult = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")]
Gap = Annotated[
    list[str] | None,
    typer.Option(
        metavar="START-STOP",
        help="A gap, in seconds (1.20-1.45) or as times (0:01:23.4-0:01:24), or an Audacity label file; "
        "repeatable. Without it, runs of digital silence inside the sound are found.",
        rich_help_panel=WHERE,
    ),
]


Bands = Annotated[
    list[str] | None,
    typer.Option(
        metavar="LOW-HIGH",
        help="Only this band is lost, in Hz (300-3400) or kHz (2k-6k), where --gap or --region says; "
        "repeatable.",
        show_default="all of the sound",
        rich_help_panel=WHERE,
    ),
]


@dataclass(frozen=True)
class Settings:
    """What a user may choose for every verb that mends."""

    region: Annotated[
        list[str] | None,
        typer.Option(
            metavar="START-STOP",
            help="Mend only here: seconds (12.0-15.5), times (0:01:23.4-0:01:25) or an Audacity label file; "
            "repeatable. Outside, OUT equals IN to the bit.",
            rich_help_panel=WHERE,
        ),
    ] = None
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Prior: a name from `audiomend models list`, or a model's folder.",
            show_default="the shipped one",
            rich_help_panel=HOW,
        ),
    ] = None
    quality: Annotated[
        Literal["fast", "balanced", "best"] | None,
        typer.Option(
            help="8, 16 or 32 network evaluations a window. Where no network takes part, less or more work; "
            "extend has one quality then, and so have gaps filled with a similar stretch.",
            show_default="balanced, or the preset's own number",
            rich_help_panel=HOW,
        ),
    ] = None
    steps: Annotated[
        int | None,
        typer.Option(
            metavar="COUNT",
            help="Network evaluations a window, 1 or more, instead of --quality; where a step takes several, "
            "the nearest number that can be had. A preset needs half of its own number or more.",
            show_default=False,
            rich_help_panel=HOW,
        ),
    ] = None
    preset: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Walk as a paper does: a name from `audiomend presets`. The options below change its parts. "
            "published runs a --method that needs no prior as its paper does.",
            show_default="what measured best",
            rich_help_panel=HOW,
        ),
    ] = None
    guidance: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="What keeps to the sound that was measured, such as projection, replace, rg or rg-dc.",
            show_default="the preset's, or projection",
            rich_help_panel=HOW,
        ),
    ] = None
    solver: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="How a step is taken, such as euler, ancestral, heun, 2m or unipc.",
            show_default="the preset's, or what measured best",
            rich_help_panel=HOW,
        ),
    ] = None
    sampler: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="How the steps are walked: stream, trajectory, repaint, rk45, daps, red-diff or tds.",
            show_default="the preset's, or stream",
            rich_help_panel=HOW,
        ),
    ] = None
    seed: Annotated[
        int,
        typer.Option(
            metavar="NUMBER",
            help="Of all noise, 0 to 2^64 - 1: the same seed gives the same bytes.",
            rich_help_panel=HOW,
        ),
    ] = 0
    strength: Annotated[
        float,
        typer.Option(
            metavar="SHARE",
            help="Share of the change that is made, 0 (none) to 1 (all).",
            rich_help_panel=HOW,
        ),
    ] = 1.0
    samples: Annotated[
        int,
        typer.Option(
            metavar="COUNT",
            help="Draw so many posterior samples too, 2 or more, each a plausible sound: mended.sample-1.wav "
            "and so on beside an OUT of mended.wav. Where they differ, nothing is known; --report shows it.",
            show_default="none",
            rich_help_panel=FILES,
        ),
    ] = 0
    preview_steps: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Write the sound after each network evaluation too, as DIR/step-01.wav and so on, floats.",
            show_default=False,
            rich_help_panel=FILES,
        ),
    ] = None
    residue: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write what was removed too: IN minus OUT, sample by sample, as float WAV.",
            show_default=False,
            rich_help_panel=FILES,
        ),
    ] = None
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="PAGE.html",
            help="Write a page with players, spectrograms, what was found and what was changed.",
            show_default=False,
            rich_help_panel=FILES,
        ),
    ] = None
    output_dir: Annotated[
        Path | None,
        typer.Option(
            "--output-dir",
            "-o",
            metavar="DIR",
            help="Take any number of files and folders, and write into DIR, each by its own name. What is "
            "done is noted there, so the same command goes on where it was stopped.",
            show_default=False,
            rich_help_panel=MANY,
        ),
    ] = None
    recursive: Recursive = False
    jobs: Annotated[
        int,
        typer.Option(
            metavar="COUNT", help="Files worked on at a time, each in a process.", rich_help_panel=MANY
        ),
    ] = 1
    clip_mode: ClipMode = "rescale"
    force: Force = False
    json: Json = False
    precision: Annotated[
        Literal["auto", "float32", "bfloat16"],
        typer.Option(
            help="Of the network. auto takes bfloat16 where the processor is made for it.",
            rich_help_panel=MACHINE,
        ),
    ] = "auto"
    threads: Annotated[
        int | None,
        typer.Option(
            metavar="COUNT",
            help="Processor threads, 1 or more.",
            show_default="all cores",
            rich_help_panel=MACHINE,
        ),
    ] = None
    device: Annotated[
        Literal["auto", "cpu", "cuda", "mps"],
        typer.Option(
            help="Where the network runs. auto takes a GPU if there is one.", rich_help_panel=MACHINE
        ),
    ] = "auto"
    offline: Annotated[
        bool,
        typer.Option(
            "--offline",
            help="Refuse every network connection of this process. audiomend makes none; this proves it.",
            rich_help_panel=MACHINE,
        ),
    ] = False


BATCH = ("output_dir", "recursive", "jobs")
"""The settings of many files."""

WITHOUT_PRIOR = (
    *("region", "strength", "residue", "report", *BATCH),
    *("clip_mode", "force", "json", "threads", "offline"),
)
"""The settings of verbs that evaluate no network."""


def takes(settings: type[Any], *only: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command one option for each field of a dataclass; its parameter `settings` receives them.

    only: names of the fields, the others keep their defaults; without names all fields.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        own = inspect.signature(command).parameters.values()
        shared = [
            inspect.Parameter(f.name, inspect.Parameter.KEYWORD_ONLY, default=f.default, annotation=f.type)
            for f in dataclasses.fields(settings)
            if f.name in only or not only
        ]
        parameters = [*(p for p in own if p.name != "settings"), *shared]

        @functools.wraps(command)
        def filled(**arguments: Any) -> None:
            chosen = {p.name: arguments.pop(p.name) for p in shared}
            command(**arguments, settings=settings(**chosen))

        filled.__signature__ = inspect.Signature(parameters)  # pyright: ignore[reportAttributeAccessIssue]
        filled.__annotations__ = {p.name: p.annotation for p in parameters}
        return filled

    return decorate
