"""generate: sound that comes from the prior alone."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from audiomend import __version__
from audiomend.cli import interrupts
from audiomend.cli.console import print_json, progress_bar, say, warn
from audiomend.cli.mend import PIPE
from audiomend.cli.offline import forbid_network
from audiomend.cli.options import Settings, takes
from audiomend.errors import UsageError
from audiomend.words import plural

if TYPE_CHECKING:
    from audiomend.restorers.generation import Generated
    from audiomend.restorers.options import Options

EXAMPLE = "Example:  audiomend generate dream.wav --seconds 20 --seed 7"


@takes(
    Settings,
    "model",
    "quality",
    "steps",
    "preset",
    "seed",
    "force",
    "json",
    "precision",
    "threads",
    "device",
    "offline",
)
def generate(
    output: Annotated[
        str,
        typer.Argument(
            metavar="OUT",
            help="File to be written, by its ending (WAV holds floats); - writes a WAV to standard output.",
            show_default=False,
        ),
    ],
    *,
    settings: Settings,
    seconds: Annotated[
        float, typer.Option(metavar="SECONDS", help="Length, above 0; any length takes the same memory.")
    ] = 10.0,
) -> None:
    """Write sound that the prior takes for likely, from noise alone.

    One channel at the prior's rate. It shows what the prior knows, and repairs nothing.
    """
    if settings.offline:
        forbid_network()
    if output == PIPE and settings.json:
        raise UsageError("With OUT - the sound goes to standard output, so --json cannot; give OUT a name")
    with interrupts.scratch(), progress_bar("Loading the prior") as bar:
        from audiomend.restorers.frame import threads
        from audiomend.restorers.generation import generate_file
        from audiomend.restorers.options import Options

        options = Options(
            model=settings.model,
            quality=settings.quality,
            steps=settings.steps,
            preset=settings.preset,
            seed=settings.seed,
            precision=settings.precision,
            device=settings.device,
        )
        bar.show(f"Generating {output}")
        with threads(settings.threads):
            made = generate_file(output, seconds, options, force=settings.force, progress=bar.advance)
    if made.clamped:
        warn(f"{plural(made.clamped, 'sample')} clamped to full scale; an OUT that ends in .wav holds them")
    say(
        f"{output}: {made.frames / made.rate:.3f} s from {made.model} in {plural(made.steps, 'step')}"
        f" ({made.precision}, seed {settings.seed}); all of it is invented"
    )
    if settings.json:
        print_json("generate", _as_json(output, options, made))


def _as_json(output: str, options: "Options", made: "Generated") -> dict[str, Any]:
    return {
        "audiomend": __version__,
        "output": {
            "path": output,
            "sha256": made.sha256,
            "container": made.format.container,
            "subtype": made.format.subtype,
            "rate": made.rate,
            "channels": 1,
            "frames": made.frames,
            "peak": made.peak,
            "clamped_samples": made.clamped,
        },
        "settings": {
            "model": made.model,
            "steps": made.steps,
            "preset": options.preset,
            "seed": options.seed,
            "precision": made.precision,
            "device": options.device,
        },
    }
