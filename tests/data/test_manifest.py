from pathlib import Path

import pytest

from audiomend.data.manifest import number, read_manifest
from audiomend.errors import TrainingError


def test_rows_are_read_with_every_column(tmp_path: Path):
    (tmp_path / "manifest.csv").write_text('file,source,extra\na.wav,"one, two",\nb.wav\n', encoding="utf-8")
    rows = read_manifest(tmp_path, ("file", "source"))
    assert rows[0] == {"file": "a.wav", "source": "one, two", "extra": ""}
    assert rows[1] == {"file": "b.wav", "source": "", "extra": ""}


def test_without_a_manifest_there_are_no_rows(tmp_path: Path):
    assert read_manifest(tmp_path, ("file",)) == []


@pytest.mark.parametrize("text", ["", "file,other\n"])
def test_a_missing_column_is_named(tmp_path: Path, text: str):
    (tmp_path / "manifest.csv").write_text(text)
    with pytest.raises(
        TrainingError, match=r"manifest\.csv lacks the column (file|rate); it needs file, rate"
    ):
        read_manifest(tmp_path, ("file", "rate"))


def test_numbers_are_read_and_empty_fields_take_the_default():
    assert number({"file": "a", "x": "-1.5"}, "x") == -1.5
    assert number({"file": "a", "x": ""}, "x", 3.0) == 3.0
    assert number({"file": "a", "x": "2"}, "x", 3.0) == 2.0


@pytest.mark.parametrize("value", ["", "nan", "inf", "ten"])
def test_what_is_no_number_is_refused(value: str):
    with pytest.raises(TrainingError, match=r"in the manifest, x='.*' of a is no number"):
        number({"file": "a", "x": value}, "x")
