"""From cells to rows: mean, median and a bootstrap interval per set, severity, method and figure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audiomend.evaluation.results import Result

RESAMPLES = 10_000
COVERAGE = 0.95
ALL_SETS = "all"


@dataclass(frozen=True)
class Row:
    """One figure of one method over the clips of one set at one severity.

    Attributes:
        set: name of the set; "all" for every clip of every set.
        clips: how many clips the figures are of; failed: how many cells failed.
        mean, median: over clips; None without a clip.
        low, high: bounds of the 95 % bootstrap interval of the mean.
        rtf: median real-time factor. peak_mib: largest memory.
    """

    set: str
    severity: float
    method: str
    figure: str
    clips: int
    failed: int
    mean: float | None
    median: float | None
    low: float | None
    high: float | None
    rtf: float | None
    peak_mib: float | None


def summarise(results: Sequence[Result], seed: int = 0) -> list[Row]:
    """Rows by set (in order of appearance, "all" last if there are several), severity, method and figure."""
    sets = list(dict.fromkeys(result.set for result in results))
    groups = [(name, [r for r in results if r.set == name]) for name in sets]
    if len(sets) > 1:
        groups.append((ALL_SETS, list(results)))
    figures = list(dict.fromkeys(name for result in results for name in result.figures))
    return [
        _row(name, severity, method, figure, cells, seed)
        for name, group in groups
        for severity in sorted({r.severity for r in group})
        for method in dict.fromkeys(r.method for r in group)
        for figure in figures
        if (cells := [r for r in group if r.severity == severity and r.method == method])
    ]


def bootstrap_interval(
    values: Sequence[float] | NDArray[np.float64], seed: int = 0, coverage: float = COVERAGE
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean (Efron 1979), from 10,000 resamples of at least one value."""
    x = np.asarray(values, dtype=np.float64)
    drawn = np.random.default_rng(seed).integers(len(x), size=(RESAMPLES, len(x)))
    tail = 50 * (1 - coverage)
    low, high = np.percentile(x[drawn].mean(axis=1), [tail, 100 - tail])
    return float(low), float(high)


def _row(name: str, severity: float, method: str, figure: str, cells: Sequence[Result], seed: int) -> Row:
    good = [r for r in cells if r.error is None]
    values = [v for r in good if (v := r.figures.get(figure)) is not None]
    low, high = bootstrap_interval(values, seed) if values else (None, None)
    return Row(
        set=name,
        severity=severity,
        method=method,
        figure=figure,
        clips=len(values),
        failed=len(cells) - len(good),
        mean=float(np.mean(values)) if values else None,
        median=float(np.median(values)) if values else None,
        low=low,
        high=high,
        rtf=float(np.median([r.rtf for r in good])) if good else None,
        peak_mib=max(r.peak_mib for r in good) if good else None,
    )
