"""Stages see the signal through each other's changes; what each did is measured by itself."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from scipy.signal import butter, sosfilt

import audiomend
from audiomend.audio.blocks import Spill
from audiomend.audio.file import open_sound
from audiomend.audio.reader import Overlaid, SoundReader
from audiomend.detect.clicks import find_clicks
from audiomend.detect.offset import find_offset
from audiomend.errors import Cancelled, UsageError
from audiomend.restorers import jobs
from audiomend.restorers.damage import Dull, Gaps
from audiomend.restorers.files import wide_enough
from audiomend.restorers.memory import ArrayReader
from audiomend.restorers.options import Options
from audiomend.restorers.plan import (
    Declick,
    Declip,
    ExtendBand,
    FillGaps,
    Input,
    MendingPlan,
    RemoveOffset,
    Span,
    Stage,
)
from audiomend.restorers.restoration import Restored, RestoreRequest, restore_file
from audiomend.restorers.stages import _Clamped, _clicked, _dull, _touched, _Work, clicks_over

RATE = 8000


def test_a_stage_sees_the_changes_of_the_one_before() -> None:
    x = np.arange(20.0).reshape(2, 10)
    with Spill(2, np.float64) as first, Spill(2, np.float64) as second:
        first.add(2, -x[:, 2:5], np.array([[True, True, False], [False, True, True]]))
        once = Overlaid(ArrayReader(x, RATE), first)
        assert (once.rate, once.channels, once.frames) == (RATE, 2, 10)
        assert once.read(1, 6).tolist() == [[1, -2, -3, 4, 5], [11, 12, -13, -14, 15]]
        second.add(3, np.full((2, 2), 7.0), np.array([True, False]))
        twice = Overlaid(once, second)
        assert twice.read(2, 6).tolist() == [[-2, 7, 4, 5], [12, 7, -14, 15]]


def plan(path: Path, *stages: Stage) -> MendingPlan:
    size = soundfile.info(path)
    return MendingPlan(Input(str(path), "", size.samplerate, size.channels, size.frames), stages)


def restored(
    tmp_path: Path, x: np.ndarray, *stages: Stage, regions: tuple[str, ...] = (), **options: object
) -> tuple[np.ndarray, Restored]:
    source, output = tmp_path / "in.wav", tmp_path / "out.wav"
    soundfile.write(source, x.T, RATE, "DOUBLE")
    request = RestoreRequest(
        str(source),
        str(output),
        Options(**{"model": "wiener", "quality": "fast", **options}),  # type: ignore[arg-type]
        plan(source, *stages),
        regions=regions,
        force=True,
    )
    done = restore_file(request)
    return soundfile.read(output, always_2d=True)[0].T, done


OFFSET = Stage("offset", RemoveOffset((0.25, 0.0)), reason="dc offset: 0.25")


def test_an_offset_is_subtracted_from_its_channel(tmp_path: Path) -> None:
    x = np.random.default_rng(1).uniform(-0.5, 0.5, (2, 5000)) + np.array([[0.25], [0]])
    y, told = restored(tmp_path, x, OFFSET)
    np.testing.assert_allclose(y[0], x[0] - 0.25, atol=1e-12)
    assert (y[1] == x[1]).all()
    (done,) = told.done
    share = 5000 * 0.25**2 / np.square(x).sum()
    assert done.level_db == pytest.approx(10 * math.log10(share))
    assert told.residue_db == pytest.approx(done.level_db)
    assert (done.changed, done.intervals, done.method) == (5000, ((0, 5000),), "subtraction")
    assert done.settings == "of +0.2500, +0.0000 of full scale"
    half, told = restored(tmp_path, x, OFFSET, strength=0.5)
    np.testing.assert_allclose(half[0], x[0] - 0.125, atol=1e-12)
    assert told.done[0].settings == "of +0.1250, +0.0000 of full scale"


def test_an_offset_that_no_plan_tells_is_that_of_the_channel_then(tmp_path: Path) -> None:
    x = np.random.default_rng(1).uniform(-0.5, 0.5, (2, RATE)) + np.array([[0.25], [0]])
    look = Stage("offset", RemoveOffset())
    y, told = restored(tmp_path, x, look)
    np.testing.assert_allclose(y[0], x[0] - x[0].mean(), atol=1e-12)
    np.testing.assert_array_equal(y[1], x[1])
    assert told.done[0].changed == RATE


def voice() -> np.ndarray:
    """A second that swings further up than down: (8000,)."""
    time = np.arange(RATE) / RATE
    wave = sum(np.cos(2 * np.pi * 131 * k * time) for k in range(1, 6))
    return 0.1 * wave * (1 + 0.3 * np.sin(2 * np.pi * 3 * time))


@pytest.mark.parametrize("offset", [0.0, -0.05])
def test_the_offset_of_a_clipped_sound_is_that_of_its_restored_peaks(offset: float) -> None:
    clipped = np.clip(voice() + offset, -0.2, 0.2)
    assert find_offset(clipped[None], RATE)[0].confidence > 0.5  # though the voice has none
    y, told = audiomend.restore(clipped, RATE, only=["declip", "offset"], quality="fast")
    assert [done.stage.stage for done in told.done] == ["declip", "offset"]
    assert told.done[1].changed == (RATE if offset else 0)
    assert abs(y.mean()) < 0.003
    _, alone = audiomend.restore(clipped, RATE, only=["offset"])
    assert alone.done == ()  # clipping would tell a wrong one


def test_an_offset_is_measured_where_peaks_were_restored(tmp_path: Path) -> None:
    x = np.random.default_rng(1).uniform(-0.5, 0.5, (1, 2 * RATE)) + 0.25
    x[:, RATE:] += 0.2
    source, output = tmp_path / "in.wav", tmp_path / "out.wav"
    soundfile.write(source, x.T, RATE, "DOUBLE")
    asked = plan(source, Stage("offset", RemoveOffset()))
    restore_file(RestoreRequest(str(source), str(output), plan=asked, regions=("0-1",)))
    y = soundfile.read(output)[0]
    np.testing.assert_allclose(y[:RATE], x[0, :RATE] - x[0, :RATE].mean(), atol=1e-12)
    np.testing.assert_array_equal(y[RATE:], x[0, RATE:])


def test_later_stages_work_on_what_the_earlier_left(tmp_path: Path) -> None:
    """A gap is filled without the offset that was taken off before, and in its own channel only."""
    time = np.arange(8000) / RATE
    x = 0.3 * np.sin(2 * np.pi * np.array([[200.0], [300.0]]) * time) + [[0.25], [0]]
    x[0, 4000:4080] = 0.25
    gap = Stage("gaps", FillGaps((Span(0, 0.5, 0.51),)))
    y, told = restored(tmp_path, x, gap, OFFSET)
    assert [done.stage.stage for done in told.done] == ["gaps", "offset"]  # as a plan made by hand says
    y, told = restored(tmp_path, x, OFFSET, gap)
    offset, filled = told.done
    assert (offset.changed, filled.changed) == (8000, 80)
    assert filled.intervals == ((4000, 4080),)
    assert (y[1] == x[1]).all()
    assert np.abs(y[0].mean()) < 0.01
    true = 0.3 * np.sin(2 * np.pi * 200 * time)[4000:4080]
    assert np.square(y[0, 4000:4080] - true).sum() < 0.5 * np.square(true).sum()


def test_clicks_are_not_sought_at_the_edges_of_gaps_and_of_what_was_changed(tmp_path: Path) -> None:
    time = np.arange(2 * RATE) / RATE
    x = 0.3 * np.sin(2 * np.pi * np.array([[200.0], [300.0]]) * time)
    x += 1e-4 * np.random.default_rng(0).standard_normal(x.shape)
    x[:, 6000] += 0.2
    x[0, 4000:4080] = 0
    look, gap = Stage("declick", Declick()), Stage("gaps", FillGaps((Span(0, 0.5, 0.51),)))
    _, told = restored(tmp_path, x, look, gap)
    clicks, filled = told.done
    assert [start for start, _ in clicks.intervals] == [pytest.approx(6000, abs=60)]
    assert filled.intervals == ((4000, 4080),)
    _, alone = restored(tmp_path, x, look)
    assert len(alone.done[0].intervals) > 1  # the gap's edges, too
    _, told = restored(tmp_path, x, gap, look)
    assert [start for start, _ in told.done[1].intervals] == [pytest.approx(6000, abs=60)]


def test_curves_of_a_plan_are_inverted(tmp_path: Path) -> None:
    x = 0.35 * np.sin(2 * np.pi * np.array([[200.0], [300.0]]) * np.arange(4000) / RATE)
    y = np.stack([x[0], 0.4 * np.tanh(x[1] / 0.4)])
    stage = Stage("declip", Declip((None, -0.4), (None, 0.4), "soft", curve=("straight", "tanh")))
    mended, told = restored(tmp_path, y, stage)
    np.testing.assert_array_equal(mended[0], y[0])
    np.testing.assert_allclose(mended[1], x[1], atol=1e-12)
    assert (told.done[0].method, told.done[0].settings) == ("inverse curve", "tanh towards 0.4")
    uneven = np.where(y > 0, y, 0.5 * np.tanh(x / 0.5))
    stage = Stage("declip", Declip((None, -0.5), (None, 0.4), "soft", curve=("straight", "tanh")))
    np.testing.assert_allclose(restored(tmp_path, uneven, stage)[0][1], x[1], atol=1e-12)
    flat = Stage("declip", Declip((None, -0.4), (None, 0.4), "soft", curve=("straight", "straight")))
    assert restored(tmp_path, y, flat)[1].changed == 0


def beeps() -> np.ndarray:
    """Two sinusoids that swell: (2, 8000)."""
    time = np.arange(8000) / RATE
    return (
        0.4
        * np.sin(2 * np.pi * np.array([[200.0], [331.0]]) * time)
        * (1 + 0.5 * np.sin(2 * np.pi * 3 * time))
    )


def test_clicks_upon_clipped_tops_are_taken_out_first(tmp_path: Path) -> None:
    x = beeps()
    y = np.clip(x, -0.3, 0.3)
    y[0, [1000, 1001, 1002]] = [0.9, -0.8, 0.6]
    stage = Stage("declip", Declip((-0.3, -0.3), (0.3, 0.3)))
    mended, told = restored(tmp_path, y, stage)
    plain, _ = restored(tmp_path, np.clip(x, -0.3, 0.3), stage)
    np.testing.assert_array_equal(mended[1], plain[1])
    assert np.abs(mended[0, 990:1010]).max() < 0.61
    assert np.square(mended - x).sum() < 1.5 * np.square(plain - x).sum()
    assert told.done[0].method == "ar at 1 click, diffusion"
    half, _ = restored(tmp_path, y, stage, strength=0.5)
    np.testing.assert_allclose(half, (y + mended) / 2, atol=1e-12)


def test_what_is_put_in_place_of_a_click_does_not_pass_the_levels() -> None:
    samples = np.array([[-0.5, -0.2, 0.2, 0.5], [-0.5, -0.2, 0.2, 0.5]])
    with Spill(2, np.float64) as spill:
        clamped = _Clamped(spill, Declip((-0.3, None), (None, 0.4)))
        clamped.add(10, samples, np.ones(samples.shape, np.bool_))
        assert spill.read(10, 14).tolist() == [[-0.3, -0.2, 0.2, 0.5], [-0.5, -0.2, 0.2, 0.4]]


def test_dropouts_are_lifted_between_their_ends(tmp_path: Path) -> None:
    """By their own gain in each channel; the ends are filled as gaps are."""
    x = np.stack([rich(), rich()[::-1]])
    y = x.copy()
    y[0, 3000:3400] *= 10 ** (-30 / 20)
    y[1, 3100:3600] *= 10 ** (-40 / 20)
    y[0, 5000:5400] *= 10 ** (-35 / 20)
    places = (Span(0, 0.375, 0.4), Span(0, 0.39, 0.425), Span(1, 0.3875, 0.45), Span(0, 0.625, 0.675))
    stage = Stage("gaps", FillGaps((), dropouts=places))
    mended, told = restored(tmp_path, y, stage)
    for channel, start, stop in ((0, 3000, 3400), (1, 3100, 3600), (0, 5000, 5400)):
        between = np.s_[channel, start + 32 : stop - 32]
        np.testing.assert_allclose(mended[between], x[between], rtol=1e-9)
    assert np.square(mended - x).sum() < 0.01 * np.square(y - x).sum()
    assert told.done[0].intervals == ((3000, 3600), (5000, 5400))
    assert told.changed == 1300
    assert told.done[0].method == "lifting of 3 dropouts, diffusion"
    assert told.done[0].settings.startswith("by 30.0 to 40.0 dB; ")
    half, _ = restored(tmp_path, y, stage, strength=0.5)
    np.testing.assert_allclose(half, (y + mended) / 2, atol=1e-12)
    within, _ = restored(tmp_path, y, stage, regions=("0.38-0.4",))
    np.testing.assert_array_equal(within[0, 3040:3200], mended[0, 3040:3200])
    np.testing.assert_array_equal(within[:, :3040], y[:, :3040])
    np.testing.assert_array_equal(within[:, 3200:], y[:, 3200:])


def test_a_dropout_that_holds_something_else_is_filled(tmp_path: Path) -> None:
    y = rich()[None].copy()
    y[0, 3000:3400] = 0.003 * np.random.default_rng(0).standard_normal(400)
    place = (Span(0, 0.375, 0.425),)
    as_gap, _ = restored(tmp_path, y, Stage("gaps", FillGaps(place)))
    mended, told = restored(tmp_path, y, Stage("gaps", FillGaps((), dropouts=place)))
    np.testing.assert_array_equal(mended, as_gap)
    assert told.done[0].method == "diffusion"


@pytest.mark.parametrize("before", [True, False])
def test_an_offset_may_be_older_than_a_dropout_or_younger(tmp_path: Path, before: bool) -> None:
    """What the subtraction takes from a dropout too much is not lifted with it."""
    x = np.stack([rich(), rich()])
    y = x + 0.25 * before
    y[:, 3000:3400] *= 0.03
    y += 0.25 * (not before)
    fall = FillGaps((), dropouts=(Span(0, 0.375, 0.425), Span(1, 0.375, 0.425)))
    offset = Stage("offset", RemoveOffset((0.25, 0.25)))
    mended, _ = restored(tmp_path, y, offset, Stage("gaps", fall))
    np.testing.assert_allclose(mended[:, 3032:3368], x[:, 3032:3368], atol=1e-9)


def test_what_one_channel_lost_is_lifted_and_not_filled(tmp_path: Path) -> None:
    x = np.stack([rich(), rich()[::-1]])
    y = x.copy()
    y[1, 3000:3400] *= 0.03
    y[1, 5000:5400] = 0.003 * np.random.default_rng(0).standard_normal(400)
    places = (Span(1, 0.375, 0.425), Span(1, 0.625, 0.675))
    mended, told = restored(tmp_path, y, Stage("gaps", FillGaps((), dropouts=places)))
    np.testing.assert_allclose(mended[1, 3032:3368], x[1, 3032:3368], rtol=1e-9)
    np.testing.assert_array_equal(mended[1, 3400:], y[1, 3400:])
    np.testing.assert_array_equal(mended[0], y[0])
    assert told.done[0].intervals == ((3000, 3400),)
    both = (*places, Span(0, 0.63, 0.64))
    mended, _ = restored(tmp_path, y, Stage("gaps", FillGaps((), dropouts=both)))
    assert (mended[1, 5000:5400] != y[1, 5000:5400]).all()


def rich() -> np.ndarray:
    """Partials of 125 Hz: (8000,), a second of one level."""
    time = np.arange(8000) / RATE
    return 0.1 * sum((np.sin(2 * np.pi * 125 * k * time + k) / k for k in range(1, 30)), np.zeros(8000))


def test_the_longest_gap_decides_which_methods_can_be(tmp_path: Path) -> None:
    gaps = FillGaps((Span(0, 0.1, 0.11), Span(0, 0.5, 0.7), Span(1, 0.3, 0.31)), "janssen")
    with pytest.raises(UsageError, match=r"one here lasts 0\.200 s"):
        restored(tmp_path, beeps(), Stage("gaps", gaps), quality=None, model=None)


def test_a_gap_of_a_plan_ends_where_the_sound_does(tmp_path: Path) -> None:
    stage = Stage("gaps", FillGaps((Span(0, 0.99, 5.0),), "janssen"))
    _, told = restored(tmp_path, beeps(), stage, quality=None, model=None)
    assert told.done[0].intervals == ((7920, 8000),)


def test_clicks_are_told_from_the_edges_of_tops() -> None:
    y = np.clip(beeps(), -0.3, 0.3)
    settings = Declip((-0.3, -0.3), (0.3, 0.3))
    assert clicks_over(settings, ArrayReader(y, RATE)) == []
    y[0, 1000] = 0.302  # within the level's tolerance
    assert clicks_over(settings, ArrayReader(y, RATE)) == []
    y[0, 1000] = 0.304
    assert (0, 1000) in {(k.channel, k.start) for k in clicks_over(settings, ArrayReader(y, RATE))}
    y[1, 2000] = -0.7
    assert (1, 2000) in {(k.channel, k.start) for k in clicks_over(settings, ArrayReader(y, RATE))}
    below = Declip((-0.3, None), (None, None))
    assert clicks_over(below, ArrayReader(y, RATE)) == []


def test_nothing_to_do_is_nothing_done(tmp_path: Path) -> None:
    x = np.random.default_rng(1).uniform(-0.5, 0.5, (2, 5000))
    y, told = restored(tmp_path, x)
    assert (y == x).all()
    assert (told.done, told.changed, told.residue_db) == ((), 0, -math.inf)
    off = Stage("offset", RemoveOffset((0.25, 0.0)), enabled=False)
    assert restored(tmp_path, x, off)[1].left == (off,)
    y, told = restored(tmp_path, x, Stage("gaps", FillGaps(())))
    assert (y == x).all()
    assert (told.done[0].method, told.done[0].changed) == ("", 0)


def test_a_plan_names_how_clicks_are_mended(tmp_path: Path) -> None:
    x = 0.1 * np.sin(2 * np.pi * 220 * np.arange(5000) / RATE)[None]
    x[:, 2000:2003] += 0.5
    click = (Span(0, 2000 / RATE, 2003 / RATE),)
    mended = [restored(tmp_path, x, Stage("declick", Declick(click, name))) for name in ("auto", "ar")]
    np.testing.assert_array_equal(mended[0][0], mended[1][0])
    assert [told.done[0].method for _, told in mended] == ["ar", "ar"]
    with pytest.raises(UsageError, match="The method diffusion is unknown; it is one of auto, ar"):
        restored(tmp_path, x, Stage("declick", Declick(click, "diffusion")))


def test_stages_that_are_not_known() -> None:
    with pytest.raises(UsageError, match="The stage bend is unknown"):
        RestoreRequest("a", "b", skip=("bend",))


def test_it_can_be_cancelled_and_leaves_nothing(tmp_path: Path) -> None:
    source, output = tmp_path / "in.wav", tmp_path / "out.wav"
    soundfile.write(source, np.full((5000, 2), 0.25), RATE, "DOUBLE")
    request = RestoreRequest(str(source), str(output), plan=plan(source, OFFSET))
    shares: list[tuple[str, float]] = []

    def stop(stage: Stage, share: float) -> bool:
        shares.append((stage.stage, share))
        return False

    with pytest.raises(Cancelled, match="nothing was written"):
        restore_file(request, progress=stop)
    assert shares == [("offset", 0.0)]
    assert not output.exists()


def test_every_stage_tells_where_it_begins_and_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("audiomend.audio.file.BLOCK_VALUES", 4000)
    source, shares = tmp_path / "in.wav", list[tuple[str, float]]()
    soundfile.write(source, np.full((5000, 2), 0.25), RATE, "DOUBLE")
    asked = plan(source, OFFSET, Stage("declick", Declick()))
    request = RestoreRequest(str(source), str(tmp_path / "out.wav"), plan=asked)
    restore_file(request, progress=lambda stage, share: shares.append((stage.stage, share)))
    told = {stage: [share for name, share in shares if name == stage] for stage in ("offset", "declick")}
    assert [(one[0], one[-1]) for one in told.values()] == [(0.0, 1.0)] * 2
    assert told["offset"] == [0.0, 0.4, 0.8, 1.0, 1.0]  # after each 2000 frames, and at the end


def test_it_foretells_how_long_a_stage_takes_before_it_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "foretold", lambda *_: 12.5)
    source, told = tmp_path / "in.wav", list[tuple[str, float]]()
    x = rich()
    x[3000:3400] *= 0.01
    soundfile.write(source, x, RATE, "DOUBLE")
    fill = Stage("gaps", FillGaps((Span(0, 0.375, 0.425),), "janssen"))
    request = RestoreRequest(str(source), str(tmp_path / "out.wav"), plan=plan(source, fill))

    def note(stage: Stage, value: float) -> None:
        told.append((stage.stage, value))

    restore_file(request, progress=note, foretold=note)
    assert told[:2] == [("gaps", 0.0), ("gaps", 12.5)]


def test_it_says_what_it_will_do_before_it_does(tmp_path: Path) -> None:
    source, output = tmp_path / "in.wav", tmp_path / "out.wav"
    soundfile.write(source, np.full((5000, 2), 0.25), RATE, "DOUBLE")
    off = Stage("declip", OFFSET.settings, enabled=False)
    asked = plan(source, off, OFFSET)
    told = []

    def announce(diagnosis, followed, wanted) -> None:
        told.append((diagnosis.frames, followed, list(wanted), output.exists()))

    restore_file(RestoreRequest(str(source), str(output), plan=asked), announce)
    assert told == [(5000, asked, [OFFSET], False)]


@pytest.mark.parametrize(
    ("subtype", "wide"),
    [("PCM_16", False), ("PCM_24", False), ("FLOAT", False), ("DOUBLE", True), ("PCM_32", True)],
)
def test_mended_samples_are_as_fine_as_those_of_the_file(tmp_path: Path, subtype: str, wide: bool) -> None:
    soundfile.write(tmp_path / "in.wav", np.zeros(100), RATE, subtype)
    with open_sound(str(tmp_path / "in.wav")) as sound:
        assert wide_enough(sound) is (np.float64 if wide else np.float32)


def test_clicks_at_the_edge_of_a_block_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("audiomend.audio.file.BLOCK_VALUES", 30_000)
    draw = np.random.default_rng(0)
    x = 0.2 * np.sin(2 * np.pi * 200 * np.arange(90_000) / 44_100) + 1e-4 * draw.standard_normal(90_000)
    x[[30_005, 59_990, 88_000]] += 0.05
    x[70_000] = 0.9
    found = clicks_over(Declip((-0.3,), (0.3,)), ArrayReader(x[None], 44_100))
    assert [click.start for click in found] == [30_005, 59_990, 70_000, 88_000]


def rough(places: Sequence[int]) -> np.ndarray:
    """A rumble as loud as a step of 8 bits, with clicks, at 44.1 kHz: (1, 88200)."""
    low = butter(2, 100, fs=44_100, output="sos")
    rumble = sosfilt(low, np.random.default_rng(2).standard_normal(88_200))
    rumble /= rumble.std()
    rumble[places] += 200
    return np.rint(rumble)[None] / 256


def work_of(stage: Stage, original: ArrayReader, source: SoundReader, changes: Spill) -> _Work:
    return _Work(stage, original, source, Options(), changes, None, None, lambda *_: False)


SEEK = Stage("declick", Declick())


def test_the_rounding_under_clicks_is_that_of_the_file_and_not_of_what_was_mended() -> None:
    places = range(20_000, 80_000, 10_000)
    x = rough(places)
    with Spill(1, np.float64) as changes:  # which lie on no grid
        changes.add(5000, x[:, 5000:5100] + 1e-6 * np.sin(np.arange(100.0)), np.ones((1, 100), np.bool_))
        file = ArrayReader(x, 44_100)
        mended = Overlaid(file, changes)
        damage = _clicked(work_of(SEEK, file, mended, changes))
        assert isinstance(damage, Gaps)
        assert [start for start, _ in damage.gaps[0]] == [pytest.approx(place, abs=2) for place in places]
        assert _clicked(replace(work_of(SEEK, file, mended, changes), original=mended)) != damage


@pytest.mark.parametrize(("count", "done"), [(1, False), (6, True)])
def test_clicks_that_no_plan_names_are_taken_out_if_they_surely_are_some(count: int, done: bool) -> None:
    x = rough(range(20_000, 80_000, 10_000)[:count])
    assert len(find_clicks(x, 44_100)) == count
    with Spill(1, np.float64) as changes:
        file = ArrayReader(x, 44_100)
        assert (_clicked(work_of(SEEK, file, file, changes)) is not None) == done


def test_a_band_is_lost_up_to_half_the_rate() -> None:
    with Spill(1, np.float64) as changes:
        file = ArrayReader(np.zeros((1, 100)), RATE)
        damage = _dull(work_of(Stage("band", ExtendBand(1500.0)), file, file, changes))
    assert isinstance(damage, Dull)
    assert (damage.low_pass.cutoff_hz, damage.bandwidth_hz) == (1500, RATE / 2)


def test_a_stretch_is_touched_by_one_changed_sample_or_one_in_a_gap() -> None:
    with Spill(2, np.float64) as changes:
        changes.add(100, np.ones((2, 1)), np.array([[False], [True]]))
        for channel, start, stop, expected in (
            (1, 90, 110, True),
            (1, 100, 101, True),
            (1, 101, 110, False),
            (1, 90, 100, False),
            (0, 90, 110, False),
            (0, -5, 1, False),
            (0, 199, 201, True),
            (0, 209, 300, True),
            (0, 190, 200, False),
            (0, 210, 300, False),
            (1, 200, 210, False),
        ):
            assert _touched([changes], [(0, (200, 210))], channel, start, stop) is expected
