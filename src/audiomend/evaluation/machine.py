"""On what, and with which versions, something was measured."""

import os
import platform
import re
import subprocess
from importlib import metadata
from pathlib import Path


def describe_machine() -> dict[str, object]:
    """Hardware and versions: cpu, cores, system, python, numpy, scipy, torch, audiomend, commit, threads.

    `commit` is that of the checkout the package runs from ("-dirty" if files changed), None elsewhere;
    `threads` is OMP_NUM_THREADS, None if unset.
    """
    return {
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "threads": os.environ.get("OMP_NUM_THREADS"),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "numpy": _version("numpy"),
        "scipy": _version("scipy"),
        "torch": _version("torch"),
        "audiomend": _version("audiomend"),
        "commit": commit_of(Path(__file__).parent),
    }


def cpu_model() -> str:
    """The processor's name as the system gives it."""
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found[1].strip() if found else platform.processor() or platform.machine()


def commit_of(folder: Path) -> str | None:
    """Commit of the git checkout that tracks this folder; None if there is none, or no git."""
    try:
        tracked = subprocess.run(
            ["git", "-C", folder, "ls-files", "--error-unmatch", "."], capture_output=True, check=False
        )
        if tracked.returncode:
            return None
        described = subprocess.run(
            ["git", "-C", folder, "describe", "--always", "--dirty", "--abbrev=12"],
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        return None
    return described.stdout.strip() or None


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
