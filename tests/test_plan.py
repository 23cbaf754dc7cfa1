"""A plan of restoration: made of a diagnosis, written, edited, read."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import audiomend
from audiomend.classical.curve import Bend
from audiomend.detect.clicks import Click
from audiomend.detect.diagnosis import Examination
from audiomend.detect.dropouts import Dropout
from audiomend.detect.finding import Finding
from audiomend.detect.gaps import Gap
from audiomend.errors import UsageError
from audiomend.restorers.inspection import inspect_file
from audiomend.restorers.plan import (
    LATER,
    ORDER,
    Declick,
    Declip,
    ExtendBand,
    FillGaps,
    Input,
    MendingPlan,
    NotThereYet,
    RemoveOffset,
    Span,
    Stage,
    clicks_to_mend,
    from_json,
    plan_of,
    read_plan,
    to_json,
    write_plan,
)

RATE = 16_000
SIZE = Input("old.wav", "ab12", RATE, 2, 4 * RATE)
PLAN = MendingPlan(
    SIZE,
    (
        Stage(
            "declip",
            Declip((-0.5, None), (0.5, 0.25), "bent", "ar", ("straight", "tanh")),
            True,
            0.9,
            "bent, at 0.5",
        ),
        Stage("offset", RemoveOffset((0.01, 0.0))),
        Stage("declick", Declick((Span(1, 0.25, 0.2505),))),
        Stage("gaps", FillGaps((Span(0, 1.0, 1.1), Span(1, 3.0, 4.0)), dropouts=(Span(0, 2.0, 2.1),))),
        Stage("band", ExtendBand(3400.0), False),
        Stage("hum", NotThereYet(), False, 0.7, "50 Hz"),
    ),
)


def music(seconds=4.0, seed=0):
    """Two channels of smooth noise that swells and dies away."""
    draw = np.random.default_rng(seed)
    spectrum = np.fft.rfft(draw.standard_normal((2, round(seconds * RATE))))
    x = np.fft.irfft(spectrum / (1 + np.arange(spectrum.shape[1]) / 2000), round(seconds * RATE))
    x *= 10 ** (np.sin(2 * np.pi * 0.7 * np.arange(x.shape[1]) / RATE))
    return 0.1 * x / x.std()


def damaged():
    x = music() + np.array([[0.0], [0.03]])
    x = np.clip(x, -0.2, 0.2)
    x[0, 20_000:21_000] = 0
    return x


def test_a_plan_survives_writing_and_reading(tmp_path: Path):
    write_plan(PLAN, tmp_path / "plan.json")
    assert read_plan(tmp_path / "plan.json") == PLAN
    with pytest.raises(UsageError, match="exists"):
        write_plan(PLAN, tmp_path / "plan.json")
    write_plan(replace(PLAN, stages=()), tmp_path / "plan.json", force=True)
    assert read_plan(tmp_path / "plan.json").stages == ()


def test_stages_come_in_the_order_of_professionals():
    content = json.loads(to_json(PLAN))
    content["stages"].reverse()
    assert from_json(json.dumps(content)) == PLAN
    assert list(ORDER) == ["declip", "offset", "declick", "gaps", "band", "hum", "noise", "room"]


def test_what_may_be_left_out_has_defaults():
    text = json.dumps(
        {
            "schema": "audiomend.plan/1",
            "input": {"path": "", "sha256": "", "rate": RATE, "channels": 1, "frames": 100},
            "stages": [
                {"stage": "declip", "settings": {"low": [-1], "high": [None]}},
                {"stage": "offset"},
                {"stage": "declick"},
            ],
        }
    )
    assert from_json(text).stages == (
        Stage("declip", Declip((-1.0,), (None,), "hard", "auto"), True, 1.0, ""),
        Stage("offset", RemoveOffset()),
        Stage("declick", Declick()),
    )


def edited(**changes):
    """The plan as JSON, with values put at paths such as stages__0__enabled."""
    content = json.loads(to_json(PLAN))
    for path, value in changes.items():
        *way, last = path.split("__")
        place = content
        for key in way:
            place = place[int(key) if key.isdigit() else key]
        place[int(last) if last.isdigit() else last] = value
    return json.dumps(content)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"schema": "audiomend.plan/2"}, 'no "schema": "audiomend.plan/1"'),
        ({"more": 1}, "has more"),
        ({"input": []}, "input is \\[\\]; it is an object"),
        ({"input__rate": 10}, "2 channels of 64000 frames at 10 Hz"),
        ({"input__rate": 16_000.5}, "input.rate is 16000.5; it is a whole number"),
        ({"input__rate": True}, "input.rate is True; it is a whole number"),
        ({"input__color": "red"}, "input has color; it may hold path"),
        ({"stages": {}}, "stages is \\{\\}; it is a list"),
        ({"stages__0": 3}, "stages\\[0\\].stage is missing"),
        ({"stages__0__stage": "dehum"}, "it is one of declip, offset"),
        ({"stages__0__stage": {}}, "it is one of declip, offset"),
        ({"stages__0__confidence": 10**400}, "confidence is 1000.* it is a number"),
        ({"input__frames": 2**63}, "input.frames is 9223372036854775808; it is a whole number up to 9,22"),
        ({"x" * 500: 1}, "has x{80}; it holds schema"),
        ({"stages__1__stage": "declip", "stages__1__settings": {"low": [0, 0], "high": [0, 0]}}, "twice"),
        ({"stages__0__enabled": "yes"}, "stages\\[0\\].enabled is 'yes'; it is true or false"),
        ({"stages__0__wet": 1}, "stages\\[0\\] has wet"),
        ({"stages__0__reason": None}, "reason is None; it is text"),
        ({"stages__0__settings__kind": "loud"}, "it is one of hard, bent, soft"),
        ({"stages__0__settings__curve": ["tanh"]}, "curve has 1 entries; the input has 2 channels"),
        ({"stages__0__settings__curve": ["tanh", "sinh"]}, "it is one of tanh, arctan, root, knee, cubic"),
        ({"stages__0__settings__low": [-0.5]}, "low has 1 entries; the input has 2 channels"),
        ({"stages__0__settings__low__0": "x"}, "low\\[0\\] is 'x'; it is a number"),
        ({"stages__0__settings": {"low": [0, 0]}}, "settings has no high"),
        ({"stages__1__settings__levels": [0]}, "levels has 1 entries"),
        ({"stages__2__settings__clicks__0__channel": 2}, "in channel 2"),
        ({"stages__3__settings__gaps__0__stop_s": 1.0}, "1 to 1 s in channel 0"),
        ({"stages__3__settings__gaps__1__stop_s": 4.1}, "3 to 4.1 s in channel 1"),
        ({"stages__3__settings__gaps__0__start_s": -0.1}, "-0.1 to 1.1 s"),
        ({"stages__3__settings__dropouts__0__stop_s": 4.1}, "dropouts has 2 to 4.1 s in channel 0"),
        ({"stages__4__settings__cutoff_hz": False}, "cutoff_hz is False; it is a number"),
        ({"stages__5__enabled": True}, "enables hum, which is not there yet"),
        ({"stages__5__settings": {"hz": 50}}, "has hz; it may hold nothing"),
    ],
)
def test_a_plan_that_cannot_be_says_where(changes, words):
    with pytest.raises(UsageError, match=words):
        from_json(edited(**changes))


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"schema": NaN}', "[" * 100_000])
def test_what_is_no_plan_is_refused(text):
    with pytest.raises(UsageError):
        from_json(text)


def test_a_number_beyond_all_is_refused():
    with pytest.raises(UsageError, match="cutoff_hz is inf"):
        from_json(edited().replace("3400.0", "1e999"))


def test_files_that_are_no_plan_are_refused(tmp_path: Path):
    with pytest.raises(UsageError, match="cannot be read"):
        read_plan(tmp_path / "none.json")
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="UTF-8"):
        read_plan(tmp_path / "bytes.json")


def test_a_plan_follows_from_a_diagnosis():
    plan = plan_of(audiomend.inspect(damaged(), RATE), "in.wav", "00")
    stages = {stage.stage: stage for stage in plan.stages}
    assert plan.input == Input("in.wav", "00", RATE, 2, 4 * RATE)
    declip = stages["declip"].settings
    assert isinstance(declip, Declip)
    assert (declip.low, declip.high, declip.kind) == ((-0.2, -0.2), (0.2, 0.2), "hard")
    assert stages["offset"] == Stage("offset", RemoveOffset(), True, 0.5, LATER)
    assert stages["gaps"].settings == FillGaps((Span(0, 20_000 / RATE, 21_000 / RATE),))
    assert "gap of digital silence" in stages["gaps"].reason
    assert all(stage.confidence >= 0.5 for stage in plan.stages)
    assert from_json(to_json(plan)) == plan


def test_the_offset_of_each_channel_that_has_one_is_subtracted():
    x = music() + np.array([[0.0], [0.03]])
    (stage,) = plan_of(audiomend.inspect(x, RATE)).stages
    assert stage.settings == RemoveOffset((0.0, pytest.approx(x[1].mean())))
    assert stage.reason == f"DC offset: {x[1].mean():+.4f} of full scale"


def test_a_clean_signal_needs_no_stage():
    assert plan_of(audiomend.inspect(music(), RATE)).stages == ()


def test_a_stage_that_is_not_there_yet_is_named_and_not_enabled():
    time = np.arange(8 * RATE) / RATE
    hum = sum(np.sin(2 * np.pi * 50 * k * time) / k for k in range(1, 5))
    noise = 1e-3 * np.random.default_rng(0).standard_normal(len(time))
    plan = plan_of(audiomend.inspect(0.1 * hum + noise, RATE))
    stage = next(stage for stage in plan.stages if stage.stage == "hum")
    assert (stage.enabled, stage.settings) == (False, NotThereYet())
    assert "50.0 Hz" in stage.reason


@pytest.mark.parametrize("dtype", [np.float32, np.int16])
def test_arrays_of_any_kind_are_inspected(dtype):
    x = damaged() if dtype != np.int16 else np.rint(damaged() * 32_768)
    found = audiomend.inspect(x.astype(dtype), RATE)
    assert found.seconds == 4
    assert found.peak == pytest.approx(0.2, abs=1e-4)
    assert [tops.kind for tops in found.clipping] == ["hard", "hard"]
    assert audiomend.inspect(x.astype(dtype)[0], RATE).channels == 1


def test_arrays_that_are_no_sound_are_refused():
    with pytest.raises(UsageError, match="sample rate"):
        audiomend.inspect(np.zeros(10), 10)
    with pytest.raises(UsageError, match="NaN"):
        audiomend.inspect(np.array([math.nan]), RATE)


def test_a_file_and_an_array_have_the_same_diagnosis(tmp_path: Path):
    import soundfile

    x = damaged().astype(np.float32)
    soundfile.write(tmp_path / "in.wav", x.T, RATE, subtype="FLOAT")
    found = inspect_file(str(tmp_path / "in.wav"))
    array = audiomend.inspect(x, RATE)
    assert [f.summary for f in found.diagnosis.findings] == [f.summary for f in array.findings]
    assert len(found.sha256) == 64


def test_an_examination_holds_no_more_after_many_blocks_than_after_two():
    """All that is kept of the past is counts, and a stretch of samples that the next block joins."""
    x = music()

    def held(blocks):
        examination = Examination(2, RATE)
        for _ in range(blocks):
            examination.add(x)
        return size_of(examination)

    assert held(20) <= 1.05 * held(2)


def size_of(thing, seen=None) -> int:
    """Bytes of the arrays and lists that an object holds."""
    seen = set() if seen is None else seen
    if id(thing) in seen:
        return 0
    seen.add(id(thing))
    if isinstance(thing, np.ndarray):
        base = thing.base if thing.base is not None and isinstance(thing.base, np.ndarray) else thing
        return base.nbytes
    if isinstance(thing, list | tuple):
        return 8 * len(thing) + sum(size_of(one, seen) for one in thing)
    return sum(size_of(one, seen) for one in vars(thing).values()) if hasattr(thing, "__dict__") else 8


def test_a_plan_leaves_what_is_not_sure():
    """A few clicks may be drums, and silence in what is soft a gate's."""
    clean = audiomend.inspect(music(), RATE)
    both = tuple(Dropout(channel, 500, 900, 30.0, 0.9) for channel in (0, 1))
    few = (Click(0, 100, 110, 0.9), Click(0, 900, 909, 0.9))
    many = tuple(Click(0, 100 * k, 100 * k + 9, 0.99) for k in range(1, 9))
    hard = tuple(replace(tops, kind="hard", confidence=0.9) for tops in clean.clipping)

    def stages(**found):
        return {stage.stage: stage for stage in plan_of(replace(clean, **found)).stages}

    assert stages(dropouts=both)["gaps"].enabled
    assert stages(dropouts=both)["gaps"].settings == FillGaps(
        (), dropouts=(Span(0, 500 / RATE, 900 / RATE), Span(1, 500 / RATE, 900 / RATE))
    )
    unsure, sure = Gap(0, 100, 900, 0.49), Gap(0, 2000, 2900, 0.5)
    assert "gaps" not in stages(gaps=(unsure,))
    assert stages(gaps=(unsure, sure))["gaps"].settings == FillGaps((Span(0, 2000 / RATE, 2900 / RATE),))
    assert not stages(clicks=few)["declick"].enabled
    assert stages(clicks=few)["declick"].reason.endswith("90% are needed; audiomend declick mends them")
    assert "needed" not in stages(clicks=many)["declick"].reason
    assert stages(clicks=many)["declick"].enabled
    assert len(stages(clicks=many)["declick"].settings.clicks) == 8
    assert stages(clicks=few, clipping=hard)["declick"].settings == Declick()
    assert "declick" not in stages(clicks=(Click(0, 100, 110, 0.6),))


def test_a_plan_takes_out_the_clicks_that_are_worth_the_risk():
    """At a narrow rate all that are found: the detector asks for twice as much there."""
    clean = audiomend.inspect(music(), RATE)
    sure_of = [0.99] * 8 + [0.65, 0.649, 0.5]
    clicks = tuple(Click(0, 100 * k, 100 * k + 9, sure) for k, sure in enumerate(sure_of))

    def taken(rate):
        stages = {stage.stage: stage for stage in plan_of(replace(clean, clicks=clicks, rate=rate)).stages}
        return len(stages["declick"].settings.clicks)

    assert (taken(31_999), taken(32_000), taken(44_100)) == (11, 9, 9)
    assert clicks_to_mend(clicks, 44_100) == list(clicks[:9])


@pytest.mark.parametrize(("confidence", "enabled"), [(0.9, True), (0.899, False)])
def test_clicks_are_taken_out_unasked_from_nine_tenths(monkeypatch, confidence, enabled):
    from audiomend.detect import clicks as detector

    told = Finding("clicks", confidence, "some")
    monkeypatch.setattr(detector, "finding", lambda *_, **__: told)
    clean = replace(audiomend.inspect(music(), RATE), clicks=(Click(0, 100, 110, 0.9),))
    assert [stage.enabled for stage in plan_of(clean).stages] == [enabled]


def test_a_curve_stands_in_the_plan_where_nothing_is_clipped_otherwise():
    clean = audiomend.inspect(music(), RATE)
    left, right = clean.clipping
    soft = replace(left, low=-0.7, high=0.7, kind="soft", confidence=0.9, bend=Bend("root", 0.7))
    hard = replace(right, low=-0.4, high=0.4, kind="hard", confidence=0.9)

    def declip(*channels):
        return plan_of(replace(clean, clipping=channels)).stages[0].settings

    assert declip(soft, right) == Declip((-0.7, None), (0.7, None), "soft", curve=("root", "straight"))
    assert declip(soft, hard) == Declip((-0.7, -0.4), (0.7, 0.4), "hard")
    assert declip(replace(hard, kind="bent"), hard).kind == "hard"
    assert declip(replace(hard, kind="bent"), soft) == Declip((-0.4, -0.7), (0.4, 0.7), "bent")


def test_clipping_hides_where_the_band_ends():
    clean = audiomend.inspect(music(), RATE)
    hard = tuple(replace(tops, kind="hard", low=-0.4, confidence=0.9) for tops in clean.clipping)
    stages = plan_of(replace(clean, clipping=hard)).stages
    assert [stage.stage for stage in stages] == ["declip", "band"]
    assert stages[1] == Stage("band", ExtendBand(None), True, 0.5, LATER)
    assert from_json(to_json(plan_of(replace(clean, clipping=hard)))).stages == stages
