"""The files that a benchmark leaves beside its lines: CSV, JSON, Markdown and SVG, made anew from them."""

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

from audiomend.evaluation import results
from audiomend.evaluation.manifest import Manifest
from audiomend.evaluation.plot import quality_against_time
from audiomend.evaluation.results import Result
from audiomend.evaluation.summary import Row, summarise
from audiomend.evaluation.tables import severity_title, to_csv, to_markdown

_OF_ONE_CELL = ("alignment", "command", "manifest_sha256", "seed")  # context that the notes do not list


def write_reports(manifest: Manifest, out: Path, order: Sequence[str] = ()) -> list[Row]:
    """Writes TASK.csv, .json, .md and .svg from the lines that belong to the manifest, by rename.

    `order` is that of the methods; others follow as they were measured. Returns the rows.
    """
    task, hashes = manifest.task, manifest.hashes
    clips = {case.source.name: i for i, case in enumerate(manifest.cases)}
    places = {label: i for i, label in enumerate(order)}
    measured = [
        r
        for r in results.read(out / f"{task}.jsonl")
        if hashes.get((r.clip, r.severity)) == r.observation_sha256
    ]
    measured.sort(key=lambda r: (clips[r.clip], places.get(r.method, len(places))))
    rows = summarise(measured, manifest.seed)
    _write(out / f"{task}.csv", to_csv(rows))
    _write(
        out / f"{task}.json", json.dumps(_report(manifest, measured, rows), indent=1, allow_nan=False) + "\n"
    )
    _write(out / f"{task}.md", to_markdown(task, rows) + "\n" + _notes(manifest, measured))
    _write(out / f"{task}.svg", quality_against_time(task, rows))
    return rows


def _report(manifest: Manifest, measured: Sequence[Result], rows: Sequence[Row]) -> dict[str, object]:
    return {
        "task": manifest.task,
        "split": manifest.split,
        "seed": manifest.seed,
        "manifest_sha256": manifest.sha256,
        "omitted": list(manifest.omitted),
        "measured_with": _measured_with(measured),
        "errors": [[*r.key, r.error] for r in measured if r.error is not None],
        "rows": [asdict(row) for row in rows],
    }


def _measured_with(measured: Iterable[Result]) -> dict[str, list[object]]:
    """Every value that each entry of the context took: more than one commit, say, if the code moved on."""
    seen: dict[str, list[object]] = {}
    for result in measured:
        for name, value in result.context.items():
            if name not in _OF_ONE_CELL and value is not None and value not in seen.setdefault(name, []):
                seen[name].append(value)
    return {name: values for name, values in sorted(seen.items()) if values}


def _notes(manifest: Manifest, measured: Sequence[Result]) -> str:
    """The small print below the tables."""
    lines = [f"Seed {manifest.seed}, split {manifest.split}, manifest {manifest.sha256[:12]}"]
    lines += [f"{name}: {', '.join(map(str, values))}" for name, values in _measured_with(measured).items()]
    lines += [
        f"left out: {clip} at {severity_title(manifest.task, severity)}, as {reason}"
        for clip, severity, reason in manifest.omitted
    ]
    lines += _counted(
        f"{r.method}: delay of {shift['delay']} samples and excess length of {shift['excess']} undone"
        for r in measured
        if (shift := r.context.get("alignment")) and any(shift.values())
    )
    lines += _counted(f"{r.method}: failed, {r.error}" for r in measured if r.error is not None)
    return "".join(f"- {line}\n" for line in lines)


def _counted(lines: Iterable[str]) -> list[str]:
    """Each different line once, with the number of cells that it stands for."""
    gathered = list(lines)
    return [f"{line} ({gathered.count(line)} cells)" for line in dict.fromkeys(gathered)]


def _write(path: Path, text: str) -> None:
    partial = path.with_name(path.name + ".part")
    partial.write_text(text)
    os.replace(partial, path)
