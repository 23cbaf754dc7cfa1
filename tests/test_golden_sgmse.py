"""The published code of SGMSE, number by number: OUVE, the Schroedinger bridge and their samplers.

Everything is complex here. tests/golden/README.md says where the numbers come from.
"""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from audiomend.denoisers.base import Denoiser, Estimate
from audiomend.processes.base import Process, combine, sde
from audiomend.processes.ouve import OUVE
from audiomend.processes.sbve import SBVE
from audiomend.samplers.adaptive import adaptive
from audiomend.samplers.trajectory import evaluations
from audiomend.solvers.base import Solver, Stage, State
from audiomend.solvers.bridge import EPS, bridge_ode, bridge_sde
from audiomend.solvers.euler_maruyama import euler_maruyama
from audiomend.solvers.first_order import first_order
from audiomend.solvers.predictor_corrector import predictor_corrector

GOLDEN = Path(__file__).parent / "golden"
SDE = np.load(GOLDEN / "sgmse_sde.npz")
SAMPLERS = np.load(GOLDEN / "sgmse_samplers.npz")
SETTINGS = {"ouve": (1.5, 0.05, 0.5), "ouve48": (2.0, 0.1, 1.0)}
TIMES = [float(t) for t in SDE["t"]]


def tensor(source: np.lib.npyio.NpzFile, key: str) -> Tensor:
    return torch.from_numpy(source[key])


@pytest.mark.parametrize("name", SETTINGS)
def test_ouve_is_the_published_process(name):
    x0, y, xt = (tensor(SDE, key) for key in ("x0", "y", "xt"))
    process = OUVE(y, *SETTINGS[name])
    for place, t in enumerate(TIMES):
        c, equation = process.coefficients(t), sde(process, t)
        assert c.s == pytest.approx(SDE[f"{name}_std_f64"][place], rel=1e-9)
        assert math.sqrt(equation.g2) == pytest.approx(SDE[f"{name}_diffusion_f64"][place], rel=1e-9)
        assert c.a == pytest.approx(SDE[f"{name}_alpha_f64"][place], rel=1e-9)
        mean, drift = combine(process, c, x0), equation.alpha * xt + equation.beta * y
        torch.testing.assert_close(mean, tensor(SDE, f"{name}_mean")[place, None], rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(drift, tensor(SDE, f"{name}_drift")[place, None], rtol=1e-5, atol=1e-6)
    assert process.coefficients(1).s == pytest.approx(SDE[f"{name}_std_T_f64"].item(), rel=1e-9)


def test_sbve_is_the_published_process_but_for_the_numbers_it_adds():
    """Published: rest + EPS and a total + EPS. Its drift is 0, that of the process before it is bound."""
    x0, y = tensor(SDE, "x0"), tensor(SDE, "y")
    process = SBVE(y)
    for place, t in enumerate(TIMES):
        past, rest = process.variances(t)
        total = past + rest
        assert math.sqrt(past) == pytest.approx(SDE["sbve_sigma_t_f64"][place], rel=1e-9)
        assert math.sqrt(total) == pytest.approx(SDE["sbve_sigma_T_f64"][place], rel=1e-9)
        assert math.sqrt(rest + EPS) == pytest.approx(SDE["sbve_sigma_bar_t_f64"][place], rel=1e-6)
        c = process.coefficients(t)
        assert c.s == pytest.approx(SDE["sbve_std_f64"][place], rel=1e-7, abs=1e-4 if t == 1 else 0)
        torch.testing.assert_close(
            combine(process, c, x0), tensor(SDE, "sbve_mean")[place, None], rtol=1e-6, atol=1e-6
        )
        if t < 1:
            diffusion = math.sqrt(sde(process, t).g2)
            assert diffusion == pytest.approx(SDE["sbve_diffusion_f64"][place], rel=1e-7)


M0, Y, V0 = tensor(SAMPLERS, "m0"), tensor(SAMPLERS, "y"), 0.04


def gaussian(process: Process) -> Denoiser:
    """E[x_0 | x_t] for x_0 ~ CN(M0, V0)."""

    def denoise(x: Tensor, t: float, s: float, carry: object = None) -> Estimate:
        c, m0 = process.coefficients(t), M0.to(x)
        gain = c.a * V0 / (c.a**2 * V0 + c.s**2)
        return Estimate(m0 + gain * (x - combine(process, c, m0)))

    return denoise


def told(process: Process) -> Denoiser:
    """The bridge's estimate; the published sampler tells its network the time that it steps to."""
    return lambda x, t, s, carry=None: gaussian(process)(x, s, s, carry)


def linspace(start: float, stop: float, count: int) -> list[float]:
    return [float(t) for t in np.linspace(start, stop, count)]


def drawn(key: str, order: list[tuple[int, int]]):
    """The golden's draws in the order of the published calls: (step, draw), the first of which is (0, 0)."""
    return lambda step, draw, *_: tensor(SAMPLERS, key)[order.index((step, draw))]


def published_order(steps: int, corrections: int, predicted: bool = True) -> list[tuple[int, int]]:
    draws = range(corrections + predicted)
    return [(0, 0)] + [(step + 1, draw) for step in range(steps) for draw in draws]


def walked(denoise: Denoiser, stages: list[Stage], x: Tensor, noise) -> Tensor:
    *_, last = evaluations(denoise, stages, State(x), noise)
    return last.state.x


def assert_golden(result: Tensor, key: str, limit: float) -> None:
    expected = tensor(SAMPLERS, key)
    assert result.shape == expected.shape
    assert (result - expected).abs().max() < limit * expected.abs().max()


def nothing(process: Process, levels: list[float]) -> list[Stage]:
    """The predictor "none"."""
    return []


REVERSE = euler_maruyama()
PREDICTOR_CORRECTOR: dict[str, tuple[str, int, int, Solver]] = {
    "pc_rd_ald": ("ouve", 5, 1, predictor_corrector(REVERSE)),
    "pc_rd_ald2": ("ouve", 4, 2, predictor_corrector(REVERSE, snr=0.33, corrections=2)),
    "pc_rd_none": ("ouve", 6, 0, REVERSE),
    "pc_rd_langevin": ("ouve", 4, 1, predictor_corrector(REVERSE, snr=0.16, size="langevin")),
    "pc_rd_ald_48k": ("ouve48", 5, 1, predictor_corrector(REVERSE)),
    "pc_none_ald": ("ouve", 4, 1, predictor_corrector(nothing)),
}


def predicted_and_corrected(key: str, dtype: torch.dtype) -> Tensor:
    name, steps, corrections, solver = PREDICTOR_CORRECTOR[key]
    process = OUVE(Y.to(dtype), *SETTINGS[name])
    noise = drawn(f"{key}_noise", published_order(steps, corrections, key != "pc_none_ald"))
    start = Y.to(dtype) + process.coefficients(1).s * noise(0, 0)  # the prior: y, not the mean, plus noise
    stages = solver(process, [*linspace(1, 0.03, steps), 0.0])
    assert len(stages) == steps * (corrections + (key != "pc_none_ald"))
    return walked(gaussian(process), stages, start, noise)


@pytest.mark.parametrize("key", PREDICTOR_CORRECTOR)
@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128])
def test_predictor_and_corrector_are_the_published_ones(key, dtype):
    assert_golden(predicted_and_corrected(key, dtype), f"{key}_out", 5e-6)


def test_the_published_noisy_state_is_the_last_one_with_the_noise_that_is_left_out():
    process = OUVE(Y)
    fresh = tensor(SAMPLERS, "pc_rd_ald_nodenoise_noise")[-1]
    noisy = predicted_and_corrected("pc_rd_ald", Y.dtype) + math.sqrt(sde(process, 0.03).g2 * 0.03) * fresh
    assert_golden(noisy, "pc_rd_ald_nodenoise_out", 5e-6)


def test_euler_maruyama_with_the_same_step_everywhere_is_the_older_published_one():
    process = OUVE(Y)
    noise = drawn("em_fixed_noise", published_order(8, 0))
    start = Y + process.coefficients(1).s * noise(0, 0)
    stages = euler_maruyama(dt=1 / 8)(process, [*linspace(1, 0.03, 8), 0.0])
    assert_golden(walked(gaussian(process), stages, start, noise), "em_fixed_out", 5e-6)


def test_the_ordinary_equation_of_ouve_is_solved_as_published():
    process = OUVE(Y)
    start = Y + process.coefficients(1).s * tensor(SAMPLERS, "ode_noise")[0]
    *_, last = adaptive(gaussian(process), process, start, 1.0, 0.03)
    assert last.t == 0.03
    assert last.evaluations == 32
    assert last.x.dtype == torch.complex64
    assert (last.x - tensor(SAMPLERS, "ode_out")).abs().max() < 1e-5


@pytest.mark.parametrize("steps", [5, 50])
def test_the_bridge_sampled_by_its_stochastic_equation_is_the_published_one(steps):
    process, levels = SBVE(Y), linspace(1, 1e-4, steps + 1)
    np.testing.assert_allclose(levels[1:], SAMPLERS[f"sb_sde_N{steps}_times"], rtol=1e-5)
    if steps == 5:
        draws = tensor(SAMPLERS, "sb_sde_N5_noise")
    else:
        draws = complex_normal(np.random.Generator(np.random.PCG64(51)), steps)
    stages = bridge_sde()(process, levels)
    result = walked(told(process), stages, Y, lambda step, *_: draws[step - 1])
    assert_golden(result, f"sb_sde_N{steps}_out", 5e-6)


def complex_normal(generator: np.random.Generator, count: int) -> Tensor:
    draws = [generator.standard_normal((2, *Y.shape)) for _ in range(count)]
    return torch.from_numpy(np.stack([(re + 1j * im) / math.sqrt(2) for re, im in draws])).to(Y)


@pytest.mark.parametrize("steps", [5, 50])
def test_the_bridge_sampled_by_its_ordinary_equation_is_the_published_one(steps):
    """Its float32 loses 2.5e-4 to the cancellation in the first step; ours does not."""
    process, levels = SBVE(Y), linspace(1, 1e-4, steps + 1)
    result = walked(told(process), bridge_ode()(process, levels), Y, None)
    assert_golden(result, f"sb_ode_N{steps}_out", 3e-4)


@pytest.mark.parametrize(("steps", "distance"), [(5, 3.5e-2), (50, 2.2e-2)])
def test_the_exact_ordinary_form_is_as_far_from_the_published_one_as_its_constant_makes_it(steps, distance):
    process, levels = SBVE(Y), linspace(1, 1e-4, steps + 1)
    expected = tensor(SAMPLERS, f"sb_ode_N{steps}_out")
    exact = walked(told(process), first_order(0)(process, levels), Y, None)
    found = (exact - expected).abs().max() / expected.abs().max()
    assert found.item() == pytest.approx(distance, rel=0.03)


@pytest.mark.parametrize("steps", [5, 50])
def test_the_exact_stochastic_form_is_the_ancestral_step(steps):
    """The published one leaves the noise of the last step out."""
    process, levels = SBVE(Y), linspace(1, 1e-4, steps + 1)
    draws = complex_normal(np.random.Generator(np.random.PCG64(1)), steps)
    draws[-1] = 0

    def noise(step: int, *_: int) -> Tensor:
        return draws[step - 1]

    exact = walked(told(process), first_order("ancestral")(process, levels), Y, noise)
    published = walked(told(process), bridge_sde()(process, levels), Y, noise)
    torch.testing.assert_close(exact, published, rtol=1e-5, atol=1e-6)
