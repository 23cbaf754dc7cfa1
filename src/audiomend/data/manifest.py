"""Manifests: one CSV row a file, beside the files."""

import csv
import math
from collections.abc import Sequence
from pathlib import Path

from audiomend.errors import TrainingError


def read_manifest(folder: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """Rows of `manifest.csv` in a folder; none if there is no such file.

    Raises TrainingError if a column is missing.
    """
    path = folder / "manifest.csv"
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        missing = [column for column in columns if column not in (reader.fieldnames or ())]
        if missing:
            raise TrainingError(f"{path} lacks the column {missing[0]}; it needs {', '.join(columns)}")
        return [{key: value or "" for key, value in row.items()} for row in reader]


def number(row: dict[str, str], column: str, default: float | None = None) -> float:
    """A finite number from a row; `default`, if there is one, stands for an empty field.

    Raises TrainingError if the field holds anything else.
    """
    if row[column] == "" and default is not None:
        return default
    try:
        value = float(row[column])
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise TrainingError(f"in the manifest, {column}={row[column]!r} of {row['file']} is no number")
    return value
