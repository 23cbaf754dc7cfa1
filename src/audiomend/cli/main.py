"""The entry point of the command `audiomend`."""

import contextlib
import os
import signal
import sys
from typing import NoReturn


def main() -> NoReturn:
    """Run the command line of this process and end it with the exit code."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # until the imports are done, an interrupt just ends it
    from audiomend.cli import interrupts

    try:
        interrupts.arm()
        code = _run()
        interrupts.disarm()
    except KeyboardInterrupt:
        interrupts.leave()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):  # its reader has gone
            stream.flush()
    os._exit(code)  # all files are closed; an orderly end of torch takes longer than many a command


def _run() -> int:
    from audiomend.tuning import tune_process

    tune_process()
    from audiomend.cli.app import run

    return run(sys.argv[1:])


if __name__ == "__main__":
    main()
