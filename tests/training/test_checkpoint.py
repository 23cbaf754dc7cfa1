import errno
import json
import os
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from audiomend.errors import TrainingError
from audiomend.training import checkpoint

TENSORS = {
    "a": torch.arange(6.0).reshape(2, 3),
    "b": torch.tensor(7.0),
    "c": torch.tensor([1.5, -2.0], dtype=torch.bfloat16),
}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_tensors_and_facts_come_back(tmp_path: Path):
    checkpoint.save(tmp_path, 3, TENSORS, {"note": "é", "x": [1, 2.5]})
    found = checkpoint.load_latest(tmp_path)
    assert found is not None
    tensors, facts = found
    assert facts == {"note": "é", "x": [1, 2.5]}
    assert tensors.keys() == TENSORS.keys()
    assert all(torch.equal(tensors[n], TENSORS[n]) and tensors[n].dtype == TENSORS[n].dtype for n in TENSORS)


def test_an_empty_folder_holds_none(tmp_path: Path):
    assert checkpoint.load_latest(tmp_path) is None


def test_the_last_two_are_kept(tmp_path: Path):
    for step in (1, 20, 300):
        checkpoint.save(tmp_path, step, TENSORS, {})
    assert names(tmp_path) == ["step-00000020.safetensors", "step-00000300.safetensors"]


def test_the_newest_is_taken(tmp_path: Path):
    for step in (999, 1000):
        checkpoint.save(tmp_path, step, TENSORS, {"step": step})
    assert checkpoint.load_latest(tmp_path)[1] == {"step": 1000}


@pytest.mark.parametrize("cut", [0, 5, 100, -1])
def test_a_cut_file_falls_back_with_a_warning(tmp_path: Path, cut: int):
    checkpoint.save(tmp_path, 1, TENSORS, {"step": 1})
    path = checkpoint.save(tmp_path, 2, TENSORS, {"step": 2})
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.warns(UserWarning, match=r"step-00000002.safetensors is broken"):
        found = checkpoint.load_latest(tmp_path)
    assert found[1] == {"step": 1}


def test_every_flipped_bit_is_noticed(tmp_path: Path):
    checkpoint.save(tmp_path, 1, TENSORS, {"step": 1})
    whole = checkpoint.save(tmp_path, 2, TENSORS, {"step": 2}).read_bytes()
    random = np.random.default_rng(0)
    for place in random.integers(8, len(whole), 60):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << int(random.integers(8))
        (tmp_path / "step-00000002.safetensors").write_bytes(flipped)
        with pytest.warns(UserWarning, match="is broken"):
            found = checkpoint.load_latest(tmp_path)
        assert found[1] == {"step": 1}


def test_a_broken_file_no_longer_counts_as_one_of_two(tmp_path: Path):
    checkpoint.save(tmp_path, 10, TENSORS, {"step": 10})
    checkpoint.save(tmp_path, 20, TENSORS, {}).write_bytes(b"no")
    with pytest.warns(UserWarning, match="is broken"):
        checkpoint.load_latest(tmp_path)
    checkpoint.save(tmp_path, 12, TENSORS, {"step": 12})
    assert names(tmp_path) == [
        "step-00000010.safetensors",
        "step-00000012.safetensors",
        "step-00000020.broken",
    ]


def test_no_whole_checkpoint_is_an_error(tmp_path: Path):
    checkpoint.save(tmp_path, 1, TENSORS, {}).write_bytes(b"")
    with (
        pytest.warns(UserWarning, match="is broken"),
        pytest.raises(TrainingError, match=r"No checkpoint in .* is whole"),
    ):
        checkpoint.load_latest(tmp_path)


def test_a_checkpoint_of_the_first_version_has_no_check_sum(tmp_path: Path):
    path = tmp_path / "step-00000005.safetensors"
    save_file({"a": TENSORS["a"]}, path, {"facts": json.dumps({"step": 5})})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert checkpoint.load_latest(tmp_path)[1] == {"step": 5}


def test_a_full_disk_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    checkpoint.save(tmp_path, 1, TENSORS, {})

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(TrainingError, match=r"step-00000002.safetensors cannot be written: No space left"):
        checkpoint.save(tmp_path, 2, TENSORS, {})
    assert names(tmp_path) == ["step-00000001.safetensors"]


def test_a_folder_that_is_gone_is_named(tmp_path: Path):
    with pytest.raises(
        TrainingError, match=r"absent/step-00000002.safetensors cannot be written: No such file"
    ):
        checkpoint.save(tmp_path / "absent", 2, TENSORS, {})


def test_a_checkpoint_appears_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    seen: list[list[str]] = []
    sync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: (seen.append(names(tmp_path)), sync(handle)))
    checkpoint.save(tmp_path, 1, TENSORS, {})
    assert seen == [["step-00000001.part"]]


def test_leftovers_are_removed(tmp_path: Path):
    checkpoint.save(tmp_path, 1, TENSORS, {})
    (tmp_path / "step-00000002.part").write_bytes(b"half")
    checkpoint.remove_leftovers(tmp_path)
    assert names(tmp_path) == ["step-00000001.safetensors"]
