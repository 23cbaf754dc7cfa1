"""Which clips are damaged how: the same for the same data and seed, and only then."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiomend.errors import AudioReadError, UsageError
from audiomend.evaluation.damages import damage, sha256_of
from audiomend.evaluation.manifest import build_manifest, find_sources, load, write_manifest

RATE = 8000


@pytest.fixture
def data(tmp_path: Path) -> Path:
    random = np.random.default_rng(1)
    for name, seconds in (("music/b.flac", 3.0), ("music/a.wav", 2.0), ("speech/c.flac", 2.0)):
        path = tmp_path / "data" / "test" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, random.uniform(-0.5, 0.5, (round(seconds * RATE), 2)), RATE)
    (tmp_path / "data" / "test" / "music" / "manifest.csv").write_text("file\n")
    return tmp_path / "data" / "test"


def test_sources_are_the_sound_files_in_order(data: Path) -> None:
    sources = find_sources(data, ("music", "speech"))
    assert [s.name for s in sources] == ["music/a.wav", "music/b.flac", "speech/c.flac"]
    assert [(s.set, s.seconds) for s in sources] == [("music", 2.0), ("music", 3.0), ("speech", 2.0)]
    assert sources[0].sha256 == hashlib.sha256((data / "music/a.wav").read_bytes()).hexdigest()


def test_names_choose_files(data: Path) -> None:
    assert [s.name for s in find_sources(data, ("music",), ("b",))] == ["music/b.flac"]


def test_long_files_are_cut_at_a_seeded_place(data: Path) -> None:
    (cut,) = find_sources(data, ("music",), ("b",), clip_s=1.0)
    (again,) = find_sources(data, ("music",), ("b",), clip_s=1.0)
    (other,) = find_sources(data, ("music",), ("b",), clip_s=1.0, seed=1)
    assert cut == again != other
    assert (cut.stop - cut.start, cut.seconds) == (RATE, 1.0)
    assert 0 <= cut.start <= 2 * RATE
    whole, _ = soundfile.read(data / cut.name, dtype="float32")
    np.testing.assert_array_equal(load(data, cut), whole[cut.start : cut.stop].T)


def test_a_cut_may_begin_anywhere_that_leaves_its_length(data: Path) -> None:
    """A file of 16,000 samples, cut to 15,998: three places."""
    starts = [find_sources(data, ("speech",), clip_s=15_998 / RATE, seed=seed)[0].start for seed in range(40)]
    assert set(starts) == {0, 1, 2}


def test_a_missing_set_is_named_with_those_that_are_there(data: Path) -> None:
    with pytest.raises(UsageError, match=r"'piano'.*music, speech"):
        find_sources(data, ("piano",))


def test_nothing_to_measure_is_refused(data: Path) -> None:
    with pytest.raises(UsageError, match="No sound file"):
        find_sources(data, ("music",), ("nothing",))


def test_a_file_that_is_no_sound_is_named(data: Path) -> None:
    (data / "music" / "x.wav").write_text("no sound")
    with pytest.raises(AudioReadError, match=r"x\.wav"):
        find_sources(data, ("music",))


def test_the_manifest_is_the_same_for_the_same_seed(data: Path) -> None:
    sources = find_sources(data, ("music",))
    first, second = (build_manifest("inpaint", data, sources, (50.0, 100.0), 3) for _ in range(2))
    assert first == second
    assert first.sha256 == second.sha256
    other = build_manifest("inpaint", data, sources, (50.0, 100.0), 4)
    assert {case.sha256 for case in other.cases}.isdisjoint(case.sha256 for case in first.cases)


def test_whole_numbers_are_severities_too(data: Path) -> None:
    sources = find_sources(data, ("music",))
    whole, real = (build_manifest("inpaint", data, sources, severities) for severities in ((50,), (50.0,)))
    assert whole.sha256 == real.sha256


def test_clips_of_no_length_are_refused(data: Path) -> None:
    with pytest.raises(UsageError, match="above 0"):
        find_sources(data, ("music",), clip_s=0.0)


def test_equal_clips_have_gaps_of_their_own(data: Path) -> None:
    (data / "music" / "copy.wav").write_bytes((data / "music" / "a.wav").read_bytes())
    cases = build_manifest("inpaint", data, find_sources(data, ("music",), ("a", "copy")), (50.0,)).cases
    assert cases[0].damage != cases[1].damage


def test_clips_are_damaged_independently(data: Path) -> None:
    """A clip keeps its damage whatever other clips and severities there are."""
    all_of_it = build_manifest("inpaint", data, find_sources(data, ("music", "speech")), (50.0, 100.0), 3)
    one = build_manifest("inpaint", data, find_sources(data, ("music",), ("b",)), (100.0,), 3)
    assert set(one.cases) < set(all_of_it.cases)


def test_a_case_reproduces_its_observation(data: Path) -> None:
    for task in ("declip", "inpaint", "extend"):
        severities = {"declip": (5.0,), "inpaint": (50.0,), "extend": (1000.0,)}[task]
        for case in build_manifest(task, data, find_sources(data, ("music",)), severities).cases:
            observation = damage(load(data, case.source), RATE, case.damage)
            assert sha256_of(observation) == case.sha256


def test_the_task_has_its_severities_and_leaves_out_what_makes_no_sense(data: Path) -> None:
    manifest = build_manifest("extend", data, find_sources(data, ("speech",)))
    assert [case.damage.severity for case in manifest.cases] == [3000.0]
    ((clip, severity, reason),) = manifest.omitted
    assert (clip, severity) == ("speech/c.flac", 8000.0)
    assert "8000 Hz" in reason


def test_the_file_says_everything(data: Path, tmp_path: Path) -> None:
    manifest = build_manifest("inpaint", data, find_sources(data, ("speech",)), (50.0,), 3)
    write_manifest(manifest, tmp_path / "out" / "m.json")
    stored = json.loads((tmp_path / "out" / "m.json").read_text())
    (case,) = stored["cases"]
    assert (stored["task"], stored["split"], stored["seed"]) == ("inpaint", "test", 3)
    assert [tuple(gap) for gap in case["damage"]["gaps"]] == list(manifest.cases[0].damage.gaps)
    assert case["source"]["sha256"] == manifest.cases[0].source.sha256


def test_other_damages_do_not_mix(data: Path, tmp_path: Path) -> None:
    sources = find_sources(data, ("speech",))
    write_manifest(build_manifest("inpaint", data, sources, (50.0,), 3), tmp_path / "m.json")
    write_manifest(build_manifest("inpaint", data, sources, (50.0,), 3), tmp_path / "m.json")
    with pytest.raises(UsageError, match="another folder"):
        write_manifest(build_manifest("inpaint", data, sources, (50.0,), 4), tmp_path / "m.json")
