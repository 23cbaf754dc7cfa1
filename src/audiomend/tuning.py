"""Settings of the whole process that make torch faster on a CPU; the command line applies them."""

import ctypes
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # glibc's malloc.h
_ONE_GIB = 1 << 30
_MOST = 2**31 - 1
_SPARED = 16

Item = TypeVar("Item")


def tune_process() -> None:
    """Keep freed memory in the process and let waiting threads sleep.

    Without it glibc maps and unmaps every large tensor anew, which costs up to half of the time of a network,
    and spinning OpenMP threads slow torch many times over on a busy machine. Call it before torch is
    imported; it changes the whole process, so a library must leave it to its user. No effect but the
    environment variable where the C library is not glibc.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    mallopt = _of_glibc("mallopt")
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _ONE_GIB)
        mallopt(_M_TRIM_THRESHOLD, _MOST)


def give_back() -> None:
    """Give the pages that hold nothing back to the system, after work whose arrays will not come again.

    What a process keeps falls to pieces as arrays of ever other sizes come and go, and the memory of a long
    file would grow for minutes. It costs some milliseconds; no effect where the C library is not glibc.
    """
    malloc_trim = _of_glibc("malloc_trim")
    if malloc_trim is not None:
        malloc_trim(0)


def sparing(items: Iterable[Item]) -> Iterator[Item]:
    """The items; memory is given back after every sixteen of them."""
    for count, item in enumerate(items, 1):
        yield item
        if count % _SPARED == 0:
            give_back()


def _of_glibc(name: str) -> Callable[..., Any] | None:
    return getattr(ctypes.CDLL(None), name, None) if sys.platform.startswith("linux") else None
