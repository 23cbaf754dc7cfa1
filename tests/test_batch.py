"""Batches: the tree is mirrored, one bad file stops nothing, and what was killed goes on where it was."""

import hashlib
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from audiomend.errors import AudioReadError, Cancelled, UsageError
from audiomend.restorers.batch import Done, Item, items, run_batch, settings_sha256
from audiomend.restorers.manifest import NAME, Manifest, Row

WORKER = Path(__file__).parent / "batch_worker.py"
STEPS = ("begun", "open", "mid-write", "before rename", "after rename", "before manifest", "after manifest")


def touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())


def relative(found: list[Item]) -> list[str]:
    return [item.output.as_posix() for item in found]


# --- The list of work ---------------------------------------------------------------------------------------


def test_the_tree_is_mirrored(tmp_path: Path) -> None:
    tape = tmp_path / "tape"
    touch(tape, "b.wav", "a.FLAC", "notes.txt", ".hidden.wav", "side/c.ogg", ".git/d.wav", "side/out/e.mp3")
    out = tape / "side" / "out"
    assert relative(items([str(tape)], out, recursive=False)) == ["a.FLAC", "b.wav"]
    assert relative(items([str(tape)], out, recursive=True)) == ["a.FLAC", "b.wav", "side/c.ogg"]
    both = items([str(tape / "notes.txt"), str(tape)], out, recursive=False)
    assert relative(both) == ["notes.txt", "a.FLAC", "b.wav"]
    assert both[0].source == tape / "notes.txt"


def test_the_same_file_named_twice_is_mended_once(tmp_path: Path) -> None:
    touch(tmp_path, "a.wav")
    name = str(tmp_path / "a.wav")
    assert relative(items([name, name], tmp_path / "out", recursive=False)) == ["a.wav"]


def test_lists_that_cannot_be_worked_on(tmp_path: Path) -> None:
    touch(tmp_path, "x/a.wav", "y/a.wav", "z/notes.txt")
    x, y, z = (str(tmp_path / name) for name in ("x", "y", "z"))
    with pytest.raises(UsageError, match=r"x/a.wav and .*y/a.wav would both become .*out/a.wav"):
        items([x, y], tmp_path / "out", recursive=False)
    with pytest.raises(UsageError, match=r"x/a.wav would be its own output"):
        items([x], tmp_path / "x", recursive=False)
    with pytest.raises(UsageError, match=r"no sound file was found in .*z; --recursive looks"):
        items([z], tmp_path / "out", recursive=False)
    with pytest.raises(UsageError, match=r"no sound file was found in .*z$"):
        items([z], tmp_path / "out", recursive=True)


@dataclass(frozen=True)
class Chosen:
    seed: int = 0
    walk: dict[str, float] | None = None


def test_settings_have_a_digest() -> None:
    assert settings_sha256(Chosen()) == settings_sha256(Chosen())
    assert (
        len({settings_sha256(Chosen()), settings_sha256(Chosen(1)), settings_sha256(Chosen(), Chosen())}) == 3
    )
    named = [{"sdr_db": 5.0}, {"sdr_db": 7.0}]
    assert len({settings_sha256(name, one) for name in ("clip", "softclip") for one in named}) == 4
    assert settings_sha256(Chosen(walk={"a": 1, "b": 2})) == settings_sha256(Chosen(walk={"b": 2, "a": 1}))


# --- The work -----------------------------------------------------------------------------------------------


def double(source: Path, output: Path, force: bool) -> Done:
    """A name that starts with bad fails, one with same changes nothing, one with die ends the process."""
    if source.name.startswith("bad"):
        raise AudioReadError(f"{source.name} is bad")
    if source.name.startswith("die"):
        os._exit(3)
    if output.exists() and not force:
        raise UsageError(f"{output} exists; --force replaces it")
    content = source.read_bytes()
    output.write_bytes(2 * content)
    return Done(
        "doubled", not source.name.startswith("same"), hashlib.sha256(2 * content).hexdigest(), 1.5, ("w",)
    )


def batch(folder: Path, out: Path, settings: str = "s", **options: object) -> dict[str, tuple[str, bool]]:
    """State of each file, and whether it was worked on this time."""
    told: dict[str, tuple[str, bool]] = {}
    found = items([str(folder)], out, recursive=True)

    def tell(item: Item, row: Row, done: Done | None) -> None:
        told[item.output.as_posix()] = (row.state, done is not None)

    rows = run_batch(double, found, out, settings, tell=tell, **options)  # type: ignore[arg-type]
    assert [row.output for row in rows] == relative(found)
    assert {row.output: row.state for row in rows} == {name: state for name, (state, _) in told.items()}
    return told


def test_one_bad_file_stops_nothing_and_the_next_batch_does_the_rest(tmp_path: Path) -> None:
    tape, out = tmp_path / "tape", tmp_path / "out"
    touch(tape, "a.wav", "bad.wav", "same.wav", "side/c.wav")
    first = batch(tape, out)
    assert first == {
        "a.wav": ("mended", True),
        "bad.wav": ("failed", True),
        "same.wav": ("unchanged", True),
        "side/c.wav": ("mended", True),
    }
    assert (out / "side/c.wav").read_bytes() == b"side/c.wavside/c.wav"
    assert not (out / "bad.wav").exists()
    with Manifest(out) as manifest:
        bad, a = manifest.row("bad.wav"), manifest.row("a.wav")
        assert bad is not None
        assert a is not None
        assert (bad.message, bad.output_sha256) == ("bad.wav is bad", "")
        assert a.input_sha256 == hashlib.sha256(b"a.wav").hexdigest()
        assert (a.source, a.message, a.seconds) == (str(tape / "a.wav"), "doubled", 1.5)
        assert manifest.row("nothing") is None
    again = batch(tape, out)
    assert again == {
        **{name: (state, False) for name, (state, _) in first.items()},
        "bad.wav": ("failed", True),
    }


def test_what_has_changed_is_done_anew(tmp_path: Path) -> None:
    tape, out = tmp_path / "tape", tmp_path / "out"
    touch(tape, "a.wav", "b.wav", "c.wav")
    batch(tape, out)
    (tape / "a.wav").write_bytes(b"new")
    (out / "b.wav").unlink()
    told = batch(tape, out)
    assert [name for name, (_, worked) in told.items() if worked] == ["a.wav", "b.wav"]
    assert (out / "a.wav").read_bytes() == b"newnew"
    assert (out / "b.wav").read_bytes() == b"b.wavb.wav"
    assert all(worked for _, worked in batch(tape, out, settings="others").values())


def test_an_output_that_was_changed_since_is_not_replaced(tmp_path: Path) -> None:
    tape, out = tmp_path / "tape", tmp_path / "out"
    touch(tape, "a.wav", "b.wav")
    batch(tape, out)
    (out / "a.wav").write_bytes(b"edited")
    for _ in range(2):
        assert batch(tape, out, settings="others")["a.wav"] == ("failed", True)
        assert (out / "a.wav").read_bytes() == b"edited"
    assert batch(tape, out, settings="others", force=True)["a.wav"] == ("mended", True)
    assert (out / "a.wav").read_bytes() == b"a.wava.wav"


def test_a_file_that_is_not_of_the_batch_is_not_replaced(tmp_path: Path) -> None:
    tape, out = tmp_path / "tape", tmp_path / "out"
    touch(tape, "a.wav", "b.wav")
    touch(out, "a.wav")
    assert batch(tape, out) == {"a.wav": ("failed", True), "b.wav": ("mended", True)}
    assert (out / "a.wav").read_bytes() == b"a.wav"
    assert batch(tape, out, force=True)["a.wav"] == ("mended", True)
    assert (out / "a.wav").read_bytes() == b"a.wava.wav"


def test_a_file_that_failed_still_protects_what_it_found(tmp_path: Path) -> None:
    """The row of a failure is no reason to replace a file that the batch has not made."""
    tape, out = tmp_path / "tape", tmp_path / "out"
    touch(tape, "a.wav")
    touch(out, "a.wav")
    for _ in range(2):
        assert batch(tape, out) == {"a.wav": ("failed", True)}
        assert (out / "a.wav").read_bytes() == b"a.wav"
    (out / "a.wav").unlink()
    assert batch(tape, out) == {"a.wav": ("mended", True)}


@pytest.mark.parametrize("jobs", [1, 3])
def test_processes_do_the_same(tmp_path: Path, jobs: int) -> None:
    tape, out = tmp_path / "tape", tmp_path / "out"
    touch(tape, *(f"{k}.wav" for k in range(5)), "bad.wav")
    told = batch(tape, out, jobs=jobs)
    assert sorted(told) == ["0.wav", "1.wav", "2.wav", "3.wav", "4.wav", "bad.wav"]
    assert {state for name, (state, _) in told.items() if name != "bad.wav"} == {"mended"}
    assert told["bad.wav"] == ("failed", True)
    assert (out / "4.wav").read_bytes() == b"4.wav4.wav"


def test_a_process_that_dies_takes_only_its_own_file(tmp_path: Path) -> None:
    tape, out = tmp_path / "tape", tmp_path / "out"
    touch(tape, "a.wav", "b.wav", "die.wav", "e.wav", "f.wav")
    told = batch(tape, out, jobs=2)
    assert {name for name, (state, _) in told.items() if state != "mended"} == {"die.wav"}
    with Manifest(out) as manifest:
        row = manifest.row("die.wav")
        assert row is not None
        assert row.message.endswith("die.wav: the process that worked on it has ended unexpectedly")


@pytest.mark.parametrize("jobs", [1, 2])
def test_what_is_not_there_fails_by_itself(tmp_path: Path, jobs: int) -> None:
    touch(tmp_path, "a.wav", "side/b.wav", "out/lost.wav")
    names = [str(tmp_path / name) for name in ("a.wav", "lost.wav", "x" * 300, "side")]
    found = items(names, tmp_path / "out", recursive=False)
    assert relative(found) == ["a.wav", "lost.wav", "x" * 300, "b.wav"]
    rows = run_batch(double, found, tmp_path / "out", "s", jobs=jobs)
    assert [row.state for row in rows] == ["mended", "failed", "failed", "mended"]
    assert rows[1].message == f"{tmp_path / 'lost.wav'} does not exist"
    assert rows[2].message.endswith("cannot be read: File name too long")
    assert (rows[1].input_sha256, rows[1].output_sha256) == ("", "")
    with Manifest(tmp_path / "out") as manifest:
        assert manifest.row("lost.wav") == rows[1]

    touch(tmp_path, "lost.wav")  # the batch has never written the output that stands under its name
    again = run_batch(double, found, tmp_path / "out", "s")
    assert [row.state for row in again] == ["mended", "failed", "failed", "mended"]
    assert again[1].message.endswith("lost.wav exists; --force replaces it")
    (tmp_path / "out" / "lost.wav").unlink()
    assert run_batch(double, found, tmp_path / "out", "s")[1].state == "mended"
    (tmp_path / "lost.wav").unlink()
    assert run_batch(double, found, tmp_path / "out", "s")[1].state == "failed"
    touch(tmp_path, "lost.wav")  # back again, and the output is the batch's
    assert run_batch(double, found, tmp_path / "out", "s")[1].state == "mended"


def test_no_jobs_are_too_few(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="jobs is 0; it must be 1 or more"):
        run_batch(double, [], tmp_path / "out", "s", jobs=0)


def test_a_cancelled_batch_ends(tmp_path: Path) -> None:
    touch(tmp_path, "a.wav")

    def stop(*_: object) -> Done:
        raise Cancelled("stop")

    with pytest.raises(Cancelled):
        run_batch(stop, items([str(tmp_path)], tmp_path / "out", recursive=False), tmp_path / "out", "s")


# --- The manifest -------------------------------------------------------------------------------------------


def test_a_manifest_belongs_to_one_process_and_one_version(tmp_path: Path) -> None:
    with (
        Manifest(tmp_path),
        pytest.raises(UsageError, match=f"another batch is at work in {tmp_path}; wait"),
    ):
        Manifest(tmp_path)
    base = sqlite3.connect(tmp_path / NAME)
    base.execute("PRAGMA user_version = 99")
    base.close()
    with pytest.raises(UsageError, match="was written by another version; remove it"):
        Manifest(tmp_path)
    (tmp_path / NAME).write_bytes(b"no database, but a text of some length" * 100)
    with pytest.raises(UsageError, match="is no manifest, or damaged; remove it"):
        Manifest(tmp_path)


def test_a_manifest_whose_error_is_no_text(tmp_path: Path) -> None:
    """SQLite quotes what it cannot read, and Python's module cannot read the quotation."""
    with Manifest(tmp_path) as manifest:
        manifest.put(Row("a.wav", "a.wav", "", "", "begun"))
    content = (tmp_path / NAME).read_bytes()
    (tmp_path / NAME).write_bytes(content.replace(b"source TEXT", b"source\xbeTEXT"))
    with pytest.raises(UsageError, match="is no manifest, or damaged; remove it"):
        Manifest(tmp_path)


def test_a_database_of_something_else_stays_as_it_is(tmp_path: Path) -> None:
    base = sqlite3.connect(tmp_path / NAME)
    base.execute("CREATE TABLE other (x)")
    base.close()
    before = (tmp_path / NAME).read_bytes()
    with pytest.raises(UsageError, match="another version"):
        Manifest(tmp_path)
    assert (tmp_path / NAME).read_bytes() == before


# --- Kills --------------------------------------------------------------------------------------------------


def killed(*arguments: object, after: float | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(WORKER), *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        if after is not None:
            time.sleep(after)
            process.kill()
        said, _ = process.communicate()
    return subprocess.CompletedProcess(command, process.returncode, said)


def nothing_damaged(tape: Path, out: Path) -> None:
    for path in tape.iterdir():
        made = out / path.name
        assert not made.exists() or made.read_bytes() == 2 * path.read_bytes()


def goes_on(tape: Path, out: Path) -> None:
    done = killed(tape, out)
    digests = [hashlib.sha256(2 * path.read_bytes()).hexdigest() for path in sorted(tape.iterdir())]
    assert done.stdout.split("\n")[:-1] == [f"mended {digest}" for digest in digests]
    nothing_damaged(tape, out)
    names = {path.name for path in out.iterdir() if path.name not in (NAME, f"{NAME}-journal")}
    assert names == {path.name for path in tape.iterdir()}


@pytest.mark.parametrize("step", STEPS)
def test_a_kill_at_any_step_damages_nothing_and_the_next_batch_ends_it(tmp_path: Path, step: str) -> None:
    tape, out = tmp_path / "tape", tmp_path / "out"
    touch(tape, "a.wav", "b.wav", "c.wav")
    assert killed(tape, out, step, "b.wav").returncode == -signal.SIGKILL
    nothing_damaged(tape, out)
    assert (out / "a.wav").exists()
    assert (out / "b.wav").exists() == (step in ("after rename", "before manifest", "after manifest"))
    assert not (out / "c.wav").exists()
    goes_on(tape, out)


@pytest.mark.nightly
def test_two_hundred_kills(tmp_path: Path) -> None:
    chance = random.Random(0)
    tape = tmp_path / "tape"
    touch(tape, *(f"{k:02}.wav" for k in range(40)))
    (tape / "00.wav").write_bytes(os.urandom(1 << 20))
    for count in range(200):
        out = tmp_path / f"out{count // 10}"
        if count % 2:
            killed(tape, out, after=chance.uniform(0.05, 0.5))
        else:
            killed(tape, out, STEPS[count // 2 % len(STEPS)], f"{chance.randrange(40):02}.wav")
        if out.exists():
            nothing_damaged(tape, out)
        if count % 10 == 9:
            goes_on(tape, out)
