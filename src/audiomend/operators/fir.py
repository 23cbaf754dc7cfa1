"""The filters of finite length that CQT-Diff was published with: sincs that were cut off, not windowed.

Their configuration asks for a Kaiser window by a transition width, for which the design gives beta = 0, so
the window is rectangular: the stop band lies about 21 dB down. `LowPass` is the filter to prefer.
"""

import torch
from scipy.signal import firwin
from torch import Tensor

from audiomend.errors import UsageError
from audiomend.operators.convolution import Convolution
from audiomend.operators.cutoff import checked_cutoff


def low_pass_fir(cutoff_hz: float, sample_rate: float, taps: int = 500) -> Convolution:
    """A sinc of `taps` samples with DC gain 1; an even number moves the signal forward by half a sample.

    cutoff_hz: where the gain is 1/2, above 0 and below half the rate; 1 and 3 kHz are published.
    taps: 500 are published.

    Raises:
        UsageError: a cut-off out of range.
    """
    return _centred(
        torch.from_numpy(
            firwin(taps, checked_cutoff(cutoff_hz, sample_rate), window="boxcar", fs=sample_rate)
        )
    )


def high_pass_fir(cutoff_hz: float, sample_rate: float, taps: int = 499) -> Convolution:
    """A sinc of `taps` samples, an odd number, with gain 1 at half the rate.

    cutoff_hz: where the gain is 1/2, above 0 and below half the rate; 500 Hz are published.

    Raises:
        UsageError: a cut-off out of range, or an even number of taps.
    """
    if taps % 2 == 0:
        raise UsageError(f"high_pass_fir: {taps} taps would block half the rate; their number must be odd.")
    cutoff = checked_cutoff(cutoff_hz, sample_rate)
    return _centred(torch.from_numpy(firwin(taps, cutoff, window="boxcar", pass_zero=False, fs=sample_rate)))


def _centred(taps: Tensor) -> Convolution:
    return Convolution(taps, delay=len(taps) // 2)
