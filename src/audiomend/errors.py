"""Every error that audiomend raises on purpose: one root, one sentence each.

The command line prints the sentence and exits with `exit_code`; a library user catches `AudiomendError`.
"""


class AudiomendError(Exception):
    """Root of all errors raised on purpose. The message names the value and what is allowed."""

    exit_code = 1


class UsageError(AudiomendError):
    """An argument or option that cannot be used as it is."""

    exit_code = 2


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
