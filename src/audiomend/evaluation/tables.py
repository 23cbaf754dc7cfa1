"""The summary as CSV and as Markdown."""

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, fields

from audiomend.evaluation.damages import UNITS, Task
from audiomend.evaluation.metrics import LIMIT_DB
from audiomend.evaluation.scoring import FIGURES, shown_figures
from audiomend.evaluation.summary import ALL_SETS, Row

_TITLES: dict[Task, str] = {
    "declip": "input SDR",
    "inpaint": "gaps of",
    "band": "gaps from 2 to 6 kHz of",
    "extend": "low-pass at",
    "declick": "clicks:",
}


def severity_title(task: Task, severity: float) -> str:
    """A severity in words, e.g. "gaps of 50 ms"."""
    return f"{_TITLES[task]} {severity:g} {UNITS[task]}"


def to_csv(rows: Sequence[Row]) -> str:
    """One line per row, a column per field of `Row`; what is undefined is empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(Row)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
    return text.getvalue()


def to_markdown(task: Task, rows: Sequence[Row]) -> str:
    """One table per severity and shown figure: methods down, sets across, then time and memory.

    A cell reads "mean [low, high] median", decibels with one decimal; "(7 of 8)" where cells failed.
    """
    parts: list[str] = []
    for severity in sorted({row.severity for row in rows}):
        for figure in shown_figures(task, severity):
            chosen = [row for row in rows if row.severity == severity and row.figure == figure]
            if chosen:
                parts.append(_table(task, severity, figure, chosen))
    return "\n".join(parts)


def decibels(value: float | None) -> str:
    """A figure with one decimal; "inf" and "-inf" for what is stored as +-300, "-" for nothing."""
    if value is None:
        return "-"
    if abs(value) >= LIMIT_DB:
        return "inf" if value > 0 else "-inf"
    return f"{round(value, 1) + 0.0:.1f}"  # adding 0 makes -0 a 0


def _table(task: Task, severity: float, figure: str, rows: Sequence[Row]) -> str:
    sets = list(dict.fromkeys(row.set for row in rows))
    widest = ALL_SETS if ALL_SETS in sets else sets[0]
    cells = {(row.method, row.set): row for row in rows}
    about = FIGURES[figure]
    lines = [
        f"**{severity_title(task, severity)}**: {about.label} ({about.better} is better);"
        " mean [95 % interval] median",
        "",
        "| " + " | ".join(["method", *sets, "RTF", "peak MiB"]) + " |",
        "| " + " | ".join(["---"] + ["---:"] * (len(sets) + 2)) + " |",
    ]
    for method in dict.fromkeys(row.method for row in rows):
        shown = [_cell(cells.get((method, name))) for name in sets]
        lines.append("| " + " | ".join([method, *shown, *_cost(cells.get((method, widest)))]) + " |")
    return "\n".join(lines) + "\n"


def _cell(row: Row | None) -> str:
    if row is None or row.mean is None:
        return "failed" if row is not None and row.failed else "-"
    text = f"{decibels(row.mean)} [{decibels(row.low)}, {decibels(row.high)}] {decibels(row.median)}"
    return text + (f" ({row.clips} of {row.clips + row.failed})" if row.failed else "")


def _cost(row: Row | None) -> tuple[str, str]:
    if row is None or not row.rtf:  # the damaged clip took no work
        return "-", "-"
    return f"{row.rtf:.0f}" if row.rtf >= 10 else f"{row.rtf:.2g}", f"{row.peak_mib:.0f}"
