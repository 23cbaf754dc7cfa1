"""Growing the pool in a process of its own, which ends with the training that it serves.

    python -m audiomend.training.growth POOL DATA [options of audiomend.data.grow]

is `audiomend.data.grow` until its standard input ends. Only the training process holds the other end of that
pipe, so a killed training run leaves no orphan that would render the same items as the next run's.
"""

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path

from audiomend.data import grow
from audiomend.data.pool import Pool
from audiomend.errors import Cancelled, OptionError, TrainingError

LOG = "grow.log"
POLL_SECONDS = 0.5
SKIPPED = "skipped "


@contextlib.contextmanager
def growing(pool: Path, data: Path | None, no_sharealike: bool) -> Generator[subprocess.Popen[bytes] | None]:
    """Let the pool grow from a data folder inside the block; nothing grows without one.

    The process adds what the pool lacks and ends when there is no more to do. It writes POOL/grow.log.

    Raises:
        UsageError: there is no such folder.
    """
    if data is None:
        yield None
        return
    if not data.is_dir():
        raise OptionError("data", f"is {data}, which is not a folder.")
    pool.mkdir(parents=True, exist_ok=True)
    options = ["--no-sharealike"] if no_sharealike else []
    command = [sys.executable, "-m", "audiomend.training.growth", str(pool), str(data), *options]
    with (pool / LOG).open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.terminate()
        process.communicate()


def wait_for_audio(pool: Pool, process: subprocess.Popen[bytes] | None, stop: Callable[[], bool]) -> None:
    """Return as soon as the pool holds something to train on.

    Raises:
        TrainingError: it holds nothing, and no process makes it grow any more.
        Cancelled: `stop` said so.
    """
    while not pool.seconds():
        if stop():
            raise Cancelled("Stopped while waiting for the first audio of the pool.")
        if process is None:
            raise TrainingError(
                f"The pool {pool.path} holds no training audio; give a data folder to grow it."
            )
        if process.poll() is not None and not pool.refresh():
            lines = (pool.path / LOG).read_text(encoding="utf-8", errors="replace").strip().splitlines()
            raise TrainingError(
                f"The pool {pool.path} could not be made: {lines[-1] if lines else 'no reason'}"
            )
        time.sleep(POLL_SECONDS)
        pool.refresh()


def skipped_files(pool: Path) -> list[str]:
    """ "NAME: reason" of each file and render that the last growth left out."""
    log = pool / LOG
    if not log.exists():
        return []
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return [line.removeprefix(SKIPPED) for line in lines if line.startswith(SKIPPED)]


def _end_with_input() -> None:
    while os.read(0, 1):  # not sys.stdin: a thread inside it breaks the interpreter's exit
        pass
    os._exit(0)  # shards and indices appear by rename, so this is safe at any moment


if __name__ == "__main__":
    threading.Thread(target=_end_with_input, daemon=True).start()
    grow.main()
