"""The machine that reads pickles: numbers of every type arrive, limits are where they are said to be."""

import hashlib
from pathlib import Path

import pytest
import torch

from audiomend.errors import ModelError
from audiomend.models.pickled import Storage, Stored, parse
from audiomend.models.torch_file import TorchFile

DTYPES = ["float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool"]


def test_tensors_of_every_type_and_stride_arrive(tmp_path: Path) -> None:
    base = torch.arange(1, 25).reshape(2, 3, 4)
    saved = {name: base.to(getattr(torch, name)) for name in DTYPES}
    saved |= {"turned": base.mT, "inner": base[1, 1:, ::2], "scalar": base[1, 2, 3], "none": base[:0]}
    torch.save(saved, tmp_path / "x.pt")
    with TorchFile(tmp_path / "x.pt") as file:
        assert isinstance(file.content, dict)
        read = file.read(file.content)
    assert read.keys() == saved.keys()
    for name, tensor in saved.items():
        assert read[name].dtype == tensor.dtype
        assert torch.equal(read[name], tensor)


@pytest.mark.parametrize(
    ("shape", "stride", "count", "end"),
    [((), (), 1, 6), ((2, 3), (3, 1), 6, 11), ((2, 3), (1, 10), 6, 27), ((0, 4), (4, 1), 0, 5)],
)
def test_a_tensor_ends_after_its_last_number(
    shape: tuple[int, ...], stride: tuple[int, ...], count: int, end: int
) -> None:
    stored = Stored(Storage("0", "float32", 100), 5, shape, stride)
    assert (stored.count, stored.end) == (count, end)


@pytest.mark.parametrize("protocol", [0, 1, 3, 4, 5])
def test_only_the_protocol_of_torch_is_read(protocol: int) -> None:
    assert parse(b"\x80\x02}.") == {}
    with pytest.raises(ModelError, match=f"of protocol {protocol}; torch.save writes 2"):
        parse(b"\x80" + bytes([protocol]) + b"}.")


def test_a_pickle_may_have_300_000_opcodes() -> None:
    assert parse(b"\x80\x02" + b"N" * 299_998 + b".") is None
    with pytest.raises(ModelError, match="more than 300,000 opcodes"):
        parse(b"\x80\x02" + b"N" * 299_999 + b".")


def test_entries_come_as_key_and_value_and_lists_in_order() -> None:
    assert parse(b"\x80\x02}(K\x01K\x02K\x03]K\x04aK\x05au.") == {1: 2, 3: [4, 5]}
    assert parse(b"\x80\x02K\x01K\x02\x86.") == (1, 2)
    assert parse(b"\x80\x02K\x01\x85q\x00h\x00\x86.") == ((1,), (1,))


def test_tensors_together_may_not_be_larger_than_their_file(tmp_path: Path) -> None:
    """Each view counts with its whole storage, which is what reading it takes."""
    base = torch.arange(10_000.0)
    torch.save({"one": base[1:], "two": base[:-1]}, tmp_path / "x.pt")
    with TorchFile(tmp_path / "x.pt") as file:
        assert isinstance(file.content, dict)
        assert torch.equal(file.read({"one": file.content["one"]})["one"], base[1:])
        with pytest.raises(ModelError, match="tensors of 80000 bytes, more than it holds"):
            file.read(file.content)


def test_a_hash_may_be_written_in_capitals(tmp_path: Path) -> None:
    torch.save({}, tmp_path / "x.pt")
    sha256 = hashlib.sha256((tmp_path / "x.pt").read_bytes()).hexdigest()
    with TorchFile(tmp_path / "x.pt", sha256.upper()) as file:
        assert file.sha256 == sha256
    with pytest.raises(ModelError, match="it is another file"):
        TorchFile(tmp_path / "x.pt", "0" * 64)
