"""The shelf of a lossy codec: the long-term spectrum falls off within half a kilohertz, high up.

Encoders save bits above a frequency that follows from the bit rate. No instrument and no microphone ends so
steeply between 11 and 20.7 kHz; a sound that falls on beyond, as cymbals do, has no shelf there. A steep
resampler makes one: just below 12 or 16 kHz it may come from a rate of 24 or 32 kHz instead.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audiomend.detect.bandwidth import BandwidthDetector
from audiomend.detect.finding import Finding, sureness

QUANTILE = 0.75  # over frames
LOWEST_HZ, HIGHEST_HZ = 11_000.0, 20_700.0
SIDE_HZ, STEP_HZ = 500.0, 500.0  # widths of the stretches below and above, and of the fall between them
NONE_DB, CERTAIN_DB, SURE_DB = 8.0, 18.0, 30.0
# Where noise in joint stereo at 44.1 kHz has its shelf after LAME 3.100, kbit/s to Hz; mono's is higher.
MP3_HZ = {96: 15_400, 128: 16_800, 160: 17_600, 192: 18_900, 256: 19_600, 320: 20_350}
MP3_NEAR_HZ = 350.0


@dataclass(frozen=True)
class Shelf:
    """The steepest lasting fall of the upper spectrum.

    Attributes:
        hz: its middle; 0 if the rate is too low to tell.
        fall_db: from the 500 Hz below it to the highest level above it.
        confidence: 0 to 1, that a codec made it; from 0.5, a fall of 18 dB. 0 at the last place looked at.
    """

    hz: float
    fall_db: float
    confidence: float

    @property
    def like_kbit(self) -> int | None:
        """Bit rate of MP3 in stereo whose shelf is nearest to it, if one is near."""
        rate = min(MP3_HZ, key=lambda kbit: abs(MP3_HZ[kbit] - self.hz))
        return rate if abs(MP3_HZ[rate] - self.hz) <= MP3_NEAR_HZ else None


def shelf_in(spectrum: NDArray[np.float64], bin_hz: float) -> Shelf:
    """The shelf of a long-term spectrum in dB, (bins,) from 0 Hz to half the rate."""
    half, side = round(STEP_HZ / 2 / bin_hz), round(SIDE_HZ / bin_hz)
    last = min(int(HIGHEST_HZ / bin_hz), len(spectrum) - half - side)
    k = np.arange(int(LOWEST_HZ / bin_hz), last + 1)
    if not len(k):
        return Shelf(0.0, 0.0, 0.0)
    total = np.concatenate([[0.0], np.cumsum(spectrum)])
    above = (total[half + side :] - total[half:-side])[: len(spectrum) - half - side + 1] / side
    highest = np.maximum.accumulate(above[::-1])[::-1]
    fall = (total[k - half] - total[k - half - side]) / side - highest[k]
    steepest = int(fall.argmax())
    fall_db, is_last = float(fall[steepest]), steepest == len(fall) - 1
    confidence = 0.0 if is_last else sureness(fall_db, NONE_DB, CERTAIN_DB, SURE_DB)
    return Shelf(float(k[steepest]) * bin_hz, fall_db, confidence)


def find_shelf(x: NDArray[np.floating], sample_rate: float) -> Shelf:
    """The shelf in x, (channels, time), at a rate in Hz."""
    detector = BandwidthDetector(len(x), sample_rate)
    detector.add(x)
    return shelf_of(detector)


def shelf_of(detector: BandwidthDetector) -> Shelf:
    """The shelf in what a bandwidth detector has seen."""
    return shelf_in(detector.spectrum(QUANTILE), detector.bin_hz)


def finding(shelf: Shelf) -> Finding:
    """The verdict in words."""
    facts = {"hz": round(shelf.hz, 1), "fall_db": round(shelf.fall_db, 1), "like_mp3_kbit": None}
    if shelf.confidence < 0.5:
        return Finding("lossy codec", shelf.confidence, "no shelf", facts)
    facts["like_mp3_kbit"] = shelf.like_kbit
    like = f", as MP3 in stereo has at {shelf.like_kbit} kbit/s" if shelf.like_kbit else ""
    return Finding("lossy codec", shelf.confidence, f"shelf at {shelf.hz:,.0f} Hz{like}", facts)
