"""One line of JSON per measured cell: appended whole, read back after a kill."""

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

Key = tuple[str, float, str]  # clip, severity, method


@dataclass(frozen=True)
class Result:
    """What one method made of one damaged clip.

    Attributes:
        clip, severity, method: which cell.
        figures: by name, in dB; empty for a failed cell.
        seconds: length of the clip.
        wall_s, cpu_s, peak_mib: what it took (`worker.Cost`); 0 for a failed cell and for the damaged clip.
        observation_sha256: of the damaged samples; a result of other samples does not count.
        context: hardware, versions, seed and what else explains the figures.
        error: why the cell failed; None if it did not.
    """

    clip: str
    severity: float
    method: str
    figures: dict[str, float | None]
    seconds: float
    observation_sha256: str
    wall_s: float = 0.0
    cpu_s: float = 0.0
    peak_mib: float = 0.0
    context: dict[str, Any] = field(default_factory=dict)
    error: str | None = None

    @property
    def key(self) -> Key:
        return self.clip, self.severity, self.method

    @property
    def set(self) -> str:
        return self.clip.split("/")[0]

    @property
    def rtf(self) -> float:
        """Real-time factor: seconds of work per second of sound, whatever the number of channels."""
        return self.wall_s / self.seconds


def append(path: Path, result: Result) -> None:
    """Adds a result as one whole line, written to the disk before this returns."""
    line = json.dumps(asdict(result) | {"rtf": result.rtf}, allow_nan=False) + "\n"
    handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        size = os.fstat(handle).st_size
        torn = size > 0 and os.pread(handle, 1, size - 1) != b"\n"
        os.write(handle, ("\n" + line if torn else line).encode())
        os.fsync(handle)
    finally:
        os.close(handle)


def read(path: Path) -> list[Result]:
    """All whole results of a file, the last of each cell; lines that a kill tore are left out."""
    if not path.exists():
        return []
    latest: dict[Key, Result] = {}
    for line in path.read_text(errors="replace").splitlines():
        result = _parse(line)
        if result is not None:
            latest[result.key] = result
    return list(latest.values())


def finished(results: Iterable[Result], hashes: dict[tuple[str, float], str]) -> set[Key]:
    """The cells that need no further run: without error, and of the damaged samples that are meant."""
    return {
        result.key
        for result in results
        if result.error is None and hashes.get((result.clip, result.severity)) == result.observation_sha256
    }


def _parse(line: str) -> Result | None:
    try:
        values = json.loads(line)
        values.pop("rtf")
        return Result(**values)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
