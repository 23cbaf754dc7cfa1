"""Clicks: how many are found and taken away, and how often where none was put; prints a table.

    python benchmarks/clicks.py --data DIR

Clean recordings of DIR/SPLIT/SET: all their channels for false alarms (the first minute), and for the rest
six seconds of each, mixed to one channel, with clicks: 1 to 60 samples at 44.1 kHz, 10 dB below the level
around them to 15 dB above it, four a second; and crackle: 1 to 5 samples, 20 dB below to 0, forty a second.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

import audiomend
from audiomend.detect.clicks import find_clicks
from audiomend.evaluation.metrics import energy_ratio_db

Floats = NDArray[np.float64]
CLEAN_S, CLICKED_S = 60, 6
KINDS = {"clicks": (4, 60, (-10.0, 15.0)), "crackle": (40, 5, (-20.0, 0.0))}
SOUND = (".flac", ".wav", ".ogg", ".opus")


def clicked(
    x: Floats, rate: int, kind: str, random: np.random.Generator
) -> tuple[Floats, list[tuple[int, int]]]:
    """A signal (time,) with clicks, and their first and last samples, exclusive."""
    per_second, longest, (low, high) = KINDS[kind]
    width = round(0.046 * rate)
    level = np.sqrt(np.convolve(x**2, np.full(width, 1 / width), "same"))
    y, places = x.copy(), list[tuple[int, int]]()
    for start in np.sort(random.integers(500, len(x) - 500, per_second * len(x) // rate)).tolist():
        length = max(round(np.exp(random.uniform(0, np.log(longest))) * rate / 44_100), 1)
        shape = random.standard_normal(length) * np.exp(-3 * np.arange(length) / length)
        peak = max(level[start], 1e-4) * 10 ** (random.uniform(low, high) / 20)
        y[start : start + length] += peak * shape / np.abs(shape).max()
        places.append((start, start + length))
    return y, places


def measured(files: list[Path]) -> dict[str, float]:
    """The figures of a set, means over its recordings."""
    random = np.random.default_rng(0)
    alarms, seconds, spent = 0, 0.0, 0.0
    rows: dict[str, list[float]] = {}
    for file in files:
        sound, rate = soundfile.read(file, always_2d=True, frames=-1)
        clean = sound.T[:, : CLEAN_S * rate]
        alarms += len(find_clicks(clean, rate))
        seconds += clean.size / rate
        start = len(sound) // 5
        x = sound[start : start + CLICKED_S * rate].mean(axis=1)
        if len(x) < 2 * rate or not x.any():
            continue
        for kind in KINDS:
            y, places = clicked(x, rate, kind, random)
            found = find_clicks(y[None], rate)
            hits = sum(
                any(c.start < stop + 2 and c.stop > first - 2 for c in found) for first, stop in places
            )
            rows.setdefault(f"{kind} found", []).append(100 * hits / len(places))
            begun = time.process_time()
            z = audiomend.declick(y, rate)
            spent = time.process_time() - begun
            energy = float((x**2).sum())
            gain = energy_ratio_db(energy, float(((z - x) ** 2).sum())) - energy_ratio_db(
                energy, float(((y - x) ** 2).sum())
            )
            rows.setdefault(f"{kind}: SDR gained, dB", []).append(gain)
            rows.setdefault("CPU time / length", []).append(spent / (len(x) / rate))
    figures = {name: float(np.mean(values)) for name, values in sorted(rows.items())}
    return {"minutes without clicks": seconds / 60, "false alarms": float(alarms), **figures}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--split", default="train")
    parser.add_argument("--set", dest="sets", action="append", help="repeatable; music, singing, speech_wb16")
    parser.add_argument("--every", type=int, default=1, help="take every n-th recording")
    chosen = parser.parse_args()
    columns: dict[str, dict[str, float]] = {}
    for name in chosen.sets or ["music", "singing"]:
        files = sorted(p for p in (chosen.data / chosen.split / name).iterdir() if p.suffix in SOUND)
        columns[name] = measured(files[:: chosen.every])
    print(f"| | {' | '.join(columns)} |\n| --- |{' ---: |' * len(columns)}")
    for row in next(iter(columns.values())):
        print(f"| {row} | {' | '.join(f'{column[row]:.3g}' for column in columns.values())} |")


if __name__ == "__main__":
    main()
