"""Truths of single filters: convolution, the published FIR filters, recursive ones, resampling."""

import math

import numpy as np
import pytest
import torch
from scipy.signal import butter, lfilter

from audiomend.errors import UsageError
from audiomend.operators.compose import Compose
from audiomend.operators.convolution import Convolution
from audiomend.operators.fir import high_pass_fir, low_pass_fir
from audiomend.operators.hard_clip import HardClip
from audiomend.operators.iir import Iir, biquad_low_pass, chebyshev_low_pass
from audiomend.operators.resample import Resample

RATE = 22050.0


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def gain_db(operator, hz, time=1 << 15):
    """Of a steady tone."""
    tone = torch.sin(2 * math.pi * hz * torch.arange(time, dtype=torch.float64) / RATE)
    middle = slice(time // 4, 3 * time // 4)
    return 20 * math.log10(operator.forward(tone)[middle].norm() / tone[middle].norm())


@pytest.mark.parametrize("time", [1, 5, 40, 200])
@pytest.mark.parametrize("delay", [0, 3, 49])
def test_convolution_by_its_definition(time, delay):
    taps, x = noise(50, seed=1), noise(time, seed=2)
    direct = torch.from_numpy(np.convolve(taps, x))[delay:]
    direct = torch.nn.functional.pad(direct, (0, max(time - len(direct), 0)))[:time]
    torch.testing.assert_close(Convolution(taps, delay).forward(x), direct, rtol=0, atol=1e-13)


def test_every_channel_may_have_a_room_of_its_own():
    taps, x = noise(2, 30, seed=1), noise(4, 2, 100, seed=2)
    together = Convolution(taps).forward(x)
    for channel in range(2):
        torch.testing.assert_close(together[:, channel], Convolution(taps[channel]).forward(x[:, channel]))


@pytest.mark.parametrize("delay", [-1, 3])
def test_a_delay_beyond_the_taps_is_refused(delay):
    with pytest.raises(UsageError, match=f"delay is {delay}; it must be from 0 to below 3 taps"):
        Convolution(torch.ones(3), delay)


def test_published_fir_filters():
    """Gain 1/2 at the cut-off, 1 at one end of the spectrum; 21 dB down at the first side lobe, as no window
    gives it."""
    low, high = low_pass_fir(1000, RATE), high_pass_fir(500, RATE)
    assert (len(low.taps), low.delay, len(high.taps), high.delay) == (500, 250, 499, 249)
    for operator, cutoff, lost, kept in (
        (low, 1000, 1000 + RATE / 500, 100),
        (high, 500, 500 - RATE / 500, 5000),
    ):
        assert gain_db(operator, cutoff) == pytest.approx(-6, abs=0.2)
        assert gain_db(operator, lost) == pytest.approx(-21, abs=1)
        assert gain_db(operator, kept) == pytest.approx(0, abs=0.1)
    assert low.taps.sum() == pytest.approx(1)
    assert (high.taps * (-1.0) ** torch.arange(499)).sum().abs() == pytest.approx(1)


def test_odd_filters_do_not_shift_and_even_ones_shift_forward_by_half_a_sample():
    impulse = torch.zeros(1001, dtype=torch.float64)
    impulse[500] = 1
    centred, moved = high_pass_fir(500, RATE).forward(impulse), low_pass_fir(1000, RATE).forward(impulse)
    torch.testing.assert_close(centred, centred.flip(0), rtol=0, atol=1e-15)
    torch.testing.assert_close(moved[:-1], moved[:-1].flip(0), rtol=0, atol=1e-15)
    assert centred.abs().argmax() == 500


@pytest.mark.parametrize("filter_", [chebyshev_low_pass(1000, RATE), biquad_low_pass(1000, RATE)])
@pytest.mark.parametrize("time", [1, 2, 3001])
def test_recursive_filters_by_recursion(filter_, time):
    x = noise(3, time)
    direct = torch.from_numpy(lfilter(filter_.b, filter_.a, x.numpy()))
    torch.testing.assert_close(filter_.forward(x), direct, rtol=0, atol=1e-11)


def test_chebyshev_ripples_up_to_its_cutoff_and_then_falls_by_more_than_36_db_an_octave():
    operator = chebyshev_low_pass(1000, RATE)
    assert gain_db(operator, 1000) == pytest.approx(-0.05, abs=0.002)
    ripple = [gain_db(operator, hz) for hz in range(100, 1000, 50)]
    assert min(ripple) == pytest.approx(-0.05, abs=0.004)
    assert max(ripple) == pytest.approx(0, abs=0.008)
    assert gain_db(operator, 500) - gain_db(operator, 2000) > 36


def test_biquad_has_gain_q_at_its_cutoff_and_falls_by_12_db_an_octave():
    for q in (0.707, 2.0):
        operator = biquad_low_pass(200, RATE, q)
        assert gain_db(operator, 200) == pytest.approx(20 * math.log10(q), abs=0.01)
        assert gain_db(operator, 20) == pytest.approx(0, abs=0.1)
        assert gain_db(operator, 800) - gain_db(operator, 1600) == pytest.approx(12.2, abs=0.6)
    assert biquad_low_pass(1000, RATE) == biquad_low_pass(1000, RATE, 0.707)


@pytest.mark.parametrize("cutoff", [20, 1000, 3900])
def test_biquad_of_q_1_over_sqrt_2_is_butterworths_filter(cutoff):
    operator = biquad_low_pass(cutoff, RATE, math.sqrt(0.5))
    b, a = butter(2, cutoff, fs=RATE)
    np.testing.assert_allclose(np.array(operator.b) / operator.a[0], b, rtol=1e-9)
    np.testing.assert_allclose(np.array(operator.a) / operator.a[0], a, rtol=1e-9)


@pytest.mark.parametrize("a", [(), (0.0, 1.0)])
def test_a_denominator_without_its_first_number_is_refused(a):
    with pytest.raises(UsageError, match="must begin with a number other than 0"):
        Iir((1.0,), a)


def test_parts_are_applied_in_their_order():
    x = 3 * noise(100)
    filtered = biquad_low_pass(5000, RATE).forward(x)
    both = Compose((biquad_low_pass(5000, RATE), HardClip(-1.0, 1.0))).forward(x)
    assert torch.equal(both, filtered.clamp(-1, 1))
    assert not torch.equal(both, filtered)
    assert torch.equal(Compose(()).forward(x), x)


@pytest.mark.parametrize(
    ("rate_in", "rate_out", "time"), [(1102, 100, 700), (3, 2, 50), (2, 3, 50), (4, 4, 9)]
)
def test_resampling_by_its_definition(rate_in, rate_out, time):
    """y[j] = Σ_i h(i / rate_in − j / rate_out) x[i] with h(t) = sinc(c t) cos²(π c t / 12) c / rate_in."""
    operator, x = Resample(rate_in, rate_out, time), noise(time)
    c = 0.99 * min(rate_in, rate_out)
    outputs = -(-time * rate_out // rate_in)
    t = c * (np.arange(time)[None] / rate_in - np.arange(outputs)[:, None] / rate_out)
    h = np.where(np.abs(t) < 6, np.sinc(t) * np.cos(np.pi * t / 12) ** 2, 0) * c / rate_in
    torch.testing.assert_close(operator.forward(x), torch.from_numpy(h @ x.numpy()), rtol=0, atol=1e-12)


def test_resampling_keeps_a_slow_tone_and_loses_a_fast_one():
    time = torch.arange(22050, dtype=torch.float64) / RATE
    operator = Resample(22050, 11025, 22050)
    for hz, expected in ((500, 1.0), (9000, 0.0)):
        slow = operator.forward(torch.sin(2 * math.pi * hz * time))
        target = expected * torch.sin(2 * math.pi * hz * time[::2])
        assert (slow - target)[100:-100].abs().max() < 0.02


@pytest.mark.parametrize("arguments", [(0, 1, 5), (1, 0, 5), (1, 1, 0)])
def test_impossible_rates_are_refused(arguments):
    with pytest.raises(UsageError, match="both rates and the length must be at least 1"):
        Resample(*arguments)


def test_kernels_made_without_gradient_serve_with_gradient():
    operator, x = Resample(7, 13, 30), noise(30)  # rates that no other test has
    with torch.inference_mode():
        operator.forward(x)
    x.requires_grad_()
    operator.forward(x).square().sum().backward()
    torch.testing.assert_close(x.grad, 2 * operator.adjoint(operator.forward(x.detach())))


@pytest.mark.parametrize("make", [low_pass_fir, high_pass_fir, chebyshev_low_pass, biquad_low_pass])
@pytest.mark.parametrize("cutoff", [0.0, -1.0, 11025.0, math.nan])
def test_a_cutoff_out_of_range_is_refused(make, cutoff):
    with pytest.raises(UsageError, match=r"cutoff_hz is .* above 0 and below 11025 Hz"):
        make(cutoff, RATE)


def test_a_high_pass_of_even_length_is_refused():
    with pytest.raises(UsageError, match="500 taps would block half the rate; their number must be odd"):
        high_pass_fir(500, RATE, taps=500)
