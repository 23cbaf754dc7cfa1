"""The published CQT-Diff sampler, number by number (tests/golden/README.md says where they come from)."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from audiomend.denoisers.base import Denoiser, Estimate
from audiomend.guidance.projection import projected
from audiomend.guidance.reconstruction import reconstruction, spectral
from audiomend.guidance.replace import replaced
from audiomend.guidance.scale import Constant
from audiomend.operators import Forward
from audiomend.operators.compose import Compose
from audiomend.operators.convolution import Convolution
from audiomend.operators.decimate import Decimate
from audiomend.operators.fir import high_pass_fir, low_pass_fir
from audiomend.operators.hard_clip import HardClip, threshold_for_sdr
from audiomend.operators.iir import Iir, biquad_low_pass, chebyshev_low_pass
from audiomend.operators.mask import Mask
from audiomend.operators.resample import Resample
from audiomend.operators.stft_magnitude import StftMagnitude
from audiomend.processes.edm import EDM
from audiomend.samplers.trajectory import evaluations
from audiomend.schedules import karras
from audiomend.solvers.base import Solver, State
from audiomend.solvers.churn import churn_factors, churned
from audiomend.solvers.first_order import first_order
from audiomend.solvers.heun import heun

GOLDEN = Path(__file__).parent / "golden"
SCHEDULE = np.load(GOLDEN / "cqtdiff_schedule.npz")
SAMPLER = np.load(GOLDEN / "cqtdiff_sampler.npz")
GUIDED = np.load(GOLDEN / "cqtdiff_guided.npz")
SIGMA_DATA = 0.057
STEPS = 8
LEVELS = karras(STEPS, 1e-4, 1, rho=13)
NOISE = torch.from_numpy(np.random.Generator(np.random.PCG64(555)).standard_normal((9, 2048))).float()
HEUN = heun(churn=5, denominator=STEPS + 1)


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


def returned(denoise: Denoiser, solver: Solver, draws: Tensor) -> Tensor:
    stages = solver(EDM(), LEVELS)
    *_, last = evaluations(denoise, stages, State(LEVELS[0] * draws[0]), lambda step, *_: draws[step])
    return last.state.x


def inpainting(dtype: torch.dtype) -> Denoiser:
    mask, reference = (torch.from_numpy(SAMPLER[key]).to(dtype) for key in ("mask", "ref"))
    return replaced(denoise, lambda x: mask * x, mask * reference)


@pytest.mark.parametrize(
    ("key", "guided", "solver", "float32_error"),
    [
        ("uncond", lambda dtype: denoise, HEUN, 7.5e-7),
        ("uncond_det", lambda dtype: denoise, heun(), 5.3e-7),
        ("uncond_euler_churn10", lambda dtype: denoise, churned(first_order(), 10, STEPS + 1), 4.4e-7),
        ("inpaint_dc", inpainting, HEUN, 6.8e-7),
    ],
)
def test_sampler_returns_what_the_published_one_does(key, guided, solver, float32_error):
    expected = torch.from_numpy(SAMPLER[f"out_{key}"])
    for dtype, limit in ((torch.float32, 10 * float32_error), (torch.float64, 1e-12)):
        result = returned(guided(dtype), solver, NOISE.to(dtype)).double()
        assert (result - expected).abs().max() < limit * expected.abs().max()


REFERENCE = torch.from_numpy(SAMPLER["ref"]).double()
CLIP = float(GUIDED["clip_value"])
DAMAGES: dict[str, Forward] = {
    "inpaint": Mask(torch.from_numpy(SAMPLER["mask"]) > 0),
    "compsens": Mask(torch.from_numpy(GUIDED["cs_mask"]) > 0),
    "declip": HardClip(-CLIP, CLIP),
    "lowpass": Convolution(torch.from_numpy(GUIDED["fir"]), delay=250),
    "highpass": Convolution(torch.from_numpy(GUIDED["hpf"]), delay=249),
    "cheby1": Iir(tuple(GUIDED["cheby_b"].tolist()), tuple(GUIDED["cheby_a"].tolist())),
    "biquad": Compose(
        (
            Iir(tuple(GUIDED["biquad"][:3].tolist()), tuple(GUIDED["biquad"][3:].tolist())),
            HardClip(-1.0, 1.0),
        )
    ),
    "resample": Resample(1102, 100, 2048),
    "decimate": Decimate(10, 2048),
    "phase": StftMagnitude(),
}


@pytest.mark.parametrize("name", [key[2:] for key in GUIDED if key.startswith("y_")])
def test_damages_are_the_published_ones(name):
    expected = torch.from_numpy(GUIDED[f"y_{name}"])
    observation = DAMAGES["phase" if name == "stft_mag" else name].forward(REFERENCE)
    assert observation.shape == expected.shape
    assert (observation - expected).abs().max() < 1e-14 * expected.abs().max()


def test_filters_are_designed_as_the_published_ones():
    """The published code keeps its taps in float32."""
    taps = {"fir": low_pass_fir(1000, 22050).taps, "hpf": high_pass_fir(500, 22050).taps}
    chebyshev, biquad = chebyshev_low_pass(1000, 22050), biquad_low_pass(1000, 22050)
    for key, designed in taps.items():
        np.testing.assert_allclose(designed, GUIDED[key], rtol=0, atol=1e-8)
    np.testing.assert_allclose(chebyshev.b, GUIDED["cheby_b"], rtol=1e-12)
    np.testing.assert_allclose(chebyshev.a, GUIDED["cheby_a"], rtol=1e-12)
    np.testing.assert_allclose(biquad.b + biquad.a, GUIDED["biquad"], rtol=2e-6)
    assert threshold_for_sdr(REFERENCE, 3.0).item() == pytest.approx(CLIP, rel=1e-5)


def guided(damage: str, xi: float, consistent: bool, limit: float, dtype: torch.dtype) -> Denoiser:
    operator = DAMAGES[damage]
    observation = operator.forward(REFERENCE).to(dtype)
    norm = {"norm": spectral} if damage == "phase" else {}
    bent: Denoiser = denoise
    if xi:
        bent = reconstruction(
            denoise, EDM(), operator.forward, observation, Constant(xi), limit or np.inf, **norm
        )
    if consistent and isinstance(operator, StftMagnitude):
        return projected(bent, operator.project, observation)
    return replaced(bent, operator.forward, observation) if consistent else bent


@pytest.mark.parametrize(
    ("key", "xi", "limit", "float32_error"),
    [
        ("inpaint_rg", 0.2, 0, 8.0e-7),
        ("inpaint_rg_thr1", 0.2, 1, 8.0e-7),
        ("inpaint_rg_thr0.01", 0.2, 0.01, 8.9e-7),
        ("inpaint_dcrg", 0.2, 0, 6.8e-7),
        ("lowpass_dc", 0, 1, 8.3e-6),
        ("lowpass_rg", 0.2, 1, 1.0e-6),
        ("lowpass_dcrg", 0.2, 1, 8.2e-6),
        ("highpass_rg", 0.25, 1, 2.0e-6),
        ("cheby1_rg", 0.2, 1, 5.0e-3),
        ("biquad_rg", 0.35, 1, 1.0e-6),
        ("resample_rg", 0.25, 1, 3.1e-6),
        ("decimate_rg", 0.25, 1, 1.5e-6),
        ("declip_rg", 0.2, 0, 7.5e-7),
        ("compsens_rg", 0.25, 0, 1.9e-6),
        ("phase_rg", 0.25, 1, 1.4e-6),
        ("phase_dcrg", 0.25, 1, 4.3e-6),
    ],
)
def test_guided_sampler_returns_what_the_published_one_does(key, xi, limit, float32_error):
    expected = torch.from_numpy(GUIDED[f"out_{key}"])
    damage, way = key.split("_")[:2]
    for dtype, most in ((torch.float32, 10 * float32_error), (torch.float64, 1e-12)):
        result = returned(guided(damage, xi, "dc" in way, limit, dtype), HEUN, NOISE.to(dtype)).double()
        assert (result - expected).abs().max() < most * expected.abs().max()
