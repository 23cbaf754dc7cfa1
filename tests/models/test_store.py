"""A model's folder: its card is whole, its weights are those that the card names, it appears at once."""

import builtins
import dataclasses
import hashlib
import io
import json
import math
from pathlib import Path

import pytest
import torch

from audiomend.errors import ModelError, UsageError
from audiomend.models import precision, store
from audiomend.models.card import CARD, WEIGHTS, read_card, write_card
from audiomend.models.precision import check, choose, choose_device
from audiomend.models.untrained import CARD as UNTRAINED


def test_a_card_comes_back_as_it_was_written(tmp_path: Path) -> None:
    card = dataclasses.replace(UNTRAINED, summary="Klavier für Übungen", limits=["a", "b"])
    write_card(card, tmp_path)
    assert read_card(tmp_path) == card
    assert "für" in (tmp_path / CARD).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda e: e.pop("rate"), "rate"),
        (lambda e: e.update(colour="red"), "colour"),
        (lambda e: (e.pop("name"), e.update(nome="x")), "name, nome"),
    ],
)
def test_a_card_with_missing_or_unknown_entries_names_them(tmp_path: Path, change, named: str) -> None:
    entries = dataclasses.asdict(UNTRAINED)
    change(entries)
    (tmp_path / CARD).write_text(json.dumps(entries))
    with pytest.raises(ModelError, match=f"missing or unknown entries: {named}"):
        read_card(tmp_path)


@pytest.mark.parametrize(
    ("entry", "value", "said"),
    [
        ("rate", "44100", "rate '44100', which is no whole number"),
        ("rate", True, "rate True, which is no whole number"),
        ("rate", 0, "rate 0 and sigma_data 0.1; both are above 0"),
        ("sigma_data", [0.1], r"sigma_data \[0.1\], which is no number"),
        ("sigma_data", -1, "both are above 0"),
        ("sigma_data", math.nan, "both are above 0"),
        ("arguments", 3, "arguments 3, which is no object"),
        ("arguments", {"window": 1 << 21}, "window 2097152; sizes are whole numbers from 0 to 1,048,576"),
        ("arguments", {"window": -1}, "window -1; sizes"),
        ("arguments", {"window": 8.0}, "window 8.0; sizes"),
        ("arguments", {"window": True}, "window True; sizes"),
        ("arguments", {"attention": [0]}, r"attention \[0\]; sizes"),
        ("arguments", {"widths": [[8]]}, r"widths \[\[8\]\]; sizes"),
        ("arguments", {"widths": 65 * [8]}, "at most 64 of either"),
        ("arguments", {"depth": 65}, "depth 65; sizes are whole numbers from 0 to 64"),
        ("arguments", {"dilations": [2, 65]}, r"dilations \[2, 65\]; sizes are whole numbers from 0 to 64"),
    ],
)
def test_a_card_with_impossible_entries_names_them(tmp_path: Path, entry: str, value, said: str) -> None:
    (tmp_path / CARD).write_text(json.dumps({**dataclasses.asdict(UNTRAINED), entry: value}))
    with pytest.raises(ModelError, match=said):
        read_card(tmp_path)


@pytest.mark.parametrize(
    "arguments", [{"widths": [64], "depth": 64}, {"attention": [True, False], "window": 1 << 20}]
)
def test_a_card_may_have_sizes_at_their_limits(tmp_path: Path, arguments: dict[str, object]) -> None:
    card = dataclasses.replace(UNTRAINED, sigma_data=1, arguments=arguments)
    write_card(card, tmp_path)
    assert read_card(tmp_path) == card


@pytest.mark.parametrize(
    ("content", "said"),
    [("[1, 2]", "entries: list"), ("{", "cannot be read as a card"), (None, "holds no card")],
)
def test_what_is_no_card_is_refused(tmp_path: Path, content: str | None, said: str) -> None:
    if content is not None:
        (tmp_path / CARD).write_text(content)
    with pytest.raises(ModelError, match=said):
        read_card(tmp_path)


def test_weights_are_those_that_the_card_names(tmp_path: Path) -> None:
    card = store.write_model(UNTRAINED, b"weights", tmp_path / "a" / "m")
    folder = tmp_path / "a" / "m"
    assert card.sha256 == hashlib.sha256(b"weights").hexdigest()
    assert read_card(folder) == card == store.card_of(str(folder))
    assert store.checked_weights(folder) == folder / WEIGHTS
    (folder / WEIGHTS).write_bytes(b"weightS")
    with pytest.raises(ModelError, match=f"its card says {card.sha256}; it is damaged or was changed"):
        store.checked_weights(folder)
    (folder / WEIGHTS).unlink()
    with pytest.raises(ModelError, match="cannot be read"):
        store.checked_weights(folder)


def test_a_model_replaces_the_one_before_it_and_leaves_nothing_beside(tmp_path: Path) -> None:
    for content in (b"old", b"new"):
        store.write_model(UNTRAINED, content, tmp_path / "m")
    assert (tmp_path / "m" / WEIGHTS).read_bytes() == b"new"
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_a_model_that_cannot_be_written_leaves_the_one_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write_model(UNTRAINED, b"old", tmp_path / "m")
    rename = Path.rename

    def failing(path: Path, target: Path) -> Path:
        if path.name == "m.part":
            raise OSError(28, "No space left on device")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(ModelError, match="m cannot be written: No space left"):
        store.write_model(UNTRAINED, b"new", tmp_path / "m")
    assert store.checked_weights(tmp_path / "m").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_a_name_is_a_shipped_model_before_it_is_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / store.DEFAULT).mkdir()
    assert store.find(None) == store.find(store.DEFAULT) == store.SHIPPED / store.DEFAULT
    assert store.names()[-1] == UNTRAINED.name
    assert store.card_of(UNTRAINED.name) is UNTRAINED
    with pytest.raises(ModelError, match=r"no model priro.*Did you mean prior\?"):
        store.find("priro")


CPU_FLAGS = {
    "flags : fpu sse amx_bf16 avx2": True,
    "flags : avx512_bf16": True,
    "flags : fpu avx512f avx512_bf16x": False,
    "model name : amx_bf16": False,
    "": False,
}


@pytest.mark.parametrize(("line", "units"), CPU_FLAGS.items())
def test_auto_is_bfloat16_where_the_processor_is_made_for_it(
    line: str, units: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(builtins, "open", lambda *_, **__: io.StringIO(f"processor : 0\n{line}\n"))
    usual = "bfloat16" if units else "float32"
    assert (choose("auto", "cpu"), choose("auto", "mps")) == (usual, "float32")
    assert choose("float32", "cpu") == "float32"
    assert choose("bfloat16", "cpu") == "bfloat16"


def test_a_system_without_a_list_of_flags_has_no_such_units(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object, **__: object) -> None:
        raise FileNotFoundError

    monkeypatch.setattr(builtins, "open", missing)
    assert choose("auto", "cpu") == "float32"


@pytest.mark.parametrize("units", [True, False])
def test_on_a_gpu_auto_asks_the_gpu(units: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: units)
    monkeypatch.setattr(precision, "_has_bf16_units", lambda: not units)
    assert choose("auto", "cuda") == ("bfloat16" if units else "float32")


@pytest.mark.parametrize(
    ("cuda", "mps", "taken"), [(True, True, "cuda"), (False, True, "mps"), (False, False, "cpu")]
)
def test_auto_takes_the_fastest_device_that_is_there(
    cuda: bool, mps: bool, taken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert choose_device("auto") == taken
    assert choose_device("cpu") == "cpu"
    if not cuda:
        with pytest.raises(UsageError, match=r"cuda is not on this machine; there is .*cpu"):
            check("auto", "cuda")


def test_what_is_unknown_is_refused() -> None:
    with pytest.raises(UsageError, match="precision int8 is unknown; it is one of auto, float32, bfloat16"):
        check("int8", "cpu")
    with pytest.raises(UsageError, match="device tpu is unknown; it is one of auto, cuda, mps, cpu"):
        check("auto", "tpu")
