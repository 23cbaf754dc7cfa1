"""Walks of CQT-Diff with its own network, as a user gets them: checkpoint, import, preset, `invert`.

Transform, network, preconditioning, guidance and sampler are compared together with what the published code
returned (tests/golden/README.md). It ran in float32: an evaluation of its network errs by 3.2e-6.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import audiomend
from audiomend.denoisers.windowed import Windows
from audiomend.models.prior import load
from audiomend.models.published import Facts, import_model
from audiomend.networks.cqtdiff import Architecture, CqtDiff
from audiomend.operators import Forward
from audiomend.operators.convolution import Convolution
from audiomend.operators.fir import low_pass_fir
from audiomend.operators.hard_clip import HardClip
from audiomend.operators.mask import Mask
from audiomend.restorers import inverse

GOLDEN = np.load(Path(__file__).parent / "golden" / "cqtdiff_walk.npz")
RATE, LENGTH, STEPS = 22050, 8192, 8
NARROW = Architecture(length=LENGTH, octaves=6, bins=48, widths=(8, 16, 16, 32, 32, 32))
NOISE = torch.from_numpy(np.random.Generator(np.random.PCG64(655)).standard_normal((9, LENGTH))).float()
REFERENCE = torch.from_numpy(GOLDEN["ref"])[None]
GAP = Mask(torch.from_numpy(GOLDEN["mask"]))
LEVEL = float(GOLDEN["clip_value"])
FILTER = Convolution(low_pass_fir(1000, RATE).taps, delay=250)


@pytest.fixture(scope="module")
def model(benchmark_file: Callable[[str], ModuleType], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The golden's network, imported from a checkpoint."""
    drawn, folder = benchmark_file("published_networks"), tmp_path_factory.mktemp("model")
    network = CqtDiff(NARROW)
    drawn.fill(network, 7, drawn.cqtdiff_rule, ("resample.kernel",))
    torch.save({"step": 0, "model": network.state_dict()}, folder / "weights.pt")
    facts = Facts(length=LENGTH, bins=NARROW.bins)
    return import_model(
        folder / "weights.pt", "cqtdiff", folder / "narrow", name="narrow", facts=facts
    ).folder


def test_denoiser_returns_what_the_published_one_does(model: Path) -> None:
    noisy = 0.3 * np.random.Generator(np.random.PCG64(62)).standard_normal((2, LENGTH))
    denoise = load(model).denoiser()
    for x, sigma, expected in zip(noisy, GOLDEN["denoised_sigma"], GOLDEN["denoised"], strict=True):
        clean = denoise(torch.from_numpy(x.astype(np.float32))[None], float(sigma), 0.0).clean[0]
        assert deviations(clean, expected).max() < 1e-5


def deviations(result: Tensor, expected: np.ndarray) -> np.ndarray:
    """Of each sample, over the largest value."""
    return np.abs(result.numpy().astype(np.float64) - expected) / np.abs(expected).max()


def walked(
    monkeypatch: pytest.MonkeyPatch, model: Path, operator: Forward, observed: Tensor, **chosen: Any
) -> Tensor:
    """The eight steps from the golden's noise, in one window of the network's length."""

    def draws(step: int, draw: int, start: int, stop: int) -> Tensor:
        del draw
        return NOISE[step, start:stop]

    monkeypatch.setattr(inverse, "windows_for", lambda *_: Windows(LENGTH, LENGTH))
    monkeypatch.setattr(inverse, "seeded", lambda *_: draws)
    options = {"steps": 2 * STEPS - 1, "precision": "float32", "device": "cpu", "model": str(model)}
    return audiomend.invert(observed, operator, LENGTH, RATE, **options, **chosen)[0]


@pytest.mark.parametrize(
    ("key", "operator", "chosen", "limit"),
    [
        # found here: 1.5e-6, 1.2e-6, 1.4e-6, 9.4e-6; two runs of one float32 code differ by 1e-5 to 1e-4
        pytest.param("uncond", GAP, {"guidance": "none"}, 1e-5, marks=pytest.mark.nightly),
        ("inpaint_dc", GAP, {"preset": "cqtdiff-dc"}, 1e-5),
        pytest.param("inpaint_dcrg", GAP, {"preset": "cqtdiff"}, 1e-5, marks=pytest.mark.nightly),
        ("lowpass_dcrg", FILTER, {"preset": "cqtdiff-dc-rg", "walk": {"xi": 0.2, "limit": 1.0}}, 5e-5),
    ],
)
def test_walk_returns_what_the_published_one_does(
    monkeypatch: pytest.MonkeyPatch,
    model: Path,
    key: str,
    operator: Forward,
    chosen: dict[str, Any],
    limit: float,
) -> None:
    result = walked(monkeypatch, model, operator, operator.forward(REFERENCE), **chosen)
    assert deviations(result, GOLDEN[f"out_{key}"]).max() < limit


@dataclass
class Tipped:
    """A clipper that puts chosen samples on the other side of its level.

    The gradient of clipping jumps at the level, so a walk branches where an estimate lies there to rounding.

    Attributes:
        clip: the clipper.
        samples: at each evaluation that has one, the sample.
        distances: of these samples from the level, over the level.
        evaluation: the next one.
    """

    clip: HardClip
    samples: dict[int, int]
    distances: list[float]
    evaluation: int = 0

    def forward(self, x: Tensor) -> Tensor:
        if self.evaluation in self.samples:
            at = self.samples[self.evaluation]
            value = x[0, at].detach()
            beyond = value.abs() - LEVEL
            self.distances.append(abs(beyond.item()) / LEVEL)
            moved = torch.zeros_like(x)
            moved[0, at] = -2 * beyond * value.sign()
            x = x + moved
        self.evaluation += 1
        return self.clip.forward(x)


@pytest.mark.nightly
def test_declipping_returns_what_the_published_code_does(
    monkeypatch: pytest.MonkeyPatch, model: Path
) -> None:
    """In the published run three estimates, within its rounding of the level, fell on the other side."""
    clip = HardClip(-LEVEL, LEVEL)
    operator = Tipped(clip, {3: 743, 6: 7964, 7: 1455}, [])
    chosen = {"preset": "cqtdiff-rg", "walk": {"xi": 0.2}}
    result = walked(monkeypatch, model, operator, clip.forward(REFERENCE), **chosen)
    assert operator.evaluation == 2 * STEPS - 1
    assert max(operator.distances) < 1e-5
    errors = np.sort(deviations(result, GOLDEN["out_declip_rg"]))
    assert errors[-2] < 2e-4
    assert errors[-1] < 2e-3  # sample 7964, which was tipped
