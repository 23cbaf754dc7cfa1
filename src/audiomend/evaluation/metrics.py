"""Figures of merit of an estimate against a clean reference, in decibels.

Signals are (time,) or (channels, time), real, of any number format; the arithmetic is float64. Channels are
pooled: one figure for the signal. Nothing here warns on silence; each function states its limits, in short:
no error at all is +inf, an estimate against a silent reference -inf, a ratio of nothing to nothing nan.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from audiomend.errors import OptionError, UsageError

Signal = NDArray[np.float64]

FRAME = 2048  # samples at FRAME_RATE; hop a quarter of it
FRAME_RATE = 44_100.0
FLOOR_DB = -70.0  # levels are compared down to here, relative to the reference's loudest bin
LIMIT_DB = 300.0  # beyond what float64 resolves: stands for infinity where a figure is stored
_BLOCK = 512  # frames transformed at a time, which bounds the memory of long files


def energy_ratio_db(numerator: float, denominator: float) -> float:
    """10 log10(numerator / denominator) of two energies: x/0 is inf, 0/x is -inf, 0/0 is nan."""
    if numerator == 0 and denominator == 0:
        return float("nan")
    if denominator == 0:
        return float("inf")
    if numerator == 0:
        return float("-inf")
    return float(10 * (np.log10(numerator) - np.log10(denominator)))


def sdr(reference: ArrayLike, estimate: ArrayLike) -> float:
    """Signal-to-distortion ratio 10 log10(|r|² / |r - e|²) in dB, over everything given.

    For SDR on the damaged samples give those samples: `sdr(reference[mask], estimate[mask])`.
    Equal signals give inf (silent ones too), a silent reference -inf, nothing at all (size 0) nan.
    """
    r, e = _pair(reference, estimate)
    if r.size == 0:
        return float("nan")
    error = _energy(r - e)
    return float("inf") if error == 0 else energy_ratio_db(_energy(r), error)


def si_sdr(reference: ArrayLike, estimate: ArrayLike) -> float:
    """Scale-invariant SDR, 10 log10(|a r|² / |a r - e|²) with a = <e, r> / |r|², in dB.

    Le Roux, Wisdom, Erdogan, Hershey, "SDR - half-baked or well done?", ICASSP 2019, without removal of
    the mean; one scale a for all channels. A multiple of the reference gives inf (or some 300 dB, where the
    multiple is rounded); an estimate without any of the reference, or a silent reference, gives -inf; two
    silent signals give inf, as they do in `sdr`; nothing at all gives nan.
    """
    r, e = _pair(reference, estimate)
    if r.size == 0:
        return float("nan")
    power = _energy(r)
    target = r * (np.vdot(r, e) / power) if power > 0 else r
    if _energy(target) == 0:
        return float("inf") if power == 0 and _energy(e) == 0 else float("-inf")
    return energy_ratio_db(_energy(target), _energy(target - e))


def level_error(reference: ArrayLike, estimate: ArrayLike) -> float:
    """Energy of the estimate relative to the reference in dB: positive is too loud.

    A silent estimate gives -inf, a silent reference inf, both silent 0, nothing at all nan.
    """
    r, e = _pair(reference, estimate)
    if r.size == 0:
        return float("nan")
    ratio = energy_ratio_db(_energy(e), _energy(r))
    return 0.0 if np.isnan(ratio) else ratio


def split_bands(signal: ArrayLike, rate: float, cutoff_hz: float) -> tuple[Signal, Signal]:
    """The signal (..., time) below and above a cut-off: (below, above), whose sum is the signal.

    Exact masks on one FFT over the whole length, so the split is circular in time; the bin at the cut-off
    itself belongs above. `cutoff_hz` lies between 0 and rate/2, exclusive.
    """
    if not 0 < cutoff_hz < rate / 2:
        raise OptionError("cutoff_hz", f"is {cutoff_hz:g}; it must lie between 0 and {rate / 2:g} Hz.")
    x = np.asarray(signal, dtype=np.float64)
    length = x.shape[-1]
    spectrum = np.fft.rfft(x)
    spectrum[..., np.fft.rfftfreq(length, 1 / rate) >= cutoff_hz] = 0
    below = np.fft.irfft(spectrum, n=length)
    return below, x - below


def log_spectral_distance(
    reference: ArrayLike,
    estimate: ArrayLike,
    rate: float,
    low_hz: float = 0.0,
    high_hz: float = float("inf"),
) -> float:
    """Log-spectral distance in dB over the bins with low_hz <= f < high_hz.

    Power spectra |X|² of frames of N = 4 round(512 rate / 44100) samples (2048 at 44.1 kHz), periodic Hann,
    hop N/4. Frames lie inside the signal, the last one ends with it; a signal shorter than N is padded with
    zeros at its end. L = 10 log10 max(|X|², 10^-7 M), M the largest |X|² of the reference over all channels,
    frames and bins, is the level above a floor of -70 dB. The distance is the mean, over channels and frames,
    of the square root of the mean over bins of (L_reference - L_estimate)².

    Two silent signals give 0, a silent reference inf; no bin in the band, or no sample, gives nan.
    """
    r, e = _pair(reference, estimate)
    size = frame_size(rate)
    frequency = np.fft.rfftfreq(size, 1 / rate)
    band = (frequency >= low_hz) & (frequency < high_hz)
    if r.size == 0 or not band.any():
        return float("nan")
    floor = max(float(block.max()) for block in _power_spectra(r, size)) * 10 ** (FLOOR_DB / 10)
    if floor == 0:
        return 0.0 if not e.any() else float("inf")
    distances = [
        _frame_distances(power_r[:, band], power_e[:, band], floor)
        for power_r, power_e in zip(_power_spectra(r, size), _power_spectra(e, size), strict=True)
    ]
    return float(np.mean(np.concatenate(distances)))


def frame_size(rate: float) -> int:
    """Samples per frame of `log_spectral_distance`: 46.4 ms, a multiple of 4, at least 4."""
    return 4 * max(1, round(FRAME / 4 * rate / FRAME_RATE))


def evaluate(
    reference: ArrayLike,
    estimate: ArrayLike,
    rate: float,
    cutoff_hz: float | None = None,
    damaged: ArrayLike | None = None,
) -> dict[str, float | None]:
    """All figures of an estimate, ready for JSON.

    Args:
        reference: the clean signal, (time,) or (channels, time), finite.
        estimate: the restored signal, of the same shape, finite.
        rate: samples per second.
        cutoff_hz: adds every figure below and above this frequency (`split_bands`; the log-spectral distance
            takes its bins on either side).
        damaged: (time,) or the signal's shape, true where a sample was damaged; adds the SDR there.

    Returns:
        `sdr_db`, `si_sdr_db`, `lsd_db`, `level_error_db`, with `damaged` also `damaged_sdr_db`; with a
        cut-off the same with `below_` and `above_` in front. Infinity is stored as +-300, an undefined figure
        as None.

    Raises:
        UsageError: no samples, shapes that differ, values that are not finite, a cut-off outside 0..rate/2.
    """
    r, e = _pair(reference, estimate)
    if r.size == 0:
        raise UsageError("There is nothing to evaluate: the signals have no samples.")
    mask = None if damaged is None else _mask(damaged, r.shape)
    bands = [("", r, e, 0.0, float("inf"))]
    if cutoff_hz is not None:
        r_below, r_above = split_bands(r, rate, cutoff_hz)
        e_below, e_above = split_bands(e, rate, cutoff_hz)
        bands.append(("below_", r_below, e_below, 0.0, cutoff_hz))
        bands.append(("above_", r_above, e_above, cutoff_hz, float("inf")))
    figures: dict[str, float | None] = {}
    for prefix, r_band, e_band, low_hz, high_hz in bands:
        figures[f"{prefix}sdr_db"] = storable(sdr(r_band, e_band))
        figures[f"{prefix}si_sdr_db"] = storable(si_sdr(r_band, e_band))
        if mask is not None:
            figures[f"{prefix}damaged_sdr_db"] = storable(sdr(r_band[mask], e_band[mask]))
        figures[f"{prefix}lsd_db"] = storable(log_spectral_distance(r, e, rate, low_hz, high_hz))
        figures[f"{prefix}level_error_db"] = storable(level_error(r_band, e_band))
    return figures


def storable(decibels: float) -> float | None:
    """A figure as JSON can hold it: within +-300, None for nan."""
    return None if np.isnan(decibels) else float(np.clip(decibels, -LIMIT_DB, LIMIT_DB))


def _pair(reference: ArrayLike, estimate: ArrayLike) -> tuple[Signal, Signal]:
    r, e = np.asarray(reference, dtype=np.float64), np.asarray(estimate, dtype=np.float64)
    if r.shape != e.shape:
        raise UsageError(f"The reference has shape {r.shape}, the estimate {e.shape}; they must be equal.")
    for name, x in (("reference", r), ("estimate", e)):
        bad = int(np.count_nonzero(~np.isfinite(x)))
        if bad:
            raise UsageError(f"The {name} has {bad} values that are NaN or infinite; all must be finite.")
    return r, e


def _mask(damaged: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    mask = np.asarray(damaged, dtype=bool)
    if mask.shape not in (shape, shape[-1:]):
        raise UsageError(f"The mask of damaged samples has shape {mask.shape}, the signal {shape}.")
    return np.broadcast_to(mask, shape)


def _energy(x: Signal) -> float:
    return float(np.sum(np.square(x)))


def _power_spectra(x: Signal, size: int) -> Iterator[Signal]:
    """|X|² (frames, bins) of the frames of every channel, some hundred frames at a time."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)
    for channel in x.reshape(-1, x.shape[-1]):
        padded = np.pad(channel, (0, max(0, size - len(channel))))
        frames = np.lib.stride_tricks.sliding_window_view(padded, size)
        starts = np.arange(0, len(frames), size // 4)
        if starts[-1] != len(frames) - 1:
            starts = np.append(starts, len(frames) - 1)
        for first in range(0, len(starts), _BLOCK):
            yield np.abs(np.fft.rfft(frames[starts[first : first + _BLOCK]] * window)) ** 2


def _frame_distances(power_r: Signal, power_e: Signal, floor: float) -> Signal:
    difference = 10 * np.log10(np.maximum(power_r, floor) / np.maximum(power_e, floor))
    return np.sqrt(np.mean(difference**2, axis=-1))
