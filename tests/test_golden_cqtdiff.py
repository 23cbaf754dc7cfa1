"""The published CQT-Diff sampler, number by number (tests/golden/README.md says where they come from)."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from audiomend.denoisers.base import Denoiser, Estimate
from audiomend.guidance.replace import replaced
from audiomend.processes.edm import EDM
from audiomend.samplers.trajectory import evaluations
from audiomend.schedules import karras
from audiomend.solvers.base import State
from audiomend.solvers.heun import churn_factors, heun

GOLDEN = Path(__file__).parent / "golden"
SCHEDULE = np.load(GOLDEN / "cqtdiff_schedule.npz")
SAMPLER = np.load(GOLDEN / "cqtdiff_sampler.npz")
SIGMA_DATA = 0.057
STEPS = 8
LEVELS = karras(STEPS, 1e-4, 1, rho=13)
NOISE = torch.from_numpy(SAMPLER["noise"])


def test_schedules_are_the_published_ones():
    settings = {
        "paper_T35": (35, 1e-4, 1, 5),
        "paper_T8": (8, 1e-4, 1, 5),
        "uncond_T70_churn10": (70, 1e-4, 1, 10),
        "declip_T140": (140, 1e-4, 1, 5),
        "confdefault_T35": (35, 1e-6, 10, 5),
        "T2": (2, 1e-4, 1, 5),
    }
    for name, (steps, lowest, highest, churn) in settings.items():
        levels = karras(steps, lowest, highest, rho=13)
        # the published levels are computed in float32, which is off by up to 1.6e-6
        np.testing.assert_allclose(levels, SCHEDULE[f"t_{name}"], rtol=2e-6)
        gammas = churn_factors(levels, churn, denominator=steps + 1)
        np.testing.assert_allclose(gammas, SCHEDULE[f"gamma_{name}"][:-1], rtol=1e-6)


def denoise(x: Tensor, t: float, s: float, carry: object = None) -> Estimate:
    """The golden's tiny network, with EDM preconditioning."""
    total = t**2 + SIGMA_DATA**2
    kernel = torch.from_numpy(SAMPLER["K"]).to(x)[None, None]
    inner = torch.nn.functional.conv1d(x[None, None] / total**0.5, kernel, padding=4)[0, 0]
    output = torch.tanh(inner * (1 + 0.1 * np.log(t) / 4))
    return Estimate(SIGMA_DATA**2 / total * x + t * SIGMA_DATA / total**0.5 * output)


def returned(denoise: Denoiser, churn: float, draws: Tensor) -> Tensor:
    stages = heun(churn, denominator=STEPS + 1)(EDM(), LEVELS)
    assert len(stages) == 2 * STEPS - 1
    *_, last = evaluations(denoise, stages, State(LEVELS[0] * draws[0]), lambda step, *_: draws[step])
    return last.state.x


def inpainting(dtype: torch.dtype) -> Denoiser:
    mask, reference = (torch.from_numpy(SAMPLER[key]).to(dtype) for key in ("mask", "ref"))
    return replaced(denoise, lambda x: mask * x, mask * reference)


@pytest.mark.parametrize(
    ("key", "guided", "churn", "float32_error"),
    [
        ("uncond", lambda dtype: denoise, 5, 7.5e-7),
        ("uncond_det", lambda dtype: denoise, 0, 5.3e-7),
        ("inpaint_dc", inpainting, 5, 6.8e-7),
    ],
)
def test_sampler_returns_what_the_published_one_does(key, guided, churn, float32_error):
    expected = torch.from_numpy(SAMPLER[f"out_{key}"])
    for dtype, limit in ((torch.float32, 10 * float32_error), (torch.float64, 1e-12)):
        result = returned(guided(dtype), churn, NOISE.to(dtype)).double()
        assert (result - expected).abs().max() < limit * expected.abs().max()
