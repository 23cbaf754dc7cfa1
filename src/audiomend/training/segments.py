"""Segments of withheld sound that a whole run is validated on, and damages of them."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from audiomend.data.level import RATE, Signal
from audiomend.data.pool import Item, Pool
from audiomend.evaluation.metrics import split_bands
from audiomend.operators import Operator
from audiomend.operators.hard_clip import threshold_for_sdr
from audiomend.operators.low_pass import LowPass
from audiomend.restorers.damage import Clipped, Damage, Dull, Gaps

SEGMENTS = 4  # of each material
CANDIDATES = 4  # neighbouring places of which the loudest is taken: no rests
CLIP_SDR_DB = 5.0
CUTOFF_HZ = 3000.0
GAP_SECONDS, LONG_GAP_SECONDS = 0.1, 0.4
MOST_LOST = 1 / 4  # of a segment, however short it is


@dataclass(frozen=True)
class Place:
    """Where a segment begins: item and sample of the pool."""

    material: str
    name: str
    offset: int


@dataclass(frozen=True, eq=False)
class Segment:
    """Withheld sound.

    Attributes:
        material: what it is.
        clean: (length,) at the pool's level.
    """

    material: str
    clean: Signal


def fixed_segments(path: Path, pool: Pool, length: int) -> list[Segment]:
    """The segments that the file names; the first call chooses them and writes the file.

    So a pool that grows, or a run that is resumed, changes nothing. Empty where the pool withholds nothing.

    Raises:
        TrainingError: the pool lacks an item that the file names.
    """
    if not path.exists():
        places = choose_places(pool, length)
        if places:
            path.write_text(json.dumps([asdict(place) for place in places], indent=1), encoding="utf-8")
    else:
        places = [Place(**entry) for entry in json.loads(path.read_text(encoding="utf-8"))]
    return [Segment(place.material, _cut(pool.signal(place.name), place.offset, length)) for place in places]


def choose_places(pool: Pool, length: int) -> list[Place]:
    """Four places of each material, evenly spread over its items, each the loudest of four neighbours."""
    places: list[Place] = []
    items = sorted(pool.items(), key=lambda item: (item.material, item.name))
    for _, group in groupby(items, key=lambda item: item.material):
        spread = _spread(list(group), length)
        for first in range(0, len(spread), CANDIDATES):
            power = {p: _power(pool, p, length) for p in spread[first : first + CANDIDATES]}
            loudest = max(power, key=power.__getitem__)
            if power[loudest] > 0:
                places.append(loudest)
    return list(dict.fromkeys(places))


def _spread(items: list[Item], length: int) -> list[Place]:
    ends = np.cumsum([item.length for item in items])
    count = SEGMENTS * CANDIDATES
    places: list[Place] = []
    for position in ((np.arange(count) + 0.5) / count * ends[-1]).astype(int):
        item = items[int(np.searchsorted(ends, position, side="right"))]
        offset = int(position) - int(ends[items.index(item)] - item.length)
        places.append(Place(item.material, item.name, max(0, min(offset, item.length - length))))
    return places


def _power(pool: Pool, place: Place, length: int) -> float:
    return float(np.mean(np.square(_cut(pool.signal(place.name), place.offset, length))))


def _cut(signal: Signal, offset: int, length: int) -> Signal:
    piece = signal[offset : offset + length]
    return np.pad(piece, (0, length - len(piece)))


def clipping(clean: Signal) -> Damage:
    """Clipped at an input SDR of 5 dB."""
    level = threshold_for_sdr(torch.from_numpy(clean), CLIP_SDR_DB).float().double().numpy()[None]
    return Clipped(-level, level, RATE, float(np.mean(np.abs(clean) >= level)))


def gap(clean: Signal, seconds: float = GAP_SECONDS) -> Damage:
    """A gap in the middle, at most a quarter of the segment."""
    length = round(min(seconds * RATE, MOST_LOST * len(clean)))
    start = (len(clean) - length) // 2
    return Gaps((((start, start + length),),), severity=length / RATE)


def long_gap(clean: Signal) -> Damage:
    """A gap of 400 ms, likewise."""
    return gap(clean, LONG_GAP_SECONDS)


def low_pass(clean: Signal) -> Damage:
    """Nothing above 3 kHz."""
    del clean
    return Dull(LowPass(CUTOFF_HZ, RATE))


DAMAGES: dict[str, Callable[[Signal], Damage]] = {"clipping": clipping, "gap": gap, "low-pass": low_pass}


def operator_of(damage: Damage, length: int) -> Operator:
    """The damage as an operator on (1, length)."""
    return damage.operator([0], length, torch.ones(1, 1, dtype=torch.bool), 1.0)


@dataclass(frozen=True)
class Part:
    """Dimensions of a segment that a figure counts.

    Attributes:
        of: (length,) -> its part in them.
        dimensions: how many there are.
    """

    of: Callable[[Signal], NDArray[np.floating]]
    dimensions: float


def everything(length: int) -> Part:
    """All of a segment."""
    return Part(lambda x: x, length)


def lost_part(damage: Damage, observation: Tensor) -> Part:
    """What a damage took away: the band above the cut-off, or the samples that may change.

    observation: (1, length).
    """
    length = observation.shape[-1]
    if damage.verb == "extend":
        share = 1 - CUTOFF_HZ / (RATE / 2)
        return Part(lambda x: split_bands(x, RATE, CUTOFF_HZ)[1], length * share)
    lost = lost_samples(damage, observation)
    return Part(lambda x: x[lost], int(lost.sum()))


def lost_samples(damage: Damage, observation: Tensor) -> NDArray[np.bool_]:
    """(length,) which samples of the damaged segment (1, length) may change."""
    return damage.lost(0, observation.double().numpy())[0]
