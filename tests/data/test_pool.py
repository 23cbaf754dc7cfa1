from pathlib import Path

import numpy as np
import pytest

from audiomend.data.level import active_rms
from audiomend.data.pool import (
    DEFAULT_WEIGHTS,
    Origin,
    Pool,
    decode,
    encode,
    read_index,
    write_shard,
)
from audiomend.errors import TrainingError

MATERIALS = ("piano", "instruments", "music", "singing", "speech")
SECOND = 44100


def noise(seed: int, seconds: float = 2.0, level: float = 0.02) -> np.ndarray:
    return (level * np.random.default_rng(seed).standard_normal(round(seconds * SECOND))).astype(np.float32)


def origin(
    name: str = "a", material: str = "piano", split: str = "train", licence: str = "CC0", hz: float = 1e4
) -> Origin:
    return Origin(name, material, "somebody", licence, hz, split)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_an_item_has_rms_a_tenth_over_its_active_half_seconds():
    x = np.concatenate([noise(0), np.zeros(SECOND, np.float32)])
    item, codes = encode(origin(), x, 0)
    assert active_rms(decode(codes, item.full_scale)) == pytest.approx(0.1, rel=1e-4)
    assert item.gain == pytest.approx(0.1 / active_rms(x), rel=1e-6)


def test_full_scale_is_eight_times_the_rms_where_the_peaks_allow_it():
    item, codes = encode(origin(), noise(0), 0)
    assert item.full_scale == pytest.approx(0.8)
    assert np.abs(codes).max() < 32767


def test_full_scale_is_the_peak_where_it_is_higher_so_that_nothing_clips():
    x = noise(0)
    x[1000] = -0.9
    item, codes = encode(origin(), x, 0)
    assert codes[1000] == -32767
    assert item.full_scale == pytest.approx(0.9 * item.gain, rel=1e-6)
    assert (np.abs(np.delete(codes, 1000)) < 32767).all()


def test_stored_values_come_back_within_half_a_step():
    x = noise(3)
    item, codes = encode(origin(), x, 0)
    error = np.abs(decode(codes, item.full_scale) - x * item.gain)
    assert error.max() <= 0.5001 * item.full_scale / 32767 + 1e-7


@pytest.mark.parametrize(
    "bad",
    [np.zeros(SECOND, np.float32), np.full(SECOND, np.nan, np.float32), np.array([1, np.inf, 1], np.float32)],
)
def test_silent_and_broken_signals_are_not_stored(bad: np.ndarray):
    with pytest.raises(TrainingError, match="a is silent or not finite"):
        encode(origin(), bad, 0)


def test_items_lie_end_to_end_in_a_shard_and_are_read_back(tmp_path: Path):
    signals = [noise(1), noise(2, 1.5), noise(3)]
    write_shard(tmp_path, [(origin(f"n{i}", hz=1000.0 * i), x) for i, x in enumerate(signals)])
    pool = Pool(tmp_path)
    for i, x in enumerate(signals):
        stored = pool.signal(f"n{i}")
        np.testing.assert_allclose(stored, x * 0.1 / active_rms(x), atol=2e-5)
    items = pool.items()
    assert [item.start for item in items] == [0, 2 * SECOND, round(3.5 * SECOND)]
    assert [item.bandwidth_hz for item in items] == [0, 1000, 2000]
    assert np.load(tmp_path / "shard-00000.npy").dtype == np.int16
    assert len(np.load(tmp_path / "shard-00000.npy")) == round(5.5 * SECOND)


def test_the_index_states_what_the_item_is(tmp_path: Path):
    index = write_shard(tmp_path, [(origin("a", "music", "validation", "CC BY 3.0", 16000.0), noise(1))])
    item = read_index(index)[0]
    stated = (item.name, item.material, item.source, item.licence, item.bandwidth_hz, item.split, item.length)
    assert stated == ("a", "music", "somebody", "CC BY 3.0", 16000.0, "validation", 2 * SECOND)


def test_shards_are_numbered_on(tmp_path: Path):
    names = [write_shard(tmp_path, [(origin(), noise(i))]).name for i in range(3)]
    assert names == ["shard-00000.json", "shard-00001.json", "shard-00002.json"]
    (tmp_path / "shard-00000.json").unlink()
    assert write_shard(tmp_path, [(origin(), noise(4))]).name == "shard-00003.json"


def test_a_number_that_another_writer_has_taken_is_left_to_it(tmp_path: Path):
    (tmp_path / "shard-00000.npy").write_bytes(b"samples of another writer, whose index is still to come")
    (tmp_path / "shard-00001.npy.part").touch()
    assert write_shard(tmp_path, [(origin(), noise(1))]).name == "shard-00002.json"


def test_writers_that_choose_the_same_number_at_once_get_two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "shard-00000.npy.part").touch()
    monkeypatch.setattr(Path, "glob", lambda self, pattern: iter(()))
    assert write_shard(tmp_path, [(origin(), noise(1))]).name == "shard-00001.json"


def test_no_temporary_file_stays(tmp_path: Path):
    write_shard(tmp_path, [(origin(), noise(1))])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["shard-00000.json", "shard-00000.npy"]


@pytest.mark.parametrize("stop_at", [".npy", ".json"])
def test_a_reader_never_sees_a_shard_that_was_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop_at: str
):
    write_shard(tmp_path, [(origin("whole"), noise(1))])
    rename = Path.replace

    def killed(self: Path, target: Path) -> Path:
        if target.suffix == stop_at:
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        write_shard(tmp_path, [(origin("half"), noise(2))])
    assert [item.name for item in Pool(tmp_path).items()] == ["whole"]


def test_the_samples_are_there_when_the_index_appears(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    seen: list[tuple[str, int]] = []
    rename = Path.replace

    def watched(self: Path, target: Path) -> Path:
        seen.append((target.name, len(Pool(tmp_path).items())))
        return rename(self, target)

    monkeypatch.setattr(Path, "replace", watched)
    write_shard(tmp_path, [(origin(), noise(1))])
    assert seen == [("shard-00000.npy", 0), ("shard-00000.json", 0)]


def test_a_shard_that_was_cut_off_is_named(tmp_path: Path):
    samples = write_shard(tmp_path, [(origin(), noise(1))]).with_suffix(".npy")
    samples.write_bytes(samples.read_bytes()[:-1000])
    with pytest.raises(TrainingError, match=r"shard-00000\.npy is no whole shard"):
        Pool(tmp_path)


@pytest.mark.parametrize("text", ["", "{}", '{"items": [{"name": "a"}]}', "[]"])
def test_a_broken_index_is_refused(tmp_path: Path, text: str):
    (tmp_path / "shard-00000.json").write_text(text)
    with pytest.raises(TrainingError, match=r"shard-00000\.json is no index of a shard"):
        read_index(tmp_path / "shard-00000.json")


@pytest.fixture(scope="module")
def five(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Each material once for training and once withheld; the level of an item's step tells which it is."""
    folder = tmp_path_factory.mktemp("pool")
    for i, material in enumerate(MATERIALS):
        licence = "CC BY-SA 3.0" if material == "piano" else "CC0"
        write_shard(folder, [(origin(f"{material}/t", material, "train", licence, 1000.0 + i), noise(i, 3))])
        write_shard(
            folder, [(origin(f"{material}/v", material, "validation", licence, 2000.0 + i), noise(9 + i, 3))]
        )
    return folder


def test_crops_are_cut_from_the_items_at_the_level_of_the_pool(five: Path):
    pool = Pool(five)
    crops, bandwidths, materials = pool.crops(64, 1000, rng())
    assert crops.dtype == np.float32
    assert crops.shape == (64, 1000)
    for crop, bandwidth, material in zip(crops, bandwidths, materials, strict=True):
        whole = pool.signal(f"{material}/t")
        windows = np.lib.stride_tricks.sliding_window_view(whole, 1000)
        assert (windows[:, 0] == crop[0]).any()
        assert any((window == crop).all() for window in windows[windows[:, 0] == crop[0]])
        assert bandwidth == 1000 + MATERIALS.index(material)


def test_crops_are_a_function_of_the_generator_and_the_shards(five: Path):
    first, second = Pool(five).crops(8, 500, rng(4)), Pool(five).crops(8, 500, rng(4))
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])
    assert first[2] == second[2]
    assert (Pool(five).crops(8, 500, rng(5))[0] != first[0]).any()


def shares(pool: Pool, draws: int = 4000) -> dict[str, float]:
    materials = pool.crops(draws, 1, rng())[2]
    return {material: materials.count(material) / draws for material in MATERIALS}


def test_materials_are_drawn_by_their_default_shares(five: Path):
    assert DEFAULT_WEIGHTS == {
        "piano": 0.35,
        "instruments": 0.25,
        "music": 0.12,
        "singing": 0.08,
        "speech": 0.2,
    }
    assert shares(Pool(five)) == pytest.approx(DEFAULT_WEIGHTS, abs=0.025)


def test_other_weights_are_honoured(five: Path):
    drawn = shares(Pool(five, weights={"music": 3, "speech": 1, "piano": 0}))
    assert drawn == pytest.approx(
        {"music": 0.75, "speech": 0.25, "piano": 0, "instruments": 0, "singing": 0}, abs=0.025
    )


def test_a_material_that_is_not_there_leaves_its_share_to_the_others(tmp_path: Path):
    for material in ("piano", "speech"):
        write_shard(tmp_path, [(origin(material, material), noise(0))])
    assert shares(Pool(tmp_path))["piano"] == pytest.approx(0.35 / 0.55, abs=0.03)


def test_the_training_split_never_holds_what_is_withheld(five: Path):
    assert {item.name for item in Pool(five).items()} == {f"{material}/t" for material in MATERIALS}
    bandwidths = Pool(five).crops(2000, 1, rng())[1]
    assert bandwidths.max() < 2000


def test_the_validation_split_holds_nothing_else(five: Path):
    pool = Pool(five, split="validation")
    assert {item.name for item in pool.items()} == {f"{material}/v" for material in MATERIALS}
    assert pool.crops(500, 1, rng())[1].min() >= 2000


def test_share_alike_items_can_be_left_out(five: Path):
    assert shares(Pool(five, no_sharealike=True))["piano"] == 0
    assert "piano/t" not in {item.name for item in Pool(five, no_sharealike=True).items()}


def test_items_are_drawn_by_their_length(tmp_path: Path):
    write_shard(tmp_path, [(origin("long", hz=1.0), noise(1, 3)), (origin("short", hz=2.0), noise(2, 1))])
    bandwidths = Pool(tmp_path).crops(4000, 1, rng())[1]
    assert (bandwidths == 1).mean() == pytest.approx(0.75, abs=0.03)


def test_every_place_of_an_item_is_drawn(tmp_path: Path):
    codes = np.arange(1, 7, dtype=np.float32)
    write_shard(tmp_path, [(origin(), codes)])
    pool = Pool(tmp_path)
    whole = pool.signal("a")
    starts = {round(float(crop[0] / whole[0])) for crop in pool.crops(200, 4, rng())[0]}
    assert starts == {1, 2, 3}


def test_a_short_item_stands_between_zeros(tmp_path: Path):
    write_shard(tmp_path, [(origin(), np.ones(5, np.float32))])
    crops = Pool(tmp_path).crops(200, 8, rng())[0]
    starts = {int(np.flatnonzero(crop)[0]) for crop in crops}
    assert starts == {0, 1, 2, 3}
    assert ((crops != 0).sum(axis=1) == 5).all()


def test_an_item_as_long_as_the_crop_is_taken_whole(tmp_path: Path):
    write_shard(tmp_path, [(origin(), np.ones(5, np.float32))])
    assert (Pool(tmp_path).crops(3, 5, rng())[0] > 0).all()


def test_new_shards_are_seen_after_a_refresh_only(tmp_path: Path):
    write_shard(tmp_path, [(origin("a"), noise(1))])
    pool = Pool(tmp_path)
    before = pool.crops(4, 100, rng())[0]
    write_shard(tmp_path, [(origin("b"), noise(2))])
    np.testing.assert_array_equal(pool.crops(4, 100, rng())[0], before)
    assert pool.refresh() == 1
    assert pool.refresh() == 0
    assert [item.name for item in pool.items()] == ["a", "b"]
    assert pool.shards == ["shard-00000", "shard-00001"]


def test_seconds_are_counted_by_material(five: Path):
    assert Pool(five).seconds() == pytest.approx(dict.fromkeys(MATERIALS, 3.0))


def test_an_empty_pool_says_so(tmp_path: Path):
    with pytest.raises(TrainingError, match="holds nothing of the split train yet"):
        Pool(tmp_path / "absent").crops(1, 10, rng())


def test_an_unknown_item_is_refused(five: Path):
    with pytest.raises(TrainingError, match="holds no item piano/v in its split train"):
        Pool(five).signal("piano/v")


@pytest.mark.parametrize("weights", [{"opera": 1.0}, {"piano": -0.1}, {"piano": float("nan")}])
def test_bad_weights_are_refused(tmp_path: Path, weights: dict[str, float]):
    with pytest.raises(TrainingError, match=r"weight .* is not allowed"):
        Pool(tmp_path, weights)


def test_samples_are_memory_mapped(five: Path):
    held = Pool(five)._items["piano"][0][0]
    assert isinstance(held, np.memmap)
