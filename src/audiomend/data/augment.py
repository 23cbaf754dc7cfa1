"""Variation of clean crops: pitch, equaliser, room, noise floor, level, polarity.

Everything is a function of the crops and of the generator's state.
"""

import numpy as np
import soxr
from numpy.typing import NDArray

from audiomend.data.level import RATE, Signal
from audiomend.data.room import response, reverberate

PITCH_RANGE = (0.84, 1.19)  # three semitones down and up
PITCH_SHARE = 0.5  # of the crops; the others keep the pitch and the texture of the recording
LEVEL_DB = 4.0  # standard deviation of the level, and its upper limit
QUIETEST_DB = -16.0
NOISE_SHARE, NOISE_DB = 0.25, (-75.0, -50.0)  # relative to the crop's RMS
ROOM_SHARE, ROOM_DB, ROOM_RT60, ROOM_CUTOFF_HZ = 0.2, (-30.0, -12.0), (0.2, 1.5), (3000.0, 10_000.0)
EQ_SHARE, EQ_DB, EQ_CORNER_HZ = 0.3, 6.0, (200.0, 5000.0)

Floats = NDArray[np.float32]


def source_length(length: int) -> int:
    """Samples of a clean crop that are needed to make `length` samples at any pitch."""
    return int(np.ceil(length * PITCH_RANGE[1])) + 2


def augment(
    x: Signal, bandwidth_hz: Floats, length: int, generator: np.random.Generator
) -> tuple[Signal, Floats]:
    """Vary crops (batch, source_length(length)) with their bandwidths (batch,) in Hz.

    Returns (batch, length) signals and (batch,) bandwidths: pitch moves the bandwidth with it, up to Nyquist.
    The crops given stay as they are.
    """
    rows: list[Signal] = []
    widths: list[float] = []
    for crop, width in zip(x, bandwidth_hz, strict=True):
        ratio = pitch_ratio(generator)
        rows.append(vary(shift_pitch(crop, ratio, length), generator))
        widths.append(min(float(width) * ratio, RATE / 2))
    return np.stack(rows), np.array(widths, np.float32)


def pitch_ratio(generator: np.random.Generator) -> float:
    """1 for half of the crops, else log-uniform between 0.84 and 1.19."""
    low, high = np.log(PITCH_RANGE)
    drawn, chance = generator.uniform(low, high), generator.random()
    return float(np.exp(drawn)) if chance < PITCH_SHARE else 1.0


def shift_pitch(x: Signal, ratio: float, length: int) -> Signal:
    """The first `length` samples of (T,) played `ratio` times as fast; T must be at least ratio * length."""
    if ratio == 1.0:
        return x[:length]
    needed = x[: int(np.ceil(length * ratio)) + 2]
    return soxr.resample(needed, RATE * ratio, RATE, "HQ")[:length]


def vary(x: Signal, generator: np.random.Generator) -> Signal:
    """Equaliser, room, noise floor, level and polarity, in the order in which a recording gets them."""
    if generator.random() < EQ_SHARE:
        corner = float(np.exp(generator.uniform(*np.log(EQ_CORNER_HZ))))
        x = shelf(x, generator.uniform(-EQ_DB, EQ_DB), corner)
    if generator.random() < ROOM_SHARE:
        rt60, level_db = generator.uniform(*ROOM_RT60), generator.uniform(*ROOM_DB)
        x = reverberate(x, response(rt60, level_db, generator.uniform(*ROOM_CUTOFF_HZ), generator))
    if generator.random() < NOISE_SHARE:
        pink = bool(generator.random() < 0.5)
        x = add_noise(x, generator.uniform(*NOISE_DB), pink, generator)
    sign = 1.0 if generator.random() < 0.5 else -1.0
    return np.float32(sign * 10 ** (draw_level_db(generator) / 20)) * x


def draw_level_db(generator: np.random.Generator) -> float:
    """Level in dB: normal with standard deviation 4 dB, limited to -16 and 4 dB."""
    return float(np.clip(generator.normal(0, LEVEL_DB), QUIETEST_DB, LEVEL_DB))


def shelf(x: Signal, gain_db: float, corner_hz: float) -> Signal:
    """High shelf of first order on (T,), by FFT and without phase: 0 dB at DC, gain_db far above the corner.

    |H(f)| = sqrt((1 + g^2 r^2) / (1 + r^2)) with r = f / corner_hz and g = 10^(gain_db/20): half the gain in
    dB is reached at r = 1 / sqrt(g).
    """
    power = 10 ** (gain_db / 10)
    r2 = (np.fft.rfftfreq(2 * len(x), 1 / RATE) / corner_hz) ** 2
    spectrum = np.fft.rfft(x, 2 * len(x)) * np.sqrt((1 + power * r2) / (1 + r2))
    return np.fft.irfft(spectrum)[: len(x)].astype(np.float32)


def add_noise(x: Signal, level_db: float, pink: bool, generator: np.random.Generator) -> Signal:
    """Add a floor of white or pink (power 1/f) noise to (T,), level_db relative to its RMS.

    Silence stays silent.
    """
    noise = generator.standard_normal(len(x))
    if pink:
        frequency = np.maximum(np.fft.rfftfreq(len(x), 1 / RATE), 20.0)  # flat below 20 Hz
        noise = np.fft.irfft(np.fft.rfft(noise) / np.sqrt(frequency), len(x))
    wanted = np.sqrt(np.mean(x.astype(np.float64) ** 2)) * 10 ** (level_db / 20)
    return (x + noise * (wanted / np.sqrt(np.mean(noise**2)))).astype(np.float32)
