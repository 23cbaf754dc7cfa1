"""Ctrl-C and SIGTERM: the process ends within a second at any moment, and leaves nothing behind.

Python runs a signal's handler between two instructions of the main thread; there it raises KeyboardInterrupt,
and the `with` blocks tidy up. That comes too late while the main thread is inside native code (loading torch,
a large evaluation, a slow disk), and not at all where something swallows the exception. So a second thread is
woken by the signal too, and ends the process itself if the main thread has not done so in time.
"""

import contextlib
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator
from typing import NoReturn

EXIT_CODE = 130
GRACE_S = 0.6  # for the main thread to tidy up by itself
MESSAGE = "Interrupted."

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_SHOW_CURSOR = b"\x1b[?25h\r\x1b[K"  # a progress bar hides it
_CHILDREN_S = 0.2  # for other processes to tidy up by themselves
_scratch: list[str] = []  # folders of this process
_message = MESSAGE
_leaving = threading.Lock()


def arm() -> None:
    """From now on a signal ends the process with code 130. Call it once, in the main thread."""
    _arm(_interrupt)


def arm_worker() -> None:
    """`arm` for a process that works for another one: it ends where it is, or with that one, in silence."""
    global _message
    _message = ""
    _arm(lambda *_: leave())
    threading.Thread(target=_follow, daemon=True).start()


def _follow() -> None:
    """End with the process that this one works for: killed outright, it has told nobody."""
    import multiprocessing

    if (parent := multiprocessing.parent_process()) is not None:
        parent.join()
        leave()


def _arm(handler: Callable[..., None]) -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    for number in _SIGNALS:
        signal.signal(number, handler)
    threading.Thread(target=_watch, args=(reader,), daemon=True).start()


def disarm() -> None:
    """From now on signals are ignored: the process is about to end anyway."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def leave() -> NoReturn:
    """Remove what this process has unfinished on the disk, say that it was interrupted, and end it."""
    _leaving.acquire()  # whoever comes second waits for the end
    for folder in _scratch:
        shutil.rmtree(folder, ignore_errors=True)
    if "audiomend.audio.atomic" in sys.modules:  # otherwise no file was begun
        from audiomend.audio.atomic import remove_parts

        remove_parts()
    if "multiprocessing" in sys.modules:
        _end_children()
    if _message:
        with contextlib.suppress(OSError):
            os.write(2, (_SHOW_CURSOR if os.isatty(2) else b"") + f"{_message}\n".encode())
    os._exit(EXIT_CODE)  # an orderly end of the interpreter would wait for torch


@contextlib.contextmanager
def scratch() -> Generator[None]:
    """Temporary files made inside go to a folder of their own, which `leave` removes too."""
    before = tempfile.tempdir
    with tempfile.TemporaryDirectory(prefix="audiomend-") as folder:
        _scratch.append(folder)
        tempfile.tempdir = folder
        try:
            yield
        finally:
            tempfile.tempdir = before


@contextlib.contextmanager
def on_request() -> Generator[Callable[[], bool]]:
    """Inside, the first signal only makes the yielded function true; a second one ends the process."""
    asked = False
    wakeup = signal.set_wakeup_fd(-1)

    def ask(*_: object) -> None:
        nonlocal asked
        asked = True
        restore()
        if os.isatty(2):
            os.write(2, b"Stopping; once more to stop at once.\n")

    before = {number: signal.signal(number, ask) for number in _SIGNALS}

    def restore() -> None:
        signal.set_wakeup_fd(wakeup, warn_on_full_buffer=False)
        for number, handler in before.items():
            signal.signal(number, handler)

    try:
        yield lambda: asked
    finally:
        restore()


def _interrupt(*_: object) -> None:
    disarm()  # a second one must not disturb the tidying up
    if _loading("torch"):  # its native code aborts the process where an exception passes through it
        leave()
    raise KeyboardInterrupt


def _end_children() -> None:
    import multiprocessing

    children = multiprocessing.active_children()
    for child in children:
        child.terminate()
    until = time.monotonic() + _CHILDREN_S
    for child in children:
        child.join(max(0.0, until - time.monotonic()))
        child.kill()


def _loading(module: str) -> bool:
    """Whether its import has begun and not ended."""
    spec = getattr(sys.modules.get(module), "__spec__", None)
    return getattr(spec, "_initializing", False)


def _watch(reader: int) -> None:
    numbers = {int(number) for number in _SIGNALS}
    while os.read(reader, 1)[0] not in numbers:
        pass
    time.sleep(GRACE_S)
    leave()
