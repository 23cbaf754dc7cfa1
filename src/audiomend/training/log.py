"""What a run writes down as it goes: lines of JSON."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

LOG = "log.jsonl"
VALIDATION = "validation.jsonl"


def append(path: Path, line: Mapping[str, Any]) -> None:
    """Add one line."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def read(path: Path) -> list[dict[str, Any]]:
    """All whole lines; none where there is no file. A kill may leave half a line at the end."""
    if not path.exists():
        return []
    lines: list[dict[str, Any]] = []
    for text in path.read_text(encoding="utf-8").splitlines():
        try:
            lines.append(json.loads(text))
        except ValueError:
            continue
    return lines


def rewind(path: Path, step: int) -> None:
    """Drop the lines of steps after `step`: a resumed run writes them again."""
    if not path.exists():
        return
    kept = [line for line in read(path) if line["step"] <= step]
    temporary = path.with_suffix(".part")
    temporary.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")
    temporary.replace(path)
