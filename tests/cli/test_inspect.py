"""inspect: what it prints and writes."""

import errno
import json
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

import audiomend
from audiomend.cli import console, inspect
from audiomend.cli.console import Bar
from audiomend.detect.diagnosis import Diagnosis
from audiomend.detect.finding import Finding, Place
from audiomend.restorers.inspection import Inspection, inspect_file
from audiomend.restorers.plan import read_plan

RATE = 8000
FINDINGS = [
    "clipping",
    "DC offset",
    "clicks",
    "gaps",
    "dropouts",
    "bandwidth",
    "lossy codec",
    "hum",
    "noise",
    "reverberation",
    "quantisation",
    "channel faults",
]


def damaged(seconds: float = 3.0) -> np.ndarray:
    """Two channels of noise that swells, one clipped and holed, the other its mirror."""
    time = np.arange(round(seconds * RATE)) / RATE
    x = np.random.default_rng(0).standard_normal(len(time)) * 10 ** (np.sin(2 * np.pi * 0.7 * time))
    x = np.convolve(x, np.ones(8) / 8, "same")
    x = np.clip(0.1 * x / x.std(), -0.2, 0.2)
    x[12000:12400] = 0
    return np.stack([x, -x])


def test_a_table_says_what_was_found(cli: Callable, write: Callable) -> None:
    result = cli("inspect", write("in.wav", damaged()))
    assert (result.code, result.err) == (0, "")
    text = result.out.decode()
    assert "3.0 s, 8,000 Hz, 2 channels" in text
    lines = {line.split("  ")[0].strip(): line for line in text.splitlines() if line.strip()}
    assert [name for name in lines if name in FINDINGS] == FINDINGS
    assert "96%  hard, at 0.2 of full scale" in lines["clipping"]
    assert "1 gap of digital silence, 0.050 s together" in lines["gaps"]  # in both channels at once
    assert "channels 1 and 2 are of opposite polarity" in lines["channel faults"]


def test_json_holds_everything(cli: Callable, write: Callable) -> None:
    found = cli("inspect", write("in.wav", damaged()), "--json").json
    assert found["schema"] == "audiomend.inspect/1"
    assert found["input"]["rate"] == RATE
    assert found["input"]["frames"] == 3 * RATE
    assert len(found["input"]["sha256"]) == 64
    assert found["content"]["kind"] in ("speech", "music")
    assert [finding["damage"] for finding in found["findings"]] == FINDINGS
    gaps = next(finding for finding in found["findings"] if finding["damage"] == "gaps")
    assert gaps["found"]
    assert gaps["places_s"] == [[0, 1.5, 1.55], [1, 1.5, 1.55]]
    for finding in found["findings"]:
        assert finding["found"] == (finding["confidence"] >= 0.5)


def test_a_plan_and_a_page_are_written_whole(cli: Callable, write: Callable, tmp_path: Path) -> None:
    source, plan, page = write("in.wav", damaged(25)), tmp_path / "plan.json", tmp_path / "page.html"
    assert cli("inspect", source, "--plan", plan, "--report", page).code == 0
    stages = {stage.stage for stage in read_plan(plan).stages}
    assert {"declip", "gaps"} <= stages
    assert read_plan(plan).input.path == str(source)
    html = page.read_text()
    assert "Inspected: in.wav" in html
    assert "Found here: " in html
    assert "Played as it is. An excerpt, " in html
    assert "clipping, hard, at 0.2 of full scale" in html
    assert cli("inspect", source, "--plan", plan).code == 2
    assert cli("inspect", source, "--report", page).code == 2
    assert cli("inspect", source, "--plan", plan, "--report", page, "--force").code == 0


def test_the_excerpt_shows_where_most_was_found(cli: Callable, write: Callable, tmp_path: Path) -> None:
    x = damaged(60)
    x[:, 320_000:] *= 0.5
    for start in (402_000, 403_000, 404_000):
        x[0, start : start + 100] = 0
    page = tmp_path / "page.html"
    assert cli("inspect", write("in.wav", x), "--report", page).code == 0
    assert "An excerpt, 40.000 s to 1:00.000 of 1:00.000." in page.read_text()


@pytest.mark.parametrize("option", ["--plan", "--report"])
def test_what_is_written_is_another_file(option: str, cli: Callable, write: Callable) -> None:
    source = write("in.wav", damaged())
    before = source.read_bytes()
    result = cli("inspect", source, option, source, "--force")
    assert result.code == 2
    assert "different files" in result.err
    assert source.read_bytes() == before


def test_standard_input_is_inspected(cli: Callable, write: Callable, tmp_path: Path) -> None:
    content = write("in.wav", damaged()).read_bytes()
    found = cli("inspect", "-", "--json", stdin=content).json
    assert found["input"] == {**found["input"], "path": "-", "sha256": "", "frames": 3 * RATE}
    assert cli("inspect", "-", "--report", tmp_path / "page.html", stdin=content).code == 2


def test_what_is_no_sound_is_refused(cli: Callable, tmp_path: Path) -> None:
    (tmp_path / "no.wav").write_bytes(b"no sound")
    result = cli("inspect", tmp_path / "no.wav", "--plan", tmp_path / "plan.json")
    assert result.code == 1
    assert "not a sound file" in result.err
    assert not (tmp_path / "plan.json").exists()
    assert json.dumps(result.err)


@pytest.fixture
def tape(write: Callable, tmp_path: Path) -> Path:
    """A damaged file, one within a folder, and one that is no sound."""
    folder = tmp_path / "tape"
    (folder / "side").mkdir(parents=True)
    write("tape/a.wav", damaged())
    write("tape/side/b.flac", damaged(1.5)[:1])
    (folder / "text.wav").write_text("text")
    return folder


def test_files_are_inspected_in_turn(cli: Callable, tape: Path) -> None:
    a, b, text, lost = (tape / name for name in ("a.wav", "side/b.flac", "text.wav", "lost.wav"))
    done = cli("inspect", lost, tape, a, "--recursive")
    assert done.code == 3
    assert done.err.count("\n") == 3
    said = done.err.splitlines()
    assert said[0].startswith(f"Warning: {lost} cannot be read")
    assert said[1].startswith(f"Warning: {text} is not a sound file")
    assert said[2] == "4 files, 2 inspected, 2 failed."
    alone = [cli("inspect", one).out for one in (a, b)]
    assert done.out == b"".join(table + b"\n" for table in alone)
    whole = cli("inspect", tape / "side", a)
    assert (whole.code, whole.err) == (0, "")
    assert whole.out == b"".join(table + b"\n" for table in reversed(alone))
    assert cli("inspect", tape).out == alone[0] + b"\n"
    none = cli("inspect", lost, text)
    assert (none.code, none.out, none.err.count("\n")) == (1, b"", 3)


def test_json_of_many_files_is_one_object(cli: Callable, tape: Path, write: Callable) -> None:
    done = cli("inspect", tape, "--recursive", "--json")
    assert done.code == 3
    told = done.json
    assert done.out.decode() == json.dumps(told, indent=2) + "\n"
    assert (list(told), told["schema"]) == (["schema", "audiomend", "files"], "audiomend.inspections/1")
    a, b, text = told["files"]
    for entry, path in ((a, tape / "a.wav"), (b, tape / "side" / "b.flac")):
        assert entry == {"path": str(path), "inspection": cli("inspect", path, "--json").json}
    assert list(text) == ["path", "error"]
    assert text["error"].startswith(f"{tape / 'text.wav'} is not a sound file")
    assert f"Warning: {text['error']}" in done.err


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_what_was_told_is_forgotten(
    options: tuple[str, ...], cli: Callable, write: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory does not follow the number of files."""
    found: list[weakref.ref] = []

    def watched(path: str, *watching: Any) -> Inspection:
        assert sum(one() is not None for one in found) <= 1  # the one before
        inspection = inspect_file(path, *watching)
        found.append(weakref.ref(inspection))
        return inspection

    monkeypatch.setattr("audiomend.restorers.inspection.inspect_file", watched)
    for k in range(4):
        write(f"{k}.wav", damaged(0.1))
    assert cli("inspect", tmp_path, *options).code == 0
    assert len(found) == 4


ENTRIES = [{"text": "one"}, {"text": "a\u2028b\nc"}]


def test_a_list_of_json_is_printed_whole(capsys: pytest.CaptureFixture[str]) -> None:
    console.print_json_list("kind", "list", iter(ENTRIES))
    expected = {"schema": "audiomend.kind/1", "audiomend": audiomend.__version__, "list": ENTRIES}
    assert capsys.readouterr().out == json.dumps(expected, indent=2) + "\n"


@pytest.mark.parametrize("kind", [KeyboardInterrupt, ValueError])
def test_half_a_list_of_json_is_not_printed(
    kind: type[BaseException], capsys: pytest.CaptureFixture[str]
) -> None:
    def entries() -> Iterator[dict[str, str]]:
        yield from ENTRIES
        raise kind

    with pytest.raises(kind):
        console.print_json_list("kind", "list", entries())
    assert capsys.readouterr().out == ""


def test_json_of_many_files_on_a_full_disk(
    cli: Callable, tape: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("audiomend.audio.atomic.RawFile.write", full)
    done = cli("inspect", tape, "--recursive", "--json")
    assert (done.code, done.out, done.err.count("\n")) == (1, b"", 1)
    assert "a temporary file in " in done.err
    assert "cannot be written: the disk is full" in done.err


def test_the_bar_tells_the_share_of_frames_that_are_read() -> None:
    shares: list[float] = []
    watch = inspect._Watch(cast(Bar, SimpleNamespace(advance=shares.append)), 8)
    for length in (2, 4, 3):  # more than were said
        watch.add(np.zeros((2, length)))
    assert shares == [0.25, 0.75, 1.0]


def test_json_lists_the_first_thousand_places() -> None:
    places = tuple(Place(1, start, start + 4) for start in range(1001))
    found = SimpleNamespace(rate=RATE, findings=(Finding("clicks", 1.0, "1,001 clicks", {}, places),))
    (told,) = inspect.findings_of(cast(Diagnosis, found))
    assert told["places_s"] == [[1, start / RATE, (start + 4) / RATE] for start in range(1000)]


def test_names_cannot_control_a_terminal(cli: Callable, write: Callable) -> None:
    source = write("in\x1b[31m.wav", damaged())
    assert b"\x1b" not in cli("inspect", source).out
