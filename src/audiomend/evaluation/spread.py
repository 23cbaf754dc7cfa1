"""What was invented: where samples of one posterior differ from each other, in time and frequency.

What all samples share is known, from the observation or from the prior; what differs is one choice of many.
The transform is linear, so the spread of a bin is the posterior's own: for a Gaussian one fᴴ C f.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audiomend.errors import UsageError
from audiomend.evaluation.metrics import frame_size

Array = NDArray[np.floating]

_BLOCK = 256  # frames transformed at a time, which bounds the memory of long files


@dataclass(frozen=True)
class Spread:
    """Moments of the posterior in the bins of a short-time spectrum, in which white noise has its variance.

    Attributes:
        seconds: (frames,) the centre of each frame.
        hz: (bins,) the frequency of each bin, from 0 to half the rate.
        energy: (channels, frames, bins) E|X|², the mean over the samples.
        variance: (channels, frames, bins) E|X - E X|², estimated without bias.
    """

    seconds: Array
    hz: Array
    energy: Array
    variance: Array

    @property
    def share(self) -> Array:
        """(channels, frames, bins) the share of the energy that differs between samples, 0 to 1.

        0 where there is no energy. A few samples whose mean is small by chance would exceed 1, and are cut.
        """
        some = self.energy > 0
        return np.minimum(
            np.divide(self.variance, self.energy, out=np.zeros_like(self.energy), where=some), 1
        )


def spread(samples: Array, rate: float) -> Spread:
    """Of samples (K, channels, time), K >= 2, all of one posterior.

    The spectra are of frames of N = 4 round(512 rate / 44100) samples (46.4 ms), Hann, whose squares sum to
    1, hop N/4; frame n is centred on sample n N/4 and the signal is 0 beyond its ends.

    rate: samples per second.

    Raises:
        UsageError: the shape is another, or K too small.
    """
    length = _BLOCK * frame_size(rate) // 4
    starts = range(0, max(1, np.shape(samples)[-1]), length)
    parts = list(spread_of_blocks((samples[..., start : start + length] for start in starts), rate))
    return Spread(
        np.concatenate([part.seconds for part in parts]),
        parts[0].hz,
        np.concatenate([part.energy for part in parts], axis=1),
        np.concatenate([part.variance for part in parts], axis=1),
    )


def spread_of_blocks(blocks: Iterable[Array], rate: float) -> Iterator[Spread]:
    """The same for samples that arrive in blocks (K, channels, n) of any n: the frames as they are complete.

    Raises:
        UsageError: as `spread`, and where a block has another K or number of channels than the first.
    """
    size = frame_size(rate)
    waiting, frame = None, 0
    for block in blocks:
        if waiting is None:
            waiting = np.zeros((*_checked(block).shape[:2], size // 2))
        if block.shape[:-1] != waiting.shape[:-1]:
            raise UsageError(f"A block of shape {block.shape} does not continue samples of {waiting.shape}.")
        waiting = np.concatenate((waiting, block), axis=-1)
        part, waiting = _moments(waiting, rate, frame)
        frame += len(part.seconds)
        yield part
    if waiting is not None:
        yield _moments(np.pad(waiting, ((0, 0), (0, 0), (0, size // 2 - 1))), rate, frame)[0]


def frame_spectra(signal: Array, size: int) -> NDArray[np.complexfloating]:
    """(..., time) to (..., frames, bins): spectra of all whole frames of `size` samples, hop size / 4.

    Hann, whose squares sum to 1: white noise has its variance in each bin.
    """
    hop = size // 4
    count = max(0, (signal.shape[-1] - size) // hop + 1)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)
    places = np.arange(count)[:, None] * hop + np.arange(size)
    return np.fft.rfft(signal[..., places] * (hann / np.sqrt(np.sum(hann**2))))


def _checked(block: Array) -> Array:
    if block.ndim != 3 or len(block) < 2:
        raise UsageError(f"Samples of shape {block.shape} have no spread: (2 or more, channels, time) have.")
    return block


def _moments(waiting: Array, rate: float, first: int) -> tuple[Spread, Array]:
    """The spread of all whole frames in `waiting`, of which the first has index `first`, and what is left."""
    size = frame_size(rate)
    hop = size // 4
    spectra = frame_spectra(waiting, size)
    count = spectra.shape[-2]
    energy = np.mean(np.abs(spectra) ** 2, axis=0)
    variance = np.sum(np.abs(spectra - spectra.mean(0)) ** 2, axis=0) / (len(spectra) - 1)
    seconds = (first + np.arange(count)) * hop / rate
    return Spread(seconds, np.fft.rfftfreq(size, 1 / rate), energy, variance), waiting[..., count * hop :]
