"""The verbs for arrays: same shape, dtype and library; nothing but the damage changes."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar, cast

import numpy as np
import pytest
import soundfile
import torch

import audiomend
from audiomend import Given, Options
from audiomend.audio import file
from audiomend.classical.curve import Bend
from audiomend.denoisers.base import Denoiser
from audiomend.errors import Cancelled, ModelError, UsageError
from audiomend.models.precision import choose, choose_device
from audiomend.models.prior import Prior, WienerPrior
from audiomend.operators.mask import Mask
from audiomend.restorers.bent import BentJob
from audiomend.restorers.damage import Bent
from audiomend.restorers.files import Request, mend_file
from audiomend.restorers.frame import prepare
from audiomend.restorers.generation import generate_file
from audiomend.restorers.jobs import Job, Jobs, WalkJob
from audiomend.restorers.locate import search
from audiomend.restorers.memory import ArrayReader

RATE = 8000
FAST = {"model": "wiener", "steps": 3}


def clipped(channels: int | None = None, dtype: type = np.float64) -> np.ndarray:
    t = np.arange(RATE) / RATE
    x = 0.5 * np.sin(2 * np.pi * 440 * t) * (1 + 0.2 * np.sin(2 * np.pi * 3 * t))
    x = np.clip(x, -0.4, 0.45)
    return (x if channels is None else np.stack([x] * channels)).astype(dtype)


def holed(gap: tuple[int, int] = (4000, 4080)) -> np.ndarray:
    x = 0.3 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)
    x[slice(*gap)] = 0
    return x


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
@pytest.mark.parametrize("channels", [None, 1, 2])
def test_declip_gives_back_the_same_kind(dtype: type, channels: int | None) -> None:
    x = clipped(channels, dtype)
    before = x.copy()
    y = audiomend.declip(x, RATE, **FAST)
    np.testing.assert_array_equal(x, before)
    assert isinstance(y, np.ndarray)
    assert (y.shape, y.dtype) == (x.shape, x.dtype)
    lost = (x >= x.max()) | (x <= x.min())
    np.testing.assert_array_equal(y[~lost], x[~lost])
    assert (np.abs(y[lost]) >= np.abs(x[lost])).all()
    assert np.abs(y).max() > np.abs(x).max()


def test_torch_in_torch_out() -> None:
    x = torch.from_numpy(clipped(2, np.float32))
    y = audiomend.declip(x, RATE, **FAST)
    assert isinstance(y, torch.Tensor)
    assert y.dtype == torch.float32
    np.testing.assert_array_equal(y.numpy(), audiomend.declip(x.numpy(), RATE, **FAST))


def test_integers_are_scaled_by_their_full_scale() -> None:
    x = (holed() * 32768).astype(np.int16)
    y = audiomend.inpaint(x, RATE, **FAST)
    z = audiomend.inpaint(x / 32768, RATE, **FAST)
    assert y.dtype == np.int16
    np.testing.assert_array_equal(y, np.rint(z * 32768).astype(np.int16))
    assert np.abs(y[4000:4080]).max() > 0


def test_inpaint_finds_digital_silence_and_takes_gaps() -> None:
    found = audiomend.inpaint(holed(), RATE, **FAST)
    named = audiomend.inpaint(holed(), RATE, gaps=[(0.5, 0.51)], **FAST)
    np.testing.assert_array_equal(found, named)
    outside = np.r_[0:4000, 4080:RATE]
    np.testing.assert_array_equal(found[outside], holed()[outside])


def test_a_gap_in_what_is_soft_is_left_by_restore_and_filled_by_inpaint() -> None:
    """It may be a gate's."""
    x = holed()
    x[3900:4200] *= 0.1
    mended, told = audiomend.restore(x, RATE, only=["gaps"], model="wiener", quality="fast")
    assert told.done == ()
    np.testing.assert_array_equal(mended, x)
    filled = audiomend.inpaint(x, RATE, **FAST)
    assert (filled[4000:4080] != 0).all()
    named = audiomend.inpaint(x, RATE, gaps=[(0.5, 0.51)], **FAST)
    np.testing.assert_array_equal(filled, named)


def test_extend_replaces_only_the_band_above() -> None:
    rng = np.random.default_rng(1)
    x = np.fft.irfft(np.fft.rfft(rng.standard_normal(RATE)) * (np.arange(RATE // 2 + 1) < 1400), RATE)
    x *= np.hanning(RATE)
    y = audiomend.extend(x, RATE, cutoff_hz=1500, **FAST)
    difference = np.abs(np.fft.rfft(y - x))[50:1400]
    assert 20 * np.log10(np.linalg.norm(difference) / np.linalg.norm(np.fft.rfft(x))) < -50


def swelling(rate: int = RATE) -> np.ndarray:
    t = np.arange(2 * rate) / rate
    x = sum(np.sin(2 * np.pi * hz * t + hz) for hz in (200, 331, 770)) * np.sin(np.pi * t / 2)
    return 0.15 * x + 1e-4 * np.random.default_rng(0).standard_normal(len(t))


def test_soft_clipping_is_inverted_and_its_flat_tops_are_mended() -> None:
    x = swelling()
    gentle = audiomend.declip(0.4 * np.tanh(x / 0.4), RATE)
    assert np.abs(gentle - x).max() < 0.01
    hard = 0.05 * np.tanh(x / 0.05)
    shares = []
    mended = audiomend.declip(hard, RATE, model="wiener", steps=3, progress=shares.append)
    assert shares[-1] == max(shares) == 1
    flat = np.abs(hard) > 0.05 * 0.9984  # where the slope of the inverse is 300
    assert 0.05 < flat.mean() < 0.5
    np.testing.assert_allclose(mended[~flat], x[~flat], atol=0.01)
    assert np.square(mended - x)[flat].sum() < 0.2 * np.square(hard - x)[flat].sum()
    assert (np.abs(mended[flat]) >= 0.05 * np.arctanh(0.998)).all()


def cubic(x: np.ndarray, level: float) -> np.ndarray:
    u = np.clip(x / level, -1.5, 1.5)
    return level * (u - 4 * u**3 / 27)


def test_a_curve_with_flat_tops_is_inverted_between_them() -> None:
    x = swelling()
    y = cubic(x, 0.1)
    flat = np.abs(x) >= 0.15
    assert 0.1 < flat.mean() < 0.3
    mended = audiomend.declip(y, RATE, model="wiener", steps=3)
    np.testing.assert_allclose(mended[~flat], x[~flat], atol=0.01)
    assert (np.abs(mended[flat]) > 0.149).all()
    half = audiomend.declip(y, RATE, model="wiener", steps=3, strength=0.5)
    np.testing.assert_allclose(half, (y + mended) / 2, atol=1e-6)
    # One of two clipped channels has no curve: both are mended between their levels alone.
    pair = np.stack((y, np.clip(x, -0.1, 0.1)))
    mended = audiomend.declip(pair, RATE, model="wiener", steps=3)
    between = np.abs(pair) < 0.0999
    np.testing.assert_array_equal(mended[between], pair[between])


def test_the_progress_of_straightening_is_the_share_of_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file, "BLOCK_VALUES", 3000)
    shares = []
    audiomend.declip(0.4 * np.tanh(swelling() / 0.4), RATE, progress=shares.append)
    assert shares[-6:] == pytest.approx([3 / 16, 6 / 16, 9 / 16, 12 / 16, 15 / 16, 1])


def test_the_share_of_clipped_samples_is_that_of_all_channels() -> None:
    x = 0.3 * np.random.default_rng(0).standard_normal((2, 8000)).clip(-9, [[1.5], [9]])
    looking = search("declip", Given(), RATE, 2)
    for accumulator in looking.accumulators:
        accumulator.add(x)
    damage = looking.conclude().damage
    assert damage is not None
    assert damage.severity == (x[0] == x[0].max()).sum() / x.size


def test_several_jobs_take_as_many_steps_as_the_longest() -> None:
    each = [cast(WalkJob, SimpleNamespace(steps=steps)) for steps in (0, 16, 8)]
    damage = Bent((None,))
    assert Jobs(ArrayReader(np.zeros((1, 9)), RATE), damage, Options(), each, "", "").steps == 16


def test_flat_samples_go_beyond_what_is_known_of_them_in_their_own_direction() -> None:
    bend = Bend("tanh", 0.5, 0.4)
    low, high = bend.flat
    samples = np.array([[-0.4, -0.4, 0.5, 0.5, 0.1]])
    settled = Bent((bend,)).settle(samples, np.array([[2 * low, low / 2, 2 * high, high / 2, 9.0]]))
    np.testing.assert_allclose(settled, [[2 * low, low, 2 * high, high, 0.5 * np.arctanh(0.2)]])


def test_work_on_a_curve_costs_what_its_flat_samples_cost() -> None:
    source, damage = ArrayReader(np.zeros((1, 16_000)), RATE), Bent((Bend("tanh", 0.4),))
    told = {
        "settings": "declip",
        "model": "small",
        "precision": "float32",
        "started_from": "the damaged signal",
        "steps": 7,
        "estimate_seconds": 12.5,
        "amount": 4321,
    }
    alone = BentJob(source, damage, Options(), None, 2.0)
    assert (alone.amount, alone.steps, alone.estimate_seconds, alone.model) == (16_000, 0, 0.0, "")
    both = BentJob(source, damage, Options(), cast(Job, SimpleNamespace(method="walk", **told)), 2.0)
    assert {name: getattr(both, name) for name in told} == {**told, "settings": "tanh towards 0.4; declip"}
    assert both.method == "inverse curve, walk where it is flat"


def test_the_severity_of_a_curve_is_the_share_of_flat_samples_in_all_channels() -> None:
    x = swelling()
    source = ArrayReader(np.stack([cubic(x, 0.1), x]), RATE)
    job = prepare(source, Bent((Bend("cubic", 0.1), None)), 1.0, Options(model="wiener"))
    assert job.damage.severity == pytest.approx((np.abs(x) >= 0.15).mean() / 2, rel=0.05)


def test_polarities_that_were_bent_unlike_are_straightened_by_themselves() -> None:
    x = swelling()
    y = np.where(x > 0, 0.3 * np.tanh(x / 0.3), 0.7 * np.tanh(x / 0.7))
    assert np.abs(audiomend.declip(y, RATE) - x).max() < 0.01
    mended, report = audiomend.restore(y, RATE)
    assert np.abs(mended - x).max() < 0.01
    settings = report.done[0].stage.settings
    assert (settings.curve, settings.low, settings.high) == (
        ("tanh",),
        pytest.approx((-0.7,), rel=0.01),
        pytest.approx((0.3,), rel=0.01),
    )
    assert "tanh towards -0.7" in report.done[0].settings


def test_soft_clipping_is_mended_in_its_channel_and_region_by_its_share() -> None:
    x = np.stack([swelling(), 0.4 * np.tanh(swelling() / 0.4)])
    whole = audiomend.declip(x, RATE)
    np.testing.assert_array_equal(whole[0], x[0])
    half = audiomend.declip(x, RATE, strength=0.5, regions=[(0.5, 1.0)])
    np.testing.assert_array_equal(half[:, :4000], x[:, :4000])
    np.testing.assert_array_equal(half[:, 8000:], x[:, 8000:])
    np.testing.assert_allclose(half[:, 4000:8000], (x + whole)[:, 4000:8000] / 2, rtol=1e-12)


def damaged(channels: int | None = None, dtype: type = np.float64) -> np.ndarray:
    """Clipped, and a gap in it."""
    x = clipped(channels)
    x[..., 4000:4080] = 0
    return (np.rint(x * 32767) if dtype == np.int16 else x).astype(dtype)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int16])
@pytest.mark.parametrize("channels", [None, 2])
def test_restore_gives_back_the_same_kind_and_a_report(dtype: type, channels: int | None) -> None:
    x = damaged(channels, dtype)
    before = x.copy()
    y, told = audiomend.restore(x, RATE, model="wiener", quality="fast")
    np.testing.assert_array_equal(x, before)
    assert isinstance(y, np.ndarray)
    assert (y.shape, y.dtype) == (x.shape, x.dtype)
    assert [done.stage.stage for done in told.done if done.changed] == ["declip", "gaps"]
    assert {f.damage for f in told.diagnosis.findings if f.is_found} >= {"clipping", "gaps"}
    assert y[..., 4000:4080].any()
    lost = (x >= x.max()) | (x <= x.min())
    lost[..., 4000:4080] = True
    np.testing.assert_array_equal(y[~lost], x[~lost])
    if dtype == np.float64:
        assert told.changed == (y != x).sum()
        energy = np.square(y - x).sum() / np.square(x).sum()
        assert told.residue_db == pytest.approx(10 * np.log10(energy))
        assert told.intervals[0][0] == np.flatnonzero((y != x).reshape(-1, RATE).any(axis=0))[0]


def test_restore_leaves_a_whole_sound_to_the_bit() -> None:
    x = 0.3 * np.random.default_rng(0).standard_normal((2, RATE)).astype(np.float32)
    y, told = audiomend.restore(torch.from_numpy(x), RATE)
    assert isinstance(y, torch.Tensor)
    np.testing.assert_array_equal(y.numpy(), x)
    assert (told.done, told.changed, told.residue_db) == ((), 0, -np.inf)


T = np.arange(3 * 16_000) / 16_000
DITHER = np.random.default_rng(0).triangular(-1, 0, 1, len(T)) / 32768


@pytest.mark.parametrize(
    "x",
    [
        0.5 * np.sin(2 * np.pi * 440 * T),
        np.rint((0.5 * np.sin(2 * np.pi * 440 * T) + DITHER) * 32768) / 32768,
        sum(0.15 * np.sin(2 * np.pi * f * T + f) for f in (220, 277.2, 329.6, 440, 659.3)),
        0.5 * np.sin(2 * np.pi * (100 * T + 500 * T**2)),
        0.5 * np.sign(np.sin(2 * np.pi * 220 * T + 0.1)),
        0.5 * (220 * T % 1) - 0.25,
    ],
    ids=["sine", "dithered", "chord", "chirp", "square", "saw"],
)
def test_restore_leaves_waves_and_partials_to_the_bit(x: np.ndarray) -> None:
    mended, report = audiomend.restore(x, 16_000)
    np.testing.assert_array_equal(mended, x)
    assert not report.done


@pytest.mark.parametrize(("known", "changes"), [(70, False), (90, True)])
def test_a_channel_of_which_nothing_is_known_stays(known: int, changes: bool) -> None:
    """A hundredth of a channel's 8,000 samples must lie below the clip level."""
    square = np.where(np.arange(RATE) % 80 < 40, 1.0, -1.0)
    square[: known * 100 : 100] = 0.1
    y = audiomend.declip(square, RATE, clip_level=0.4, method="ss-pew")
    assert (y != square).any() == changes
    both = np.stack([np.sign(square), clipped() / 0.45])
    y = audiomend.declip(both, RATE, clip_level=0.85, method="ss-pew")
    np.testing.assert_array_equal(y[0], both[0])
    assert (y[1] != both[1]).any()


def test_restore_does_the_stages_of_its_plan_that_are_asked_for() -> None:
    x = damaged()
    fast = {"model": "wiener", "quality": "fast"}
    gap, told = audiomend.restore(x, RATE, only=["gaps"], **fast)
    assert [stage.stage for stage in told.left] == ["declip", "band"]
    outside = np.r_[0:4000, 4080:RATE]
    np.testing.assert_array_equal(gap[outside], x[outside])
    same, _ = audiomend.restore(x, RATE, skip=["declip"], plan=told.plan, **fast)
    np.testing.assert_array_equal(same, gap)
    outer, told = audiomend.restore(x, RATE, regions=[(0.0, 0.5)], **fast)
    np.testing.assert_array_equal(outer[4000:], x[4000:])
    assert told.changed > 0
    assert audiomend.restore(x, RATE, strength=0.0, **fast)[1].changed == 0
    with pytest.raises(UsageError, match=r"made for another file"):
        audiomend.restore(x[:-1], RATE, plan=told.plan)
    with pytest.raises(UsageError, match="The stage bend is unknown"):
        audiomend.restore(x, RATE, only=["bend"])
    shares: list[tuple[str, float]] = []
    audiomend.restore(x, RATE, progress=lambda stage, share: shares.append((stage.stage, share)), **fast)
    assert {name for name, share in shares if share == 1} == {"declip", "gaps", "band"}
    with pytest.raises(Cancelled):
        audiomend.restore(x, RATE, progress=lambda stage, share: False, **fast)


@pytest.mark.parametrize(
    ("chosen", "error", "said"),
    [
        ({"method": "a-spad"}, UsageError, "Did you mean a-spade"),
        ({"preset": "cqtdif"}, UsageError, "Did you mean cqtdiff"),
        ({"preset": "published"}, UsageError, "not with auto"),
        ({"model": "none-such"}, ModelError, "none-such"),
    ],
)
def test_names_are_looked_up_where_there_is_nothing_to_mend(
    chosen: dict[str, Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        audiomend.declip(np.zeros(8000), RATE, **chosen)


@pytest.mark.parametrize("verb", ["declip", "inpaint", "extend"])
@pytest.mark.parametrize(
    "x", [np.zeros(500), np.zeros((3, 1)), np.full((2, 900), 0.0)], ids=["zeros", "one", "two"]
)
def test_silence_stays_silence(verb: str, x: np.ndarray) -> None:
    arguments = {"extend": {"cutoff_hz": 1000.0}}.get(verb, {})
    np.testing.assert_array_equal(getattr(audiomend, verb)(x, RATE, **arguments, **FAST), x)


def test_sound_that_is_not_clipped_stays_as_it_is() -> None:
    x = 0.3 * np.random.default_rng(0).standard_normal(RATE)
    np.testing.assert_array_equal(audiomend.declip(x, RATE, **FAST), x)


def test_nothing_outside_a_region_changes() -> None:
    x = clipped()
    y = audiomend.declip(x, RATE, regions=[(0.25, 0.5)], **FAST)
    np.testing.assert_array_equal(np.r_[y[:2000], y[4000:]], np.r_[x[:2000], x[4000:]])
    assert (y[2000:4000] != x[2000:4000]).any()


def test_strength_zero_changes_nothing() -> None:
    np.testing.assert_array_equal(audiomend.declip(clipped(), RATE, strength=0, **FAST), clipped())


def test_same_seed_same_samples_and_another_seed_others() -> None:
    one, same, other = (audiomend.inpaint(holed(), RATE, seed=seed, **FAST) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


def test_progress_reaches_one_and_can_cancel() -> None:
    shares: list[float] = []
    audiomend.declip(clipped(), RATE, progress=shares.append, **FAST)
    assert shares[-1] == 1.0
    with pytest.raises(Cancelled):
        audiomend.declip(clipped(), RATE, progress=lambda share: False, **FAST)


def test_blocks_of_any_size_give_the_same() -> None:
    x = clipped(2)
    whole = audiomend.declip(x, RATE, clip_level=0.4, model="wiener", quality="fast")
    for size in (RATE, 700):
        blocks = (x[:, at : at + size] for at in range(0, RATE, size))
        options = Options(model="wiener", quality="fast")
        mended = audiomend.mend_blocks("declip", blocks, RATE, options, Given(clip_level=0.4))
        out = np.concatenate(list(mended), axis=1)
        np.testing.assert_allclose(out, whole, atol=1e-12)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"sample_rate": 500}, "500"),
        ({"sample_rate": 44100.5}, "44100.5"),
        ({"steps": 0}, "steps is 0"),
        ({"quality": "ultra"}, "ultra.*fast, balanced, best"),
        ({"method": "magic"}, "magic.*auto, diffusion"),
        ({"strength": 1.5}, "1.5.*between 0 and 1"),
        ({"seed": -1}, "-1"),
        ({"precision": "int8"}, "int8"),
        ({"device": "tpu"}, "tpu"),
        ({"clip_level": -0.1}, "-0.1"),
        ({"regions": [(0.5, 2.0)]}, "region from 0.5 to 2 s"),
        ({"threads": 0}, "threads is 0"),
    ],
)
def test_bad_arguments_are_named(arguments: dict, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        audiomend.declip(clipped(), **{"sample_rate": RATE, **FAST, **arguments})


DEFAULTS = {
    "declip": audiomend.declip,
    "ar": partial(audiomend.declip, method="ar"),
    "inpaint": audiomend.inpaint,
    "janssen": partial(audiomend.inpaint, method="janssen"),
    "extend": partial(audiomend.extend, cutoff_hz=1500),
    "restore": audiomend.restore,
    "blocks": lambda audio, rate, **chosen: next(
        audiomend.mend_blocks("declick", [audio], rate, Options(**chosen))
    ),
}
"""The verbs by their own choice and by a classical method, which asks no network."""


@pytest.mark.parametrize("audio", [holed(), np.zeros(100)], ids=["damaged", "silent"])
@pytest.mark.parametrize("verb", DEFAULTS)
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"quality": "ultra"}, "quality ultra is unknown; it is one of fast, balanced, best"),
        ({"precision": "fp8"}, "precision fp8 is unknown; it is one of auto, float32, bfloat16"),
        ({"device": "tpu"}, "device tpu is unknown; it is one of auto, cuda, mps, cpu"),
        ({"device": "cuda"}, "device cuda is not on this machine; there is cpu"),
    ],
)
def test_options_are_checked_before_the_way_is_chosen(
    verb: str, audio: np.ndarray, arguments: dict, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for backend in (torch.cuda, torch.backends.mps):
        monkeypatch.setattr(backend, "is_available", lambda: False)
    with pytest.raises(UsageError, match=said):
        DEFAULTS[verb](audio, RATE, **arguments)


def test_a_seed_beyond_64_bits_is_refused_before_there_is_anything_to_mend() -> None:
    with pytest.raises(UsageError, match="seed is 18446744073709551616"):
        audiomend.declip(np.zeros(100), RATE, seed=2**64, **FAST)
    assert not audiomend.declip(np.zeros(100), RATE, seed=2**64 - 1, **FAST).any()


@pytest.mark.parametrize(
    ("audio", "said"),
    [
        (np.zeros((2, 3, 4)), r"\(2, 3, 4\)"),
        (np.zeros((44100, 2)), "44100 channels.*transpose"),
        (np.zeros(0), "at least one sample"),
        (np.array([0.1, np.nan, np.inf]), "2 samples.*first at sample 1"),
        (np.zeros(5, np.uint8), "uint8"),
        (np.zeros(5, complex), "complex128"),
    ],
)
def test_bad_audio_is_named(audio: np.ndarray, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        audiomend.declip(audio, RATE, **FAST)


def test_gaps_outside_and_cutoffs_above_nyquist_are_refused() -> None:
    with pytest.raises(UsageError, match=r"gap from 0\.9 to 1\.2 s"):
        audiomend.inpaint(holed(), RATE, gaps=[(0.9, 1.2)], **FAST)
    with pytest.raises(UsageError, match="4000"):
        audiomend.extend(holed(), RATE, cutoff_hz=4000, **FAST)


def test_an_unknown_model_gets_a_suggestion() -> None:
    with pytest.raises(ModelError, match="Did you mean wiener"):
        audiomend.declip(clipped(), RATE, model="winer")


class Watched(WienerPrior):
    """A loaded model that tells how often it was asked for its denoiser."""

    asked: ClassVar[list[object]] = []

    def denoiser(self, *told: object) -> Denoiser:
        self.asked.append(told)
        return super().denoiser()


MODELLED: dict[str, Callable[[Prior], object]] = {
    "declip": lambda model: audiomend.declip(clipped(), RATE, model=model, steps=2),
    "inpaint": lambda model: audiomend.inpaint(holed(), RATE, model=model, steps=2),
    "extend": lambda model: audiomend.extend(holed(), RATE, cutoff_hz=1500, model=model, steps=2),
    "restore": lambda model: audiomend.restore(clipped(), RATE, only=["declip"], model=model, quality="fast"),
    "blocks": lambda model: next(
        audiomend.mend_blocks("declip", [clipped(1)], RATE, Options(model=model, steps=2))
    ),
    "generate": lambda model: audiomend.generate(0.1, model=model, steps=2),
    "invert": lambda model: audiomend.invert(
        torch.ones(1, 99), Mask(torch.arange(99) > 9), 99, RATE, guidance="replace", steps=2, model=model
    ),
}


@pytest.mark.parametrize("verb", MODELLED)
def test_a_loaded_model_is_used_and_none_is_loaded(verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = Watched(length=8192)
    monkeypatch.setattr(Watched, "asked", [])
    monkeypatch.setattr("audiomend.models.prior.load", lambda *_: pytest.fail("a model was loaded"))
    MODELLED[verb](model)
    assert model.asked


def test_a_loaded_model_mends_as_the_name_of_it_does_and_is_named(tmp_path: Path) -> None:
    model = audiomend.load_model("wiener")
    by_name, loaded = (audiomend.declip(clipped(), RATE, steps=2, model=one) for one in ("wiener", model))
    np.testing.assert_array_equal(by_name, loaded)
    source = str(tmp_path / "in.wav")
    soundfile.write(source, clipped(), RATE)
    options = Options(model=model, steps=2)
    outcome = mend_file(Request("declip", source, str(tmp_path / "out.wav"), options))
    assert (outcome.model, generate_file(str(tmp_path / "new.wav"), 0.1, options).model) == ("wiener",) * 2


def test_a_model_is_loaded_as_the_verbs_load_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("audiomend.models.prior.load", lambda *asked: asked)
    usual = choose_device("auto")
    assert audiomend.load_model("some") == ("some", choose("auto", usual), usual)
    assert Options(model="some").prior() == audiomend.load_model("some")
    assert audiomend.load_model("some", "bfloat16", "cpu") == ("some", "bfloat16", "cpu")
    with pytest.raises(UsageError, match="precision fp8 is unknown"):
        audiomend.load_model(precision="fp8")


@pytest.mark.parametrize("asked", [{"precision": "float32"}, {"device": "cpu"}])
def test_a_loaded_model_has_its_precision_and_device(asked: dict) -> None:
    with pytest.raises(UsageError, match=f"{next(iter(asked))} is nothing for a model that is loaded"):
        audiomend.declip(clipped(), RATE, model=WienerPrior(), **asked)


def test_every_public_name_exists() -> None:
    for name in audiomend.__all__:
        assert getattr(audiomend, name) is not None
    assert set(audiomend.__all__) <= set(dir(audiomend))
    with pytest.raises(AttributeError):
        _ = audiomend.nonsense


def test_a_walk_can_be_changed_for_comparisons() -> None:
    usual = audiomend.inpaint(holed(), RATE, **FAST)
    cold = audiomend.inpaint(holed(), RATE, walk={"warm": False, "solver": "unipc", "start": 3.0}, **FAST)
    assert (usual != cold).any()
    with pytest.raises(UsageError, match="no solvent; it has start"):
        audiomend.inpaint(holed(), RATE, walk={"solvent": 1}, **FAST)
    with pytest.raises(UsageError, match="solver magic"):
        audiomend.inpaint(holed(), RATE, walk={"solver": "magic"}, **FAST)


def test_the_share_of_clipped_samples_reaches_the_walk() -> None:
    heavy = np.clip(clipped(), -0.25, 0.25)
    usual = audiomend.declip(heavy, RATE, **FAST)
    same = audiomend.declip(heavy, RATE, walk={"m": 0.85, "stride": 3.0}, **FAST)
    other = audiomend.declip(heavy, RATE, walk={"m": 0.6, "stride": 2.0}, **FAST)
    np.testing.assert_array_equal(usual, same)
    np.testing.assert_array_equal(usual, audiomend.declip(heavy, RATE, clip_level=0.25, **FAST))
    assert (usual != other).any()


@pytest.mark.parametrize(("gap", "solver"), [((4000, 4640), "momentum"), ((4000, 4641), "2m")])
def test_the_longest_gap_decides_how_it_is_filled(gap: tuple[int, int], solver: str) -> None:
    usual = audiomend.inpaint(holed(gap), RATE, **FAST)
    np.testing.assert_array_equal(usual, audiomend.inpaint(holed(gap), RATE, walk={"solver": solver}, **FAST))


def test_given_gaps_are_stated_in_seconds_and_the_longest_counts() -> None:
    found = search("inpaint", Given(gaps=((800, 1000), (2000, 2100))), 8000, 2).conclude()
    assert found.facts == {"gaps_s": [[0.1, 0.125], [0.25, 0.2625]]}
    assert found.summary == "2 gaps, 0.037 s together, as given"
    assert found.damage is not None
    assert found.damage.severity == 0.025


def test_the_clean_sound_of_extend_reaches_up_to_nyquist() -> None:
    found = search("extend", Given(cutoff_hz=3000.0), 16000, 1).conclude()
    assert found.damage is not None
    assert found.damage.bandwidth_hz == 8000
    assert found.facts == {"cutoff_hz": 3000.0}


@pytest.mark.parametrize("frames", [1, 100, 101, 350])
def test_the_search_sees_every_sample_once(monkeypatch: pytest.MonkeyPatch, frames: int) -> None:
    from audiomend.restorers import arrays, locate

    seen: list[np.ndarray] = []
    looking = locate.Search((SimpleNamespace(add=seen.append),), lambda: locate.Found(None, ""))
    monkeypatch.setattr(arrays, "search", lambda *_: looking)
    monkeypatch.setattr(arrays, "SURVEY_FRAMES", 100)
    x = np.random.default_rng(0).standard_normal((2, frames))
    audiomend.declip(x, RATE, **FAST)
    np.testing.assert_array_equal(np.concatenate(seen, axis=1), x)


@pytest.mark.parametrize(
    ("given", "beyond", "said"),
    [
        ({}, 0.45, "clipped at 0.4 to 0.45 of full scale"),
        ({}, 0.4003, "clipped at 0.4 of full scale"),
        ({"clip_level": 0.4}, 0.45, "clipped at 0.4 of full scale, as given"),
        ({"clip_level": 1.4}, 0.45, "no sample reaches the clip level of 1.4"),
    ],
)
def test_the_clip_levels_are_told(given: dict, beyond: float, said: str) -> None:
    looking = search("declip", Given(**given), RATE, 1)
    looking.accumulators[0].add(np.clip(clipped(1) * 2, -0.4, beyond))
    assert looking.conclude().summary.startswith(said)


def test_a_channel_that_stays_is_told() -> None:
    looking = search("declip", Given(clip_level=0.4), RATE, 1)
    looking.accumulators[0].add(np.ones((1, RATE)))
    found = looking.conclude()
    assert found.damage is None
    assert found.summary == (
        "less than 1% of the samples lie below the clip level of 0.4: too little is known to mend the rest"
    )
    assert "a higher --clip-level" in found.hint

    looking = search("declip", Given(clip_level=0.4), RATE, 2)
    looking.accumulators[0].add(np.stack([np.ones(RATE), clipped()]))
    found = looking.conclude()
    assert found.summary.endswith("; channel 0 stays, as less than 1% of the samples there lie below")
    assert found.facts["clipped_samples"] == RATE + (np.abs(clipped()) >= 0.4).sum()
    assert found.damage.share == (np.abs(clipped()) >= 0.4).sum() / (2 * RATE)
    np.testing.assert_array_equal(found.damage.low, [[-np.inf], [-0.4]])
    np.testing.assert_array_equal(found.damage.high, [[np.inf], [0.4]])


@pytest.mark.parametrize(
    ("solver", "freshness"), [("euler", 0.0), ("ancestral", "ancestral"), ("renoise", 1.0)]
)
def test_solvers_of_first_order_differ_in_their_freshness(
    monkeypatch: pytest.MonkeyPatch, solver: str, freshness: float | str
) -> None:
    from audiomend.restorers import settings, way

    monkeypatch.setattr(way, "first_order", lambda f: f)
    chosen = settings.way("declip", "fast", None, {"solver": solver})
    assert way.SOLVERS[solver](chosen) == freshness


@pytest.mark.parametrize(
    ("rule", "fall_db", "cutoff_hz", "rate", "is_found"),
    [
        ("edge", 20.0, 2000.0, 8000, True),
        ("edge", 19.9, 2000.0, 8000, False),
        ("cumulative", 9.9, 2000.0, 8000, False),
        ("edge", 20.0, 3801.0, 8000, False),
        ("edge", 20.0, 3799.0, 8000, True),
        ("edge", 60.0, 20_187.0, 44_100, False),
        ("edge", 60.0, 18_999.0, 44_100, True),
    ],
)
def test_extend_believes_clear_edges_only(
    monkeypatch: pytest.MonkeyPatch, rule: str, fall_db: float, cutoff_hz: float, rate: int, is_found: bool
) -> None:
    from audiomend.detect.bandwidth import Bandwidth, finding
    from audiomend.restorers import locate

    verdict = Bandwidth(cutoff_hz, rule, fall_db, min(fall_db / 20, 1.0))
    monkeypatch.setattr(locate.BandwidthDetector, "result", lambda self: verdict)
    found = locate.search("extend", locate.Given(), rate, 1).conclude()
    assert (found.damage is not None) == is_found == finding(verdict, rate).is_found
    assert locate.search("extend", locate.Given(cutoff_hz=cutoff_hz), rate, 1).conclude().damage is not None
    if is_found:
        assert found.facts["cutoff_hz"] == cutoff_hz


def dull(slope: float = -24.0, cutoff_hz: float = 1000.0) -> tuple[np.ndarray, np.ndarray]:
    """Noise whose level falls with frequency, and the same without what lies above the cut-off."""
    frequency = np.fft.rfftfreq(2 * RATE, 1 / RATE)
    noise = np.fft.rfft(np.random.default_rng(2).standard_normal(2 * RATE) * np.hanning(2 * RATE))
    spectrum = noise * 10 ** (slope * np.log2(np.maximum(frequency / 250, 1)) / 20)
    return np.fft.irfft(spectrum), np.fft.irfft(spectrum * (frequency < cutoff_hz))


def test_extend_gives_energy_above_the_cutoff_along_the_envelope() -> None:
    clean, x = dull()
    y = audiomend.extend(x, RATE, cutoff_hz=1000, **FAST)
    frequency = np.fft.rfftfreq(2 * RATE, 1 / RATE)
    for low in (1100, 1600):
        ours, true = (np.square(np.abs(np.fft.rfft(z)[frequency >= low])).sum() for z in (y, clean))
        assert 10 * np.log10(ours / true) == pytest.approx(0, abs=5), low


def shaped(level_db: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Noise of RMS 0.1 whose level in dB is a function of the frequency in Hz."""
    frequency = np.fft.rfftfreq(2 * RATE, 1 / RATE)
    noise = np.fft.rfft(np.random.default_rng(3).standard_normal(2 * RATE))
    x = np.fft.irfft(noise * 10 ** (level_db(frequency) / 20)) * np.hanning(2 * RATE)
    return 0.1 * x / x.std()


def fading(frequency: np.ndarray) -> np.ndarray:
    """30 dB lost from 1100 to 1300 Hz."""
    return -0.15 * np.clip(frequency - 1100, 0, 200)


@pytest.mark.parametrize(
    "level_db",
    [np.zeros_like, lambda f: -12 * np.log2(1 + f / 250), fading],
    ids=["flat", "falling", "fading"],
)
def test_extend_keeps_what_lies_below_the_edge_that_it_finds(
    level_db: Callable[[np.ndarray], np.ndarray],
) -> None:
    """Also where the sound fades before the filter cuts it: what is left up to there is the file's own."""
    x = shaped(lambda f: np.where(f < 1300, level_db(f), -200.0))
    y = audiomend.extend(x, RATE, **FAST)
    assert not np.array_equal(x, y)
    frequency = np.fft.rfftfreq(2 * RATE, 1 / RATE)
    changed, file = (np.linalg.norm(np.fft.rfft(z)[frequency < 0.95 * 1300]) for z in (y - x, x))
    assert 20 * np.log10(file / changed) > 60


@pytest.mark.parametrize(
    ("level_db", "reason"),
    [
        (lambda f: -12 * np.log2(1 + f / 250), "no clear edge"),
        (lambda f: np.maximum(-40 * np.log2(1 + f / 500), -60), "no clear edge"),
        (lambda f: np.where(f < 1300, -0.02 * f, -0.02 * 1300 - 17), "no clear edge"),
        (lambda f: np.where(f < 3900, 0.0, -60.0), "the band is whole, up to"),
    ],
    ids=["full", "ends by nature", "hardly anything lost", "anti-aliased"],
)
def test_extend_leaves_a_sound_alone_that_no_filter_cut(
    level_db: Callable[[np.ndarray], np.ndarray], reason: str
) -> None:
    from audiomend.restorers import locate

    x = shaped(level_db)
    np.testing.assert_array_equal(audiomend.extend(x, RATE, **FAST), x)
    search = locate.search("extend", locate.Given(), RATE, 1)
    search.accumulators[0].add(x[None])
    assert reason in search.conclude().summary


def test_extend_leaves_silent_channels_and_pauses_alone() -> None:
    x = np.stack([dull()[1], np.zeros(2 * RATE)])
    x[0, RATE:] = 0
    y = audiomend.extend(x, RATE, cutoff_hz=1000, **FAST)
    np.testing.assert_array_equal(y[1], 0)
    assert np.abs(y[0, RATE + 1000 :]).max() < 1e-2 * np.abs(y[0]).max()
