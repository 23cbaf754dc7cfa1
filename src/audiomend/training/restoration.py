"""Validation by restoration: a few damaged segments, mended at the quality `fast`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from audiomend.data.level import RATE, Signal
from audiomend.evaluation.metrics import level_error, log_spectral_distance, sdr, storable
from audiomend.models.prior import Prior
from audiomend.restorers.damage import Damage
from audiomend.restorers.diffusion import stretches, windows_for
from audiomend.restorers.frame import run
from audiomend.restorers.jobs import WalkJob
from audiomend.restorers.memory import ArrayReader, ArraySink
from audiomend.restorers.options import Options
from audiomend.restorers.settings import way
from audiomend.training.segments import (
    CUTOFF_HZ,
    Segment,
    clipping,
    gap,
    long_gap,
    lost_samples,
    low_pass,
    operator_of,
)

MOST_SEGMENTS = 3

Floats = NDArray[np.floating]
Figure = Callable[[Floats, Floats], float]
"""(clean, estimate), each (length,) or only the lost samples -> a figure."""


@dataclass(frozen=True)
class Case:
    """A damage and the figures that count for it.

    Attributes:
        figures: of the samples that may change, by name with unit.
    """

    damage: Callable[[Signal], Damage]
    figures: dict[str, Figure]


def _distance(clean: Floats, estimate: Floats) -> float:
    return log_spectral_distance(clean, estimate, RATE)


def _distance_above(clean: Floats, estimate: Floats) -> float:
    return log_spectral_distance(clean, estimate, RATE, low_hz=CUTOFF_HZ)


CASES = (
    Case(clipping, {"clipped samples, SDR in dB": sdr}),
    Case(gap, {"gap of 100 ms, SDR in dB": sdr}),
    Case(
        long_gap,
        {
            "gap of 400 ms, level error in dB": level_error,
            "gap of 400 ms, log-spectral distance in dB": _distance,
        },
    ),
    Case(low_pass, {"above 3 kHz, log-spectral distance in dB": _distance_above}),
)

Restorations = dict[str, dict[str, float]]
"""Mean over segments of each figure, for the "damaged" sound and for both ways to mend it."""


def restorations(prior: Prior, segments: Sequence[Segment]) -> Restorations:
    """Mend one segment of each of up to three materials, showing the network the observation ("told") or not.

    segments: of the prior's length.
    """
    chosen = {segment.material: segment for segment in segments}
    windows = windows_for(prior, RATE)
    values: dict[str, dict[str, list[float]]] = {}
    for case in CASES:
        for segment in list(chosen.values())[:MOST_SEGMENTS]:
            clean = segment.clean[: windows.hop - windows.overlap]  # lies in one window
            damage = case.damage(clean)
            observation = operator_of(damage, len(clean)).forward(torch.from_numpy(clean)[None])
            damaged = observation[0].double().numpy()
            lost = lost_samples(damage, observation)
            versions = {
                "damaged": damaged,
                "untold": mended(prior, damage, damaged, conditioned=False),
                "told": mended(prior, damage, damaged, conditioned=True),
            }
            for name, figure in case.figures.items():
                for version, estimate in versions.items():
                    value = storable(figure(clean[lost], estimate[lost]))
                    values.setdefault(name, {}).setdefault(version, []).append(value or 0.0)
    return {
        name: {version: round(float(np.mean(v)), 3) for version, v in by_version.items()}
        for name, by_version in values.items()
    }


def mended(prior: Prior, damage: Damage, damaged: Floats, conditioned: bool) -> Floats:
    """A damaged segment (length,) mended in 8 evaluations."""
    source = ArrayReader(damaged[None].astype(np.float64), RATE)
    how = way(damage.verb, "fast", None, {"conditioned": conditioned}, damage.severity)
    work = stretches(source, damage, windows_for(prior, RATE))
    sink = ArraySink(source.samples)
    run(WalkJob(source, damage, 1.0, Options(), prior, how, work, evaluations=0), sink)
    return sink.samples[0]
