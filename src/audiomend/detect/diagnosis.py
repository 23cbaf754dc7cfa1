"""All detectors in one pass: feed an `Examination` the blocks of a signal, then ask for its `Diagnosis`."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audiomend.detect import (
    bandwidth,
    channels,
    clicks,
    codec,
    dropouts,
    gaps,
    hum,
    noise,
    offset,
    quantisation,
    reverberation,
    tops,
)
from audiomend.detect.bandwidth import Bandwidth, BandwidthDetector
from audiomend.detect.channels import ChannelDetector, ChannelFaults
from audiomend.detect.clicks import Click, ClickDetector
from audiomend.detect.codec import Shelf, shelf_of
from audiomend.detect.content import SURE_VOICE, Content, ContentDetector
from audiomend.detect.dropouts import Dropout, DropoutDetector
from audiomend.detect.finding import Finding
from audiomend.detect.gaps import Gap, GapDetector
from audiomend.detect.hum import Hum, HumDetector
from audiomend.detect.noise import Noise, NoiseDetector
from audiomend.detect.offset import Offset, OffsetDetector
from audiomend.detect.quantisation import Quantisation, QuantisationDetector
from audiomend.detect.reverberation import Reverberation, ReverberationDetector
from audiomend.detect.speech_snr import SpeechSnr, SpeechSnrDetector
from audiomend.detect.tops import Tops, TopsDetector


@dataclass(frozen=True)
class Diagnosis:
    """What the detectors say of one signal, each in its own terms; `findings` says it in common ones.

    Attributes:
        rate: of the signal, in Hz.
        channels, frames: its size.
        peak: its greatest magnitude.
        clipping, offset: one entry for each channel.
        voice: SNR of the whole if it is a voice.
    """

    rate: int
    channels: int
    frames: int
    peak: float
    clipping: tuple[Tops, ...]
    offset: tuple[Offset, ...]
    clicks: tuple[Click, ...]
    gaps: tuple[Gap, ...]
    dropouts: tuple[Dropout, ...]
    bandwidth: Bandwidth
    shelf: Shelf
    hum: Hum
    noise: Noise
    voice: SpeechSnr
    room: Reverberation
    quantisation: Quantisation
    faults: ChannelFaults
    content: Content

    @property
    def findings(self) -> tuple[Finding, ...]:
        """One verdict for each damage, found or not, in the order in which they would be mended."""
        return (
            tops.finding(self.clipping),
            offset.finding(self.offset, is_clipped=self.is_clipped),
            clicks.finding(self.clicks, self.seconds, self.rate, is_clipped=self._has_flat_tops),
            gaps.finding(self.gaps, self.rate),
            dropouts.finding(self.dropouts, self.rate),
            bandwidth.finding(self.bandwidth, self.rate),
            codec.finding(self.shelf),
            hum.finding(self.hum),
            noise.finding(self.noise, self.voice if self._is_plain_voice else None),
            reverberation.finding(self.room, self.content.speech, self.voice.db, is_clipped=self.is_clipped),
            quantisation.finding(self.quantisation),
            channels.finding(self.faults),
        )

    @property
    def is_clipped(self) -> bool:
        """Whether a channel is."""
        return any(channel.kind != "none" for channel in self.clipping)

    @property
    def _has_flat_tops(self) -> bool:
        return any(channel.kind == "hard" for channel in self.clipping)

    @property
    def _is_plain_voice(self) -> bool:
        """Whether its amplitudes tell the noise: a room makes them as Gaussian as noise does."""
        is_dry = self.room.t60_s < reverberation.CLEAR_S
        return self.content.speech >= SURE_VOICE and is_dry and not self.is_clipped

    @property
    def seconds(self) -> float:
        """Length of the signal."""
        return self.frames / self.rate


class Examination:
    """An accumulator over the blocks of a signal, in constant memory."""

    def __init__(self, channels: int, sample_rate: int) -> None:
        self._rate, self._channels, self._frames, self._peak = sample_rate, channels, 0, 0.0
        self._clipping = TopsDetector(channels, sample_rate)
        self._offset = OffsetDetector(channels, sample_rate)
        self._clicks = ClickDetector(channels, sample_rate)
        self._gaps = GapDetector(channels, sample_rate)
        self._dropouts = DropoutDetector(channels, sample_rate)
        self._bandwidth = BandwidthDetector(channels, sample_rate)
        self._hum = HumDetector(channels, sample_rate)
        self._noise = NoiseDetector(channels, sample_rate)
        self._quantisation = QuantisationDetector()
        self._voice = SpeechSnrDetector(channels)
        self._room = ReverberationDetector(channels, sample_rate)
        self._content = ContentDetector(channels, sample_rate)
        self._faults = ChannelDetector(channels)

    def add(self, block: NDArray[np.floating]) -> None:
        """Take the next samples, (channels, n), full scale 1."""
        self._frames += block.shape[1]
        self._peak = max(self._peak, float(np.abs(block).max(initial=0)))
        for detector in (
            self._clipping,
            self._offset,
            self._clicks,
            self._gaps,
            self._dropouts,
            self._bandwidth,
            self._hum,
            self._noise,
            self._voice,
            self._room,
            self._content,
            self._quantisation,
            self._faults,
        ):
            detector.add(block)

    def diagnosis(self) -> Diagnosis:
        """What was found in all that was added."""
        holes, content = self._gaps.result(), self._content.result()
        return Diagnosis(
            rate=self._rate,
            channels=self._channels,
            frames=self._frames,
            peak=self._peak,
            clipping=self._clipping.result(is_voice=content.speech >= SURE_VOICE),
            offset=self._offset.result(),
            clicks=clicks.apart_from(holes, self._clicks.result(), self._rate),
            gaps=holes,
            dropouts=_beside(self._dropouts.result(), holes),
            bandwidth=self._bandwidth.result(),
            shelf=shelf_of(self._bandwidth),
            hum=self._hum.result(),
            noise=self._noise.result(),
            voice=self._voice.result(),
            room=self._room.result(),
            quantisation=self._quantisation.result(),
            faults=self._faults.result(),
            content=content,
        )


def _beside(dropouts: tuple[Dropout, ...], gaps: tuple[Gap, ...]) -> tuple[Dropout, ...]:
    """The dropouts that are not the fall into a gap of digital silence."""
    return tuple(
        one
        for one in dropouts
        if not any(g.channel == one.channel and g.start < one.stop and one.start < g.stop for g in gaps)
    )
