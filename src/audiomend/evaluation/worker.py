"""A child process that calls functions one after the other, and measures each call.

A restorer that runs out of memory or crashes takes its process with it, not the benchmark; and the peak
memory is that of the restorer alone. The process lives for many calls, so that a model is loaded once.
"""

import multiprocessing
import re
import resource
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any, Self


class WorkerError(Exception):
    """The call failed, was too slow, or ended the process."""


@dataclass(frozen=True)
class Cost:
    """What a call took.

    Attributes:
        wall_s, cpu_s: seconds by the clock, and of all threads together.
        peak_mib: largest resident memory of the process during the call. Where the system cannot reset its
            counter (it can on Linux), the largest since the process began.
    """

    wall_s: float
    cpu_s: float
    peak_mib: float


class Worker:
    """A process for calls of picklable functions; it starts with the first call and again after a crash."""

    def __init__(self, timeout_s: float, setup: Callable[[], None] | None = None):
        """Calls longer than `timeout_s` seconds are ended; `setup` runs first in every new process."""
        self._timeout_s = timeout_s
        self._setup = setup
        self._context = multiprocessing.get_context("spawn")
        self._process: Any = None
        self._pipe: Any = None

    def call(self, function: Callable[..., Any], *arguments: object) -> tuple[Any, Cost]:
        """Calls the function in the child: (its result, what it took).

        Raises:
            WorkerError: it raised (the message has the type and text), timed out, or killed its process.
        """
        if self._process is None:
            self._start()
        try:
            self._pipe.send((function, arguments))
            if not self._pipe.poll(self._timeout_s):
                self.close()
                raise WorkerError(f"stopped after {self._timeout_s:g} s")
            result, error, cost = self._pipe.recv()
        except (EOFError, ConnectionError):
            code = self._exit_code()
            raise WorkerError(f"the process ended with code {code}") from None
        if error is not None:
            raise WorkerError(error)
        return result, cost

    def close(self) -> None:
        """Ends the process at once."""
        if self._process is not None:
            self._process.kill()
            self._exit_code()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _start(self) -> None:
        self._pipe, far_end = self._context.Pipe()
        self._process = self._context.Process(target=_serve, args=(far_end, self._setup), daemon=True)
        self._process.start()
        far_end.close()

    def _exit_code(self) -> int | None:
        self._process.join()
        code = self._process.exitcode
        self._process.close()
        self._pipe.close()
        self._process = self._pipe = None
        return code


def mib_of(max_rss: int) -> float:
    """`ru_maxrss` in MiB: the kernel counts bytes on macOS, KiB elsewhere."""
    return max_rss / (2**20 if sys.platform == "darwin" else 2**10)


def _serve(pipe: Connection, setup: Callable[[], None] | None) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt goes to the whole group; the parent decides
    if setup is not None:
        setup()
    while True:
        try:
            function, arguments = pipe.recv()
        except EOFError:
            return
        _reset_peak()
        wall, cpu = time.perf_counter(), time.process_time()
        result, error = None, None
        try:
            result = function(*arguments)
        except Exception as failure:
            error = f"{type(failure).__name__}: {failure}"
        cost = Cost(time.perf_counter() - wall, time.process_time() - cpu, _peak_mib())
        pipe.send((result, error, cost))


def _reset_peak() -> None:
    with suppress(OSError):  # Linux only: 5 resets the high-water mark (proc(5), clear_refs)
        Path("/proc/self/clear_refs").write_text("5")


def _peak_mib() -> float:
    with suppress(OSError):
        found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
        if found:
            return int(found[1]) / 1024
    return mib_of(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
