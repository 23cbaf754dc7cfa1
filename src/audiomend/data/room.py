"""A synthetic room: a direct path and a tail of exponentially decaying noise (Moorer 1979)."""

import numpy as np
from scipy.signal import lfilter, oaconvolve

from audiomend.data.level import RATE, Signal

DECAY_60_DB = 3 * np.log(10)  # exp(-DECAY_60_DB) is an amplitude 60 dB down


def response(rt60: float, level_db: float, cutoff_hz: float, generator: np.random.Generator) -> Signal:
    """Impulse response (rt60 * 44100,) whose direct path is 1 at sample 0.

    The tail is white noise under exp(-6.91 t / rt60), darkened by a one-pole low-pass at `cutoff_hz`, as
    walls and air absorb high frequencies first. Its energy is `level_db` relative to the direct path.

    rt60: seconds until the tail has fallen by 60 dB.
    """
    length = max(2, round(rt60 * RATE))
    time = np.arange(length) / RATE
    pole = np.exp(-2 * np.pi * cutoff_hz / RATE)
    dark = lfilter([1 - pole], [1, -pole], generator.standard_normal(length))
    tail = dark * np.exp(-DECAY_60_DB * time / rt60)
    tail[0] = 0.0
    tail *= np.sqrt(10 ** (level_db / 10) / np.sum(tail**2))
    tail[0] = 1.0
    return tail.astype(np.float32)


def reverberate(x: Signal, impulse_response: Signal) -> Signal:
    """Convolve (T,) with a response (L,), cut to the length T of the dry signal."""
    return oaconvolve(x, impulse_response)[: len(x)].astype(np.float32)
