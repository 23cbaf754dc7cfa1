"""Denoisers made from networks, from nothing, and from denoisers of another rate."""

import math

import numpy as np
import pytest
import torch

from audiomend.denoisers.at_rate import at_rate
from audiomend.denoisers.base import Estimate
from audiomend.denoisers.preconditioned import noise_predicting, preconditioned
from audiomend.denoisers.wiener import wiener
from audiomend.networks.wiener_gain import wiener_gain
from audiomend.transforms.stft import Stft

SD = 0.1


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def identity(x, t, s, carry=None):
    del t, s, carry
    return Estimate(x)


@pytest.mark.parametrize("sigma", [0.003, 0.1, 2.0])
def test_preconditioning_is_edm_table_1(sigma: float) -> None:
    x, predicted = noise(2, 50), noise(2, 50, seed=1)
    seen = []

    def network(scaled, level):
        seen.append((scaled, level))
        return predicted

    clean = preconditioned(network, SD)(x, sigma, 0.0).clean
    variance = sigma**2 + SD**2
    expected = SD**2 / variance * x + sigma * SD / math.sqrt(variance) * predicted
    torch.testing.assert_close(clean, expected)
    torch.testing.assert_close(seen[0][0], x / math.sqrt(variance))
    torch.testing.assert_close(seen[0][1], torch.full((2,), math.log(sigma / SD)))


def test_a_network_that_knows_the_noise_of_ddpm_gives_the_clean_signal() -> None:
    """x_i = sqrt(a_i) x_0 + sqrt(1 - a_i) e (Ho et al. 2020, eq. 4) at every step, which it is told."""
    clean, e = noise(2, 50), noise(2, 50, seed=1)
    betas = np.linspace(0.01, 0.3, 6)
    for step in range(6):
        a = math.prod(1 - beta for beta in betas[: step + 1])

        def network(x, told, a=a, step=step):
            torch.testing.assert_close(told, torch.full((2,), float(step)))
            torch.testing.assert_close(x, math.sqrt(a) * clean + math.sqrt(1 - a) * e)
            return (x - math.sqrt(a) * clean) / math.sqrt(1 - a)

        sigma = math.sqrt((1 - a) / a)
        estimate = noise_predicting(network, list(betas))(clean + sigma * e, sigma, 0.0)
        torch.testing.assert_close(estimate.clean, clean)


def test_between_steps_of_ddpm_the_step_is_interpolated_over_the_logarithm_of_sigma() -> None:
    told = []

    def network(x, step):
        told.append(step[0].item())
        return x

    levels = [math.sqrt(1 / kept - 1) for kept in (0.9, 0.9 * 0.8)]
    denoise = noise_predicting(network, [0.1, 0.2])
    for sigma in (levels[0] / 9, math.sqrt(levels[0] * levels[1]), 9 * levels[1]):
        denoise(noise(1, 4), sigma, 0.0)
    assert told == pytest.approx([0.0, 0.5, 1.0], abs=1e-6)


def test_wiener_gain_values() -> None:
    power = torch.tensor([[0.0], [20.0], [0.0], [0.0]], dtype=torch.float64)  # frames x bins
    gain = wiener_gain(power, torch.tensor(-math.inf))  # ln 0: the threshold is 2.5
    smooth = 10 / 3
    assert gain[1, 0].item() == pytest.approx(1 - 2.5 / (0.5 * (10 + smooth)))
    assert gain[3, 0].item() == 0.0  # 2.5 / (smooth / 2 = 0) is above 1
    at_one = wiener_gain(power, torch.tensor(0.0))  # sigma = sigma_data: 2.5 + 1.5 log2(2)
    assert at_one[1, 0].item() == pytest.approx(1 - 4.0 / (0.5 * (10 + smooth)))


def test_wiener_keeps_a_partial_and_removes_noise() -> None:
    t = torch.arange(44_100, dtype=torch.float64)
    partial = SD * math.sqrt(2) * torch.sin(2 * math.pi * 1000 * t / 44_100)
    noisy = partial + 0.3 * SD * noise(44_100)
    clean = wiener(44_100, SD)(noisy[None], 0.3 * SD, 0.0).clean[0]
    inner = slice(8192, -12000)
    before = (noisy - partial)[inner].square().mean()
    after = (clean - partial)[inner].square().mean()
    assert 10 * math.log10(before / after) > 15


def test_wiener_is_the_mean_of_two_windows_and_scales() -> None:
    """Of 46 and 186 ms, 2048 and 8192 samples; at a low level much of x counts as signal."""
    x = noise(1, 8192) * SD
    low, level = 0.2 * SD, torch.tensor(math.log(0.2))
    estimates = []
    for transform in (Stft(n, n // 4, n // 2 + 1) for n in (2048, 8192)):
        spectrum = transform.forward(x / low)
        estimates.append(low * transform.inverse(spectrum * wiener_gain(spectrum.abs().square(), level)))
    torch.testing.assert_close(wiener(44_100, SD)(x, low, 0.0).clean, (estimates[0] + estimates[1]) / 2)
    one = wiener(44_100, SD)(x, SD, 0.0).clean
    twice = wiener(44_100, 2 * SD)(2 * x, 2 * SD, 0.0).clean
    torch.testing.assert_close(twice, 2 * one)
    assert one.std() < 0.2 * SD


@pytest.mark.parametrize(
    ("rate", "like"), [(30_000, 22_050), (31_000, 22_050), (32_000, 44_100), (60_000, 44_100)]
)
def test_wiener_windows_are_the_nearest_powers_of_two_of_46_and_186_ms(rate: int, like: int) -> None:
    """Nearest in octaves: 46 ms at 31 kHz are 1426 samples, so 1024, and at 32 kHz 1472, so 2048."""
    x = noise(1, 20_000) * SD
    assert torch.equal(wiener(rate, SD)(x, SD, 0.0).clean, wiener(like, SD)(x, SD, 0.0).clean)


@pytest.mark.parametrize("length", [7, 1000, 44_100])
def test_wiener_takes_any_length(length: int) -> None:
    clean = wiener(44_100, SD)(noise(2, length), 0.5, 0.0).clean
    assert clean.shape == (2, length)
    assert clean.isfinite().all()


@pytest.mark.parametrize(("length", "inner"), [(1000, 801), (501, 801), (999, 400)])
def test_resampled_partials_keep_amplitude_and_phase(length: int, inner: int) -> None:
    def partial(n: int) -> torch.Tensor:
        return torch.cos(2 * math.pi * 37 * torch.arange(n, dtype=torch.float64) / n + 0.3)

    def prior(x, t, s, carry=None):
        torch.testing.assert_close(x[0], partial(inner), rtol=0, atol=1e-9)
        return Estimate(x)

    denoise = at_rate(prior, length, inner, identity, lambda: torch.zeros(1, inner, dtype=torch.float64))
    torch.testing.assert_close(
        denoise(partial(length)[None], 0.5, 0.1).clean[0], partial(length), rtol=0, atol=1e-9
    )


@pytest.mark.parametrize(("length", "inner"), [(1000, 801), (501, 801)])
def test_noise_keeps_its_density(length: int, inner: int) -> None:
    sigma, levels = 0.7, []

    def prior(x, t, s, carry=None):
        levels.append((x.std().item(), t, s))
        return Estimate(x)

    fill = noise(1, inner, seed=5)
    at_rate(prior, length, inner, identity, lambda: fill)(sigma * noise(200, length), sigma, sigma / 2)
    found, t, s = levels[0]
    assert t == pytest.approx(sigma * math.sqrt(inner / length))
    assert s == pytest.approx(t / 2)
    assert found == pytest.approx(t, rel=0.02)


def test_the_band_above_the_prior_comes_from_the_other_denoiser() -> None:
    x = noise(1, 1000)
    seen = []

    def above(x, t, s, carry=None):
        seen.append(t)
        return Estimate(0.25 * x)

    clean = at_rate(identity, 1000, 500, above, lambda: torch.zeros(1, 500))(x, 0.3, 0.0).clean
    spectrum, before = torch.fft.rfft(clean), torch.fft.rfft(x)
    torch.testing.assert_close(spectrum[:, :250], before[:, :250])
    torch.testing.assert_close(spectrum[:, 250:], 0.25 * before[:, 250:])
    assert seen == [0.3]


def test_what_a_file_of_a_lower_rate_has_at_its_nyquist_frequency_is_left_out() -> None:
    nyquist = torch.tensor([1.0, -1.0], dtype=torch.float64).repeat(250)
    fill = torch.zeros(1, 801, dtype=torch.float64)
    clean = at_rate(identity, 500, 801, identity, lambda: fill)(nyquist[None], 0.3, 0.0).clean
    assert clean.abs().max() < 1e-12


@pytest.mark.parametrize(("length", "inner"), [(1000, 500), (500, 801)])
def test_the_prior_gets_its_own_carry_again(length: int, inner: int) -> None:
    def prior(x, t, s, carry=None):
        return Estimate(x, carry=[carry])

    denoise = at_rate(prior, length, inner, identity, lambda: torch.zeros(1, inner))
    first = denoise(noise(1, length), 0.3, 0.1)
    assert first.carry == [None]
    assert denoise(noise(1, length), 0.1, 0.0, first.carry).carry == [[None]]


def test_the_same_rate_is_the_prior_itself() -> None:
    assert at_rate(identity, 500, 500, identity, lambda: torch.zeros(1)) is identity
