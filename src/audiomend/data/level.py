"""Level and bandwidth of training audio."""

import numpy as np
from numpy.typing import NDArray

from audiomend.audio.level import SIGMA_DATA, ActiveLevel

RATE = 44_100
POOL_RMS = SIGMA_DATA  # of every item over its active half seconds
FADE_SECONDS = 0.005  # at both ends of an item, so that it ends without a click

Signal = NDArray[np.float32]


def active_rms(x: Signal) -> float:
    """RMS of a signal (T,) over its active half seconds, as files are brought to the level of a prior."""
    level = ActiveLevel(RATE)
    level.add(x[None])
    return level.rms


def bandwidth(x: Signal) -> float:
    """Highest frequency in Hz with content, for a signal (T,) of at least 4096 samples.

    The 95th-percentile power spectrum over frames (4096 points, Hann, hop 2048), smoothed over 200 Hz, is
    followed down to 90 dB below its maximum. A hard edge reads about 270 Hz high, since smoothing and window
    reach beyond it. Silence gives 0.
    """
    size, hop, floor_db = 4096, 2048, -90.0
    frames = np.lib.stride_tricks.sliding_window_view(x, size)[::hop] * np.hanning(size).astype(np.float32)
    spectrum = np.percentile(np.abs(np.fft.rfft(frames)) ** 2, 95, axis=0)
    width = round(200 * size / RATE)
    smooth = np.convolve(spectrum, np.full(width, 1 / width), mode="same")
    audible = np.flatnonzero(smooth > smooth.max() * 10 ** (floor_db / 10))
    return float(audible[-1] * RATE / size) if len(audible) else 0.0


def faded(x: Signal, seconds: float = FADE_SECONDS) -> Signal:
    """A copy of (T,) with raised-cosine fades at both ends; T must be at least one fade."""
    length = round(seconds * RATE)
    ramp = (0.5 - 0.5 * np.cos(np.pi * (np.arange(length) + 0.5) / length)).astype(np.float32)
    y = x.copy()
    y[:length] *= ramp
    y[-length:] *= ramp[::-1]
    return y
