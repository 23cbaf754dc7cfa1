"""Operators that no verb knows, inverted by the engine."""

import importlib.util
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

import audiomend
from audiomend.denoisers.base import Denoiser, Estimate
from audiomend.errors import UsageError
from audiomend.guidance.gradient import euclidean
from audiomend.guidance.reconstruction import spectral
from audiomend.models.prior import WienerPrior
from audiomend.noise import normal
from audiomend.operators.mask import Mask
from audiomend.operators.stft_magnitude import StftMagnitude
from audiomend.processes.edm import EDM
from audiomend.restorers import guiding, inverse
from audiomend.restorers.diffusion import FILL_SAMPLE
from audiomend.restorers.guiding import GUIDANCE, Guidance, Measured
from audiomend.restorers.settings import way

RATE, FRAMES = 8000, 3000  # three windows
PRIOR = replace(WienerPrior(), length=8192)
STFT = StftMagnitude(256, 64)
MASK = Mask.random(FRAMES, 0.3, torch.Generator().manual_seed(0))


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every model is a small one that has learned nothing."""
    monkeypatch.setattr("audiomend.restorers.options.load_model", lambda *_: PRIOR)


def tone(channels: int = 1) -> Tensor:
    t = torch.arange(FRAMES) / RATE
    x = 0.12 * torch.sin(2 * torch.pi * 440 * t) + 0.07 * torch.sin(2 * torch.pi * 1230 * t + 1)
    return torch.stack([x * torch.sin(torch.pi * (c + 1) * t * RATE / FRAMES) for c in range(channels)])


def ratio_db(reference: Tensor, estimate: Tensor) -> float:
    return (20 * torch.log10(reference.norm() / (reference - estimate).norm())).item()


def test_a_signal_comes_back_from_three_tenths_of_its_samples() -> None:
    x = tone(channels=2)
    found = audiomend.invert(MASK.forward(x), MASK, FRAMES, RATE, steps=35)
    assert ratio_db(x, found) > 20
    torch.testing.assert_close(MASK.forward(found), MASK.forward(x), rtol=0, atol=1e-6)
    same, other = (audiomend.invert(MASK.forward(x), MASK, FRAMES, RATE, steps=3, seed=s) for s in (1, 2))
    assert torch.equal(audiomend.invert(MASK.forward(x), MASK, FRAMES, RATE, steps=3, seed=1), same)
    assert (same != other).any()


@pytest.mark.parametrize("chosen", [{"preset": "cqtdiff-rg"}, {"guidance": "projection"}])
def test_phases_are_found_that_fit_the_magnitudes(chosen: dict[str, str]) -> None:
    magnitudes = STFT.forward(tone())
    found = audiomend.invert(magnitudes, STFT, FRAMES, RATE, steps=35, **chosen)
    assert ratio_db(magnitudes, STFT.forward(found)) > 6


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[Measured]:
    """What reconstruction guidance, which does nothing then, is made of."""
    noted: list[Measured] = []

    def unguided(m: Measured) -> Denoiser:
        noted.append(m)
        return m.denoise

    monkeypatch.setitem(guiding.GUIDANCE, "rg", Guidance(unguided, gradient=True))
    return noted


def test_matrices_are_measured_by_their_spectral_norm(seen: list[Measured]) -> None:
    magnitudes = STFT.forward(tone())
    audiomend.invert(magnitudes, STFT, FRAMES, RATE, preset="cqtdiff-rg", steps=1)
    audiomend.invert(MASK.forward(tone()), MASK, FRAMES, RATE, preset="cqtdiff-rg", steps=1)
    assert [m.norm for m in seen] == [spectral, euclidean]
    assert seen[0].y is magnitudes
    assert (seen[0].way.xi, seen[0].way.conditioned) == (0.35, False)


def test_a_preset_has_its_own_settings_for_a_task(seen: list[Measured]) -> None:
    for task in ("random-samples", "biquad"):
        audiomend.invert(MASK.forward(tone()), MASK, FRAMES, RATE, preset="cqtdiff", task=task, steps=1)
    assert [(m.way.xi, m.way.limit) for m in seen] == [(0.25, torch.inf), (0.35, 1.0)]


@pytest.mark.parametrize("name", ["rg", "rg-dc", "rg-printed", "dps"])
def test_every_guidance_by_the_gradient_of_a_norm_takes_the_norm_it_is_given(name: str) -> None:
    seen: list[torch.Size] = []

    def noted(residual: Tensor) -> Tensor:
        seen.append(residual.shape)
        return euclidean(residual)

    chosen = way("inpaint", None, 1, preset="cqtdiff-rg")
    measured = Measured(
        lambda x, t, s, carry=None: Estimate(x / 2), EDM(), MASK, tone(), 0.1, chosen, noted, damaged=False
    )
    GUIDANCE[name].make(measured)(tone(), 0.5, 0.1)
    assert seen == [(1, FRAMES)]


def test_beyond_the_signal_lies_silence_with_its_noise() -> None:
    seen: list[Tensor] = []

    class Watched(WienerPrior):
        def denoiser(self, *_: object) -> Denoiser:
            def same(x: Tensor, t: float, s: float, carry: object = None) -> Estimate:
                seen.append(x)
                return Estimate(x, carry=[carry])

            return same

    prior = replace(Watched(), length=4096)
    problem = inverse.Unguided(prior, prior.card.rate, 2, seed=3)
    x = tone(channels=2)
    estimate = inverse._between_silence(problem, FRAMES)(x, 0.3, 0.1)
    torch.testing.assert_close(estimate.clean, x, rtol=0, atol=1e-6)
    assert inverse._between_silence(problem, FRAMES)(x, 0.1, 0.0, estimate.carry).carry == [[[None]]]
    state, _ = seen
    outside = torch.cat((state[:, :512], state[:, 512 + FRAMES :]), dim=-1)
    assert torch.equal(state[:, 512 : 512 + FRAMES], x)
    assert torch.equal(outside[0], outside[1])
    assert outside[0].std().item() == pytest.approx(0.3, rel=0.1)
    for other in (0, FILL_SAMPLE):  # the walk's noise, and that above the file's Nyquist frequency
        used = torch.from_numpy(normal(3, other, 0, 0, -512, 0))
        assert abs(torch.corrcoef(torch.stack((used, outside[0, :512])))[0, 1]) < 0.2


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ({"preset": "daps"}, "daps takes no solver"),
        ({"guidance": "replace"}, r"replaces 3,000 samples a channel; .*\(1, 129, 47\)"),
        ({"preset": "cqtdiff-dc-rg"}, "rg-dc replaces"),
        ({"guidance": "proximal"}, "for linear damages; for this one there are projection, replace, rg"),
        ({"guidance": "pigdm-free"}, "for damages with a pseudo-inverse"),
        ({"solver": "unipcc"}, "Did you mean unipc"),
        ({"preset": "cqtdiff", "task": "biqad"}, "Did you mean biquad"),
        ({"task": "biquad"}, "The task biquad is unknown; it is one of declip, extend, inpaint"),
    ],
)
def test_what_does_not_fit_is_said(chosen: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        audiomend.invert(STFT.forward(tone()), STFT, FRAMES, RATE, **{"preset": "cqtdiff-rg", **chosen})


def test_projection_needs_consistent_signals() -> None:
    class Opaque:
        def forward(self, x: Tensor) -> Tensor:
            return x.square()

    assert isinstance(GUIDANCE["rg"], Guidance)
    with pytest.raises(UsageError, match="projection is for damages whose consistent signals are known"):
        audiomend.invert(tone(), Opaque(), FRAMES, RATE, guidance="projection")


def test_the_example_of_the_documentation_runs() -> None:
    path = Path(__file__).parent.parent / "docs" / "other_damages.py"
    spec = importlib.util.spec_from_file_location("other_damages", path)
    assert spec is not None
    assert spec.loader is not None
    page = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(page)
    for invert in (page.from_magnitudes, page.from_random_samples):
        found, decibels = invert(tone(), RATE, 25, None)
        assert found.shape == (1, FRAMES)
        assert decibels > 0.5, invert
