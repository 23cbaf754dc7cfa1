from pathlib import Path

import numpy as np
import pytest
import torch

from audiomend.data.pool import Origin, Pool, write_shard
from audiomend.errors import TrainingError
from audiomend.evaluation.metrics import sdr
from audiomend.training.segments import (
    choose_places,
    clipping,
    everything,
    fixed_segments,
    gap,
    long_gap,
    lost_part,
    lost_samples,
    low_pass,
    operator_of,
)

RATE = 44100


def noise(seed: int = 0, length: int = 44100) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(length)).astype(np.float32)


def write(folder: Path, *signals: np.ndarray, material: str = "music") -> Pool:
    items = [
        (Origin(f"{material}{number}", material, "s", "CC0", 1e4, "validation"), signal)
        for number, signal in enumerate(signals)
    ]
    write_shard(folder, items)
    return Pool(folder, split="validation")


def test_four_places_of_each_material_are_spread_over_it(tmp_path: Path):
    write(tmp_path, *(noise(n, 32_000) for n in range(4)))
    pool = write(tmp_path, noise(9, 64_000), material="piano")
    places = choose_places(pool, 1000)
    assert [(p.material, p.name) for p in places] == [
        *(("music", f"music{n}") for n in range(4)),
        *[("piano", "piano0")] * 4,
    ]
    assert [p.offset // 16_000 for p in places[4:]] == [0, 1, 2, 3]


def test_the_loudest_of_four_neighbours_is_taken(tmp_path: Path):
    quiet = noise(0, 160_000)
    quiet[70_000:] *= 0.01
    quiet[105_000:106_000] *= 50
    places = choose_places(write(tmp_path, quiet), 1000)
    # sixteen candidates, the middles of 10,000 samples each
    assert places[2].offset == 105_000


def test_silence_is_no_segment(tmp_path: Path):
    half = noise(0, 160_000)
    half[75_000:] = 0
    assert len(choose_places(write(tmp_path, half), 1000)) == 2


def test_an_item_shorter_than_a_segment_gives_one_padded_segment(tmp_path: Path):
    pool = write(tmp_path, noise(0, 44_100))
    segments = fixed_segments(tmp_path / "places.json", pool, 50_000)
    assert len(segments) == 1
    assert segments[0].material == "music"
    np.testing.assert_array_equal(segments[0].clean[:44_100], pool.signal("music0"))
    assert not segments[0].clean[44_100:].any()


def test_a_place_near_the_end_lies_inside_the_item(tmp_path: Path):
    places = choose_places(write(tmp_path, noise(0, 48_000)), 40_000)
    assert all(0 <= p.offset <= 8_000 for p in places)


def test_segments_stay_when_the_pool_grows(tmp_path: Path):
    pool = write(tmp_path, noise(0))
    path = tmp_path / "places.json"
    before = fixed_segments(path, pool, 1000)
    after = fixed_segments(path, write(tmp_path, noise(5), material="piano"), 1000)
    assert [s.material for s in after] == ["music"] * 4
    assert all(np.array_equal(a.clean, b.clean) for a, b in zip(before, after, strict=True))


def test_nothing_is_fixed_while_nothing_is_withheld(tmp_path: Path):
    write_shard(tmp_path, [(Origin("a", "music", "s", "CC0", 1e4, "train"), noise())])
    assert fixed_segments(tmp_path / "places.json", Pool(tmp_path, split="validation"), 1000) == []
    assert not (tmp_path / "places.json").exists()


def test_a_place_that_the_pool_lacks_is_an_error(tmp_path: Path):
    path = tmp_path / "places.json"
    fixed_segments(path, write(tmp_path / "a", noise()), 1000)
    with pytest.raises(TrainingError, match="holds no item music0"):
        fixed_segments(path, write(tmp_path / "b", noise(), material="piano"), 1000)


def observed(damage, clean: np.ndarray) -> torch.Tensor:
    return operator_of(damage, len(clean)).forward(torch.from_numpy(clean)[None])


def test_clipping_has_an_input_sdr_of_5_db():
    clean = noise()
    observation = observed(clipping(clean), clean)
    assert sdr(clean, observation[0].numpy()) == pytest.approx(5, abs=1e-3)


def test_clipping_lost_the_samples_at_the_level():
    clean = noise()
    observation = observed(clipping(clean), clean)
    lost = lost_samples(clipping(clean), observation)
    np.testing.assert_array_equal(lost, np.abs(clean) >= observation.abs().max().item())


@pytest.mark.parametrize(("make", "length"), [(gap, 4410), (long_gap, 17640)])
def test_a_gap_lies_in_the_middle(make, length: int):
    clean = noise(0, 100_000)
    lost = lost_samples(make(clean), observed(make(clean), clean))
    np.testing.assert_array_equal(np.flatnonzero(lost), np.arange(length) + (100_000 - length) // 2)


def test_damages_state_their_severity():
    clean = noise(0, 100_000)
    assert gap(clean).severity == pytest.approx(0.1)
    assert long_gap(clean).severity == pytest.approx(0.4)
    lost = lost_samples(clipping(clean), observed(clipping(clean), clean))
    assert clipping(clean).severity == pytest.approx(lost.mean())


def test_a_gap_is_at_most_a_quarter():
    clean = noise(0, 1000)
    assert lost_samples(long_gap(clean), observed(long_gap(clean), clean)).sum() == 250
    assert long_gap(clean).severity == pytest.approx(250 / RATE)


def test_the_low_pass_loses_everything_above_3_khz():
    t = np.arange(RATE) / RATE
    low, high = (np.sin(2 * np.pi * f * t).astype(np.float32) for f in (1000, 5000))
    observation = observed(low_pass(low), low + high)[0].numpy()
    np.testing.assert_allclose(observation[5000:-5000], low[5000:-5000], atol=1e-3)


def test_the_part_that_a_low_pass_took_is_the_band_above():
    t = np.arange(RATE) / RATE
    low, high = (np.sin(2 * np.pi * f * t).astype(np.float32) for f in (1000, 5000))
    part = lost_part(low_pass(low), observed(low_pass(low), low))
    np.testing.assert_allclose(part.of(low + high), high, atol=1e-5)
    assert part.dimensions == pytest.approx(RATE * (1 - 3000 / 22050))


def test_the_part_that_a_gap_took_is_its_samples():
    clean = noise(0, 40_000)
    part = lost_part(gap(clean), observed(gap(clean), clean))
    np.testing.assert_array_equal(part.of(clean), clean[17795:22205])
    assert part.dimensions == 4410


def test_everything_is_everything():
    clean = noise(0, 100)
    assert everything(100).of(clean) is clean
    assert everything(100).dimensions == 100
