"""Presets and their parts by name: the published settings, and what a user chooses instead."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.special
import scipy.stats
import torch
from torch import Tensor

import audiomend
from audiomend.denoisers.base import Denoiser, Estimate
from audiomend.denoisers.windowed import Windows, windowed
from audiomend.errors import UsageError
from audiomend.guidance import dps, null_space, projection, proximal, pseudo_inverse, reconstruction
from audiomend.guidance.replace import replaced
from audiomend.guidance.scale import Constant, PowerLaw
from audiomend.models.prior import WienerPrior
from audiomend.noise import normal
from audiomend.operators.low_pass import LowPass
from audiomend.operators.mask import Mask
from audiomend.processes.edm import EDM
from audiomend.restorers import files, frame, jobs, walking
from audiomend.restorers.damage import Clipped, Dull, Gaps
from audiomend.restorers.diffusion import (
    Restoration,
    at_file,
    mend,
    seconds_per_evaluation,
    stretches,
    windows_for,
)
from audiomend.restorers.frame import prepare
from audiomend.restorers.guiding import GUIDANCE, Measured
from audiomend.restorers.inverse import invert
from audiomend.restorers.memory import ArrayReader
from audiomend.restorers.options import Options
from audiomend.restorers.presets import PRESETS
from audiomend.restorers.settings import way
from audiomend.restorers.walking import SAMPLERS
from audiomend.restorers.way import PARTICLES, SOLVERS, Way
from audiomend.samplers.adaptive import adaptive
from audiomend.samplers.base import Walk, seeded
from audiomend.samplers.particles import Cloud
from audiomend.samplers.trajectory import evaluations
from audiomend.schedules import karras
from audiomend.solvers import dpm, dpm_3m, euler_maruyama, first_order, heun, predictor_corrector, unipc
from audiomend.solvers.base import State
from audiomend.solvers.repaint import repainted

RATE = 8000
PRIOR = replace(WienerPrior(), length=8192)  # a window of 1486 samples at 8 kHz
SIGMA = PRIOR.card.sigma_data
VERBS = ("declip", "inpaint", "extend")
GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every model is a small one that has learned nothing."""
    monkeypatch.setattr("audiomend.restorers.options.load_model", lambda *_: PRIOR)


def tone(seconds: float = 0.25) -> np.ndarray:
    t = np.arange(round(seconds * RATE)) / RATE
    return 0.14 * np.sin(2 * np.pi * 440 * t) + 0.05 * np.sin(2 * np.pi * 1230 * t + 1)


def damaged(verb: str) -> tuple[np.ndarray, dict[str, object]]:
    x = tone()
    if verb == "declip":
        return np.clip(x, -0.1, 0.1), {"clip_level": 0.1}
    if verb == "inpaint":
        x[700:760] = 0
        return x, {"gaps": [(700 / RATE, 760 / RATE)]}
    return LowPass(1000, RATE).forward(torch.from_numpy(x)).numpy(), {"cutoff_hz": 1000.0}


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_mends_and_keeps_what_was_measured(preset: str, verb: str) -> None:
    x, given = damaged(verb)
    steps = {"repaint": 25, "tds": 20, "probability-flow": None}.get(preset, 5)
    arguments = {"preset": preset, "steps": steps, "seed": 3, **given}
    if (preset, verb) == ("diffpir", "declip"):
        with pytest.raises(UsageError, match=r"proximal is for linear damages; .*projection, replace, rg,"):
            audiomend.declip(x, RATE, **arguments)
        return
    mended = getattr(audiomend, verb)(x, RATE, **arguments)
    lost = {"declip": np.abs(x) >= 0.1, "inpaint": (x == 0) & (np.arange(len(x)) >= 700)}.get(verb, x == x)
    assert np.isfinite(mended).all()
    if (preset, verb) not in (
        ("dps", "declip"),
        ("tds", "declip"),
    ):  # so few steps lift no peak beyond the level
        assert (mended[lost] != x[lost]).any()
    np.testing.assert_array_equal(mended[~lost], x[~lost])
    if preset in ("cqtdiff", "daps", "red-diff", "score-sde"):
        np.testing.assert_array_equal(getattr(audiomend, verb)(x, RATE, **arguments), mended)
        assert (getattr(audiomend, verb)(x, RATE, **{**arguments, "seed": 4}) != mended).any()


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("preset", ["cqtdiff-dc", "cqtdiff-dc-rg", "poster-pigdm-dc"])
def test_data_consistency_keeps_the_band_below_the_cutoff(preset: str) -> None:
    x, given = damaged("extend")
    kept = LowPass(800, RATE)
    before = kept.forward(torch.from_numpy(x))
    after = kept.forward(torch.from_numpy(audiomend.extend(x, RATE, preset=preset, steps=5, **given)))
    assert 10 * torch.log10(before.square().sum() / (after - before).square().sum()) > 40


# --- Settings ---------------------------------------------------------------------------------------------


def test_the_levels_of_cqtdiff_are_the_published_ones() -> None:
    published = np.load(GOLDEN / "cqtdiff_schedule.npz")
    name = next(key for key in published if len(np.atleast_1d(published[key])) == 36)
    levels = way("extend", None, None, preset="cqtdiff").levels(0.057)
    np.testing.assert_allclose(levels, published[name], rtol=2e-6, atol=0)


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("preset", [name for name in PRESETS if name.startswith(("cqtdiff", "poster"))])
def test_cqtdiff_and_the_poster_walk_with_heun_and_churn(preset: str, verb: str) -> None:
    """35 steps from 1 to 1e-4 with rho 13, 140 for the paper's declipping; gamma = 5 / (T + 1)."""
    chosen = way(verb, None, None, preset=preset)
    levels = chosen.levels(0.057)
    steps = 140 if verb == "declip" and preset in ("cqtdiff-dc", "cqtdiff-rg", "cqtdiff-dc-rg") else 35
    assert levels == pytest.approx(karras(steps, 1e-4, 1.0, 13.0))
    cycles = 12 if preset.endswith("-rp") else 0  # steps 12 to 23 of 35, the middle third
    assert chosen.evaluations == 2 * (steps + cycles) - 1
    first, second, *_ = chosen.stages(EDM(), levels)
    assert (first.t, second.t) == pytest.approx((1 + 5 / (steps + 1), levels[1]))
    assert (chosen.warm, chosen.conditioned) == (False, False)


XI = {  # guidance, xi', limit of the gradient
    "cqtdiff": {"declip": ("rg", 0.2, np.inf), "inpaint": ("rg-dc", 0.2, np.inf), "extend": ("rg", 0.2, 1.0)},
    "cqtdiff-rg": {
        "declip": ("rg", 0.2, np.inf),
        "inpaint": ("rg", 0.35, np.inf),
        "extend": ("rg", 0.2, 1.0),
    },
    "cqtdiff-dc-rg": {
        "declip": ("rg-dc", 0.2, np.inf),
        "inpaint": ("rg-dc", 0.35, np.inf),
        "extend": ("rg-dc", 0.1, 1.0),
    },
    "poster-rg": dict.fromkeys(VERBS, ("rg", 0.2, np.inf)),
    "poster-rg-dc": dict.fromkeys(VERBS, ("rg-dc", 0.2, np.inf)),
    "poster-rg-drho-dc": dict.fromkeys(VERBS, ("rg-dc", 0.2, np.inf)),
    "poster-rg-drho-dc-rp": dict.fromkeys(VERBS, ("rg-dc", 0.2, np.inf)),
}


@pytest.mark.parametrize("preset", XI)
def test_strengths_are_the_published_ones(preset: str) -> None:
    for verb, expected in XI[preset].items():
        chosen = way(verb, None, None, preset=preset)
        assert (chosen.guidance, chosen.xi, chosen.limit) == expected
        assert chosen.power == (-0.25 if "drho" in preset else 0.0)


SCRIPTS = {  # strength, limit of the gradient, churn, steps (CQT-Diff's released scripts)
    "extend": (0.2, 1.0, 5, 35),
    "high-pass": (0.25, 1.0, 10, 35),
    "chebyshev": (0.2, 1.0, 5, 35),
    "biquad": (0.35, 1.0, 5, 35),
    "resample": (0.25, 1.0, 5, 35),
    "decimate": (0.25, 1.0, 5, 35),
    "random-samples": (0.25, np.inf, 5, 35),
    "generate": (0.2, np.inf, 10, 70),
}


@pytest.mark.parametrize("task", SCRIPTS)
def test_every_released_script_has_its_settings(task: str) -> None:
    chosen = way("inpaint", None, None, preset="cqtdiff", task=task)
    levels = chosen.levels(0.057)
    assert (chosen.xi, chosen.limit, chosen.churn, len(levels) - 1) == SCRIPTS[task]
    assert (chosen.guidance, chosen.solver, chosen.evaluations) == ("rg", "heun-cqtdiff", 2 * len(levels) - 3)
    assert set(SCRIPTS) == set(PRESETS["cqtdiff"].tasks) - {"inpaint"}


@pytest.mark.parametrize(
    ("preset", "expected", "steps", "evaluations"),
    [
        ("cqtdiff-dc", {"guidance": "replace"}, 35, 69),
        ("poster-pigdm-dc", {"guidance": "pigdm-dc"}, 35, 69),
        ("score-sde", {"solver": "predictor-corrector", "guidance": "projection"}, 1000, 2000),
        ("repaint", {"solver": "ancestral", "sampler": "repaint", "repeats": 9}, 250, 2500),
        ("ddrm", {"solver": "first-order", "freshness": 0.85, "guidance": "projection"}, 20, 20),
        ("ddnm", {"solver": "first-order", "freshness": 0.85, "guidance": "pigdm-free"}, 100, 100),
        ("dps", {"solver": "ancestral", "guidance": "dps", "xi": 2.0}, 1000, 1000),
        ("pigdm", {"solver": "renoise", "guidance": "pigdm"}, 100, 100),
        ("diffpir", {"solver": "renoise", "guidance": "proximal", "sigma_y": 0.002}, 20, 20),
        ("daps", {"sampler": "daps", "guidance": "none", "sigma_y": 0.02, "start": 200.0}, 200, 1000),
        ("red-diff", {"sampler": "red-diff", "guidance": "none", "warm": True}, 1000, 1000),
        ("tds", {"sampler": "tds", "guidance": "none"}, 100, 400),
    ],
)
def test_numbers_of_steps_are_the_published_ones(
    preset: str, expected: dict[str, object], steps: int, evaluations: int
) -> None:
    chosen = way("inpaint", None, None, preset=preset)
    assert {key: getattr(chosen, key) for key in expected} == expected
    assert (len(chosen.levels(1.0)) - 1, chosen.evaluations) == (steps, evaluations)
    assert PRESETS[preset].steps("inpaint") == evaluations


def test_half_of_the_published_steps_are_the_fewest() -> None:
    assert [PRESETS["cqtdiff-rg"].fewest_steps(verb) for verb in VERBS] == [140, 35, 35]
    assert PRESETS["ddnm"].fewest_steps("extend") == 50


def test_a_cycle_that_cannot_be_cut_takes_more_than_was_asked_for() -> None:
    assert way("inpaint", None, 9, preset="repaint").evaluations == 10


def test_daps_anneals_between_its_published_levels() -> None:
    levels = way("inpaint", None, None, preset="daps").levels(0.5)
    assert levels == pytest.approx(karras(200, 0.1, 100.0, 7.0))


@pytest.mark.parametrize(
    ("solver", "steps", "count"),
    [("heun", 1, 1), ("heun", 2, 1), ("heun", 3, 2), ("heun", 69, 35), ("heun", 70, 35), ("2m", 7, 7)],
)
def test_a_walk_has_as_many_steps_as_its_evaluations_allow(solver: str, steps: int, count: int) -> None:
    chosen = way("extend", None, steps, {"solver": solver})
    assert len(chosen.levels(SIGMA)) - 1 == count
    assert chosen.evaluations <= steps


def test_what_is_chosen_goes_before_the_preset_and_the_preset_before_the_usual() -> None:
    usual = way("declip", None, None)
    assert (usual.steps, usual.guidance, usual.sampler) == (16, "projection", "stream")
    assert way("declip", None, None, preset="cqtdiff").steps == 69
    assert way("declip", "balanced", None, preset="cqtdiff").steps == 16
    assert way("declip", "fast", 5, preset="cqtdiff").steps == 5
    assert way("declip", None, None, {"xi": 0.7}, preset="cqtdiff").xi == 0.7
    options = Options(preset="cqtdiff", guidance="replace", solver="2m", walk={"solver": "3m"})
    assert options.changes == {"guidance": "replace", "solver": "3m"}
    assert Options(sampler="repaint").changes == {"sampler": "repaint"}
    assert way("declip", None, None, {"sampler": "daps"}).guidance == "none"
    assert way("declip", None, None, {"sampler": "daps", "guidance": "replace"}).guidance == "replace"


def test_reconstruction_guidance_is_as_strong_as_measured_best_unless_a_preset_says_more() -> None:
    for guidance in ("rg", "rg-dc"):
        chosen = way("declip", None, None, {"guidance": guidance}, severity=0.5)
        assert (chosen.m, chosen.stride, chosen.xi, chosen.power) == (0.0, 1.0, 0.2, 0.0)
        assert way("inpaint", None, None, {"guidance": guidance}).xi == 0.05
        assert way("inpaint", None, None, {"guidance": guidance, "xi": 0.3}).xi == 0.3
        assert way("inpaint", None, None, {"guidance": guidance}, preset="cqtdiff-dc").xi == 0.2
        assert way("extend", None, None, {"guidance": guidance}).xi == 0.2
    assert way("declip", None, None, {"guidance": "replace"}, severity=0.5).m == 0.85


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    ("what", "name", "near"),
    [
        ("preset", "cqtdif-rg", "cqtdiff-rg"),
        ("guidance", "projecton", "projection"),
        ("solver", "unipcc", "unipc"),
        ("sampler", "streem", "stream"),
    ],
)
def test_unknown_names_get_a_suggestion(what: str, name: str, near: str) -> None:
    with pytest.raises(UsageError, match=f"The {what} {name} is unknown; .* Did you mean {near}\\?$"):
        audiomend.declip(damaged("declip")[0], RATE, **{what: name})


# --- Guidance ---------------------------------------------------------------------------------------------

DULL, HOLED = Dull(LowPass(1000, RATE)), Gaps((((700, 760), (2000, 2050)), ((900, 930),)))
CLIPPED = Clipped(np.array([[-0.1], [-0.08]]), np.array([[0.1], [0.09]]), RATE)
DAMAGES = {"declip": CLIPPED, "inpaint": HOLED, "extend": DULL}
STEREO = ArrayReader(np.stack([tone(0.5), 0.8 * tone(0.5)[::-1]]), RATE)


def restoration(verb: str, chosen: Way) -> Restoration:
    return Restoration(STEREO, DAMAGES[verb], PRIOR, chosen, 1.3, 0, 0, lambda _: None)


def noisy_state(rows: int, length: int) -> Tensor:
    draws = [normal(1, 0, row, 0, 0, length) for row in range(rows)]
    return torch.from_numpy(0.2 * np.stack(draws))


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("guidance", [name for name in GUIDANCE if name != "none"])
def test_guidance_of_many_windows_is_that_of_each(guidance: str, verb: str) -> None:
    chosen = way(verb, None, 4, {"guidance": guidance, "xi": 50.0 if guidance == "dps" else 0.3})
    if verb == "declip" and guidance in ("ddnm+", "proximal", "pigdm-noisy"):
        with pytest.raises(UsageError, match="linear damages"):
            prepare(STEREO, CLIPPED, 1.0, Options(model="wiener", guidance=guidance))
        return
    problem, length = restoration(verb, chosen), windows_for(PRIOR, RATE).length
    starts, both = [-100, 1200], torch.ones(2, 2, dtype=torch.bool)
    x = noisy_state(4, length)
    with torch.no_grad():
        together = problem.denoiser(starts, length, both)(x, 0.2, 0.1)
        plain = restoration(verb, replace(chosen, guidance="none")).denoiser(starts, length, both)(
            x, 0.2, 0.1
        )
        alone = []
        for row in range(4):
            one = torch.zeros(1, 2, dtype=torch.bool)
            one[0, row % 2] = True
            alone.append(problem.denoiser([starts[row // 2]], length, one)(x[row : row + 1], 0.2, 0.1).clean)
    assert (together.clean - plain.clean).abs().max() > 1e-4
    each = torch.cat(alone)
    error = (together.clean - each).abs().amax(dim=-1) / each.abs().amax(dim=-1).clamp(min=1)
    # rg-printed divides by its gradient: of 3e-5 here, on which the rounding of a sum of products shows
    assert error.max() < (1e-3 if guidance == "rg-printed" else 1e-5)


def denoise(x: Tensor, t: float, s: float, carry: object = None) -> Estimate:
    """A smooth denoiser that mixes neighbours."""
    return Estimate(torch.tanh(x + 0.3 * x.roll(1, -1)) / (1 + t))


MEASURE = {"xi": 0.3, "power": -0.5, "limit": 0.05, "sigma_y": 0.2}
SCALE = PowerLaw(0.3, SIGMA, -0.5)


def expected_guidance(name: str, m: Measured) -> Denoiser:
    """What stands behind a name, with the parameters of MEASURE."""
    a, y, edm = m.operator, m.operator.forward(m.observation), EDM()
    rg = reconstruction.reconstruction(denoise, edm, a.forward, y, SCALE, 0.05)
    pinv = pseudo_inverse.pseudo_inverse(a.forward, a.pinv, y)
    pigdm = pseudo_inverse.pigdm(denoise, edm, pinv)
    makers: dict[str, Callable[[], Denoiser]] = {
        "projection": lambda: projection.projected(denoise, a.project, m.observation),
        "replace": lambda: replaced(denoise, a.forward, y),
        "rg": lambda: rg,
        "rg-dc": lambda: replaced(rg, a.forward, y),
        "rg-printed": lambda: reconstruction.reconstruction_as_printed(denoise, edm, a.forward, y, SCALE),
        "dps": lambda: dps.dps(denoise, edm, a.forward, y, Constant(0.3 * SIGMA)),
        "pigdm": lambda: pigdm,
        "pigdm-dc": lambda: replaced(pigdm, a.forward, y),
        "pigdm-noisy": lambda: pseudo_inverse.pigdm(
            denoise, edm, pseudo_inverse.noisy(a, y, 0.2 * SIGMA, SIGMA)
        ),
        "pigdm-free": lambda: pseudo_inverse.pigdm_without_gradient(denoise, edm, pinv),
        "ddnm+": lambda: null_space.ddnm_plus(denoise, edm, a, y, 0.2 * SIGMA),
        "proximal": lambda: proximal.proximal(denoise, edm, a, y, 0.2 * SIGMA),
        "none": lambda: denoise,
    }
    return makers[name]()


@pytest.mark.parametrize("verb", ["inpaint", "extend"])
@pytest.mark.parametrize("name", GUIDANCE)
def test_a_name_stands_for_its_guidance(name: str, verb: str) -> None:
    rows = torch.tensor([[True, True]])
    operator = DAMAGES[verb].operator([100], 900, rows, 1.0)
    x = noisy_state(2, 900)
    chosen = way(verb, None, 4, {"guidance": name, **MEASURE})
    measured = Measured(denoise, EDM(), operator, 0.5 * x.flip(-1), SIGMA, chosen)
    ours = GUIDANCE[name].make(measured)(x, 0.015, 0.01)
    theirs = expected_guidance(name, measured)(x, 0.015, 0.01)
    torch.testing.assert_close(ours.clean, theirs.clean, rtol=0, atol=0)
    assert (ours.noise is None) == (theirs.noise is None)


def test_what_lies_in_a_gap_is_not_measured() -> None:
    operator = HOLED.operator([600], 200, torch.tensor([[True, False]]), 1.0)
    garbage = torch.ones(1, 200)
    measured = Measured(denoise, EDM(), operator, garbage, SIGMA, way("inpaint", None, 4))
    assert measured.y[0, 100:160].tolist() == [0.0] * 60
    assert measured.y.sum() == 140


@pytest.mark.parametrize(("guidance", "expected"), [("projection", True), ("replace", True), ("rg", False)])
def test_only_gradients_take_the_walk_out_of_inference_mode(
    monkeypatch: pytest.MonkeyPatch, guidance: str, expected: bool
) -> None:
    seen = []
    real = Restoration.denoiser

    def watched(self: Restoration, *arguments: object) -> Denoiser:
        seen.append((torch.is_inference_mode_enabled(), torch.is_grad_enabled()))
        return real(self, *arguments)

    monkeypatch.setattr(Restoration, "denoiser", watched)
    chosen = way("inpaint", None, 2, {"guidance": guidance})
    work = stretches(STEREO, HOLED, windows_for(PRIOR, RATE))
    list(mend(STEREO, HOLED, work, PRIOR, chosen, 1.0, seed=0))
    assert set(seen) == {(expected, False)}
    assert GUIDANCE[guidance].gradient is not expected


@pytest.mark.parametrize(("guidance", "seconds"), [("rg", 2.0), ("replace", 1.0)])
def test_work_is_foreseen_with_its_gradients_and_in_evaluations(
    monkeypatch: pytest.MonkeyPatch, guidance: str, seconds: float
) -> None:
    monkeypatch.setattr(jobs, "seconds_per_evaluation", lambda _, gradient: 2.0 if gradient else 1.0)
    job = prepare(STEREO, HOLED, 1.0, Options(model="wiener", guidance=guidance, solver="heun", steps=4))
    assert job.evaluations == 3 * sum(stretch.inputs for stretch in job.work)  # two steps of Heun
    assert files._cost(job, ())[1] == seconds * job.evaluations


def test_the_kept_band_is_nearly_a_projection() -> None:
    """Its own transpose, and A A⁺ A = A but where the filter falls."""
    operator = DULL.operator([0], 2000, torch.ones(1, 1, dtype=torch.bool), 1.0)
    t = torch.arange(2000, dtype=torch.float64) / RATE
    x = torch.from_numpy(np.hanning(2000)) * (torch.sin(2 * torch.pi * 600 * t) + torch.sin(9000 * t))
    v = torch.from_numpy(normal(4, 0, 0, 0, 0, 2000)).double()
    torch.testing.assert_close((operator.forward(x) * v).sum(), (x * operator.adjoint(v)).sum())
    once = operator.forward(x)
    torch.testing.assert_close(operator.forward(operator.pinv(once)), once, rtol=0, atol=1e-3)


@pytest.mark.parametrize(
    ("rate", "known", "told"), [(8000, None, 4000), (96_000, None, None), (8000, 700.0, 700.0)]
)
def test_a_file_of_a_lower_rate_tells_its_band(
    monkeypatch: pytest.MonkeyPatch, rate: int, known: float | None, told: float | None
) -> None:
    seen: list[object] = []
    monkeypatch.setattr(WienerPrior, "denoiser", lambda self, *arguments: seen.append(arguments))
    at_file(PRIOR, rate, windows_for(PRIOR, rate).length, lambda: torch.zeros(1, 8192), known)
    assert seen == [(told, None)]


def test_an_evaluation_is_timed_with_its_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    graphs: list[bool] = []

    def watching(self: WienerPrior, *_: object) -> Denoiser:
        def told(x: Tensor, t: float, s: float, carry: object = None) -> Estimate:
            graphs.append(x.requires_grad)
            return Estimate(x / 2)

        return told

    monkeypatch.setattr(WienerPrior, "denoiser", watching)
    prior = replace(PRIOR, length=64)
    assert seconds_per_evaluation(prior) > 0
    assert seconds_per_evaluation(prior, gradient=True) > 0
    assert graphs == [False, False, True, True]


# --- Solvers and samplers ---------------------------------------------------------------------------------

EXPECTED_SOLVERS = {
    "euler": first_order.first_order(0.0),
    "ancestral": first_order.first_order("ancestral"),
    "renoise": first_order.first_order(1.0),
    "first-order": first_order.first_order(0.3),
    "heun": heun.heun(2.0),
    "heun-cqtdiff": heun.heun(2.0, denominator=7),
    "2m": dpm.dpm_pp_2m(),
    "3m": dpm_3m.dpm_pp_3m(),
    "2m-sde": dpm.dpm_pp_2m(sde=True),
    "3m-sde": dpm_3m.dpm_pp_3m(sde=True),
    "unipc": unipc.unipc(),
    "euler-maruyama": euler_maruyama.euler_maruyama(),
    "predictor-corrector": predictor_corrector.predictor_corrector(euler_maruyama.euler_maruyama(), 0.16),
}


def walked(stages: list) -> Tensor:
    def noise(step: int, draw: int, start: int, stop: int) -> Tensor:
        return torch.from_numpy(normal(2, 0, step, draw, start, stop))

    *_, last = evaluations(denoise, stages, State(noisy_state(1, 40)), noise)
    return last.state.x


@pytest.mark.parametrize("sampler", ["stream", "repaint"])
@pytest.mark.parametrize("name", EXPECTED_SOLVERS)
def test_a_name_stands_for_its_solver(name: str, sampler: str) -> None:
    changes = {"churn": 2.0, "freshness": 0.3, "sampler": sampler, "repeats": 2, "phi_1": 0.5, "phi_2": 2.5}
    chosen = way("extend", None, 20, {"solver": name, **changes})
    solver, levels = EXPECTED_SOLVERS[name], karras(6, 0.01, 0.2)
    if sampler == "repaint":
        solver = repainted(solver, 2, 0.5, 2.5)
    torch.testing.assert_close(walked(chosen.stages(EDM(), levels)), walked(solver(EDM(), levels)))


def test_every_solver_and_sampler_is_tested() -> None:
    assert {*EXPECTED_SOLVERS, "momentum"} == set(SOLVERS)
    assert set(SAMPLERS) == {"stream", "trajectory", "repaint", "rk45", "daps", "red-diff", "tds"}


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("guidance", ["projection", "rg-dc"])
def test_a_walk_in_memory_is_the_walk_as_a_pipeline(guidance: str) -> None:
    x, given = damaged("inpaint")
    by = {
        sampler: audiomend.inpaint(x, RATE, guidance=guidance, sampler=sampler, steps=4, **given)
        for sampler in ("stream", "trajectory")
    }
    np.testing.assert_allclose(by["stream"], by["trajectory"], atol=1e-5)


@pytest.mark.parametrize("sampler", ["daps", "red_diff"])
def test_samplers_that_measure_get_the_operator_of_the_whole_stretch(
    monkeypatch: pytest.MonkeyPatch, sampler: str
) -> None:
    real, seen = getattr(walking, sampler), {}

    def watched(
        told: Denoiser, process: object, x: Tensor, levels: list[float], *rest: object, **more: float
    ):
        forward, observation, noise = rest
        seen.update(x=x, levels=levels, forward=forward, observation=observation, noise=noise, more=more)
        for seen["reached"] in real(told, process, x, levels, *rest, **more):
            yield seen["reached"]

    monkeypatch.setattr(walking, sampler, watched)
    chosen = way("inpaint", None, 10, {"sampler": sampler.replace("_", "-"), "sigma_y": 0.3, "warm": True})
    windows = windows_for(PRIOR, RATE)
    work = stretches(STEREO, HOLED, windows)[:1]
    pieces = list(mend(STEREO, HOLED, work, PRIOR, chosen, 1.3, seed=5))
    first = (work[0].first - 1) * windows.hop - windows.overlap
    frames = windows.hop * (work[0].last - work[0].first + 2)
    count = windows.count(frames) * windows.hop + windows.overlap
    source = torch.zeros(2, count)
    place = torch.arange(first, first + count)
    inside = (place >= 0) & (place < STEREO.frames)
    source[:, inside] = 1.3 * torch.from_numpy(STEREO.samples[:, place[inside]]).float()
    for channel, gaps in enumerate(HOLED.gaps):
        for start, end in gaps:
            source[channel, (place >= start) & (place < end)] = 0
    torch.testing.assert_close(seen["observation"], source)
    assert torch.equal(
        seen["forward"](torch.ones(2, count)) == 0,
        HOLED.operator([first], count, torch.ones(1, 2, dtype=torch.bool), 1.0).forward(torch.ones(2, count))
        == 0,
    )
    assert torch.equal(seen["noise"](1, 0, 0, 9), torch.from_numpy(normal(5, 0, 1, 0, first, first + 9)))
    levels = chosen.levels(SIGMA)
    if sampler == "daps":
        assert seen["levels"] == levels
        assert seen["more"] == pytest.approx(
            {"noise_level": 0.3 * SIGMA, "ode_steps": 5, "ode_end": 0.02 * SIGMA}
        )
    else:
        assert seen["levels"] == levels[:-1]
        assert seen["more"] == pytest.approx({"rate": 0.2 * SIGMA})
        torch.testing.assert_close(
            seen["x"][:, inside], 1.3 * torch.from_numpy(STEREO.samples[:, place[inside]]).float()
        )
    (start, piece), *_ = pieces
    assert start == max(first + windows.overlap, 0)
    assert start + piece.shape[1] == min(first + windows.overlap + frames, STEREO.frames)
    reached = seen["reached"].x[:, start - first : start - first + piece.shape[1]].double().numpy()
    np.testing.assert_array_equal(piece, reached / 1.3)


def test_what_does_not_fit_into_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("audiomend.restorers.options.load_model", lambda *_: PRIOR)
    monkeypatch.setattr(frame, "LONGEST_S", 0.4)
    hop_s = windows_for(PRIOR, RATE).hop / RATE
    with pytest.raises(UsageError, match=r"The sampler daps holds .* too long for it, 0 s are allowed"):
        prepare(STEREO, DULL, 1.0, Options(preset="daps"))
    monkeypatch.setattr(frame, "LONGEST_S", 3.5 * hop_s)
    with pytest.raises(UsageError, match="too long"):  # four windows
        prepare(STEREO, DULL, 1.0, Options(preset="daps"))
    monkeypatch.setattr(frame, "LONGEST_S", 4.5 * hop_s)
    prepare(STEREO, DULL, 1.0, Options(preset="daps"))
    monkeypatch.setattr(frame, "LONGEST_WITH_GRAPH_S", 3.5 * hop_s)
    with pytest.raises(UsageError, match="too long"):  # where the graph is kept
        prepare(STEREO, DULL, 1.0, Options(preset="tds"))
    monkeypatch.setattr(frame, "LONGEST_S", 0.4)
    prepare(STEREO, DULL, 1.0, Options(preset="repaint"))


# --- Samplers without a solver ----------------------------------------------------------------------------


class Given:
    """A stretch of one window that is told its denoiser; every sample counts twice in what is measured."""

    channels, sigma_data = 2, 0.1
    way = way("inpaint", None, 8, {"sampler": "tds", "sigma_y": 0.5})

    def idle(self, start: int, stop: int) -> None:
        return None

    def observation(self, start: int, stop: int) -> Tensor:
        return torch.sin(torch.arange(start, stop) / 7).expand(2, -1) / 5

    def operator(self, start: int, stop: int) -> Mask:
        place = torch.arange(start, stop)
        return Mask(torch.stack([(place < 20) | (place >= 30), place % 3 > 0]))

    def denoiser(self, starts: list[int], length: int, rows: Tensor) -> Denoiser:
        return denoise


WALK = Walk(EDM(), [1.0, 0.4, 0.1, 0.0], heun.heun(), seeded(9), Windows(64, 48))


@pytest.mark.parametrize("length", [32, 48, 100])
def test_a_stretch_comes_out_at_its_length_in_memory_and_as_a_pipeline(length: int) -> None:
    problem = Given()
    by = [
        torch.cat(list(walking.SAMPLERS[name](problem, WALK, problem.observation, length)), dim=-1)
        for name in ("stream", "trajectory")
    ]
    assert by[0].shape == (2, length)
    torch.testing.assert_close(by[0], by[1], rtol=0, atol=1e-5)


def test_rk45_walks_from_the_first_level_to_the_last_and_estimates_there() -> None:
    problem = Given()
    (found,) = walking.SAMPLERS["rk45"](problem, WALK, problem.observation, 32)
    first, stop = WALK.windows.span(WALK.windows.count(32))
    told = windowed(problem, WALK.windows, EDM(), 1)
    x = problem.observation(first, stop) + 1.0 * WALK.noise(0, 0, first, stop)
    *_, last = adaptive(told, EDM(), x, 1.0, 0.1, problem.way.tolerance * problem.sigma_data)
    assert last.t == 0.1
    torch.testing.assert_close(found, told(last.x, 0.1, 0.0).clean[:, -first : 32 - first])


def test_tds_draws_one_particle_of_each_channel_by_its_weight(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Cloud] = []
    real = walking.twisted

    def watched(told: Denoiser, process: EDM, x: Tensor, *rest: object, **more: float) -> Iterator[Cloud]:
        seen.append(Cloud(1.0, x, torch.zeros(0), 0))
        assert more == pytest.approx({"noise_level": 0.05, "sigma_data": 0.1, "longest": 1.0})
        for cloud in real(told, process, x, *rest, **more):
            weights = torch.tensor([[1.0, 4.0], [2.0, 1.0], [4.0, 1.0], [1.0, 2.0]]).log() - 50
            seen.append(replace(cloud, x=x, log_weights=weights))  # no clones of each other
            yield seen[-1]

    monkeypatch.setattr(walking, "twisted", watched)
    problem = Given()
    (found,) = walking.SAMPLERS["tds"](problem, WALK, problem.observation, 32)
    begun, *_, last = seen
    first, stop = WALK.windows.span(WALK.windows.count(32))
    for k in range(PARTICLES):
        noise = normal(9, 0, 0, k, first, stop)
        np.testing.assert_allclose(begun.x[k], problem.observation(first, stop).numpy() + noise, atol=1e-6)
    assert begun.x.shape == (PARTICLES, 2, stop - first)
    u = scipy.stats.norm.cdf(normal(9, 0, len(WALK.levels), 0, first, first + 1))
    heights = np.cumsum(scipy.special.softmax(last.log_weights.numpy(), axis=0), axis=0)
    chosen = [int(np.searchsorted(heights[:, channel], u[0])) for channel in range(2)]
    assert chosen == [1, 0]  # as far as this draw goes: 0.32
    for channel, particle in enumerate(chosen):
        torch.testing.assert_close(found[channel], last.x[particle, channel, -first : 32 - first])


def test_rk45_takes_no_number_of_steps() -> None:
    with pytest.raises(UsageError, match="steps is nothing for the sampler rk45, which chooses its steps"):
        way("inpaint", None, 5, {"sampler": "rk45"})
    with pytest.raises(UsageError, match="quality is nothing for the sampler rk45"):
        way("inpaint", "fast", None, preset="probability-flow")
    assert way("inpaint", None, None, {"sampler": "rk45"}).guidance == "projection"


@pytest.mark.parametrize("sampler", ["rk45", "tds"])
def test_a_sampler_without_a_solver_has_no_previews_and_inverts_nothing(sampler: str) -> None:
    job = prepare(STEREO, HOLED, 1.0, Options(model="wiener", sampler=sampler))
    assert job.settings.startswith(sampler)
    with pytest.raises(UsageError, match=f"The sampler {sampler} walks without a solver"):
        job.pieces(lambda _: None, lambda *_: None)
    with pytest.raises(UsageError, match=f"{sampler} takes no solver"):
        invert(torch.zeros(1, 500), Mask(torch.ones(500) > 0), 500, RATE, walk={"sampler": sampler})


def test_the_cost_of_tds_is_that_of_its_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "seconds_per_evaluation", lambda _, gradient: 100 if gradient else 1)
    some = Options(model="wiener", sampler="tds", steps=8)
    assert prepare(STEREO, HOLED, 1.0, some).estimate_seconds % 800 == 0
