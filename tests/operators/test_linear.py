"""Truths of every linear damage: adjoint, pseudo-inverse, projection, rows, lengths, silence, gradients."""

import math

import pytest
import torch

from audiomend.errors import UsageError
from audiomend.operators.band_gap import BandGap, BandPass
from audiomend.operators.compose import ComposeLinear
from audiomend.operators.convolution import Convolution
from audiomend.operators.decimate import Decimate
from audiomend.operators.fir import high_pass_fir, low_pass_fir
from audiomend.operators.iir import Iir, biquad_low_pass, chebyshev_low_pass
from audiomend.operators.least_squares import damped
from audiomend.operators.low_pass import LowPass
from audiomend.operators.mask import Mask
from audiomend.operators.mixture import Mixture
from audiomend.operators.resample import Resample
from audiomend.operators.time_frequency_mask import TimeFrequencyMask, frames

RATE = 8000.0


def noise(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def room(taps, seed=8):
    decay = torch.exp(-4 * torch.arange(taps) / taps)
    return noise(taps, seed=seed) * decay


def spectrogram_mask(time):
    weight = torch.rand(frames(time, 32), 17, generator=torch.Generator().manual_seed(5))
    return TimeFrequencyMask(weight.double().round(decimals=1), window=32)


def band_gap(time):
    weight = torch.rand(time, generator=torch.Generator().manual_seed(9)).double()
    return BandGap(BandPass(((0, 300), (1000, 2500)), RATE), weight)


EXACT = {
    "random samples": lambda time: Mask.random(time, 0.4, torch.Generator().manual_seed(6)),
    "decimate": lambda time: Decimate(3, time),
    "mixture": lambda time: Mixture((1.0, -0.5, 2.0)),
}
REGULARISED = {
    "room": lambda time: Convolution(room(40), delay=3),
    "room longer than the signal": lambda time: Convolution(room(400), delay=250),
    "FIR low-pass": lambda time: low_pass_fir(1000, RATE, taps=50),
    "FIR high-pass": lambda time: high_pass_fir(500, RATE, taps=49),
    "Chebyshev": lambda time: chebyshev_low_pass(1000, RATE),
    "biquad": lambda time: biquad_low_pass(1000, RATE),
    "down": lambda time: Resample(11, 5, time),
    "up": lambda time: Resample(200, 300, time),
    "time-frequency": spectrogram_mask,
    "band gap": band_gap,
    "one after another": lambda time: ComposeLinear(
        (Mixture((1.0, -0.5, 2.0)), biquad_low_pass(1000, RATE), Decimate(2, time))
    ),
}
LINEAR = {**EXACT, **REGULARISED}
LENGTHS = [1, 2, 63, 64]


def dense(operator, time):
    """The matrix of the operator on a stack of three signals, which some couple: (m, 3 time)."""
    units = torch.eye(3 * time, dtype=torch.float64).reshape(-1, 3, time)
    return operator.forward(units).flatten(1).T


def dense_pinv(operator, time):
    shape = operator.forward(noise(3, time)).shape
    units = torch.eye(math.prod(shape), dtype=torch.float64).reshape(-1, *shape)
    return operator.pinv(units).flatten(1).T


@pytest.mark.parametrize("time", LENGTHS)
@pytest.mark.parametrize("make", LINEAR.values(), ids=LINEAR)
def test_adjoint_moves_the_operator_across_the_inner_product(make, time):
    operator, x = make(time), noise(2, 3, time, seed=1)
    image = operator.forward(x)
    v = noise(*image.shape, seed=2)
    left, right = (image * v).sum(), (x * operator.adjoint(v)).sum()
    assert abs(left - right) <= 1e-12 * image.norm() * v.norm()
    assert operator.adjoint(v).shape == x.shape


@pytest.mark.parametrize("make", LINEAR.values(), ids=LINEAR)
def test_adjoint_is_what_autograd_takes_back(make):
    operator, x = make(63), noise(3, 63, seed=1).requires_grad_()
    image = operator.forward(x)
    v = noise(*image.shape, seed=2)
    (gradient,) = torch.autograd.grad((image * v).sum(), x)
    torch.testing.assert_close(gradient, operator.adjoint(v), rtol=0, atol=1e-12)


@pytest.mark.parametrize("make", EXACT.values(), ids=EXACT)
def test_pinv_satisfies_the_penrose_identities(make):
    operator = make(20)
    a, p = dense(operator, 20), dense_pinv(operator, 20)
    for left, right in ((a @ p @ a, a), (p @ a @ p, p), ((a @ p).T, a @ p), ((p @ a).T, p @ a)):
        torch.testing.assert_close(left, right, rtol=0, atol=1e-14)


@pytest.mark.parametrize("time", [1, 21])
@pytest.mark.parametrize("make", REGULARISED.values(), ids=REGULARISED)
def test_pinv_is_the_regularised_least_squares_solution(make, time):
    operator = make(time)
    a = dense(operator, time)
    direct = torch.linalg.solve(a.T @ a + operator.epsilon * torch.eye(3 * time).double(), a.T)
    torch.testing.assert_close(dense_pinv(operator, time), direct, rtol=0, atol=1e-7)
    assert operator.epsilon == 1e-4


@pytest.mark.parametrize("make", EXACT.values(), ids=EXACT)
def test_projection_is_exact_nearest_and_idle_where_nothing_is_wrong(make):
    operator, clean, x = make(64), noise(3, 64, seed=1), noise(3, 64, seed=2)
    y = operator.forward(clean)
    nearest = operator.project(x, y)
    torch.testing.assert_close(operator.forward(nearest), y, rtol=0, atol=1e-14)
    torch.testing.assert_close(operator.project(clean, y), clean, rtol=0, atol=1e-14)
    others = operator.project(3 * noise(100, 3, 64, seed=3), y)
    assert ((x - nearest) * (others - nearest)).sum((-2, -1)).abs().max() <= 1e-12  # the set is affine


@pytest.mark.parametrize("make", REGULARISED.values(), ids=REGULARISED)
def test_projection_minimises_its_objective(make):
    """The gradient of ‖A z − y‖² + epsilon ‖z − x‖² vanishes at z, for a y that no signal explains."""
    operator, x = make(64), noise(3, 64, seed=1)
    y = noise(*operator.forward(x).shape, seed=2)
    z = operator.project(x, y)
    gradient = operator.adjoint(operator.forward(z) - y) + operator.epsilon * (z - x)
    assert gradient.norm() < 1e-8 * y.norm()


@pytest.mark.parametrize("time", LENGTHS)
@pytest.mark.parametrize("make", LINEAR.values(), ids=LINEAR)
def test_a_row_does_not_know_of_the_others(make, time):
    operator, x, y = make(time), noise(2, 3, time, seed=1), noise(2, 3, time, seed=2)
    for method in (operator.forward, lambda z: operator.project(z, operator.forward(y[: len(z)]))):
        together = method(torch.stack((x[0], 1000 * x[1])))[0]
        torch.testing.assert_close(together, method(x[:1])[0], rtol=0, atol=1e-8)
    torch.testing.assert_close(operator.forward(x)[1], operator.forward(x[1]), rtol=0, atol=1e-14)


@pytest.mark.parametrize("make", LINEAR.values(), ids=LINEAR)
def test_silence_stays_silence(make):
    operator, silence = make(63), torch.zeros(2, 3, 63)
    y = operator.forward(silence)
    assert torch.equal(y, torch.zeros_like(y))
    assert torch.equal(operator.project(silence, y), silence)
    assert torch.equal(operator.pinv(y), silence)


@pytest.mark.parametrize("make", LINEAR.values(), ids=LINEAR)
def test_float32_follows_float64_and_arguments_are_not_changed(make):
    operator, x, y = make(63), noise(2, 3, 63, seed=1), noise(2, 3, 63, seed=2)
    for method in (operator.forward, lambda z: operator.project(z, operator.forward(y).to(z.dtype))):
        single = method(x.float())
        assert single.dtype == torch.float32
        assert (single - method(x)).abs().max() < 1e-5 / operator_floor(operator)
    assert torch.equal(x, noise(2, 3, 63, seed=1))
    assert torch.equal(y, noise(2, 3, 63, seed=2))


def operator_floor(operator):
    """A regularised inverse may raise rounding errors by 1 / (2 √epsilon)."""
    return 2 * math.sqrt(getattr(operator, "epsilon", 0.25))


@pytest.mark.parametrize("epsilon", [1e-3, 0.3])
def test_damped_least_squares_on_either_side(epsilon):
    """Aᵀ (A Aᵀ + epsilon I)⁻¹ for a tall and a wide A, of the number format that came."""
    for operator in (LowPass(1000, RATE), Resample(2, 3, 40), Resample(3, 2, 40)):
        a = operator.forward(torch.eye(40, dtype=torch.float64)).T
        y = noise(2, len(a), seed=4)
        direct = torch.linalg.solve(a @ a.T + epsilon * torch.eye(len(a)).double(), y.T).T @ a
        torch.testing.assert_close(damped(operator, y, epsilon), direct, rtol=0, atol=1e-7)
        assert damped(operator, y.float(), epsilon).dtype == torch.float32


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda e: Convolution(torch.ones(3), epsilon=e), "Convolution: epsilon is .* above 0"),
        (lambda e: Iir((1.0,), (1.0,), e).forward(torch.ones(3)), "epsilon is .* above 0"),
        (lambda e: Resample(1, 2, 3, e), "Resample: epsilon is .* above 0"),
        (lambda e: TimeFrequencyMask(torch.ones(4, 17), 32, e), "Mask: epsilon is .* above 0"),
        (lambda e: ComposeLinear((), e), "ComposeLinear: epsilon is .* above 0"),
    ],
)
@pytest.mark.parametrize("epsilon", [0.0, -1.0, math.nan])
def test_an_epsilon_out_of_range_is_refused(make, message, epsilon):
    with pytest.raises(UsageError, match=message):
        make(epsilon)
