"""Damage of clean crops, with what remains known of them, for training a network that sees the observation.

Everything is a function of the crops and of the generator's state.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import oaconvolve

from audiomend.data.level import RATE, Signal
from audiomend.errors import TrainingError

NO_OBSERVATION_SHARE = 0.2
CLIP_SDR_DB = (1.0, 15.0)
GAP_COUNT = (1, 3)
GAP_SECONDS = (0.02, 0.6)
CUTOFF_HZ = (1000.0, 8000.0)
FIR_HALF_SECONDS = (0.003, 0.015)  # half length of the low-pass: a transition of 1100 down to 220 Hz
FIR_KAISER_BETA = 10.0  # -100 dB: what leaks through a softer window would tell the network what to invent
NYQUIST = RATE / 2


@dataclass(frozen=True)
class Damage:
    """A batch of damaged crops and what is known of each.

    Attributes:
        observation: (batch, time) float32, 0 in gaps and where there is no observation.
        unknown: (batch, time) float32, 1 where the clean sample is not known: gaps, clipped samples, and
            everywhere without an observation.
        clip: (batch, time) float32, the signed clip level on clipped samples, else 0.
        cutoff_hz: (batch,) float32, nothing is known above; 22050, Nyquist, without a low-pass.
        has_observation: (batch,) bool.
    """

    observation: Signal
    unknown: Signal
    clip: Signal
    cutoff_hz: NDArray[np.float32]
    has_observation: NDArray[np.bool_]


def damage(x: Signal, generator: np.random.Generator) -> Damage:
    """Damage clean crops (batch, time), which stay as they are.

    A fifth of the rows has no observation; the others are clipped at an input SDR of 1 to 15 dB, lose one to
    three gaps of 20 to 600 ms (together at most half of the crop), or are low-passed at 1 to 8 kHz,
    log-uniform; one third each. Silent rows cannot be clipped and come back whole.
    """
    rows = [_damage_row(crop, generator) for crop in x]
    return Damage(
        observation=np.stack([row[0] for row in rows]),
        unknown=np.stack([row[1] for row in rows]),
        clip=np.stack([row[2] for row in rows]),
        cutoff_hz=np.array([row[3] for row in rows], np.float32),
        has_observation=np.array([row[4] for row in rows], np.bool_),
    )


def _damage_row(x: Signal, generator: np.random.Generator) -> tuple[Signal, Signal, Signal, float, bool]:
    zeros = np.zeros_like(x)
    if generator.random() < NO_OBSERVATION_SHARE:
        return zeros, np.ones_like(x), zeros, NYQUIST, False
    kind = int(generator.integers(3))
    if kind == 0:
        threshold = clip_threshold(x, generator.uniform(*CLIP_SDR_DB)) if np.any(x) else 1.0
        clipped = np.abs(x) > threshold
        level = np.where(clipped, np.sign(x) * np.float32(threshold), 0).astype(np.float32)
        return np.where(clipped, level, x), clipped.astype(np.float32), level, NYQUIST, True
    if kind == 1:
        lost = draw_gaps(len(x), generator)
        return np.where(lost, np.float32(0), x), lost.astype(np.float32), zeros, NYQUIST, True
    low, high = np.log(CUTOFF_HZ)
    cutoff = float(np.exp(generator.uniform(low, high)))
    taps = lowpass_fir(cutoff, generator.uniform(*FIR_HALF_SECONDS))
    return low_pass(x, taps), zeros, zeros, cutoff, True


def input_sdr_db(x: Signal, threshold: float) -> float:
    """10 log10(|x|^2 / |x - clip(x)|^2) in dB of a signal (T,) clipped at +-threshold.

    inf if nothing is clipped.
    """
    excess = np.maximum(np.abs(x.astype(np.float64)) - threshold, 0)
    error = np.sum(excess**2)
    return float(10 * np.log10(np.sum(x.astype(np.float64) ** 2) / error)) if error > 0 else np.inf


def clip_threshold(x: Signal, sdr_db: float) -> float:
    """Threshold at which clipping a signal (T,) gives an input SDR of sdr_db > 0, within 0.001 dB.

    By bisection: the SDR falls with the threshold, down to 0 dB at 0.

    Raises TrainingError if the signal is silent or sdr_db is not positive.
    """
    if not np.any(x) or not sdr_db > 0:
        peak = np.abs(x).max(initial=0)
        raise TrainingError(
            f"a signal of peak {peak:g} cannot be clipped at an input SDR of {sdr_db:g} dB;"
            " it needs a peak above 0 and an SDR above 0 dB"
        )
    low, high = 0.0, float(np.abs(x).max())
    while high - low > 1e-6 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if input_sdr_db(x, middle) < sdr_db else (low, middle)
    return high


def draw_gaps(length: int, generator: np.random.Generator) -> NDArray[np.bool_]:
    """Mask (length,), true in one to three gaps of 20 to 600 ms, log-uniform.

    The crop is shared out evenly between the gaps; each fills at most half of its share.
    """
    count = int(generator.integers(GAP_COUNT[0], GAP_COUNT[1] + 1))
    shortest, longest = (round(seconds * RATE) for seconds in GAP_SECONDS)
    lost = np.zeros(length, np.bool_)
    share = length // count
    for i in range(count):
        drawn = np.exp(generator.uniform(np.log(shortest), np.log(longest)))
        gap = min(round(drawn), share // 2)
        start = i * share + int(generator.integers(share - gap + 1))
        lost[start : start + gap] = True
    return lost


def lowpass_fir(cutoff_hz: float, half_seconds: float) -> Signal:
    """Linear-phase low-pass (2 * round(half_seconds * 44100) + 1,): a sinc under a Kaiser window, beta 10.

    The gain is 1 at DC and -6 dB at cutoff_hz; the stop band is 100 dB down. The transition is about
    3.2 / half_seconds hertz wide (Kaiser's formula).
    """
    half = round(half_seconds * RATE)
    n = np.arange(-half, half + 1)
    taps = np.sinc(2 * cutoff_hz / RATE * n) * np.kaiser(2 * half + 1, FIR_KAISER_BETA)
    return (taps / taps.sum()).astype(np.float32)


def low_pass(x: Signal, taps: Signal) -> Signal:
    """Filter (T,) with a linear-phase FIR of odd length; no shift, zeros beyond the ends."""
    half = len(taps) // 2
    return oaconvolve(x, taps)[half : half + len(x)].astype(np.float32)
