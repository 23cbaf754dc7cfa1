"""What people see: lines and a progress bar on standard error, results on standard output.

Where standard error is no terminal only warnings and errors are written.
"""

import contextlib
import json
import shutil
import sys
import tempfile
import textwrap
from collections.abc import Generator, Iterable, Iterator
from typing import Any

import typer

from audiomend import __version__
from audiomend.errors import OptionError, UsageError

SENTENCE_ENDS = (".", "!", "?")


def is_interactive() -> bool:
    """Whether somebody watches standard error."""
    return sys.stderr.isatty()


def say(text: str) -> None:
    """A line for somebody who watches."""
    if is_interactive():
        tell(text)


def tell(text: str) -> None:
    """A line that matters even if nobody watches."""
    print(sentence(text), file=sys.stderr, flush=True)


def warn(text: str) -> None:
    """What the result is not, or what was done to it without being asked."""
    typer.secho("Warning: ", fg="yellow", bold=True, nl=False, err=True)
    tell(text)


def fail(text: str) -> None:
    """Why the command ends without success."""
    typer.secho("Error: ", fg="red", bold=True, nl=False, err=True)
    tell(text)


def as_typed(error: OptionError) -> UsageError:
    """The sentence about an option in the option's own name."""
    return UsageError(f"--{error.parameter.replace('_', '-')} {error.problem}")


def sentence(text: str) -> str:
    """The text in one line, with a full stop."""
    line = printable(" ".join(text.split()))
    return line if line.endswith(SENTENCE_ENDS) else f"{line}."


def printable(text: str) -> str:
    """The text without what would control a terminal: file names may hold it."""
    return "".join(character if character.isprintable() else "?" for character in text)


def print_json(kind: str, content: dict[str, Any]) -> None:
    """One JSON object on standard output, which says of which kind it is and what made it."""
    print(_json(as_document(kind, content)), flush=True)


def print_json_list(kind: str, name: str, entries: Iterable[Any]) -> None:
    """`print_json` of a list by that name, the entries of which wait on disk for the last.

    So memory holds one of them, and a command that is interrupted prints nothing, rather than half an object.

    Raises:
        AudioWriteError: the temporary folder is full.
    """
    from audiomend.audio.atomic import RawFile, temporary_file, write_error

    with temporary_file() as spool:
        waiting = RawFile(spool.fileno())
        for piece in _pieces(as_document(kind, {}), name, entries):
            try:
                waiting.write(piece.encode())
            except OSError as error:
                raise write_error(f"a temporary file in {tempfile.gettempdir()}", error) from None
        spool.seek(0)
        shutil.copyfileobj(spool, sys.stdout.buffer, 1 << 20)
    sys.stdout.flush()


def _pieces(document: dict[str, Any], name: str, entries: Iterable[Any]) -> Iterator[str]:
    """The JSON of a document that ends with a list."""
    yield _json(document).removesuffix("\n}") + f',\n  "{name}": ['
    before = "\n"
    for entry in entries:
        yield before + textwrap.indent(_json(entry), "    ")
        before = ",\n"
    yield "\n  ]\n}\n"


def as_document(kind: str, content: dict[str, Any]) -> dict[str, Any]:
    """The content, after of which kind it is and what version of the program made it."""
    return {"schema": f"audiomend.{kind}/1", "audiomend": __version__, **content}


def _json(content: Any) -> str:
    return json.dumps(content, indent=2, allow_nan=False)


class Bar:
    """A progress bar with the time that is left; invisible where nobody watches."""

    def __init__(self, progress: Any, task: Any) -> None:
        self._progress, self._task = progress, task

    def show(self, text: str) -> None:
        """Name what goes on, of a length that is not known yet."""
        self._progress.reset(self._task)  # its time left is not that of what went on before
        self._progress.update(self._task, description=printable(text), total=None)

    def advance(self, share: float) -> None:
        """Show the share that is done, 0 to 1."""
        self._progress.update(self._task, completed=share, total=1.0)


@contextlib.contextmanager
def progress_bar(text: str) -> Generator[Bar]:
    """A bar that vanishes at the end of the block."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
    )
    shown = Progress(*columns, console=Console(stderr=True), transient=True, disable=not is_interactive())
    with shown:
        yield Bar(shown, shown.add_task(printable(text), total=None))


def about(seconds: float) -> str:
    """An estimate of a time in words."""
    return duration(seconds) if round(seconds) < 1 else f"about {duration(seconds)}"


def duration(seconds: float) -> str:
    """A time that somebody will wait, in words."""
    whole = round(seconds)
    if whole < 1:
        return "less than a second"
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min"
