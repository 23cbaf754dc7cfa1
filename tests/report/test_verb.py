"""The page about a mended file tells what was found, done and invented, and shows where it changed most."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiomend.audio.blocks import Spill
from audiomend.audio.formats import Format
from audiomend.report import verb
from audiomend.report.comparison import Comparison, changed_runs
from audiomend.report.listening import EXCERPT_SECONDS
from audiomend.report.page import Page, render
from audiomend.restorers.files import Request, mend_file
from audiomend.restorers.locate import Given
from audiomend.restorers.memory import ArrayReader
from audiomend.restorers.options import Options

RATE = 1000
OPTIONS = Options(model="wiener", steps=3, seed=5)


def tone(seconds: float = 3.0, level: float = 0.4, hz: float = 60) -> np.ndarray:
    return level * np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE)) / RATE)


def holed(seconds: float = 3.0, *gaps: tuple[int, int]) -> np.ndarray:
    samples = tone(seconds)
    for first, stop in gaps:
        samples[first:stop] = 0
    return samples


def mended(folder: Path, samples: np.ndarray, name: str, subtype: str = "PCM_16", **changes: object) -> Page:
    """The page about `samples` after the verb `name`."""
    source, output = folder / "in.wav", folder / changes.pop("output", "out.wav")
    soundfile.write(source, samples.T, RATE, subtype)
    request = Request(name, str(source), str(output), OPTIONS, **changes)  # pyright: ignore[reportArgumentType]
    return verb.page_of(request, mend_file(request))


def test_gaps_stand_on_the_page_to_the_sample(tmp_path: Path) -> None:
    page = mended(tmp_path, holed(3.0, (700, 720), (2005, 2031)), "inpaint")
    spans = [(region.start, region.end) for region in page.intervals]
    assert spans == [(0.7, 0.72), (2.005, 2.031)]
    assert all((region.low_hz, region.high_hz) == (0, np.inf) for region in page.intervals)


def test_changes_are_exact_where_they_are_heard_and_joined_elsewhere(tmp_path: Path) -> None:
    crests, given = np.clip(tone(30.0, hz=151), -0.3, 0.3), Given(clip_level=0.3)
    crests[10_000:] *= 0.9  # quieter: not clipped any more
    page = mended(tmp_path, crests, "declip", given=given)
    assert page.start < 9
    lost = np.zeros(30_000, bool)
    for region in page.intervals:
        lost[round(region.start * RATE) : round(region.end * RATE)] = True
    first, stop = round(page.start * RATE), round((page.start + EXCERPT_SECONDS) * RATE)
    before, after = (soundfile.read(tmp_path / name)[0] for name in ("in.wav", "out.wav"))
    np.testing.assert_array_equal(lost[first:stop], (before != after)[first:stop])
    assert lost[:first].all() or not first
    assert not lost[10_000:].any()


def test_extend_marks_the_band(tmp_path: Path) -> None:
    page = mended(tmp_path, tone(), "extend", given=Given(cutoff_hz=200.0))
    assert [(r.start, r.end, r.low_hz) for r in page.intervals] == [(0.0, 3.0, 200.0)]
    assert "The band above the cut-off is invented" in page.lead
    assert "copied from below and shaped by its envelope" in page.facts["Started from"]


@pytest.fixture
def overs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Restored peaks beyond full scale from 0.7 to 0.72 s, whatever the model would have made of it."""
    peaks = np.where(np.arange(20) % 2, 1.6, -1.6)[None]

    def run(job: object, sink: Spill, progress: object, *_: object) -> None:
        sink.add(700, peaks, np.ones(20, bool))

    monkeypatch.setattr("audiomend.restorers.files.run", run)


def test_a_gain_marks_nothing_as_changed(overs: None, tmp_path: Path) -> None:
    page = mended(tmp_path, holed(3.0, (700, 720)), "inpaint")
    assert [(region.start, region.end) for region in page.intervals] == [(0.7, 0.72)]
    assert page.facts["Gain"] == "0.6250 (-4.08 dB), clip mode rescale"
    assert page.warnings == ["The whole file is 4.08 dB quieter, so that its peaks fit."]


def test_clamped_samples_are_warned_of(overs: None, tmp_path: Path) -> None:
    page = mended(tmp_path, holed(3.0, (700, 720)), "inpaint", clip_mode="clamp")
    assert page.warnings == ["20 samples were clamped to full scale."]


def test_only_what_a_curve_made_flat_is_invented() -> None:
    plain, flat = (
        verb._invented("declip", f"inverse curve{more}") for more in ("", ", blend where it is flat")
    )
    assert "invented" not in plain
    assert "What it had made flat is invented" in flat
    assert "beyond the clip level" in verb._invented("declip", "blend")


def test_both_sounds_are_those_of_the_files(tmp_path: Path) -> None:
    stereo = np.stack([holed(3.0, (700, 720)), tone(level=0.2)])
    page = mended(tmp_path, stereo, "inpaint")
    for sound, name, path in zip(page.sounds, ("Before", "After"), ("in.wav", "out.wav"), strict=True):
        assert (sound.name, sound.rate, sound.note) == (name, RATE, str(tmp_path / path))
        np.testing.assert_array_equal(sound.audio, soundfile.read(tmp_path / path)[0].T)
    assert (page.start, page.duration) == (0.0, 3.0)


def test_of_a_long_file_the_change_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("audiomend.audio.file.BLOCK_VALUES", 7000)
    page = mended(tmp_path, holed(60.0, (31_000, 31_030)), "inpaint")
    assert page.sounds[0].audio.shape == page.sounds[1].audio.shape == (1, EXCERPT_SECONDS * RATE)
    assert page.start < 31 < page.start + EXCERPT_SECONDS
    assert page.duration == 60.0
    first = round(page.start * RATE)
    expected = soundfile.read(tmp_path / "out.wav")[0][first : first + len(page.sounds[1].audio[0])]
    np.testing.assert_array_equal(page.sounds[1].audio[0], expected)
    assert [(r.start, r.end) for r in page.intervals] == [(31.0, 31.03)]


def test_a_change_at_the_end_is_shown_whole(tmp_path: Path) -> None:
    page = mended(tmp_path, holed(45.0, (44_900, 44_940)), "inpaint")
    assert page.sounds[1].audio.shape == (1, EXCERPT_SECONDS * RATE)
    assert page.start == 45.0 - EXCERPT_SECONDS


def test_the_facts(tmp_path: Path) -> None:
    page = mended(tmp_path, holed(3.0, (700, 720)), "inpaint", gaps=("0.7-0.72",), regions=("0-1",))
    facts = page.facts
    hashes = [hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() for name in ("in.wav", "out.wav")]
    assert [facts["SHA-256 of the input"], facts["SHA-256 of the output"]] == hashes
    assert facts["Format"] == "WAV PCM_16, 1,000 Hz, channels: 1, frames: 3,000"
    assert facts["Gain"] == "1.0000 (0.00 dB), clip mode rescale"
    assert facts["Found: gaps, s"] == "0.7, 0.72"
    assert (facts["Model"], facts["Seed"], facts["Regions"]) == ("wiener", "5", "0-1")
    assert facts["Settings"] == "3 steps, strength 1, precision float32"
    assert "Residue" not in facts
    assert page.lead == (
        "Found: 1 gap, 0.020 s together, as given. 20 samples were changed, 0.67% of all samples."
        " What stands in the gaps is invented: likely sound, not the lost one."
        " All other samples are those of the input."
    )
    assert page.title == "Gaps filled: out.wav"
    assert "out.wav" in render(page)


def test_nothing_found_is_said(tmp_path: Path) -> None:
    page = mended(tmp_path, tone(), "declip")
    assert page.lead == "No clipping was found. Nothing was changed."
    assert page.intervals == []
    assert page.facts["Model"] == "none was needed"
    render(page)


def test_a_lossy_output_is_not_taken_for_changed_throughout(tmp_path: Path) -> None:
    page = mended(tmp_path, holed(3.0, (700, 720)), "inpaint", output="out.ogg")
    assert [(region.start, region.end) for region in page.intervals] == [(0.7, 0.72)]
    assert any("lossy" in warning for warning in page.warnings)


@pytest.mark.parametrize("block", [1, 7, 100])
def test_runs_of_change_do_not_depend_on_the_blocks(block: int) -> None:
    before, after = np.zeros((2, 100)), np.zeros((2, 100))
    after[0, [3, 4, 9]] = 1
    after[1, [14, 40, 99]] = -1
    after[1, 60] = 0.5
    pairs = [(before[:, at : at + block], after[:, at : at + block]) for at in range(0, 100, block)]
    assert changed_runs(pairs, 0.5, 4) == [(3, 15), (40, 41), (99, 100)]
    assert changed_runs(pairs, 0.4, 3) == [(3, 5), (9, 10), (14, 15), (40, 41), (60, 61), (99, 100)]


@pytest.mark.parametrize("block", [7, 1000])
def test_a_change_beyond_the_excerpt_is_divided_at_its_ends(
    block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Memory:
        def __init__(self, *changed: slice) -> None:
            self.samples, self.channels, self.frames, self.rate = np.zeros((1, 100)), 1, 100, RATE
            for run in changed:
                self.samples[0, run] = 0.5

        def read(self, start: int, stop: int) -> np.ndarray:
            return self.samples[:, start:stop]

    monkeypatch.setattr("audiomend.audio.file.BLOCK_VALUES", block)

    def changed(after: Memory) -> list[tuple[int, int]]:
        return Comparison(Memory(), after, Format("WAV", "FLOAT"), 0.5, 40, 60, ()).changed(0.1)

    assert changed(Memory(slice(30, 80))) == [(30, 40), (40, 60), (60, 80)]
    assert changed(Memory(slice(5, 9), slice(41, 44), slice(90, 95))) == [(5, 9), (41, 44), (90, 95)]


def test_long_findings_are_cut() -> None:
    assert verb._words([1.0, 2, None]) == "1, 2, none"
    assert verb._words(list(range(8))) == "0, 1, 2, 3, 4 and 3 more"
    assert verb._words(0.123456789) == "0.123457"


def test_changes_are_sought_at_the_level_of_the_first_file() -> None:
    """Beyond the excerpt, too."""
    before = np.random.default_rng(0).uniform(-1, 1, (1, 3000))
    after = 0.5 * before
    after[:, 2000:2010] += 0.2
    readers = ArrayReader(before, 8000), ArrayReader(after, 8000)
    both = Comparison(*readers, Format("WAV", "FLOAT"), 0.5, 0, 1000, ())
    assert both.changed(0.1) == [(2000, 2010)]
