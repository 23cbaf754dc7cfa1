"""All detectors in one pass: feed an `Examination` the blocks of a signal, then ask for its `Diagnosis`."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audiomend.detect import bandwidth, channels, clipping, gaps, offset, quantisation
from audiomend.detect.bandwidth import Bandwidth, BandwidthDetector
from audiomend.detect.channels import ChannelDetector, ChannelFaults
from audiomend.detect.clipping import Clipping, ClippingDetector
from audiomend.detect.finding import Finding
from audiomend.detect.gaps import Gap, GapDetector
from audiomend.detect.offset import Offset, OffsetDetector
from audiomend.detect.quantisation import Quantisation, QuantisationDetector


@dataclass(frozen=True)
class Diagnosis:
    """What the detectors say of one signal, each in its own terms; `findings` says it in common ones.

    Attributes:
        rate: of the signal, in Hz.
        channels, frames: its size.
        peak: its greatest magnitude.
        clipping, offset: one entry for each channel.
    """

    rate: int
    channels: int
    frames: int
    peak: float
    clipping: tuple[Clipping, ...]
    gaps: tuple[Gap, ...]
    bandwidth: Bandwidth
    offset: tuple[Offset, ...]
    quantisation: Quantisation
    faults: ChannelFaults

    @property
    def findings(self) -> tuple[Finding, ...]:
        """One verdict for each damage, found or not, in the order in which they would be mended."""
        return (
            clipping.finding(self.clipping),
            offset.finding(self.offset),
            gaps.finding(self.gaps, self.rate),
            bandwidth.finding(self.bandwidth, self.rate),
            quantisation.finding(self.quantisation),
            channels.finding(self.faults),
        )

    @property
    def seconds(self) -> float:
        """Length of the signal."""
        return self.frames / self.rate


class Examination:
    """An accumulator over the blocks of a signal, in constant memory."""

    def __init__(self, channels: int, sample_rate: int) -> None:
        self._rate, self._channels, self._frames, self._peak = sample_rate, channels, 0, 0.0
        self._clipping = ClippingDetector(channels)
        self._gaps = GapDetector(channels, sample_rate)
        self._bandwidth = BandwidthDetector(channels, sample_rate)
        self._offset = OffsetDetector(channels, sample_rate)
        self._quantisation = QuantisationDetector()
        self._faults = ChannelDetector(channels)

    def add(self, block: NDArray[np.floating]) -> None:
        """Take the next samples, (channels, n), full scale 1."""
        self._frames += block.shape[1]
        self._peak = max(self._peak, float(np.abs(block).max(initial=0)))
        for detector in (
            self._clipping,
            self._gaps,
            self._bandwidth,
            self._offset,
            self._quantisation,
            self._faults,
        ):
            detector.add(block)

    def diagnosis(self) -> Diagnosis:
        """What was found in all that was added."""
        return Diagnosis(
            self._rate,
            self._channels,
            self._frames,
            self._peak,
            self._clipping.result(),
            self._gaps.result(),
            self._bandwidth.result(),
            self._offset.result(),
            self._quantisation.result(),
            self._faults.result(),
        )
