"""train: make a model from a recipe."""

from pathlib import Path
from typing import Annotated, Any

import typer

from audiomend.cli import interrupts
from audiomend.cli.console import duration, say, warn
from audiomend.errors import Cancelled, OptionError

EXAMPLE = "Example:  audiomend train prior --data recordings --out runs/prior --max-minutes 60"


def train(
    recipe: Annotated[
        str, typer.Argument(metavar="RECIPE", help="Name of a recipe, such as prior.", show_default=False)
    ],
    data: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder with the recordings and MIDI files.", show_default=False),
    ] = None,
    pool: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder of the prepared training sound; it grows while training runs.",
            show_default="OUT/pool",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Folder of the run: log, checkpoints, model.", show_default="runs/RECIPE"
        ),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Change an entry of the recipe, such as batch=8; repeatable."
        ),
    ] = None,
    max_minutes: Annotated[
        float | None,
        typer.Option(
            metavar="MINUTES",
            help="Stop after this time, above 0; the state is saved.",
            show_default="no limit",
        ),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where the run in --out stopped.")] = False,
    init: Annotated[
        str | None,
        typer.Option(metavar="MODEL", help="Start from the weights of this model.", show_default=False),
    ] = None,
    no_sharealike: Annotated[
        bool, typer.Option("--no-sharealike", help="Leave out data whose licence is share-alike.")
    ] = False,
) -> None:
    """Train a prior from a recipe.

    Ctrl-C stops after the step under way and saves the state; a second one stops at once.
    """
    if max_minutes is not None and not max_minutes > 0:
        raise OptionError("max_minutes", f"is {max_minutes:g}; it must be above 0")
    from audiomend.training.run import train_recipe

    with interrupts.on_request() as asked:
        outcome = train_recipe(
            recipe,
            data=data,
            pool=pool,
            out=out,
            settings=tuple(set_ or ()),
            max_minutes=max_minutes,
            resume=resume,
            init=init,
            no_sharealike=no_sharealike,
            report=_show,
            stop=asked,
        )
        interrupted = asked()
    for reason in outcome.skipped:
        warn(f"left out: {reason}")
    if interrupted:
        raise Cancelled(
            f"Stopped after step {outcome.step:,}; the state is saved, and --resume goes on from it"
        )
    if not outcome.complete:
        say(f"Stopped after step {outcome.step:,}; --resume goes on from it")
    print(outcome.model)


def _show(line: dict[str, Any]) -> None:
    """One line of the log."""
    hours = duration(3600 * line["cpu_hours"])
    say(
        f"step {line['step']:,}: loss {line['loss']['all']:.4f}, "
        f"{line['seconds_per_step']:.2f} s a step, {hours} of CPU"
    )
