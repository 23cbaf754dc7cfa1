"""The whole benchmark on a few short clips, with scripts as peers."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from audiomend.errors import UsageError
from audiomend.evaluation.benchmark import Progress, benchmark
from audiomend.evaluation.machine import commit_of, cpu_model, describe_machine

RATE = 8000
COPY = f"copy={sys.executable} -c 'import shutil, sys; shutil.copy(*sys.argv[1:])' {{input}} {{output}}"
LOUD = (
    f"loud={sys.executable} -c 'import soundfile as s, sys; x, r = s.read(sys.argv[1]);"
    ' s.write(sys.argv[2], 4 * x, r, subtype="FLOAT")\' {input} {output}'
)
LATE = LOUD.replace("loud=", "late=").replace("4 * x", "[0] * 9 + list(x)")
BROKEN = "broken=no-such-program {input} {output}"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    random = np.random.default_rng(1)
    for name in ("music/a.wav", "music/b.wav", "speech/c.wav"):
        path = tmp_path / "data" / "test" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, random.uniform(-0.5, 0.5, (2 * RATE, 1)), RATE, subtype="FLOAT")
    return tmp_path / "data"


@pytest.fixture
def run(data: Path, tmp_path: Path) -> Callable[..., tuple[Any, list[Progress]]]:
    """benchmark("declip") at 5 dB into tmp_path/out; also what it told of its progress."""

    def call(*methods: str, peers: tuple[str, ...] = (), **options: Any) -> tuple[Any, list[Progress]]:
        seen: list[Progress] = []
        settings = {"sets": ("music", "speech"), "severities": (5.0,), "progress": seen.append} | options
        return benchmark("declip", data, tmp_path / "out", methods, peers, **settings), seen

    return call


def lines(tmp_path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (tmp_path / "out" / "declip.jsonl").read_text().splitlines()]


def test_the_damaged_clips_have_the_sdr_they_were_made_with(run: Any, tmp_path: Path) -> None:
    rows, _ = run("damaged")
    (whole,) = [r for r in rows if (r.set, r.figure) == ("all", "sdr_db")]
    assert whole.mean == pytest.approx(5.0, abs=1e-4)
    assert whole.clips == 3
    assert [line["clip"] for line in lines(tmp_path)] == ["music/a.wav", "music/b.wav", "speech/c.wav"]


def test_a_peer_is_measured_like_a_method(run: Any, tmp_path: Path) -> None:
    rows, _ = run("damaged", peers=(COPY,))
    by = {(r.method, r.set, r.figure): r.mean for r in rows}
    assert by["copy", "all", "clipped_sdr_db"] == by["damaged", "all", "clipped_sdr_db"]
    cell = lines(tmp_path)[-1]
    assert cell["method"] == "copy"
    assert cell["rtf"] == pytest.approx(cell["wall_s"] / 2.0)
    assert cell["context"]["alignment"] == {"delay": 0, "excess": 0}


def test_a_delay_that_was_undone_is_stated(run: Any, tmp_path: Path) -> None:
    rows, _ = run("damaged", peers=(LATE,))
    by = {(r.method, r.figure): r.mean for r in rows if r.set == "all"}
    assert by["late", "clipped_sdr_db"] == pytest.approx(by["damaged", "clipped_sdr_db"])
    note = "- late: delay of 9 samples and excess length of 9 undone (3 cells)"
    assert note in (tmp_path / "out" / "declip.md").read_text().splitlines()


def test_a_worse_peer_has_worse_figures(run: Any) -> None:
    rows, _ = run("damaged", peers=(LOUD,))
    by = {(r.method, r.figure): r.mean for r in rows if r.set == "all"}
    assert by["loud", "sdr_db"] < by["damaged", "sdr_db"] - 3


def test_a_failing_cell_is_marked_and_the_run_goes_on(run: Any, tmp_path: Path) -> None:
    rows, seen = run(peers=(BROKEN, COPY))
    errors = [line["error"] for line in lines(tmp_path)]
    assert errors[:3] == ["no-such-program cannot be started: No such file or directory"] * 3
    assert errors[3:] == [None] * 3
    assert {r.failed for r in rows if r.method == "broken"} == {1, 2, 3}
    assert [(p.done, p.total) for p in seen] == [(i, 6) for i in range(1, 7)]


def test_a_method_that_does_not_exist_fails_in_its_own_process(run: Any, tmp_path: Path) -> None:
    run("no-such-method@steps=1", "damaged", sets=("speech",))
    wrong, right = lines(tmp_path)
    assert wrong["error"]
    assert right["error"] is None


def test_finished_cells_are_not_measured_again(run: Any, tmp_path: Path) -> None:
    first, _ = run("damaged")
    second, seen = run("damaged")
    assert seen == []
    assert second == first
    assert len(lines(tmp_path)) == 3


def test_failed_cells_are_tried_again(run: Any, tmp_path: Path) -> None:
    run(peers=(BROKEN,), sets=("speech",))
    rows, seen = run(peers=("broken=" + COPY.removeprefix("copy="),), sets=("speech",))
    assert len(seen) == 1
    assert {r.failed for r in rows} == {0}


def test_a_run_goes_on_after_a_kill_in_the_middle_of_a_line(run: Any, tmp_path: Path) -> None:
    whole, _ = run("damaged")
    path = tmp_path / "out" / "declip.jsonl"
    written = path.read_bytes()
    path.write_bytes(written[: written.rindex(b'"figures"')])
    resumed, seen = run("damaged")
    assert [p.result.clip for p in seen] == ["speech/c.wav"]
    assert resumed == whole


def test_other_damages_need_another_folder(run: Any) -> None:
    run("damaged")
    with pytest.raises(UsageError, match="another folder"):
        run("damaged", seed=1)


def test_more_methods_join_the_table(run: Any, tmp_path: Path) -> None:
    run("damaged")
    rows, seen = run("damaged", peers=(COPY,))
    assert {p.result.method for p in seen} == {"copy"}
    assert list(dict.fromkeys(r.method for r in rows)) == ["damaged", "copy"]
    assert "| copy |" in (tmp_path / "out" / "declip.md").read_text()


def test_the_files_agree(run: Any, tmp_path: Path) -> None:
    rows, _ = run("damaged", peers=(BROKEN,))
    out = tmp_path / "out"
    report = json.loads((out / "declip.json").read_text())
    assert [r["mean"] for r in report["rows"]] == [r.mean for r in rows]
    assert len((out / "declip.csv").read_text().splitlines()) == len(rows) + 1
    assert (out / "declip.svg").read_text().startswith("<svg")
    assert report["measured_with"]["cpu"] == [cpu_model()]
    assert report["errors"][0][0] == "music/a.wav"
    assert "broken: failed, no-such-program cannot be started" in (out / "declip.md").read_text()
    assert "directory (3 cells)" in (out / "declip.md").read_text()
    assert sorted(path.suffix for path in out.iterdir()) == [
        ".csv",
        ".json",
        ".json",
        ".jsonl",
        ".md",
        ".svg",
    ]


def test_every_line_says_on_what_it_was_measured(run: Any, tmp_path: Path) -> None:
    run("damaged")
    context = lines(tmp_path)[0]["context"]
    manifest = json.loads((tmp_path / "out" / "declip.manifest.json").read_text())
    assert context | describe_machine() == context
    assert (context["seed"], lines(tmp_path)[0]["observation_sha256"]) == (0, manifest["cases"][0]["sha256"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"task": "denoise"}, "'denoise'.*declip, inpaint, band, extend"),
        ({"methods": ("a", "a")}, "a name of its own"),
        ({"methods": ("a@b",)}, "not a method"),
        ({"peers": ("x",)}, "not a peer"),
        ({"sets": ("none",)}, "'none'"),
    ],
)
def test_bad_requests(data: Path, tmp_path: Path, options: dict[str, Any], message: str) -> None:
    settings = {"task": "declip", "data_dir": data, "out_dir": tmp_path / "out", "sets": ("music",)} | options
    with pytest.raises(UsageError, match=message):
        benchmark(**settings)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("task", "severity"), [("inpaint", 100.0), ("extend", 1000.0)])
def test_the_other_tasks(data: Path, tmp_path: Path, task: Any, severity: float) -> None:
    rows = benchmark(task, data, tmp_path / "out", sets=("music",), severities=(severity,))
    by = {r.figure: r.mean for r in rows}
    if task == "inpaint":
        assert (by["gap_sdr_db"], by["gap_level_error_db"]) == (0.0, -300.0)
        assert by["gap_lsd_db"] > 10
    else:
        assert by["agreement_below_db"] == 300.0
        assert by["above_lsd_db"] > 30


def test_the_machine_is_named() -> None:
    assert cpu_model()
    assert {"cpu", "cores", "torch", "commit", "audiomend"} <= set(describe_machine())


def test_a_folder_outside_git_has_no_commit(tmp_path: Path) -> None:
    assert commit_of(tmp_path) is None
