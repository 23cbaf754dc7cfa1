"""Ctrl-C at any moment: the process ends within a second with code 130 and leaves nothing behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from audiomend.cli import interrupts

PROGRAM = ("-m", "audiomend.cli.main")
LIMIT_S = 1.0
FOLDERS = ("out", "temporary")
STAND_IN = """
import ctypes, os, tempfile, time
from pathlib import Path
from audiomend.audio.atomic import PartFile
from audiomend.cli import interrupts, mend
from audiomend.cli.main import main

def stand_in(source, output, *_):
    with interrupts.scratch(), tempfile.TemporaryDirectory(), PartFile(Path(output), force=False):
{block}

mend._mend_one = stand_in
main()
"""
NATIVE = """
        os.write(1, b"begun")
        library, mutex = ctypes.CDLL(None), ctypes.create_string_buffer(64)
        while True:  # a lock that is never given back: no signal ends the wait
            library.pthread_mutex_lock(mutex)
"""
SWALLOWING = """
        while True:
            try:
                os.write(1, b"begun")
                time.sleep(60)
            except KeyboardInterrupt:
                pass
"""
STUBBORN = """
        try:
            os.write(1, b"begun")
            time.sleep(60)
        finally:
            os.write(1, b"tidying")
            time.sleep(0.2)
"""
TORCH_SPY = """
import os, sys

class Spy:
    def find_spec(name, path=None, target=None):
        if name == "torch":
            os.write(1, b"torch")

sys.meta_path.insert(0, Spy)
from audiomend.cli.main import main
main()
"""

WORK_SPY = """
import os
from audiomend.restorers import files

mend_file = files.mend_file

def spied(request, announce, progress):
    def evaluated(share):
        os.write(1, b"evaluated")
        progress(share)
    return mend_file(request, announce, evaluated)

files.mend_file = spied
from audiomend.cli.main import main
main()
"""

INSPECT_SPY = """
import os
from audiomend.restorers import inspection

inspect_file = inspection.inspect_file

def spied(source, *watching):
    if source.endswith("last.wav"):
        os.write(1, b"last")
        while True:
            pass
    return inspect_file(source, *watching)

inspection.inspect_file = spied
from audiomend.cli.main import main
main()
"""


def slowness() -> float:
    """How much longer than on an idle machine work takes at this moment, at least 1."""
    begun, cpu = time.perf_counter(), time.process_time()
    sum(i * i for i in range(2_000_000))
    return max(1.0, (time.perf_counter() - begun) / (time.process_time() - cpu))


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start Python with its temporary files in a folder of their own."""
    running: list[subprocess.Popen[bytes]] = []
    for name in FOLDERS:
        (tmp_path / name).mkdir()
    environment = {**os.environ, "TMPDIR": str(tmp_path / "temporary"), "OMP_NUM_THREADS": "1"}

    def run(*arguments: object, stdin: int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
        command = [sys.executable, *map(str, arguments)]
        pipe = subprocess.PIPE
        running.append(subprocess.Popen(command, env=environment, stdin=stdin, stdout=pipe, stderr=pipe))
        return running[-1]

    yield run
    for process in running:
        process.kill()
        process.communicate()


def wait_for(process: subprocess.Popen[bytes], word: bytes) -> None:
    assert process.stdout is not None
    said = b""
    while word not in said:
        piece = os.read(process.stdout.fileno(), 100)
        assert piece, process.stderr.read()
        said += piece


def interrupt(process: subprocess.Popen[bytes], number: int = signal.SIGINT) -> tuple[bytes, bytes]:
    """What the process said; it ends within LIMIT_S of an idle machine, however busy this one becomes."""
    before, begun = slowness(), time.perf_counter()
    process.send_signal(number)
    said = process.communicate(timeout=60)
    took = time.perf_counter() - begun
    assert took < LIMIT_S * before or took < LIMIT_S * slowness()
    return said


def check_interruption(process: subprocess.Popen[bytes], folder: Path, number: int = signal.SIGINT) -> None:
    _, said = interrupt(process, number)
    assert process.returncode == interrupts.EXIT_CODE, said
    assert said == b"Interrupted.\n"
    assert [path for name in FOLDERS for path in (folder / name).iterdir()] == []


@pytest.fixture
def source(write: Callable[..., Path]) -> Path:
    noise = np.random.default_rng(0).standard_normal(40_000)
    return write("in.wav", np.clip(0.3 * noise, -0.4, 0.4))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("delay", [0.0, 0.1, 0.5])
def test_while_torch_is_loaded(
    delay: float, number: int, start: Callable, source: Path, tmp_path: Path
) -> None:
    process = start("-c", TORCH_SPY, "declip", source, tmp_path / "out" / "out.wav", "--model", "wiener")
    wait_for(process, b"torch")
    time.sleep(delay)
    check_interruption(process, tmp_path, number)


def test_no_exception_passes_through_native_code_that_is_being_loaded(tmp_path: Path) -> None:
    package = tmp_path / "torch"
    package.mkdir()
    (package / "__init__.py").write_text(
        "import os, signal, time\n"
        "from audiomend.cli import interrupts\n"
        "interrupts.arm()\n"
        "try:\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    time.sleep(9)\n"
        "except KeyboardInterrupt:\n"
        "    os._exit(7)\n"
    )
    loading = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import torch"
    done = subprocess.run([sys.executable, "-c", loading], stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr) == (interrupts.EXIT_CODE, b"Interrupted.\n")


@pytest.mark.parametrize("delay", [0.0, 0.05, 0.3])
def test_inside_an_evaluation(delay: float, start: Callable, source: Path, tmp_path: Path) -> None:
    output, residue = tmp_path / "out" / "out.wav", tmp_path / "out" / "residue.wav"
    options = ("--residue", residue, "--report", tmp_path / "out" / "page.html", "--model", "wiener")
    process = start("-c", WORK_SPY, "declip", source, output, *options, "--steps", 1000)
    wait_for(process, b"evaluated")
    time.sleep(delay)
    check_interruption(process, tmp_path)


def test_while_standard_input_is_read(start: Callable, source: Path, tmp_path: Path) -> None:
    output = tmp_path / "out" / "out.wav"
    process = start(*PROGRAM, "declip", "-", output, "--model", "wiener", stdin=subprocess.PIPE)
    process.stdin.write(source.read_bytes()[:1000])
    process.stdin.flush()
    while not list((tmp_path / "temporary").glob("*/*/in.wav")):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    check_interruption(process, tmp_path)


def test_among_many_files_half_an_object_is_not_printed(
    start: Callable, source: Path, tmp_path: Path
) -> None:
    last = source.rename(tmp_path / "last.wav")
    (first := tmp_path / "first.wav").write_bytes(last.read_bytes())
    process = start("-c", INSPECT_SPY, "inspect", first, last, "--json")
    assert process.stdout is not None
    assert os.read(process.stdout.fileno(), 4) == b"last"
    out, _ = interrupt(process)
    assert (process.returncode, out) == (interrupts.EXIT_CODE, b"")
    assert list((tmp_path / "temporary").iterdir()) == []


@pytest.mark.parametrize("block", [NATIVE, SWALLOWING, STUBBORN], ids=["native", "swallowed", "tidying"])
def test_when_the_main_thread_does_not_end(block: str, start: Callable, source: Path, tmp_path: Path) -> None:
    script = STAND_IN.format(block=block)
    process = start("-c", script, "declip", source, tmp_path / "out" / "out.wav", "--model", "wiener")
    wait_for(process, b"begun")
    check_interruption(process, tmp_path)


def test_impatience_disturbs_no_tidying(start: Callable, source: Path, tmp_path: Path) -> None:
    script = STAND_IN.format(block=STUBBORN)
    process = start("-c", script, "declip", source, tmp_path / "out" / "out.wav", "--model", "wiener")
    wait_for(process, b"begun")
    process.send_signal(signal.SIGINT)
    wait_for(process, b"tidying")
    check_interruption(process, tmp_path)


WORK = {
    "declip": ("--model", "wiener", "--steps", 200, "--residue", "out/residue.wav"),
    "inpaint": ("--gap", "1-1.3", "--model", "wiener", "--steps", 200),
    "extend": ("--cutoff-hz", 1500, "--model", "wiener", "--steps", 200, "--report", "out/page.html"),
    "declick": ("--residue", "out/residue.wav"),
    "restore": ("--report", "out/page.html"),
    "degrade clip": (),
    "degrade lowpass": ("--cutoff-hz", 1500),
}


@pytest.mark.nightly
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("verb", WORK)
def test_ten_interrupts_at_random_times(
    verb: str, start: Callable, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the whole life of a process: before anything is loaded it ends as any does, later with 130."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(list(verb.encode()))
    begun = time.perf_counter()
    assert start(*PROGRAM, *verb.split(), source, "whole.wav", *WORK[verb]).wait() == 0
    life = time.perf_counter() - begun
    for path in (tmp_path / "out").iterdir():
        path.unlink()
    for _ in range(10):
        process = start(*PROGRAM, *verb.split(), source, "out/out.wav", *WORK[verb])
        time.sleep(random.uniform(0.02, 0.95) * life)
        interrupt(process)
        assert process.returncode in (0, 1, -signal.SIGINT, interrupts.EXIT_CODE)
        left = {path.name: path for name in FOLDERS for path in (tmp_path / name).iterdir()}
        if process.returncode == 0 or "out.wav" in left:  # the signal may come after the output has its name
            assert left.pop("out.wav").read_bytes() == (tmp_path / "whole.wav").read_bytes()
            assert left.keys() <= {"residue.wav", "page.html"}
            for path in (tmp_path / "out").iterdir():
                path.unlink()
        else:
            assert left == {}


def test_while_the_report_is_written_the_sound_is_whole(
    write: Callable, cli: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("audiomend.report.page.write", interrupted)
    output, page = tmp_path / "out.wav", tmp_path / "page.html"
    result = cli("declip", write("in.wav", np.zeros(100)), output, "--report", page, "--model", "wiener")
    assert result.code == interrupts.EXIT_CODE
    assert result.err == f"Interrupted: {output} is whole, {page} was not written.\n"
    assert output.exists()
    assert not page.exists()


def test_before_anything_was_loaded(start: Callable, source: Path, tmp_path: Path) -> None:
    process = start(*PROGRAM, "declip", source, tmp_path / "out" / "out.wav", "--model", "wiener")
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    # A shell makes 130 of the first two; 1 is Python's own, where it was not up yet.
    assert process.returncode in (-signal.SIGINT, interrupts.EXIT_CODE, 1)
    assert not list((tmp_path / "out").iterdir())


def test_the_first_signal_asks_and_the_second_interrupts() -> None:
    inherited = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background ignores it
    try:
        with interrupts.on_request() as asked:
            assert not asked()
            signal.raise_signal(signal.SIGINT)
            assert asked()
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, inherited)


def test_without_a_signal_all_is_as_before() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with interrupts.on_request() as asked:
        assert not asked()
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


WORKING = """
import os, time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from audiomend.cli.interrupts import arm_worker

pool = ProcessPoolExecutor(2, get_context("spawn"), arm_worker)
pool.submit(os.getpid).result()
pool.submit(time.sleep, 60)
os.kill(os.getpid(), 9)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_processes_end_with_the_one_that_they_work_for() -> None:
    """Though it was killed outright: what they would print to is closed then."""
    command = [sys.executable, "-c", WORKING]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as process:
        try:
            process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    assert process.returncode == -signal.SIGKILL
