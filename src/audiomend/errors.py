"""Every error that audiomend raises on purpose: one root, one sentence each.

The command line prints the sentence and exits with `exit_code`; a library user catches `AudiomendError`.
"""

import difflib
from collections.abc import Iterable


class AudiomendError(Exception):
    """Root of all errors raised on purpose. The message names the value and what is allowed."""

    exit_code = 1


class UsageError(AudiomendError):
    """An argument or option that cannot be used as it is."""

    exit_code = 2


class OptionError(UsageError):
    """A value that an option cannot have. It has the parameter's name here, and on the command line its own.

    Args:
        parameter: as Python has it.
        problem: the sentence that its name begins.
    """

    def __init__(self, parameter: str, problem: str) -> None:
        super().__init__(parameter, problem)
        self.parameter, self.problem = parameter, problem

    def __str__(self) -> str:
        return f"{self.parameter} {self.problem}"


class AudioReadError(AudiomendError):
    """A sound file that cannot be read."""


class AudioWriteError(AudiomendError):
    """A sound file that cannot be written."""


class ModelError(AudiomendError):
    """A model that is unknown, damaged or of another make."""


class TrainingError(AudiomendError):
    """A training run that cannot go on."""


class Cancelled(AudiomendError):
    """The work was stopped on request; nothing is left behind."""

    exit_code = 130


def unknown(what: str, name: str, known: Iterable[str]) -> UsageError:
    """The error of a name that is not among the known ones; the nearest is offered."""
    names = list(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f" Did you mean {close[0]}?" if close else ""
    return UsageError(f"The {what} {name} is unknown; it is one of {', '.join(names)}.{hint}")
