"""Checks many inputs in child processes, which may crash, hang or take all memory without harm.

An input is a number: what it stands for follows from it and the seed alone, so each can be tried again by
itself (`--only`).
"""

import argparse
import os
import resource
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

Check = Callable[[int], str]
"""The number of an input -> what came of it, in a word or two; whatever it raises is a failure."""

LONGEST_S = 2.0  # of CPU time for one input; the system ends a child that takes more
MOST_MEMORY = 4 << 30  # bytes of address space: a runaway ends in a MemoryError, which counts as a failure


@dataclass
class Report:
    """What came of all inputs.

    Attributes:
        outcomes: how often each came.
        failures: (number, what went wrong).
        slowest_s: CPU seconds of the slowest input.
        peak_mib: resident memory of the largest child.
        cpu_s: of all children.
    """

    outcomes: Counter[str] = field(default_factory=Counter[str])
    failures: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    slowest_s: float = 0.0
    peak_mib: float = 0.0
    cpu_s: float = 0.0

    def note(self, line: str) -> None:
        """Take a line of a child: number, CPU seconds, outcome."""
        number, seconds, outcome = line.split(" ", 2)
        self.slowest_s = max(self.slowest_s, float(seconds))
        if outcome.startswith("!"):
            self.failures.append((int(number), outcome[1:]))
        else:
            self.outcomes[outcome] += 1


def run(check: Check, numbers: Sequence[int], jobs: int = 1) -> Report:
    """Check all inputs in `jobs` processes; one that dies is followed by another, which goes on behind."""
    report = Report()
    with tempfile.TemporaryDirectory() as folder:
        running = dict[int, tuple[Path, Sequence[int]]]()

        def start(share: Sequence[int]) -> None:
            if share:
                log = Path(folder, f"{share[0]}.log")
                running[_fork(check, share, log)] = log, share

        for job in range(jobs):
            start(numbers[job::jobs])
        while running:
            process, status, usage = os.wait4(-1, 0)
            log, share = running.pop(process)
            report.cpu_s += usage.ru_utime + usage.ru_stime
            report.peak_mib = max(report.peak_mib, usage.ru_maxrss / 1024)
            *lines, begun = log.read_text(errors="replace").split("\n")
            for line in lines:
                report.note(line)
            if status:
                report.failures.append((int(begun), _death(os.waitstatus_to_exitcode(status))))
                start(share[len(lines) + 1 :])
    return report


def _death(code: int) -> str:
    if code == -signal.SIGPROF:
        return f"took more than {LONGEST_S:g} s"
    return f"ended its process ({signal.Signals(-code).name if code < 0 else f'exit code {code}'})"


def _fork(check: Check, numbers: Sequence[int], log: Path) -> int:
    process = os.fork()
    if process:
        return process
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)  # libmpg123 notes whatever it finds odd
    warnings.simplefilter("error")
    lines = os.open(log, os.O_WRONLY | os.O_CREAT)
    for number in numbers:
        os.write(lines, f"{number} ".encode())
        signal.setitimer(signal.ITIMER_PROF, LONGEST_S)
        begun = time.process_time()
        try:
            outcome = check(number)
        except BaseException as error:
            outcome = f"!{type(error).__name__}: {error}".replace("\n", " ")
        line = f"{time.process_time() - begun:.3f} {outcome}\n"
        os.write(lines, line.encode(errors="replace"))
    signal.setitimer(signal.ITIMER_PROF, 0)
    os._exit(0)


def arguments(purpose: str | None, count: int) -> argparse.Namespace:
    """The command line of every script here."""
    parser = argparse.ArgumentParser(description=purpose, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--count", type=int, default=count, help=f"inputs to try ({count:,})")
    parser.add_argument("--seed", type=int, default=0, help="of the inputs (0)")
    parser.add_argument("--jobs", type=int, default=1, help="processes (1)")
    parser.add_argument("--only", type=int, metavar="N", help="try input N alone, in this process")
    return parser.parse_args()


def main(check: Check, given: argparse.Namespace, most_mib: float) -> None:
    """Run a script: print what came of its inputs; exit code 1 if anything failed."""
    if given.only is not None:
        print(check(given.only))
        return
    report = run(check, range(given.count), given.jobs)
    print(f"{given.count:,} inputs of seed {given.seed}: {len(report.failures)} failures")
    for outcome, count in report.outcomes.most_common():
        print(f"{count:>10,} {outcome}")
    for number, failure in report.failures[:20]:
        print(f"input {number}: {failure}")
    print(
        f"slowest {report.slowest_s:.3f} s, peak {report.peak_mib:.0f} MiB, {report.cpu_s:.1f} s of CPU time"
    )
    if report.failures or report.peak_mib > most_mib:
        sys.exit(1)
