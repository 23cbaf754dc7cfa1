"""Sound from the prior alone: of any length, the same for the same seed, likely where the prior is known."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

import audiomend
from audiomend.denoisers.base import Denoiser, Estimate
from audiomend.errors import Cancelled, UsageError
from audiomend.models.prior import WienerPrior
from audiomend.restorers import generation
from audiomend.restorers.generation import frames_of, generate_file, generated, way_of
from audiomend.restorers.options import Options
from audiomend.schedules import karras

RATE = WienerPrior().card.rate
QUICK = Options(model="wiener", steps=2)


class Gaussian(WienerPrior):
    """White sound of RMS sigma_data, denoised exactly."""

    def denoiser(self, bandwidth_hz: float | None = None, condition: object = None) -> Denoiser:
        assert condition is None
        variance = self.card.sigma_data**2
        return lambda x, t, s, carry=None: Estimate(x * variance / (variance + t**2))


def test_a_gaussian_prior_gives_its_level_whatever_the_windows() -> None:
    prior = Gaussian(length=4096)
    pieces = list(generated(prior, 50_001, Options(steps=32, seed=3)))
    x = np.concatenate(pieces)
    assert len(pieces) > 3
    assert x.shape == (50_001,)
    assert x.dtype == np.float32
    assert x.std() == pytest.approx(prior.card.sigma_data, rel=0.03)
    assert x[:4000].std() == pytest.approx(x[-4000:].std(), rel=0.1)
    longer = np.concatenate(list(generated(prior, 80_000, Options(steps=32, seed=3))))
    np.testing.assert_allclose(longer[:40_000], x[:40_000], atol=1e-5)
    assert not torch.is_inference_mode_enabled()


def test_seeds_and_defaults() -> None:
    first, rate = audiomend.generate(0.1, model="wiener", steps=2, seed=1)
    again, _ = audiomend.generate(0.1, model="wiener", steps=2, seed=1)
    other, _ = audiomend.generate(0.1, model="wiener", steps=2, seed=2)
    assert rate == RATE
    assert first.shape == (RATE // 10,)
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_the_walk_starts_far_above_the_sound_and_knows_nothing() -> None:
    chosen = way_of(Options(quality="best"))
    assert (chosen.start, chosen.steps, chosen.solver) == (100.0, 32, "unipc")
    assert (chosen.warm, chosen.conditioned, chosen.guidance) == (False, False, "none")
    assert way_of(Options()).steps == 16


def test_a_preset_walks_as_published_without_its_guidance() -> None:
    chosen = way_of(Options(preset="cqtdiff"))
    assert chosen.levels(0.057) == pytest.approx(karras(70, 1e-4, 1.0, 13.0))
    assert (chosen.solver, chosen.churn, chosen.evaluations) == ("heun-cqtdiff", 10.0, 139)
    assert (chosen.warm, chosen.conditioned, chosen.guidance) == (False, False, "none")
    assert way_of(Options(preset="dps", steps=7)).guidance == "none"
    sound, _ = audiomend.generate(0.1, model="wiener", preset="cqtdiff", steps=5)
    assert np.abs(sound).max() > 0
    with pytest.raises(UsageError, match="The sampler daps takes no solver, and generate walks by one"):
        audiomend.generate(0.1, model="wiener", preset="daps")


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("inf"), float("nan"), 1e-6])
def test_impossible_lengths_are_refused(seconds: float) -> None:
    with pytest.raises(UsageError, match=r"seconds is .*; it must be above 0"):
        frames_of(seconds, RATE)


def test_a_file_holds_what_the_array_does(tmp_path: Path) -> None:
    shares: list[float] = []
    made = generate_file(str(tmp_path / "a.wav"), 0.5, QUICK, progress=shares.append)
    x, _ = audiomend.generate(0.5, model="wiener", steps=2)
    samples, rate = soundfile.read(tmp_path / "a.wav", dtype="float32")
    assert (rate, made.rate, made.frames, made.model, made.steps) == (RATE, RATE, len(x), "wiener", 2)
    np.testing.assert_array_equal(samples, x)
    assert made.peak == pytest.approx(np.abs(x).max())
    assert made.clamped == 0
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert soundfile.info(tmp_path / "a.wav").subtype == "FLOAT"


def test_samples_that_a_format_cannot_hold_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loud = np.array([0.5, 1.5, -2.0, -1.0], np.float32)
    monkeypatch.setattr(generation, "generated", lambda *_: iter([loud[:2], loud[2:]]))
    made = generate_file(str(tmp_path / "a.flac"), 0.1, QUICK)
    assert (made.clamped, made.peak) == (2, 2.0)
    assert soundfile.read(tmp_path / "a.flac")[0] == pytest.approx([0.5, 1, -1, -1], abs=1e-6)


def test_whoever_stops_it_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(Cancelled, match="nothing was written"):
        generate_file(str(tmp_path / "a.wav"), 0.5, QUICK, progress=lambda _: False)
    assert not list(tmp_path.iterdir())
    (tmp_path / "a.wav").write_bytes(b"mine")
    with pytest.raises(UsageError, match="exists; --force replaces it"):
        generate_file(str(tmp_path / "a.wav"), 0.5, QUICK)
    assert (tmp_path / "a.wav").read_bytes() == b"mine"
    generate_file(str(tmp_path / "a.wav"), 0.1, QUICK, force=True)
    assert soundfile.info(tmp_path / "a.wav").frames == RATE // 10
