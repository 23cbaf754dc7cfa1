"""The demo writes what it says, and never over what is not its own."""

import hashlib
import io
import os
import re
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

import audiomend
from audiomend.errors import Cancelled, UsageError
from audiomend.evaluation.metrics import log_spectral_distance, sdr
from audiomend.report import demo as module
from audiomend.report import players
from audiomend.report.demo import CAVEAT, as_stored, cases, demo, figures, runs, synthesise, wav
from audiomend.report.page import Region

DAMAGES = ["clipped", "gaps", "dull"]
NAMES = ["index", "clean", *(f"{name}{end}" for name in DAMAGES for end in ("", "-mended", "-prior"))]
RATE = 16_000


class Verbs:
    """Stand-ins for declip, inpaint and extend that keep what they were given, by verb and method."""

    def __init__(self) -> None:
        self.given: dict[tuple[str, object], tuple[np.ndarray, int, dict[str, object]]] = {}

    def verb(self, name: str, gain: float):
        def mend(
            audio: np.ndarray, sample_rate: int, *, progress: Callable[[float], object], **options: object
        ) -> np.ndarray:
            progress(0.5)
            method = options.pop("method", "auto")
            self.given[name, method] = (audio.copy(), sample_rate, options)
            return audio * np.float32(gain if method == "auto" else gain / 2)

        return mend


@pytest.fixture
def verbs(monkeypatch: pytest.MonkeyPatch) -> Verbs:
    stand_ins = Verbs()
    for name, gain in (("declip", 1.25), ("inpaint", 0.5), ("extend", 0.75)):
        monkeypatch.setitem(vars(audiomend), name, stand_ins.verb(name, gain))
    monkeypatch.setattr(module, "synthesise", short)
    monkeypatch.setattr(
        module, "card_of", lambda _: SimpleNamespace(name="m1", summary="small", sha256="ab12")
    )
    monkeypatch.setattr(players, "PICTURE", (60, 20))
    return stand_ins


def short(seed: int = 0) -> tuple[np.ndarray, int]:
    """A tone in noise in place of the phrase: quick to make, and as long as the gaps need."""
    noise = np.random.default_rng(seed).uniform(-0.1, 0.1, (2, 4 * RATE))
    return noise + 0.4 * np.sin(2 * np.pi * 110 * np.arange(4 * RATE) / RATE), RATE


def samples_of(path: Path) -> np.ndarray:
    return soundfile.read(path, dtype="float32", always_2d=True)[0].T


def test_the_demo_writes_its_files_and_nothing_else(verbs: Verbs, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    written = demo(folder)
    assert [path.stem for path in written] == NAMES
    assert sorted(folder.iterdir()) == sorted(written)


def test_the_verbs_are_given_the_damaged_files_and_the_mended_ones_are_kept(
    verbs: Verbs, tmp_path: Path
) -> None:
    demo(tmp_path, seed=5)
    np.testing.assert_array_equal(samples_of(tmp_path / "clean.wav"), as_stored(short(5)[0]))
    for verb, name, gain in (("declip", "clipped", 1.25), ("inpaint", "gaps", 0.5), ("extend", "dull", 0.75)):
        for method, end, kept in (("auto", "mended", gain), ("diffusion", "prior", gain / 2)):
            audio, rate, options = verbs.given[verb, method]
            np.testing.assert_array_equal(audio, samples_of(tmp_path / f"{name}.wav"))
            mended = samples_of(tmp_path / f"{name}-{end}.wav")
            np.testing.assert_array_equal(mended, as_stored(audio * np.float32(kept)))
            assert (audio.dtype, rate, options.pop("seed")) == (np.float32, RATE, 5)
            if verb == "inpaint":
                gaps = np.array(options.pop("gaps"))
                np.testing.assert_allclose(gaps, [[1.02, 1.08], [2.29, 2.33], [3.41, 3.43]], atol=1 / RATE)
            assert options == {}


def test_the_files_hold_24_bits(verbs: Verbs, tmp_path: Path) -> None:
    demo(tmp_path)
    assert soundfile.info(tmp_path / "clean.wav").subtype == "PCM_24"


def test_the_clipped_phrase_has_six_decibels() -> None:
    phrase, rate = synthesise(0)
    clean = as_stored(phrase)
    level = cases(clean, rate)[0].damage.clip_level
    clipped = np.clip(clean, -level, level)
    assert sdr(clean, clipped) == pytest.approx(6, abs=1e-3)


def test_the_regions_are_where_the_damage_is() -> None:
    clean = as_stored(short()[0])
    clipped, gaps, dull = cases(clean, RATE)
    beyond = (np.abs(clean) > clipped.damage.clip_level).any(axis=0)
    assert sum(r.end - r.start for r in clipped.regions) == pytest.approx(beyond.sum() / RATE)
    assert [round((r.end - r.start) * RATE) for r in gaps.regions] == [960, 640, 320]
    assert [(round(r.start * RATE), round(r.end * RATE)) for r in gaps.regions] == list(gaps.damage.gaps)
    assert list(dull.regions) == [Region(0, 4, low_hz=4000)]


def test_runs() -> None:
    mask = np.array([1, 1, 0, 0, 1, 0, 1], dtype=bool)
    assert runs(mask, 2) == [Region(0, 1), Region(2, 2.5), Region(3, 3.5)]


def test_stored_samples_are_the_nearest_of_24_bits() -> None:
    step = 2.0**-23
    audio = np.array([0.3 * step, 0.7 * step, -1.2 * step, 1.5, -1.5, 0.25])
    np.testing.assert_array_equal(as_stored(audio), np.float32([0, step, -step, 1 - step, -1, 0.25]))


def test_a_wav_file_holds_the_stored_samples_exactly() -> None:
    samples = as_stored(np.random.default_rng(0).uniform(-1, 1, (2, 500)))
    read, rate = soundfile.read(io.BytesIO(wav(samples, 12_345)), dtype="float32", always_2d=True)
    np.testing.assert_array_equal(read.T, samples)
    assert rate == 12_345


def test_figures_are_those_of_the_damaged_samples() -> None:
    clean = as_stored(short()[0])
    estimate = clean * np.float32(0.9)
    declip, inpaint, extend = cases(clean, RATE)
    lost = np.abs(clean) > declip.damage.clip_level
    assert figures(declip, clean, np.where(lost, estimate, clean), RATE) == {
        "SDR on the damaged samples": pytest.approx(20, abs=0.01),
        "log-spectral distance": pytest.approx(
            log_spectral_distance(clean, np.where(lost, estimate, clean), RATE)
        ),
    }
    assert figures(inpaint, clean, estimate, RATE)["SDR on the damaged samples"] == pytest.approx(
        20, abs=0.01
    )
    assert figures(extend, clean, estimate, RATE) == {
        "log-spectral distance above 4 kHz": pytest.approx(
            log_spectral_distance(clean, estimate, RATE, low_hz=4000)
        )
    }


def test_the_page_tells_figures_and_that_they_prove_nothing(verbs: Verbs, tmp_path: Path) -> None:
    page = demo(tmp_path)[0].read_text("utf-8")
    assert CAVEAT in page
    assert "no evidence" in CAVEAT
    assert "gaps.wav, SDR on the damaged samples 0.0 dB, log-spectral distance " in page
    for name in NAMES[1:]:
        assert hashlib.sha256((tmp_path / f"{name}.wav").read_bytes()).hexdigest() in page
    assert page.count("<audio") == 12
    for fact in ("<dd>m1 (small)</dd>", "<dd>ab12</dd>", "<dt>Seed</dt><dd>0</dd>"):
        assert fact in page


def test_a_browser_plays_the_page(browser, verbs: Verbs, tmp_path: Path) -> None:
    """Each section in turn, all of its sounds whole and in step, with nothing from outside."""
    browser.open(demo(tmp_path)[0])
    for index in range(3):
        player = f"players[{index}]"
        browser.run(f"{player}.button.click()")
        browser.wait(f"{player}.position() > 0.05")
        assert browser.run("players.map((one) => one.playing)") == [place == index for place in range(3)]
        assert browser.run(f"{player}.buffers.map((one) => one.duration)") == pytest.approx([4] * 4, abs=1e-3)
        loudest = f"{player}.buffers.map((one) => Math.max(...one.getChannelData(0).slice(0, 9999)))"
        assert min(browser.run(loudest)) > 0.01
        browser.press("3")
        gain = f"{player}.voices.map((one) => Math.round(one.gain.gain.value)).join()"
        browser.wait(f"{gain} === '0,0,1,0'")
    assert browser.requests() == browser.complaints() == []


def test_an_earlier_demo_is_replaced(verbs: Verbs, tmp_path: Path) -> None:
    before = demo(tmp_path, seed=1)[1].read_bytes()
    written = demo(tmp_path, seed=2)
    assert written[1].read_bytes() != before
    assert sorted(tmp_path.iterdir()) == sorted(written)


@pytest.mark.parametrize("name", ["index.html", "clean.wav", "dull-mended.wav", "gaps-prior.wav"])
def test_a_foreign_file_is_refused_before_any_work(verbs: Verbs, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"mine")
    with pytest.raises(UsageError, match=name):
        demo(tmp_path)
    assert (tmp_path / name).read_bytes() == b"mine"
    assert verbs.given == {}
    assert len(list(tmp_path.iterdir())) == 1


def test_a_file_of_the_demo_that_was_changed_is_foreign(verbs: Verbs, tmp_path: Path) -> None:
    path = demo(tmp_path)[2]
    path.write_bytes(b"my own take")
    with pytest.raises(UsageError, match=re.escape(path.name)):
        demo(tmp_path)


def test_other_files_in_the_folder_stay(verbs: Verbs, tmp_path: Path) -> None:
    (tmp_path / "mine.wav").write_bytes(b"mine")
    demo(tmp_path)
    assert (tmp_path / "mine.wav").read_bytes() == b"mine"


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "taken").write_bytes(b"mine")
    with pytest.raises(UsageError, match="taken"):
        demo(tmp_path / "taken")


def test_progress_is_the_share_of_the_whole(verbs: Verbs, tmp_path: Path) -> None:
    told: list[float] = []
    demo(tmp_path, told.append)
    assert told == pytest.approx([0.075, 0.225, 0.375, 0.525, 0.675, 0.825, 1.0])


def test_a_cancelled_demo_writes_nothing(verbs: Verbs, tmp_path: Path) -> None:
    with pytest.raises(Cancelled):
        demo(tmp_path, lambda share: share < 0.5)
    assert [verb for verb, _ in verbs.given] == ["declip", "declip", "inpaint"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.nightly
def test_the_whole_demo_takes_less_than_a_minute_of_the_processor(tmp_path: Path) -> None:
    """The clock also counts what else the machine does."""
    command = [sys.executable, "-m", "audiomend.cli.main", "demo", str(tmp_path / "demo")]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 60
    assert (tmp_path / "demo" / "index.html").exists()
