"""A network that takes milliseconds, and sound to train it on."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from audiomend.data.pool import Origin, write_shard
from audiomend.networks.patch_unet import Architecture, Seen
from audiomend.recipes import find_recipe
from audiomend.recipes.recipe import Recipe
from audiomend.training.objective import Batch

MICRO = Architecture(length=1024, widths=(8, 8), window=64, hop=16, long_window=256)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def recipe() -> Recipe:
    return replace(find_recipe("tiny"), architecture=MICRO, steps=30, warmup_steps=3, decay_steps=10)


@pytest.fixture
def sines() -> Callable[[int], Batch]:
    """step -> two sines of random pitch and RMS 1, the second one with a gap."""

    def batch(step: int) -> Batch:
        random = np.random.default_rng([9, step])
        phase = random.uniform(0.05, 0.4, (2, 1)) * np.arange(1024) + random.uniform(0, 6, (2, 1))
        clean = torch.from_numpy((np.sqrt(2) * np.sin(phase)).astype(np.float32))
        unknown = torch.zeros(2, 1024)
        unknown[1, 300:500] = 1
        seen = Seen(
            clean * (1 - unknown), unknown, torch.zeros(2, 1024), torch.zeros(2), torch.tensor([0.0, 1.0])
        )
        return Batch(clean, torch.zeros(2), seen, ("music", "piano"))

    return batch


def tone(seed: int, seconds: float = 1.5) -> np.ndarray:
    random = np.random.default_rng(seed)
    t = np.arange(round(seconds * 44100)) / 44100
    partials = [np.sin(2 * np.pi * f * t + f) for f in random.uniform(200, 9000, 8)]
    return (0.05 * np.sum(partials, axis=0)).astype(np.float32)


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    """Two materials with three items in each split."""
    folder = tmp_path / "pool"
    signals = []
    for number in range(12):
        split = "train" if number % 2 else "validation"
        material = "music" if number % 4 < 2 else "piano"
        licence = "CC BY-SA 3.0" if number == 1 else "CC BY 3.0"
        origin = Origin(f"{material}/{number}", material, f"maker {number}", licence, 22050.0, split)
        signals.append((origin, tone(number)))
    write_shard(folder, signals)
    return folder


@pytest.fixture
def same() -> Callable[[dict[str, Tensor], dict[str, Tensor]], bool]:
    """Whether two sets of tensors are equal to the bit."""

    def equal(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
        return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)

    return equal
