"""The SNR of a voice, whatever the noise: WADA (Kim and Stern, "Robust signal-to-noise ratio estimation based
on waveform amplitude distribution analysis", Interspeech 2008).

Amplitudes of clean speech are distributed as a gamma variable of shape 0.4, those of noise as a Gaussian. The
logarithm of the mean magnitude minus the mean logarithm does not know the level, and grows with the SNR of
their sum; the table has it for -20 to 100 dB. It asks for no pause and no steadiness, but for a voice.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_banded

Floats = NDArray[np.float64]

FLOOR = 1e-10  # least magnitude, full scale 1
POLE = 0.999  # of the filter that takes an offset away
FIRST_DB = -20
# fmt: off
TABLE = np.array([
    0.40974774, 0.40986926, 0.40998566, 0.40969089, 0.40986186, 0.40999006, 0.41027138, 0.41052627,
    0.41101024, 0.41143264, 0.41231718, 0.41337272, 0.41526426, 0.4178192, 0.42077252, 0.42452799,
    0.42918886, 0.43510373, 0.44234195, 0.45161485, 0.46221153, 0.47491647, 0.48883809, 0.50509236,
    0.52353709, 0.54372088, 0.56532427, 0.58847532, 0.61346212, 0.63954496, 0.66750818, 0.69583724,
    0.72454762, 0.75414799, 0.78323148, 0.81240985, 0.84219775, 0.87166406, 0.90030504, 0.92880418,
    0.95655449, 0.9835349, 1.01047155, 1.0362095, 1.06136425, 1.08579312, 1.1094819, 1.13277995, 1.15472826,
    1.17627308, 1.19703503, 1.21671694, 1.23535898, 1.25364313, 1.27103891, 1.28718029, 1.30302865,
    1.31839527, 1.33294817, 1.34700935, 1.3605727, 1.37345513, 1.38577122, 1.39733504, 1.40856397,
    1.41959619, 1.42983624, 1.43958467, 1.44902176, 1.45804831, 1.46669568, 1.47486938, 1.48269965,
    1.49034339, 1.49748214, 1.50435106, 1.51076426, 1.51698915, 1.5229097, 1.528578, 1.53389835, 1.5391211,
    1.5439065, 1.54858517, 1.55310776, 1.55744391, 1.56164927, 1.56566348, 1.56938671, 1.57307767,
    1.57654764, 1.57980083, 1.58304129, 1.58602496, 1.58880681, 1.59162477, 1.5941969, 1.59693155, 1.599446,
    1.60185011, 1.60408668, 1.60627134, 1.60826199, 1.61004547, 1.61192472, 1.61369656, 1.61534074,
    1.61688905, 1.61838916, 1.61985374, 1.62135878, 1.62268119, 1.62390423, 1.62513143, 1.62632463,
    1.6274027, 1.62842767, 1.62945532, 1.6303307, 1.63128026, 1.63204102,
])
# fmt: on
NOISE_FREE_DB, NOISY_DB, VERY_NOISY_DB = 30.0, 15.0, 5.0  # clean speech seldom reads less than 15 dB


@dataclass(frozen=True)
class SpeechSnr:
    """How far noise lies below a voice.

    Attributes:
        db: the SNR, -20 to 100 dB; channels averaged; 100 for silence.
        statistic: of each channel, ln(mean |x|) - mean(ln |x|).
    """

    db: float
    statistic: tuple[float, ...]


class SpeechSnrDetector:
    """Add blocks, then ask for the result."""

    def __init__(self, channels: int) -> None:
        self._last = np.zeros((2, channels, 1))  # sample, without its offset too
        self._sum, self._logarithms, self._samples = np.zeros(channels), np.zeros(channels), 0

    def add(self, block: NDArray[np.floating]) -> None:
        """Take the next samples, (channels, n)."""
        if not block.shape[1]:
            return
        x = self._without_offset(block.astype(np.float64))
        magnitude = np.maximum(np.abs(x), FLOOR)
        self._sum += magnitude.sum(axis=1)
        self._logarithms += np.log(magnitude).sum(axis=1)
        self._samples += block.shape[1]

    def _without_offset(self, x: Floats) -> Floats:
        """(channels, n): y[k] = x[k] - x[k - 1] + POLE y[k - 1], a system of two diagonals in y."""
        before, filtered = self._last
        right = np.diff(x, prepend=before)
        right[:, 0] += POLE * filtered[:, 0]
        band = np.ones((2, x.shape[1]))
        band[1] = -POLE
        y: Floats = solve_banded((1, 0), band, right.T, overwrite_ab=True, check_finite=False).T
        self._last = np.stack([x[:, -1:], y[:, -1:]])
        return y

    def result(self) -> SpeechSnr:
        """The verdict on what was added so far; a silent channel says nothing."""
        samples = max(self._samples, 1)
        mean = self._sum / samples
        sounding = mean > FLOOR
        if not sounding.any():
            return SpeechSnr(100.0, ())
        statistic = np.log(mean[sounding]) - self._logarithms[sounding] / samples
        decibels = np.interp(statistic, np.maximum.accumulate(TABLE), FIRST_DB + np.arange(len(TABLE)))
        return SpeechSnr(float(decibels.mean()), tuple(statistic.tolist()))


def find_speech_snr(x: NDArray[np.floating]) -> SpeechSnr:
    """The SNR of the voice in x, (channels, time)."""
    detector = SpeechSnrDetector(len(x))
    detector.add(x)
    return detector.result()
