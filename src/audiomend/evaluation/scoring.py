"""The figures of each task: what a mended clip is judged by."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from audiomend.evaluation.damages import BAND_HZ, Clip, Damage, Task, damaged_samples
from audiomend.evaluation.metrics import (
    LIMIT_DB,
    Signal,
    frame_size,
    level_error,
    log_spectral_distance,
    sdr,
    si_sdr,
    split_bands,
    storable,
)
from audiomend.operators.band_gap import BandPass

BESIDE_SHARE = 0.9  # of a band's lower edge: two filters there, of 5 % on either side, do not meet
AGREEMENT_SHARE = 0.95  # of the cut-off: where the low-pass begins to fall, the end of what was measured


@dataclass(frozen=True)
class Figure:
    """How a figure is called in tables, and which way is better: "higher", "lower" or "nearer 0"."""

    label: str
    better: str


FIGURES: dict[str, Figure] = {
    "clipped_sdr_db": Figure("SDR on the clipped samples, dB", "higher"),
    "clicked_sdr_db": Figure("SDR on the clicked samples, dB", "higher"),
    "gap_sdr_db": Figure("SDR in the gap, dB", "higher"),
    "gap_lsd_db": Figure("log-spectral distance in the gap, dB", "lower"),
    "gap_level_error_db": Figure("level error in the gap, dB", "nearer 0"),
    "box_lsd_db": Figure("log-spectral distance in the box, dB", "lower"),
    "box_level_error_db": Figure("level error in the box, dB", "nearer 0"),
    "agreement_beside_db": Figure("agreement with the input beside the band, dB", "higher"),
    "above_lsd_db": Figure("log-spectral distance above the cut-off, dB", "lower"),
    "agreement_below_db": Figure("agreement with the input below the cut-off, dB", "higher"),
    "above_level_error_db": Figure("level error above the cut-off, dB", "nearer 0"),
    "sdr_db": Figure("SDR of the whole clip, dB", "higher"),
    "si_sdr_db": Figure("SI-SDR of the whole clip, dB", "higher"),
    "lsd_db": Figure("log-spectral distance of the whole clip, dB", "lower"),
}

SHORT_GAP_MS = 50.0  # up to here a gap can be filled with the very waveform, so that its SDR says something


def shown_figures(task: Task, severity: float) -> tuple[str, ...]:
    """The figures that tables show at this severity, the most telling first."""
    if task == "declip":
        return ("clipped_sdr_db", "si_sdr_db", "lsd_db")
    if task == "declick":
        return ("clicked_sdr_db", "sdr_db")
    if task == "inpaint":
        return ("gap_sdr_db",) if severity <= SHORT_GAP_MS else ("gap_lsd_db", "gap_level_error_db")
    if task == "band":
        return ("box_lsd_db", "box_level_error_db", "agreement_beside_db")
    return ("above_lsd_db", "agreement_below_db", "lsd_db", "si_sdr_db")


def score(
    reference: Clip, observation: Clip, estimate: Clip, rate: int, how: Damage
) -> dict[str, float | None]:
    """Figures of an estimate of a damaged clip; all signals (channels, time), infinity stored as +-300.

    declip, declick: SDR over the damaged samples. inpaint: per gap the SDR, the log-spectral distance of the
    gap with half a frame on either side (so every frame's centre lies in the gap), and the level error; means
    over gaps. band: the last two in the band, and as agreement the SDR of the estimate against the *damaged*
    gap further from the band than a sixth of its edges. extend: log-spectral distance and level error above
    the cut-off, and as agreement the SDR of the estimate against the *damaged* clip below 0.95 of the
    cut-off: what was measured should stay. All: SDR, SI-SDR and log-spectral distance of the whole clip.
    """
    r, y, e = (np.asarray(x, dtype=np.float64) for x in (reference, observation, estimate))
    whole = {
        "sdr_db": storable(sdr(r, e)),
        "si_sdr_db": storable(si_sdr(r, e)),
        "lsd_db": storable(log_spectral_distance(r, e, rate)),
    }
    if how.task in ("declip", "declick"):
        lost = damaged_samples(reference, rate, how)
        name = "clipped_sdr_db" if how.task == "declip" else "clicked_sdr_db"
        return {name: storable(sdr(r[lost], e[lost]))} | whole
    if how.task == "inpaint":
        margin = frame_size(rate) // 2
        return {
            "gap_sdr_db": _mean_over_gaps(sdr, r, e, how),
            "gap_lsd_db": _mean_over_gaps(lambda a, b: log_spectral_distance(a, b, rate), r, e, how, margin),
            "gap_level_error_db": _mean_over_gaps(level_error, r, e, how),
        } | whole
    if how.task == "band":
        return _in_boxes(r, y, e, rate, how) | whole
    kept_y, _ = split_bands(y, rate, AGREEMENT_SHARE * how.severity)
    kept_e, _ = split_bands(e, rate, AGREEMENT_SHARE * how.severity)
    _, above_r = split_bands(r, rate, how.severity)
    _, above_e = split_bands(e, rate, how.severity)
    return {
        "above_lsd_db": storable(log_spectral_distance(r, e, rate, low_hz=how.severity)),
        "agreement_below_db": storable(sdr(kept_y, kept_e)),
        "above_level_error_db": storable(level_error(above_r, above_e)),
    } | whole


def _in_boxes(r: Signal, y: Signal, e: Signal, rate: int, how: Damage) -> dict[str, float | None]:
    low, high = BAND_HZ
    inner = BandPass((BAND_HZ,), rate)
    wider = BandPass(((BESIDE_SHARE * low, min(high / BESIDE_SHARE, rate / 2)),), rate)
    margin = frame_size(rate) // 2

    def beside(x: Signal) -> Signal:
        return x - _passed(wider, x)

    def distance(a: Signal, b: Signal) -> float:
        return log_spectral_distance(a, b, rate, low_hz=low, high_hz=high)

    return {
        "box_lsd_db": _mean_over_gaps(distance, r, e, how, margin),
        "box_level_error_db": _mean_over_gaps(level_error, _passed(inner, r), _passed(inner, e), how),
        "agreement_beside_db": _mean_over_gaps(sdr, beside(y), beside(e), how),
    }


def _passed(band: BandPass, x: Signal) -> Signal:
    return band.forward(torch.from_numpy(x)).numpy()


def _mean_over_gaps(
    figure: Callable[[Signal, Signal], float], r: Signal, e: Signal, how: Damage, margin: int = 0
) -> float | None:
    values = [
        figure(r[:, max(0, start - margin) : stop + margin], e[:, max(0, start - margin) : stop + margin])
        for start, stop in how.gaps
    ]
    return storable(float(np.mean(np.clip(values, -LIMIT_DB, LIMIT_DB))))
