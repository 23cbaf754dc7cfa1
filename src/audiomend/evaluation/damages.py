"""Seeded damages of the benchmark: clipping, gaps, gaps in a band, low-pass, clicks, each in plain numbers.

A `Damage` says everything that `damage` needs, so a manifest of them reproduces every observation to the bit.
"""

import hashlib
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from audiomend.errors import UsageError
from audiomend.operators.band_gap import BandGap, BandPass
from audiomend.operators.click import Clicks
from audiomend.operators.hard_clip import HardClip, threshold_for_sdr
from audiomend.operators.low_pass import LowPass
from audiomend.restorers.regions import region_fade

Clip = NDArray[np.float32]  # (channels, time)
Task = Literal["declip", "inpaint", "band", "extend", "declick"]

SEVERITIES: dict[Task, tuple[float, ...]] = {
    "declip": (3.0, 5.0, 10.0),
    "inpaint": (50.0, 100.0, 400.0),
    "band": (200.0, 500.0),
    "extend": (3000.0, 8000.0),
    "declick": (2.0, 20.0),
}
UNITS: dict[Task, str] = {
    "declip": "dB",
    "inpaint": "ms",
    "band": "ms",
    "extend": "Hz",
    "declick": "a second",
}

BAND_HZ = (2000.0, 6000.0)  # what the task "band" takes out: where a whistle or a phone rings
ACTIVE_RANGE_DB = 30.0  # a stretch this far below the clip's loudest one counts as a pause: no gap goes there
GAP_PERIOD_S = 1.0  # about one gap a second,
GAP_SHARE = 0.25  # but at most this share of the clip
CLICK_PEAK_DB = 15.0  # of the loudest clicks over the RMS level of the clip, as `degrade click` makes them
BAND_SHARE = 0.9  # a cut-off above this share of half the rate leaves nothing worth extending


class NotApplicableError(Exception):
    """This damage makes no sense on this clip: the benchmark lists the pair as omitted, with the reason."""


@dataclass(frozen=True)
class Damage:
    """One damage of one clip.

    Attributes:
        task: the verb that mends it.
        severity: input SDR in dB (declip), length of a gap in ms (inpaint, band), cut-off in Hz (extend),
            clicks a second (declick).
        clip_level: declip: samples beyond +- this level are clipped to it; 0 otherwise.
        gaps: (start, stop) in samples, in order, zeroed in all channels (inpaint) or without BAND_HZ (band).
        peak: declick: of the loudest clicks; 0 otherwise.
        seed: of the clicks.
    """

    task: Task
    severity: float
    clip_level: float = 0.0
    gaps: tuple[tuple[int, int], ...] = ()
    peak: float = 0.0
    seed: int = 0


def plan(task: Task, severity: float, clip: Clip, rate: int, seed: int) -> Damage:
    """The damage of this severity for a clip (channels, time); `seed` places gaps and clicks.

    Raises:
        NotApplicableError: a silent clip, one too short for a gap, or a cut-off near or above half its rate.
        UsageError: a severity that is not above 0.
    """
    if not severity > 0:
        raise UsageError(f"A severity of {severity:g} {UNITS[task]} is not possible; it must be above 0.")
    if not clip.any():
        raise NotApplicableError("the clip is silent")
    if task == "declip":
        return Damage(task, severity, clip_level=clip_level_for(clip, severity))
    if task == "declick":
        rms = float(np.sqrt(np.mean(np.square(clip, dtype=np.float64))))
        return Damage(task, severity, peak=rms * 10 ** (CLICK_PEAK_DB / 20), seed=seed)
    if task == "band" and BAND_HZ[1] > BAND_SHARE * rate / 2:
        raise NotApplicableError(f"the band up to {BAND_HZ[1]:g} Hz is not there at {rate} Hz")
    if task in ("inpaint", "band"):
        length = round(severity / 1000 * rate)
        return Damage(task, severity, gaps=place_gaps(clip, length, rate, seed))
    if severity > BAND_SHARE * rate / 2:
        raise NotApplicableError(f"a cut-off of {severity:g} Hz leaves nothing to extend at {rate} Hz")
    return Damage(task, severity)


def damage(clip: Clip, rate: int, how: Damage) -> Clip:
    """The damaged clip, (channels, time), float32."""
    x = torch.from_numpy(clip)
    if how.task == "declip":
        return HardClip(-how.clip_level, how.clip_level).forward(x).numpy()
    if how.task == "inpaint":
        return np.where(damaged_samples(clip, rate, how), np.float32(0), clip)
    if how.task == "band":
        weight = torch.from_numpy(region_fade(how.gaps, 0, clip.shape[1], rate))
        emptied = BandGap(BandPass((BAND_HZ,), rate), weight).forward(x.double())
        return np.where(damaged_samples(clip, rate, how), emptied.float().numpy(), clip)
    if how.task == "declick":
        return _clicks(clip, rate, how).forward(x.double()).float().numpy()
    return LowPass(how.severity, rate).forward(x.double()).float().numpy()


def damaged_samples(clip: Clip, rate: int, how: Damage) -> NDArray[np.bool_]:
    """Where the clean clip was damaged, (channels, time) bool; everywhere for a low-pass."""
    if how.task == "declip":
        return np.abs(clip) > np.float32(how.clip_level)
    if how.task == "declick":
        return np.broadcast_to(_clicks(clip, rate, how).added.numpy() != 0, clip.shape)
    mask = np.full(clip.shape, how.task == "extend")
    for start, stop in how.gaps:
        mask[:, start:stop] = True
    return mask


def _clicks(clip: Clip, rate: int, how: Damage) -> Clicks:
    return Clicks.random(0, clip.shape[1], rate, how.severity, how.peak, how.seed)


def clip_level_for(clip: Clip, sdr_db: float) -> float:
    """The level, a float32 value, at which clipping leaves this SDR in dB over all channels together."""
    row = torch.from_numpy(clip).reshape(1, -1)
    return threshold_for_sdr(row, sdr_db).float().item()


def place_gaps(clip: Clip, length: int, rate: int, seed: int) -> tuple[tuple[int, int], ...]:
    """Gaps of `length` samples, about one a second, away from pauses and from each other.

    The clip is cut into equal slots of at least a second and at least four gap lengths. In each slot one
    position is drawn from those on a grid of a quarter gap that keep a gap's length (at most 0.1 s) from
    either end of the slot, and whose level is within 30 dB of the loudest position of the clip. A slot
    without such a position gets no gap.
    """
    period = max(round(GAP_PERIOD_S * rate), round(length / GAP_SHARE))
    samples = clip.shape[1]
    slots = samples // period
    margin = min(length, rate // 10)
    if slots == 0:
        raise NotApplicableError(f"a clip of {samples} samples is too short for a gap of {length}")
    energy = _window_energy(clip, length)
    active = energy >= energy.max() * 10 ** (-ACTIVE_RANGE_DB / 10)
    random = np.random.default_rng(seed)
    gaps: list[tuple[int, int]] = []
    for slot in range(slots):
        first, last = slot * samples // slots + margin, (slot + 1) * samples // slots - margin - length
        starts = np.arange(first, last + 1, max(1, length // 4))
        starts = starts[active[starts]]
        if len(starts):
            start = int(random.choice(starts))
            gaps.append((start, start + length))
    if not gaps:
        raise NotApplicableError("no place with signal is far enough from the ends")
    return tuple(gaps)


def seed_of(*parts: object) -> int:
    """A seed that depends on these parts only: the first 8 bytes of the SHA-256 of their text."""
    text = "\n".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def sha256_of(samples: Clip) -> str:
    """SHA-256 of samples as little-endian float32, channel after channel."""
    return hashlib.sha256(np.ascontiguousarray(samples, dtype="<f4").tobytes()).hexdigest()


def _window_energy(clip: Clip, length: int) -> NDArray[np.float64]:
    """Energy of each stretch of `length` samples, over all channels: (time - length + 1,)."""
    total = np.concatenate([[0.0], np.cumsum(np.sum(clip.astype(np.float64) ** 2, axis=0))])
    return total[length:] - total[:-length]
