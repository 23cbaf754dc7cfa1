"""Settings of the whole process that make torch faster on a CPU; the command line applies them."""

import ctypes
import os
import sys

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # glibc's malloc.h
_ONE_GIB = 1 << 30
_MOST = 2**31 - 1


def tune_process() -> None:
    """Keep freed memory in the process and let waiting threads sleep.

    Without it glibc maps and unmaps every large tensor anew, which costs up to half of the time of a network,
    and spinning OpenMP threads slow torch many times over on a busy machine. Call it before torch is
    imported; it changes the whole process, so a library must leave it to its user. No effect but the
    environment variable where the C library is not glibc.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _ONE_GIB)
        mallopt(_M_TRIM_THRESHOLD, _MOST)
