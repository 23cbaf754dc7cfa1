"""The commands put together."""

import os
import traceback
from collections.abc import Sequence
from typing import Annotated

import typer

from audiomend import __version__
from audiomend.cli import (
    benchmark,
    degrade,
    demo,
    evaluate,
    generate,
    inspect,
    interrupts,
    mend,
    models,
    pages,
    presets,
    restore,
    train,
)
from audiomend.cli.console import fail, tell
from audiomend.errors import AudiomendError, Cancelled

DEBUG = "AUDIOMEND_DEBUG"


app = typer.Typer(
    name="audiomend",
    cls=pages.Group,
    rich_markup_mode="rich",
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example:  audiomend declip clipped.wav mended.wav --report page.html",
)
app.command("restore", epilog=restore.EXAMPLE)(restore.restore)
mend.add_to(app)
app.command("inspect", epilog=inspect.EXAMPLE)(inspect.inspect)
app.add_typer(degrade.app, name="degrade")
app.command("evaluate", epilog=evaluate.EXAMPLE)(evaluate.evaluate)
app.command("generate", epilog=generate.EXAMPLE)(generate.generate)
app.command("demo", epilog=demo.EXAMPLE)(demo.demo)
app.add_typer(models.app, name="models")
app.command("presets", epilog=presets.EXAMPLE)(presets.presets)
app.command("train", epilog=train.EXAMPLE)(train.train)
app.command("benchmark", epilog=benchmark.EXAMPLE)(benchmark.benchmark)
pages.dress(app)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"audiomend {__version__}")
        raise typer.Exit


@app.callback(no_args_is_help=True)
def audiomend(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True),
    ] = False,
    debug: Annotated[
        bool,
        typer.Option("--debug", help=f"Show where an unexpected error arose; so does {DEBUG}=1."),
    ] = False,
) -> None:
    """Mend clipped, holed and dull recordings with a small diffusion prior, and say what was invented."""
    if debug:
        os.environ[DEBUG] = "1"


def run(arguments: Sequence[str]) -> int:
    """Run a command line; every failure becomes one sentence on standard error.

    Returns:
        the exit code: 0 done, 1 failed, 2 a command line that cannot be used, 130 interrupted.
    """
    try:
        code = app(list(arguments), prog_name="audiomend", standalone_mode=False) or 0
    except typer.TyperException as error:  # a command line that typer refuses
        message = error.format_message().replace("Value error, ", "")
        if message:  # without a command, typer has printed the help
            fail(message)
        return error.exit_code
    except Cancelled as error:
        tell(str(error))
        return error.exit_code
    except AudiomendError as error:
        fail(str(error))
        return error.exit_code
    except MemoryError:
        fail("the memory of this machine does not suffice")
        return 1
    except Exception as error:
        if os.environ.get(DEBUG):
            traceback.print_exc()
        fail(
            f"unexpected {type(error).__name__}: {error}. This is a fault of audiomend: "
            f"please report it, with what the same command prints when {DEBUG}=1 is set"
        )
        return 1
    if code == interrupts.EXIT_CODE:  # what typer makes of a KeyboardInterrupt
        raise KeyboardInterrupt
    return code
