"""demo: a synthetic phrase, damaged three ways, mended and shown on a page."""

from pathlib import Path
from typing import Annotated

import typer

from audiomend.cli import interrupts
from audiomend.cli.console import progress_bar

EXAMPLE = "Example:  audiomend demo my-demo"


def demo(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder for the sounds and the page; made if missing.")
    ] = Path("audiomend-demo"),
) -> None:
    """Damage and mend a short synthetic phrase, and make a page to listen to it.

    Needs no file: leaves the clean, damaged and mended sounds and index.html in DIR, in under a minute.
    Each damage is mended as audiomend does it by default, and by the shipped prior.
    """
    with interrupts.scratch(), progress_bar("Damaging and mending a phrase") as bar:
        from audiomend.report.demo import demo as make

        written = make(directory, bar.advance)
    print(written[0])
