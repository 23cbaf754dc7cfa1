"""The entry point of the command `audiomend`."""

import os
import signal
import sys


def main() -> None:
    """Run the command line of this process and end it with the exit code."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # until the imports are done, an interrupt just ends it
    from audiomend.cli import interrupts

    try:
        interrupts.arm()
        code = _run()
    except KeyboardInterrupt:
        interrupts.leave()
    _flush()
    sys.exit(code)


def _run() -> int:
    from audiomend.tuning import tune_process

    tune_process()
    from audiomend.cli.app import run

    return run(sys.argv[1:])


def _flush() -> None:
    """Without this a reader that has gone would be an error at the very end of the interpreter."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
