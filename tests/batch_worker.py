"""A batch in a process of its own, which can be told to be killed at a named step of a named file.

Run: python batch_worker.py SOURCES FOLDER [STEP NAME]
"""

import hashlib
import os
import signal
import sys
from pathlib import Path

from audiomend.audio import atomic
from audiomend.audio.atomic import PartFile
from audiomend.restorers import manifest
from audiomend.restorers.batch import Done, items, run_batch

STEPS = ("begun", "open", "mid-write", "before rename", "after rename", "before manifest", "after manifest")


def die_at(step: str, name: str) -> None:
    if sys.argv[3:] == [step, name]:
        os.kill(os.getpid(), signal.SIGKILL)


def double(source: Path, output: Path, force: bool) -> Done:
    """Every byte twice, slowly enough to be killed on the way."""
    content = source.read_bytes()
    die_at("begun", source.name)
    with PartFile(output, force=force) as part:
        die_at("open", source.name)
        part.file.write(content)
        die_at("mid-write", source.name)
        part.file.write(content)
        part.commit()
    die_at("after rename", source.name)
    return Done("doubled", bool(content), hashlib.sha256(2 * content).hexdigest())


def main() -> None:
    give_name, put = atomic._give_name, manifest.Manifest.put  # pyright: ignore[reportPrivateUsage]

    def naming(part: Path, final: Path, *, force: bool) -> None:
        die_at("before rename", final.name)
        give_name(part, final, force=force)

    def noting(self: manifest.Manifest, row: manifest.Row) -> None:
        if row.state != "begun":
            die_at("before manifest", row.output)
        put(self, row)
        if row.state != "begun":
            die_at("after manifest", row.output)

    atomic._give_name, manifest.Manifest.put = naming, noting  # pyright: ignore[reportPrivateUsage]
    folder = Path(sys.argv[2])
    rows = run_batch(double, items([sys.argv[1]], folder, recursive=True), folder, "settings")
    print(*(f"{row.state} {row.output_sha256}" for row in rows), sep="\n")


if __name__ == "__main__":
    main()
