import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiomend.data.pool import Origin, Pool, write_shard
from audiomend.errors import Cancelled, TrainingError, UsageError
from audiomend.training.growth import growing, skipped_files, wait_for_audio

HEADER = "file,source,licence,rate,bandwidth_hz\n"


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two recordings that can be used, and one of each kind that cannot; no synthesiser."""
    monkeypatch.setenv("PATH", "")
    folder = tmp_path / "data" / "train" / "music"
    folder.mkdir(parents=True)
    noise = 0.1 * np.random.default_rng(0).standard_normal(66150)
    soundfile.write(folder / "good.wav", noise, 44100)
    soundfile.write(folder / "shared.wav", noise[::-1], 44100)
    soundfile.write(folder / "silent.wav", 0 * noise, 44100)
    soundfile.write(folder / "short.wav", noise[:4410], 44100)
    (folder / "broken.wav").write_text("no sound")
    names = ("good", "shared", "silent", "short", "broken")
    licences = {"shared": "CC BY-SA 4.0"}
    rows = [f"{name}.wav,somebody,{licences.get(name, 'CC0')},44100,20000\n" for name in names]
    (folder / "manifest.csv").write_text(HEADER + "".join(rows))
    return tmp_path / "data"


def test_a_pool_grows_and_what_was_skipped_is_listed(tmp_path: Path, data: Path):
    pool = Pool(tmp_path / "pool")
    with growing(pool.path, data, no_sharealike=True) as process:
        wait_for_audio(pool, process, lambda: False)
        assert process is not None
        process.wait()
    assert [item.name for item in pool.items()] == ["music/good.wav"]
    skipped = {text.split(": ", 1)[0]: text.split(": ", 1)[1] for text in skipped_files(pool.path)}
    assert skipped["music/silent.wav"] == "silent"
    assert skipped["music/short.wav"] == "shorter than 1 s"
    assert skipped["music/broken.wav"].startswith("unreadable")
    assert set(skipped) == {"music/silent.wav", "music/short.wav", "music/broken.wav"}


def test_data_that_cannot_be_used_end_the_wait_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PATH", "")  # no synthesiser
    (tmp_path / "data").mkdir()
    pool = Pool(tmp_path / "pool")
    with (
        growing(pool.path, tmp_path / "data", no_sharealike=False) as process,
        pytest.raises(TrainingError, match=r"The pool .*pool could not be made: .*holds no training audio"),
    ):
        wait_for_audio(pool, process, lambda: False)


def test_a_folder_that_is_none_is_refused(tmp_path: Path):
    with (
        pytest.raises(UsageError, match=r"data is .*nowhere, which is not a folder"),
        growing(tmp_path, tmp_path / "nowhere", no_sharealike=False),
    ):
        pass


def test_without_data_nothing_grows(tmp_path: Path):
    with growing(tmp_path, None, no_sharealike=False) as process:
        assert process is None
    assert not list(tmp_path.iterdir())


def test_an_empty_pool_without_data_is_an_error(tmp_path: Path):
    with pytest.raises(TrainingError, match="holds no training audio; give a data folder to grow it"):
        wait_for_audio(Pool(tmp_path), None, lambda: False)


def test_withheld_audio_alone_is_nothing_to_train_on(tmp_path: Path):
    tone = np.sin(np.arange(44100)).astype(np.float32)
    write_shard(tmp_path, [(Origin("a", "music", "s", "CC0", 1e4, "validation"), tone)])
    with pytest.raises(TrainingError, match="holds no training audio"):
        wait_for_audio(Pool(tmp_path), None, lambda: False)


def test_the_wait_can_be_stopped(tmp_path: Path):
    with pytest.raises(Cancelled, match="Stopped while waiting"):
        wait_for_audio(Pool(tmp_path), None, lambda: True)


def test_a_full_pool_is_not_waited_for(pool: Path):
    wait_for_audio(Pool(pool), None, lambda: False)


def test_there_is_no_list_without_a_log(tmp_path: Path):
    assert skipped_files(tmp_path) == []


def test_growth_ends_when_the_training_process_does(tmp_path: Path):
    code = "import time\nfrom audiomend.data import grow\ngrow.main = lambda: time.sleep(300)\n"
    code += "import runpy, sys\nsys.argv[1:] = ['a', 'b']\n"
    code += "runpy.run_module('audiomend.training.growth', run_name='__main__', alter_sys=True)"
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE)
    time.sleep(0.5)
    assert process.poll() is None
    process.communicate(timeout=60)  # closes its input
    assert process.returncode == 0
