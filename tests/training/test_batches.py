from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from audiomend.data.damage import damage
from audiomend.data.pool import Origin, Pool, write_shard
from audiomend.recipes.recipe import Recipe
from audiomend.training.batches import make_batch, pool_batches

RATE = 44100


def clean(rows: int = 40) -> np.ndarray:
    return (0.1 * np.random.default_rng(0).standard_normal((rows, 4096))).astype(np.float32)


def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def test_signals_are_in_units_of_sigma_data(recipe: Recipe):
    x = clean()
    batch = make_batch(x, np.full(40, 1e4, np.float32), ("m",) * 40, replace(recipe, sigma_data=0.25), rng())
    hurt = damage(x, rng())
    np.testing.assert_allclose(batch.clean, x / 0.25, rtol=1e-6)
    np.testing.assert_allclose(batch.seen.observation, hurt.observation / 0.25, rtol=1e-6)
    np.testing.assert_allclose(batch.seen.clip, hurt.clip / 0.25, rtol=1e-6)
    np.testing.assert_array_equal(batch.seen.unknown, hurt.unknown)


def test_what_the_network_is_told_is_a_share_of_nyquist(recipe: Recipe):
    x = clean()
    bandwidth = np.linspace(0, 30_000, 40).astype(np.float32)
    batch = make_batch(x, bandwidth, ("m",) * 40, recipe, rng())
    hurt = damage(x, rng())
    np.testing.assert_allclose(batch.bandwidth, np.minimum(bandwidth / 22050, 1), rtol=1e-6)
    low_passed = hurt.cutoff_hz < 22050
    assert 0 < low_passed.sum() < 40
    np.testing.assert_allclose(batch.seen.cutoff[low_passed], hurt.cutoff_hz[low_passed] / 22050, rtol=1e-6)
    assert (batch.seen.cutoff[~low_passed] == 0).all()
    np.testing.assert_array_equal(batch.seen.present, hurt.has_observation)
    assert 0 < batch.seen.present.sum() < 40


def test_a_batch_is_a_function_of_seed_and_step(recipe: Recipe, pool: Path):
    audio = Pool(pool)
    one, again = (pool_batches(audio, recipe)(5) for _ in range(2))
    assert torch.equal(one.clean, again.clean)
    assert torch.equal(one.seen.observation, again.seen.observation)
    assert one.materials == again.materials
    assert not torch.equal(one.clean, pool_batches(audio, recipe)(6).clean)
    assert not torch.equal(one.clean, pool_batches(audio, replace(recipe, seed=2))(5).clean)


def test_crops_have_the_network_length_and_the_level_of_the_pool(recipe: Recipe, pool: Path):
    batch = pool_batches(Pool(pool), replace(recipe, batch=64, sigma_data=0.1))(0)
    assert batch.clean.shape == (64, 1024)
    assert len(batch.materials) == 64
    level = 20 * torch.log10(batch.clean.square().mean(-1).sqrt())
    assert -5 < level.median() < 2  # augmentation spreads it by 4 dB, downwards mostly


def test_the_bandwidth_is_dropped_at_random(recipe: Recipe, pool: Path):
    batches = pool_batches(Pool(pool), replace(recipe, batch=400, bandwidth_dropped=0.25))
    dropped = (batches(0).bandwidth == 0).float().mean().item()
    assert abs(dropped - 0.25) < 0.07


def test_the_bandwidth_told_is_that_of_the_item_moved_with_the_pitch(recipe: Recipe, tmp_path: Path):
    noise = (0.1 * np.random.default_rng(0).standard_normal(2 * RATE)).astype(np.float32)
    write_shard(tmp_path, [(Origin("dull", "music", "s", "CC0", 0.25 * RATE, "train"), noise)])
    batches = pool_batches(Pool(tmp_path), replace(recipe, batch=100, bandwidth_dropped=0.0))
    told = batches(0).bandwidth
    assert 0.4 < (told == 0.5).float().mean() < 0.6
    assert 0.84 * 0.5 <= told.min() < told.max() <= 1.19 * 0.5


def test_new_shards_are_taken_in_now_and_then(recipe: Recipe, pool: Path):
    audio = Pool(pool)
    batches = pool_batches(audio, recipe)
    batches(200)
    held = len(audio.items())
    tone = np.sin(np.arange(RATE)).astype(np.float32)
    write_shard(pool, [(Origin("new", "music", "s", "CC0", 1e4, "train"), tone)])
    for step in (201, 399):
        batches(step)
        assert len(audio.items()) == held
    batches(400)
    assert len(audio.items()) == held + 1
