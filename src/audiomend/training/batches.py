"""Batches for the loop: crops of the pool, varied and damaged, in units of sigma_data."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from audiomend.data.augment import augment, source_length
from audiomend.data.damage import damage
from audiomend.data.pool import Pool
from audiomend.networks.patch_unet import Seen
from audiomend.recipes.recipe import Recipe
from audiomend.training.objective import Batch

REFRESH_STEPS = 200  # between looks for new shards


def pool_batches(pool: Pool, recipe: Recipe) -> Callable[[int], Batch]:
    """step -> batch; a function of the recipe's seed, the step and the pool's list of shards."""

    def batch(step: int) -> Batch:
        if step % REFRESH_STEPS == 0:
            pool.refresh()
        generator = np.random.default_rng([recipe.seed, step])
        length = recipe.architecture.length
        crops, bandwidth, materials = pool.crops(recipe.batch, source_length(length), generator)
        clean, bandwidth = augment(crops, bandwidth, length, generator)
        told = generator.random(recipe.batch) >= recipe.bandwidth_dropped
        return make_batch(clean, bandwidth * told, tuple(materials), recipe, generator)

    return batch


def make_batch(
    clean: NDArray[np.float32],
    bandwidth_hz: NDArray[np.float32],
    materials: tuple[str, ...],
    recipe: Recipe,
    generator: np.random.Generator,
) -> Batch:
    """Damage clean crops (batch, time) and state what is known, as the network wants it."""
    hurt = damage(clean, generator)
    nyquist = recipe.rate / 2
    present = torch.from_numpy(hurt.has_observation.astype(np.float32))
    cutoff = np.where(hurt.cutoff_hz < nyquist, hurt.cutoff_hz / nyquist, 0).astype(np.float32)

    def scaled(x: NDArray[np.float32]) -> Tensor:
        return torch.from_numpy(x / np.float32(recipe.sigma_data))

    seen = Seen(
        observation=scaled(hurt.observation),
        unknown=torch.from_numpy(hurt.unknown),
        clip=scaled(hurt.clip),
        cutoff=torch.from_numpy(cutoff),
        present=present,
    )
    bandwidth = torch.from_numpy(np.minimum(bandwidth_hz / nyquist, 1).astype(np.float32))
    return Batch(scaled(clean), bandwidth, seen, materials)
