"""Truths of the damages: what an operator, its adjoint, pseudo-inverse and projection must satisfy."""

import math
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from scipy.signal import firwin, kaiserord

from audiomend.errors import UsageError
from audiomend.operators.hard_clip import HardClip, threshold_for_sdr, threshold_of_blocks
from audiomend.operators.low_pass import LowPass
from audiomend.operators.mask import Mask

RATE = 8000.0
PAGE = Path(__file__).parent.parent / "docs" / "add-a-degradation.md"


def noise(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def mask(time, seed=7):
    return Mask(noise(time, seed=seed) > -0.3)


def dense(operator, time):
    """The matrix of a linear operator: its images of the unit vectors, as columns."""
    return operator.forward(torch.eye(time, dtype=torch.float64)).T


LINEAR = {
    "mask": lambda time: mask(time),
    "mask per channel": lambda time: Mask(noise(3, time, seed=3) > 0),
    "low-pass": lambda time: LowPass(1000, RATE),
    "low-pass, wide": lambda time: LowPass(3500, RATE, transition=0.5),
}
EXACT = {
    "mask": lambda time: mask(time),
    "clip": lambda time: HardClip(-0.7, 0.4),
    "clip per channel": lambda time: HardClip(
        torch.tensor([[-0.1], [-1.5], [-math.inf]]), torch.tensor([[0.2], [math.inf], [0.9]])
    ),
}
ALL = {**LINEAR, **EXACT}
LENGTHS = [1, 2, 255, 256]


@pytest.mark.parametrize("time", LENGTHS)
@pytest.mark.parametrize("make", LINEAR.values(), ids=LINEAR)
def test_adjoint_moves_the_operator_across_the_inner_product(make, time):
    operator, x, v = make(time), noise(3, time, seed=1), noise(3, time, seed=2)
    left, right = (operator.forward(x) * v).sum(), (x * operator.adjoint(v)).sum()
    scale = operator.forward(x).norm() * v.norm()
    assert abs(left - right) <= 1e-12 * scale


@pytest.mark.parametrize("time", LENGTHS)
@pytest.mark.parametrize("make", EXACT.values(), ids=EXACT)
def test_projection_agrees_with_the_observation(make, time):
    operator = make(time)
    observation = operator.forward(noise(3, time, seed=1))
    projected = operator.project(noise(3, time, seed=2), observation)
    assert torch.equal(operator.forward(projected), observation)


@pytest.mark.parametrize("make", EXACT.values(), ids=EXACT)
def test_projection_leaves_a_consistent_signal_alone(make):
    operator, clean = make(256), noise(3, 256, seed=1)
    assert torch.equal(operator.project(clean, operator.forward(clean)), clean)


@pytest.mark.parametrize("make", EXACT.values(), ids=EXACT)
def test_projection_is_the_nearest_consistent_signal(make):
    """The consistent set is convex, so P is nearest to x exactly if <x − P, z − P> <= 0 for all z in it."""
    operator, clean, x = make(256), noise(3, 256, seed=1), noise(3, 256, seed=2)
    observation = operator.forward(clean)
    nearest = operator.project(x, observation)
    others = operator.project(3 * noise(500, 3, 256, seed=3), observation)
    assert ((x - nearest) * (others - nearest)).sum((-2, -1)).max() <= 1e-9
    assert torch.all((x - nearest).norm() <= (x - others).norm(dim=(-2, -1)))


@pytest.mark.parametrize("make", ALL.values(), ids=ALL)
def test_a_row_does_not_know_of_the_others(make):
    operator, x, y = make(255), noise(2, 3, 255, seed=1), noise(2, 3, 255, seed=2)
    for method in (operator.forward, lambda z: operator.project(z, operator.forward(y))):
        assert torch.allclose(method(x)[0], method(torch.stack([x[0], 1000 * x[1]]))[0], rtol=0, atol=1e-14)
    assert torch.allclose(operator.project(x, y)[1], operator.project(x[1], y[1]), rtol=0, atol=1e-13)


@pytest.mark.parametrize("make", ALL.values(), ids=ALL)
def test_silence_stays_silence(make):
    operator, silence = make(100), torch.zeros(3, 100)
    assert torch.equal(operator.forward(silence), silence)
    assert torch.equal(operator.project(silence, silence), silence)


@pytest.mark.parametrize("make", ALL.values(), ids=ALL)
def test_float32_follows_float64(make):
    operator, x, y = make(255), noise(3, 255, seed=1), noise(3, 255, seed=2)
    for method in (operator.forward, lambda z: operator.project(z, operator.forward(y).to(z.dtype))):
        single = method(x.float())
        assert single.dtype == torch.float32
        assert (single - method(x)).abs().max() < 2e-5


@pytest.mark.parametrize("make", ALL.values(), ids=ALL)
def test_arguments_are_not_changed(make):
    operator, x, y = make(64), noise(3, 64, seed=1), noise(3, 64, seed=2)
    operator.forward(x), operator.project(x, y), operator.condition(y)
    assert torch.equal(x, noise(3, 64, seed=1))
    assert torch.equal(y, noise(3, 64, seed=2))


# --- Mask ---------------------------------------------------------------------------------------------


def test_mask_satisfies_the_penrose_identities():
    operator = mask(40)
    a, p = dense(operator, 40), operator.pinv(torch.eye(40, dtype=torch.float64)).T
    for left, right in ((a @ p @ a, a), (p @ a @ p, p), ((a @ p).T, a @ p), ((p @ a).T, p @ a)):
        assert torch.equal(left, right)


def test_mask_keeps_known_samples_to_the_bit_and_zeroes_the_others():
    operator = Mask(torch.tensor([True, False, True, False]))
    y = operator.forward(torch.tensor([-0.0, 3.0, 1e-42, math.nan]))
    assert y.tolist() == [0.0, 0.0, torch.tensor(1e-42).item(), 0.0]
    assert torch.signbit(y[0])


def test_gaps_are_placed_by_their_position_in_the_file():
    known = Mask.from_gaps([(8, 10), (12, 13), (18, 25), (0, 3), (30, 40)], 10, 20).known
    assert known.tolist() == [True, True, False, True, True, True, True, True, False, False]


def test_a_stretch_before_the_file_can_be_asked_for():
    assert Mask.from_gaps([(1, 2)], -2, 3).known.tolist() == [True, True, True, False, True]


def test_a_gap_beyond_the_stretch_on_its_left_touches_nothing():
    assert Mask.from_gaps([(2, 7)], 10, 20).known.all()


@pytest.mark.parametrize("gap", [(5, 5), (5, 3)])
def test_an_empty_gap_is_refused(gap):
    with pytest.raises(UsageError, match="from sample 5 to"):
        Mask.from_gaps([gap], 0, 10)


def test_a_mask_of_numbers_is_refused():
    with pytest.raises(UsageError, match=r"float32.*bool"):
        Mask(torch.ones(3))


def test_mask_hides_what_lies_in_the_gap_from_the_network():
    condition = Mask(torch.tensor([True, False])).condition(torch.tensor([[3.0, 4.0], [5.0, 6.0]]))
    assert condition.observation.tolist() == [[3.0, 0.0], [5.0, 0.0]]
    assert condition.unknown.tolist() == [[0.0, 1.0], [0.0, 1.0]]
    assert condition.clip.tolist() == [[0.0, 0.0], [0.0, 0.0]]
    assert condition.cutoff_hz.tolist() == [math.inf, math.inf]


# --- HardClip -----------------------------------------------------------------------------------------


def test_clip_cuts_each_polarity_at_its_level():
    y = HardClip(-0.5, 0.25).forward(torch.tensor([-2.0, -0.5, -0.4, 0.2, 0.25, 0.3, math.inf]))
    assert y.tolist() == pytest.approx([-0.5, -0.5, -0.4, 0.2, 0.25, 0.25, 0.25])


def test_clip_passes_the_gradient_of_unclipped_samples_only():
    x = torch.tensor([-1.0, 0.1, 0.4], requires_grad=True)
    HardClip(-0.5, 0.25).forward(x).sum().backward()
    assert x.grad.tolist() == [0.0, 1.0, 0.0]


def test_clip_projects_each_sample_on_its_interval():
    observation = torch.tensor([-0.5, -0.5, -0.4, 0.2, 0.25, 0.25])
    x = torch.tensor([-0.7, -0.3, -0.9, 0.9, 0.2, 0.6])
    projected = HardClip(-0.5, 0.25).project(x, observation)
    assert projected.tolist() == pytest.approx([-0.7, -0.5, -0.4, 0.2, 0.25, 0.6])


def test_clip_counts_samples_beyond_the_level_as_clipped():
    """A detected level lies a tolerance below the flat tops."""
    projected = HardClip(-0.5, 0.5).project(torch.tensor([0.1, 0.9, -0.1]), torch.tensor([0.51, 0.52, -0.53]))
    assert projected.tolist() == pytest.approx([0.5, 0.9, -0.5])


def test_clip_tells_the_network_the_signed_level_of_clipped_samples():
    level = torch.tensor([[0.25], [0.5]])
    observation = torch.tensor([[-0.25, 0.1, 0.25], [-0.25, 0.6, -0.7]])
    condition = HardClip(-level, level).condition(observation)
    assert torch.equal(condition.observation, observation)
    assert condition.unknown.tolist() == [[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]]
    assert condition.clip.tolist() == [[-0.25, 0.0, 0.25], [0.0, 0.5, -0.5]]
    assert condition.cutoff_hz.tolist() == [math.inf, math.inf]
    unlike = HardClip(-0.5, 0.25).condition(torch.tensor([[-0.5, 0.1, 0.25]]))
    assert unlike.clip.tolist() == [[-0.5, 0.0, 0.25]]


def test_levels_given_as_numbers_equal_float32_samples():
    clipped = HardClip(-0.1, 0.1).forward(noise(1, 50, dtype=torch.float32))
    assert HardClip(-0.1, 0.1).condition(clipped).unknown.sum() == (clipped.abs() > 0.0999999).sum() > 30


@pytest.mark.parametrize(("low", "high"), [(0.5, 0.5), (1.0, -1.0), (torch.tensor([[-1.0], [2.0]]), 1.0)])
def test_levels_in_the_wrong_order_are_refused(low, high):
    with pytest.raises(UsageError, match="low must be below high"):
        HardClip(low, high)


@pytest.mark.parametrize("sdr_db", [0.01, 1, 3, 5, 10, 15, 20, 60, 100])
def test_the_level_for_a_requested_sdr(sdr_db):
    x = noise(4, 3001) * torch.tensor([[1.0], [1e-4], [300.0], [1.0]], dtype=torch.float64)
    x[3] = x[3] ** 5  # a few high peaks
    level = threshold_for_sdr(x, sdr_db)
    distortion = x - HardClip(-level, level).forward(x)
    assert level.shape == (4, 1)
    assert (20 * torch.log10(x.norm(dim=-1) / distortion.norm(dim=-1)) - sdr_db).abs().max() < 1e-6


@pytest.mark.parametrize("sdr_db", [0.5, 5.0, 40.0])
def test_the_level_is_found_block_by_block_too(sdr_db):
    x = noise(1, 4000, seed=6)
    level = threshold_of_blocks(
        lambda: (x[0, at : at + 700].reshape(2, -1) for at in range(0, 4000, 700)), sdr_db
    )
    assert level == pytest.approx(threshold_for_sdr(x, sdr_db).item(), rel=1e-12)


def test_the_level_for_an_sdr_of_a_single_sample():
    level = threshold_for_sdr(torch.tensor([-0.8], dtype=torch.float64), 20.0)
    assert level.item() == pytest.approx(0.72, rel=1e-9)  # it leaves a tenth of the sample as error


def test_a_silent_row_has_no_level():
    with pytest.raises(UsageError, match=r"Row 1 is silent .* 5 dB"):
        threshold_for_sdr(torch.tensor([[1.0, 2.0], [0.0, 0.0]]), 5.0)


@pytest.mark.parametrize("sdr_db", [0.0, -3.0, 101.0, math.nan, math.inf])
def test_an_sdr_that_clipping_cannot_give_is_refused(sdr_db):
    with pytest.raises(UsageError, match=r"sdr_db is .* above 0 and up to 100 dB"):
        threshold_for_sdr(torch.ones(2), sdr_db)


# --- LowPass ------------------------------------------------------------------------------------------


def gain(operator, hz):
    """Frequency response at these frequencies, by its definition."""
    taps = operator.taps
    n = torch.arange(len(taps), dtype=torch.float64) - len(taps) // 2
    angle = 2 * math.pi * torch.as_tensor(hz, dtype=torch.float64)[:, None] * n / operator.sample_rate
    return (taps * torch.exp(-1j * angle)).sum(-1)


@pytest.mark.parametrize(
    ("cutoff", "rate", "transition"), [(3000, 44100, 0.1), (8000, 44100, 0.4), (90, 8000, 0.5)]
)
def test_low_pass_response(cutoff, rate, transition):
    operator = LowPass(cutoff, rate, transition)
    width = transition * cutoff
    passed = gain(operator, torch.linspace(0, cutoff - width / 2, 200))
    stopped = gain(operator, torch.linspace(cutoff + width / 2, rate / 2, 200))
    assert (passed - 1).abs().max() < 1.6e-4
    assert stopped.abs().max() < 1.6e-4
    assert gain(operator, [0.0])[0].real == pytest.approx(1, abs=1e-12)
    assert gain(operator, [cutoff])[0].real == pytest.approx(0.5, abs=2e-3)


def test_low_pass_is_no_longer_than_its_transition_needs():
    """Inside the transition, a fifth from its edges, the gain is well away from 1 and from 0."""
    early, late = gain(LowPass(3000, 44100, 0.1), [3000 - 150 * 0.6, 3000 + 150 * 0.6]).abs()
    assert 0.9 < early < 0.995
    assert 0.005 < late < 0.1


@pytest.mark.parametrize(("cutoff", "length"), [(3000, 739), (2900, 765), (2904, 765), (16_000, 141)])
def test_low_pass_taps_are_a_sinc_under_a_kaiser_window(cutoff, length):
    """As many as Kaiser's formulas say for 80 dB, and one more where that number is even."""
    count, beta = kaiserord(80, 0.1 * cutoff / 22_050)
    assert length - count in (0, 1)
    expected = torch.from_numpy(firwin(length, cutoff, window=("kaiser", beta), fs=44100))
    assert torch.allclose(LowPass(cutoff, 44100).taps, expected, rtol=0, atol=1e-15)


def test_low_pass_does_not_shift():
    impulse = torch.zeros(2001, dtype=torch.float64)
    impulse[1000] = 1
    response = LowPass(500, RATE).forward(impulse)
    assert torch.allclose(response, response.flip(0), rtol=0, atol=1e-15)
    assert response.argmax() == 1000


@pytest.mark.parametrize("time", [1, 2, 30, 501, 1000])
def test_low_pass_by_fft_is_the_direct_convolution(time):
    operator, x = LowPass(1000, RATE), noise(time)
    half = len(operator.taps) // 2
    padded = torch.nn.functional.pad(x, (half, half))
    direct = torch.nn.functional.conv1d(padded[None, None], operator.taps.flip(0)[None, None])[0, 0]
    assert torch.allclose(operator.forward(x), direct, rtol=0, atol=1e-14)


@pytest.mark.parametrize("epsilon", [1e-2, 1e-4, 1e-6])
def test_low_pass_pinv_is_the_regularised_least_squares_solution(epsilon):
    operator, y = LowPass(1000, RATE, epsilon=epsilon), noise(3, 301)
    a = dense(operator, 301)
    direct = torch.linalg.solve(a.T @ a + epsilon * torch.eye(301), a.T @ y.T).T
    assert (operator.pinv(y) - direct).norm() < 1e-7 * direct.norm()


def test_low_pass_halves_what_lies_at_the_edge_of_its_default_regularisation():
    """A tone where the gain h is 1/100, h² = epsilon, comes back as h / (h² + epsilon) = 50 times itself."""
    operator = LowPass(1000, RATE)
    hz = torch.linspace(1000, 1050, 5001)
    edge = hz[(gain(operator, hz).abs() - 0.01).abs().argmin()].double()
    tone = torch.sin(2 * math.pi * edge * torch.arange(20000, dtype=torch.float64) / RATE)
    middle = slice(8000, 12000)
    assert (operator.pinv(tone)[middle].norm() / tone[middle].norm()).item() == pytest.approx(50, rel=0.01)


def test_low_pass_pinv_tends_to_the_penrose_identities():
    """A A⁺ A − A shrinks as √epsilon / 2, whatever the spectrum of A; the products are symmetric."""
    for epsilon in (1e-2, 1e-4, 1e-6):
        operator = LowPass(1000, RATE, epsilon=epsilon)
        a, p = dense(operator, 200), operator.pinv(torch.eye(200, dtype=torch.float64)).T
        assert torch.linalg.matrix_norm(a @ p @ a - a, 2) <= math.sqrt(epsilon) / 2 * (1 + 1e-6)
        assert torch.allclose(a @ p, (a @ p).T, rtol=0, atol=1e-7)
        assert torch.allclose(p @ a, (p @ a).T, rtol=0, atol=1e-7)


def test_low_pass_projection_minimises_its_objective():
    """The gradient of ‖A z − y‖² + epsilon ‖z − x‖² vanishes at z, for a y that no signal explains."""
    operator, x, y = LowPass(1000, RATE, epsilon=1e-3), noise(2, 401, seed=1), noise(2, 401, seed=2)
    z = operator.project(x, y)
    gradient = operator.adjoint(operator.forward(z) - y) + 1e-3 * (z - x)
    assert gradient.norm() < 1e-9 * y.norm()


def test_low_pass_projection_approaches_the_observation():
    """A P − y is at most √epsilon / 2 of the correction x needs, for a y that x0 explains."""
    clean, x = noise(1, 500, seed=1), noise(1, 500, seed=2)
    for epsilon in (1e-2, 1e-4, 1e-6):
        operator = LowPass(1000, RATE, epsilon=epsilon)
        y = operator.forward(clean)
        misfit = operator.forward(operator.project(x, y)) - y
        assert misfit.norm() <= math.sqrt(epsilon) / 2 * (clean - x).norm() * (1 + 1e-6)


def band_level(x, low, high, rate):
    spectrum = torch.fft.rfft(x * torch.hann_window(x.shape[-1], dtype=x.dtype)).abs()
    hz = torch.arange(len(spectrum)) * rate / x.shape[-1]
    return spectrum[(hz >= low) & (hz < high)].norm()


def test_replaced_band_comes_from_the_observation_and_the_rest_from_x():
    rate = 44100
    operator, x, observation = LowPass(3000, rate), noise(20000, seed=1), noise(20000, seed=2)
    mended = operator.replace_band(x, observation)
    below = band_level(mended - observation, 0, 2840, rate) / band_level(observation, 0, 2840, rate)
    above = band_level(mended - x, 3160, rate / 2, rate) / band_level(x, 3160, rate / 2, rate)
    assert 20 * torch.log10(below) < -75
    assert 20 * torch.log10(above) < -75


def test_replaced_band_of_itself_changes_nothing():
    x = noise(500)
    assert torch.equal(LowPass(3000, 44100).replace_band(x, x), x)


def test_low_pass_tells_the_network_its_cutoff():
    observation = noise(2, 10)
    condition = LowPass(1234, RATE).condition(observation)
    assert torch.equal(condition.observation, observation)
    assert condition.unknown.abs().sum() == condition.clip.abs().sum() == 0
    assert condition.unknown.shape == condition.clip.shape == (2, 10)
    assert condition.cutoff_hz.tolist() == [1234, 1234]


@pytest.mark.parametrize("cutoff", [19.9, 4000.0, 5000.0, -1.0, math.nan])
def test_a_cutoff_out_of_range_is_refused(cutoff):
    with pytest.raises(UsageError, match=r"cutoff_hz is .* from 20 Hz to below 4000 Hz"):
        LowPass(cutoff, RATE)


def test_the_lowest_cutoff_is_allowed():
    assert LowPass(20, RATE).taps.sum() == pytest.approx(1)


@pytest.mark.parametrize("transition", [0.0, 1.01, math.nan])
def test_a_transition_out_of_range_is_refused(transition):
    with pytest.raises(UsageError, match=r"transition is .* above 0 and at most 1"):
        LowPass(1000, RATE, transition)


@pytest.mark.parametrize("epsilon", [0.0, -1.0, math.nan])
def test_an_epsilon_out_of_range_is_refused(epsilon):
    with pytest.raises(UsageError, match=r"epsilon is .* above 0"):
        LowPass(1000, RATE, epsilon=epsilon)


# --- docs/add-a-degradation.md ------------------------------------------------------------------------


def test_the_page_about_a_new_degradation_works_as_shown(tmp_path):
    """Its two files run in a folder of their own, which the package's operators are extended by."""
    files = dict(
        re.findall(
            r"^## [^\n]*`([^`\n]+\.py)`\n.*?^```python\n(.*?)^```",
            PAGE.read_text(encoding="utf-8"),
            re.S | re.M,
        )
    )
    operator, proof = "src/audiomend/operators/sample_hold.py", "tests/test_sample_hold.py"
    assert list(files) == [operator, proof]
    (tmp_path / "sample_hold.py").write_text(files[operator], encoding="utf-8")
    (tmp_path / "conftest.py").write_text(
        f"import audiomend.operators\naudiomend.operators.__path__.append({str(tmp_path)!r})\n"
    )
    (tmp_path / "test_sample_hold.py").write_text(files[proof], encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-W",
        "error",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        tmp_path,
    ]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTEST_ADDOPTS": ""}
    run = subprocess.run([*command, tmp_path], capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "12 passed" in run.stdout
