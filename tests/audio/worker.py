"""Run by test_faults: mends in children, which are killed, interrupted, starved, or race each other.

usage: worker.py MODE IN FOLDER [NAME ...]    prints one line per child: NAME STATUS
"""

import os
import random
import resource
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from audiomend.audio import atomic
from audiomend.audio.blocks import Spill, assemble
from audiomend.audio.file import open_sound, survey
from audiomend.audio.output import check_output
from audiomend.errors import AudiomendError

INTERRUPTED = 130


class KillingOs:
    """The module os; the process is killed before or after the n-th call of one function."""

    def __init__(self, step: str) -> None:
        self.name, count, self.when = step.split(".")[0].split("-")
        self.left = int(count)

    def __getattr__(self, name: str):
        function = getattr(os, name)
        if name != self.name:
            return function

        def counted(*arguments, **options):
            self.left -= 1
            if not self.left and self.when == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            result = function(*arguments, **options)
            if not self.left:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return counted


def mend(source: Path, output: Path, value: float, *, force: bool, wait: Callable[[], object] = int) -> None:
    with open_sound(source) as sound, Spill(sound.channels) as spill:
        target = check_output(output, sound, force=force)
        found = survey(sound)
        spill.add(0, np.full((sound.channels, 500), value), np.ones(500, bool))
        wait()
        assemble(sound, found, spill, target)


def child(work: Callable[[], None]) -> int:
    """Fork; the child's process id."""
    process = os.fork()
    if process:
        return process
    code = 99
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        work()
        code = 0
    except AudiomendError as error:
        print(error, file=sys.stderr, flush=True)
        code = error.exit_code
    except KeyboardInterrupt:  # it may have come between two blocks: the program ends so, too
        code = INTERRUPTED
        atomic.remove_parts()
    finally:
        os._exit(code)


def status(process: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def kill(source: Path, output: Path) -> str:
    def work() -> None:
        atomic.os = KillingOs(output.name)
        mend(source, output, 0.5, force=output.exists())

    return str(status(child(work)))


def interrupt(source: Path, output: Path) -> str:
    process = child(lambda: mend(source, output, 0.5, force=False))
    time.sleep(random.Random(output.name).uniform(0, 0.08))
    os.kill(process, signal.SIGINT)
    return str(status(process))


def starve(source: Path, output: Path) -> str:
    limit = int(output.stem.split("-")[0])

    def work() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        mend(source, output, 0.5, force=False)

    return str(status(child(work)))


def race(source: Path, output: Path) -> str:
    start, fire = os.pipe()

    def work(value: float) -> None:
        os.close(fire)
        mend(source, output, value, force=False, wait=lambda: os.read(start, 1))

    racers = [child(lambda value=value: work(value)) for value in (0.25, 0.75)]
    os.close(fire)
    codes = [status(racer) for racer in racers]
    os.close(start)
    return " ".join(map(str, codes))


def main() -> None:
    mode, source, folder, *names = sys.argv[1:]
    run = {"kill": kill, "interrupt": interrupt, "starve": starve, "race": race}[mode]
    for name in names:
        print(name, run(Path(source), Path(folder) / name), flush=True)


if __name__ == "__main__":
    main()
