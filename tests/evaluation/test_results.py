"""The file of results survives whatever a kill leaves in it."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from audiomend.evaluation.results import Result, append, finished, read

FIRST = Result("music/a.flac", 3.0, "ours", {"sdr_db": 1.5}, 8.0, "h1", 4.0, 6.0, 100.0, {"seed": 1})
SECOND = replace(FIRST, clip="speech/b.flac", observation_sha256="h2")


def test_results_read_back(tmp_path: Path) -> None:
    append(tmp_path / "r.jsonl", FIRST)
    append(tmp_path / "r.jsonl", SECOND)
    assert read(tmp_path / "r.jsonl") == [FIRST, SECOND]


def test_a_line_is_json_and_names_the_real_time_factor(tmp_path: Path) -> None:
    append(tmp_path / "r.jsonl", FIRST)
    line = json.loads((tmp_path / "r.jsonl").read_text())
    assert (line["clip"], line["rtf"], line["wall_s"], line["figures"]) == (
        "music/a.flac",
        0.5,
        4.0,
        {"sdr_db": 1.5},
    )


def test_no_file_is_no_results(tmp_path: Path) -> None:
    assert read(tmp_path / "r.jsonl") == []


@pytest.mark.parametrize("kept", [1, 30, -2, -1])
def test_a_torn_last_line_is_left_out_and_the_next_one_is_whole(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "r.jsonl"
    append(path, FIRST)
    whole = path.read_bytes()
    append(path, SECOND)
    path.write_bytes(whole + path.read_bytes()[len(whole) :][:kept])
    torn = kept != -1  # only the line's end is missing: the result is there
    assert read(path) == ([FIRST] if torn else [FIRST, SECOND])
    append(path, replace(SECOND, wall_s=9.0))
    assert read(path) == [FIRST, replace(SECOND, wall_s=9.0)]


def test_a_line_torn_inside_a_letter_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    append(path, FIRST)
    path.write_bytes(path.read_bytes() + '{"clip": "é'.encode()[:-1])
    assert read(path) == [FIRST]


@pytest.mark.parametrize("line", ["3", "null", "[]", "{}", '{"rtf": 1, "who": 2}'])
def test_lines_that_are_no_results_are_left_out(tmp_path: Path, line: str) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text(line + "\n")
    append(path, FIRST)
    assert read(path) == [FIRST]


def test_the_last_result_of_a_cell_counts(tmp_path: Path) -> None:
    append(tmp_path / "r.jsonl", replace(FIRST, error="broke"))
    append(tmp_path / "r.jsonl", FIRST)
    assert read(tmp_path / "r.jsonl") == [FIRST]


def test_failed_cells_and_other_damages_are_not_finished() -> None:
    hashes = {("music/a.flac", 3.0): "h1", ("speech/b.flac", 3.0): "other"}
    failed = replace(FIRST, method="theirs", error="broke")
    assert finished([FIRST, SECOND, failed], hashes) == {("music/a.flac", 3.0, "ours")}


def test_a_result_belongs_to_the_set_of_its_clip() -> None:
    assert (FIRST.set, SECOND.set) == ("music", "speech")
