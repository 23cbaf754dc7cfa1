"""The tables that validation fills, as Markdown."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from audiomend.training.validation import LEVELS, Gains

MOST_ROWS = 20  # of the learning curve


def denoising_table(line: Mapping[str, Any]) -> str:
    """Denoising gain in dB per noise level, material and damage, from a line of the validation."""
    gains: Mapping[str, Gains] = line["gain"]
    head = ["", *(f"{level:g}" for level in LEVELS), "mean"]
    rows = [
        [f"{name}, {_NAMES[kind]}", *map(_decibels, gains[kind][name]), _decibels(np.mean(gains[kind][name]))]
        for name in gains["network"]
        for kind in ("wiener", "network", "told")
        if name in gains[kind]
    ]
    return _table(head, rows)


def learning_curve(lines: Sequence[Mapping[str, Any]]) -> str:
    """Mean denoising gain of the materials in dB and the figures of restoration, by CPU hour."""
    shown = [lines[i] for i in sorted({round(x) for x in np.linspace(0, len(lines) - 1, MOST_ROWS)})]
    materials = _materials(lines[-1])
    damages = list(lines[-1]["gain"]["told"])
    figures = list(lines[-1]["restoration"])
    head = ["CPU hours", "segments", "all", *(f"{level:g}" for level in LEVELS)]
    head += [f"{name}, told" for name in damages] + figures
    rows: list[list[str]] = []
    for line in shown:
        network, told = line["gain"]["network"], line["gain"]["told"]
        by_level = np.mean([network[name] for name in materials], axis=0)
        row = [f"{line['cpu_hours']:.2f}", f"{line['segments']:,}", _decibels(by_level.mean())]
        row += [*map(_decibels, by_level), *(_decibels(np.mean(told[name])) for name in damages)]
        row += [
            f"{_decibels(x['untold'])} / {_decibels(x['told'])}"
            for x in map(line["restoration"].get, figures)
        ]
        rows.append(row)
    return _table(head, rows)


def figures(line: Mapping[str, Any]) -> dict[str, float]:
    """The figures of a card from a line of the validation."""
    gains = line["gain"]
    by_level = np.mean([gains["network"][name] for name in _materials(line)], axis=0)
    denoising = {f"denoising gain at {s:g} sigma_data, dB": g for s, g in zip(LEVELS, by_level, strict=True)}
    told = {f"denoising gain in lost part, told of {n}, dB": np.mean(x) for n, x in gains["told"].items()}
    restored = {f"{n} ({how})": x[how] for n, x in line["restoration"].items() for how in ("untold", "told")}
    return {name: round(float(value), 2) for name, value in (denoising | told | restored).items()}


def _materials(line: Mapping[str, Any]) -> list[str]:
    gains = line["gain"]
    return [name for name in gains["network"] if name not in gains["told"]]


_NAMES = {"wiener": "Wiener", "network": "network", "told": "network told"}


def _decibels(value: float | np.floating) -> str:
    return f"{value:.2f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)
