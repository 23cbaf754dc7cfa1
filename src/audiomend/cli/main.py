"""The entry point of the command `audiomend`."""

import os
import sys

from audiomend.cli import interrupts
from audiomend.tuning import tune_process


def main() -> None:
    """Run the command line of this process and end it with the exit code."""
    interrupts.arm()  # before typer is imported: an interrupt may come at any moment
    try:
        tune_process()
        from audiomend.cli.app import run

        code = run(sys.argv[1:])
    except KeyboardInterrupt:
        interrupts.leave()
    _flush()
    sys.exit(code)


def _flush() -> None:
    """Without this a reader that has gone would be an error at the very end of the interpreter."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
