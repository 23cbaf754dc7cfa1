"""The pool: clean training audio in memory-mapped int16 shards that may be added while it is read.

A shard is a pair of files: `shard-00012.npy`, all its items end to end (N,) int16, and `shard-00012.json`,
one entry an item. The index appears last and by rename, so a shard that has an index is whole.
"""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from audiomend.data.level import POOL_RMS, RATE, Signal, active_rms
from audiomend.data.split import Split, is_sharealike
from audiomend.errors import TrainingError

DEFAULT_WEIGHTS = {"piano": 0.35, "instruments": 0.25, "music": 0.12, "singing": 0.08, "speech": 0.20}
FULL_SCALE = 8 * POOL_RMS  # of int16 where the peaks allow it: 18 dB above the RMS
INT16_MAX = 32767


@dataclass(frozen=True)
class Item:
    """One item of a shard, as its index states it.

    Attributes:
        name: what it is, unique in the pool: folder and file, or renderer and number.
        material: piano, instruments, music, singing or speech.
        source: recording, or notes and sounds that it was rendered from.
        licence: licence of the source, all parts of it.
        bandwidth_hz: highest frequency with content.
        split: train or validation.
        start: first sample in the shard.
        length: in samples.
        gain: factor from the source's level to RMS 0.1 over active half seconds.
        full_scale: value of int16 32767, so that sample = integer / 32767 * full_scale.
    """

    name: str
    material: str
    source: str
    licence: str
    bandwidth_hz: float
    split: Split
    start: int
    length: int
    gain: float
    full_scale: float


@dataclass(frozen=True)
class Origin:
    """What is known of a signal before it is stored."""

    name: str
    material: str
    source: str
    licence: str
    bandwidth_hz: float
    split: Split


def encode(origin: Origin, signal: Signal, start: int) -> tuple[Item, NDArray[np.int16]]:
    """Scale a signal (T,) to the pool's level and round it to int16 without clipping.

    Raises TrainingError if it is silent or not finite.
    """
    if not np.isfinite(signal).all() or (level := active_rms(signal)) == 0:
        raise TrainingError(f"{origin.name} is silent or not finite; it cannot be stored")
    gain = POOL_RMS / level
    full_scale = max(FULL_SCALE, gain * float(np.abs(signal).max()))
    codes = np.rint(signal.astype(np.float64) * (gain / full_scale * INT16_MAX)).astype(np.int16)
    item = Item(**asdict(origin), start=start, length=len(signal), gain=gain, full_scale=full_scale)
    return item, codes


def decode(codes: NDArray[np.int16], full_scale: float) -> Signal:
    """Samples of an item from its integers."""
    return codes.astype(np.float32) * np.float32(full_scale / INT16_MAX)


def write_shard(folder: Path, signals: Sequence[tuple[Origin, Signal]]) -> Path:
    """Append a shard with at least one signal to the pool; returns the path of its index."""
    folder.mkdir(parents=True, exist_ok=True)
    items: list[Item] = []
    pieces: list[NDArray[np.int16]] = []
    for origin, signal in signals:
        item, codes = encode(origin, signal, sum(len(piece) for piece in pieces))
        items.append(item)
        pieces.append(codes)
    index = _claim(folder)
    _write_by_rename(index.with_suffix(".npy"), lambda file: np.save(file, np.concatenate(pieces)))
    text = json.dumps({"items": [asdict(item) for item in items]}, indent=1)
    _write_by_rename(index, lambda file: file.write(text.encode()))
    return index


def _claim(folder: Path) -> Path:
    """Path of the next index. Its number is taken by creating a file, so that two writers never share one."""
    number = max((int(path.name[6:11]) for path in folder.glob("shard-*")), default=-1) + 1
    while True:
        try:
            (folder / f"shard-{number:05d}.npy.part").touch(exist_ok=False)
        except FileExistsError:
            number += 1
        else:
            return folder / f"shard-{number:05d}.json"


def _write_by_rename(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    temporary = path.with_name(path.name + ".part")
    with temporary.open("wb") as file:
        write(file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def read_index(index: Path) -> list[Item]:
    """Items of a shard.

    Raises TrainingError if the index is not one.
    """
    try:
        return [Item(**entry) for entry in json.loads(index.read_text(encoding="utf-8"))["items"]]
    except (ValueError, KeyError, TypeError) as error:
        raise TrainingError(f"{index} is no index of a shard: {error}") from error


class Pool:
    """A reader of a pool's items of one split.

    Its list of shards changes only by `refresh`, so that crops are a function of that list and of the
    generator's state.

    path: folder of the shards.
    weights: share of each material in the crops; the default is DEFAULT_WEIGHTS. Materials that the pool does
        not hold yet leave their share to the others.
    split: "train" or "validation".
    no_sharealike: leave out items whose licence is share-alike.
    Raises TrainingError if a weight is negative or names an unknown material.
    """

    def __init__(
        self,
        path: Path | str,
        weights: Mapping[str, float] = DEFAULT_WEIGHTS,
        split: Split = "train",
        no_sharealike: bool = False,
    ) -> None:
        for material, weight in weights.items():
            if material not in DEFAULT_WEIGHTS or not weight >= 0:
                raise TrainingError(
                    f"weight {material}={weight} is not allowed: materials are {', '.join(DEFAULT_WEIGHTS)},"
                    " weights are 0 or more"
                )
        self.path = Path(path)
        self.weights = dict(weights)
        self.split = split
        self.no_sharealike = no_sharealike
        self.shards: list[str] = []
        self._items: dict[str, list[tuple[NDArray[np.int16], Item]]] = {}
        self.refresh()

    def refresh(self) -> int:
        """Take in the shards that were added since; returns their number."""
        new = sorted({path.stem for path in self.path.glob("shard-*.json")} - set(self.shards))
        for name in new:
            samples = _mapped(self.path / f"{name}.npy")
            for item in read_index(self.path / f"{name}.json"):
                if item.split == self.split and not (self.no_sharealike and is_sharealike(item.licence)):
                    self._items.setdefault(item.material, []).append((samples, item))
        self.shards += new
        self._ends = {m: np.cumsum([item.length for _, item in held]) for m, held in self._items.items()}
        return len(new)

    def seconds(self) -> dict[str, float]:
        """Seconds of audio held, by material."""
        return {material: float(ends[-1]) / RATE for material, ends in self._ends.items()}

    def items(self) -> list[Item]:
        """All items held."""
        return [item for held in self._items.values() for _, item in held]

    def signal(self, name: str) -> Signal:
        """The whole item of that name (T,)."""
        for held in self._items.values():
            for samples, item in held:
                if item.name == name:
                    return _cut(samples, item, 0, item.length)
        raise TrainingError(f"the pool {self.path} holds no item {name} in its split {self.split}")

    def crops(
        self, batch: int, length: int, generator: np.random.Generator
    ) -> tuple[Signal, NDArray[np.float32], list[str]]:
        """Draw crops: (batch, length) signals, (batch,) bandwidths in Hz, materials.

        The material is drawn by weight, the item by its length, the place evenly. An item shorter than the
        crop stands at a random place between zeros.
        Raises TrainingError while the pool holds nothing that may be drawn.
        """
        held = [m for m in self.weights if self.weights[m] > 0 and m in self._items]
        if not held:
            raise TrainingError(f"the pool {self.path} holds nothing of the split {self.split} yet")
        shares = np.array([self.weights[material] for material in held])
        materials = [held[i] for i in generator.choice(len(held), batch, p=shares / shares.sum())]
        out = np.zeros((batch, length), np.float32)
        bandwidths = np.zeros(batch, np.float32)
        for row, material in enumerate(materials):
            ends = self._ends[material]
            place = int(np.searchsorted(ends, generator.integers(ends[-1]), side="right"))
            samples, item = self._items[material][place]
            spare = item.length - length
            offset = int(generator.integers(abs(spare) + 1))
            if spare >= 0:
                out[row] = _cut(samples, item, offset, length)
            else:
                out[row, offset : offset + item.length] = _cut(samples, item, 0, item.length)
            bandwidths[row] = item.bandwidth_hz
        return out, bandwidths, materials


def _mapped(path: Path) -> NDArray[np.int16]:
    """A shard's samples (N,), read when they are touched.

    Raises TrainingError if the file is missing or cut off.
    """
    try:
        return np.load(path, mmap_mode="r")
    except (OSError, ValueError) as error:
        raise TrainingError(f"{path} is no whole shard: {error}; remove it and its index") from error


def _cut(samples: NDArray[np.int16], item: Item, offset: int, length: int) -> Signal:
    start = item.start + offset
    return decode(samples[start : start + length], item.full_scale)
