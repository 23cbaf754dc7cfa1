"""The short-time Fourier transform: exact, tight, with phases that stand still."""

import math

import pytest
import torch

from audiomend.transforms.stft import Stft

SHAPES = [(64, 16), (64, 8), (256, 128)]


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(("window", "hop"), SHAPES)
def test_all_bins_reconstruct_exactly(window: int, hop: int) -> None:
    transform = Stft(window, hop, window // 2 + 1)
    x = noise(3, 5 * window)
    torch.testing.assert_close(transform.inverse(transform.forward(x)), x, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("window", "hop"), SHAPES)
def test_forward_equals_its_formula(window: int, hop: int) -> None:
    x = noise(4 * window)
    spectrum = Stft(window, hop, window // 2 + 1).forward(x)
    n, k = 3, 5
    hann = torch.hann_window(window, dtype=torch.float64).sqrt()
    gain = math.sqrt(2 / hann.square().sum())  # unit variance of each real part for white unit noise
    expected = 0j
    for i in range(window):
        j = n * hop - window // 2 + i
        expected += (
            x[j % len(x)].item()
            * gain
            * hann[i].item()
            * complex(
                torch.polar(
                    torch.tensor(1.0, dtype=torch.float64),
                    torch.tensor(-2 * math.pi * k * j / window, dtype=torch.float64),
                )
            )
        )
    assert abs(spectrum[n, k].item() - expected) < 1e-12


def test_white_noise_has_unit_variance_per_real_part() -> None:
    spectrum = Stft(64, 16, 33).forward(noise(400, 640))[..., 4:-4]
    assert spectrum.real.var().item() == pytest.approx(1, abs=0.01)
    assert spectrum.imag.var().item() == pytest.approx(1, abs=0.01)


def test_a_partial_on_a_bin_stands_still() -> None:
    t = torch.arange(640, dtype=torch.float64)
    spectrum = Stft(64, 16, 33).forward(torch.cos(2 * math.pi * 10 * t / 64 + 0.7))[:, 10]
    torch.testing.assert_close(
        spectrum.angle(), torch.full((40,), 0.7, dtype=torch.float64), atol=2e-3, rtol=0
    )


def test_inverse_is_hop_times_half_the_adjoint() -> None:
    transform = Stft(64, 16, 20)
    x, spectrum = noise(320), torch.complex(noise(20, 20), noise(2, 20, 20)[1])
    # Bins between 0 Hz and Nyquist stand for two of the whole transform.
    weight = torch.full((20,), 2.0, dtype=torch.float64)
    weight[0] = 1
    left = (transform.inverse(spectrum) * x).sum()
    right = (spectrum.conj() * transform.forward(x) * weight).real.sum() * 16 / 2 / 64
    assert left.item() == pytest.approx(right.item(), rel=1e-12)


def test_gradient_of_the_inverse() -> None:
    transform = Stft(16, 4, 7)
    real, imaginary = noise(2, 8, 7).requires_grad_(), (noise(2, 8, 7) * 0.3).requires_grad_()
    assert torch.autograd.gradcheck(lambda r, i: transform.inverse(torch.complex(r, i)), (real, imaginary))


def test_tables_made_without_gradient_serve_with_gradient() -> None:
    transform, x = Stft(48, 12, 25), noise(96)  # sizes that no other test has
    with torch.inference_mode():
        transform.inverse(transform.forward(x))
    x.requires_grad_()
    transform.inverse(transform.forward(x)).square().sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad, 2 * x.detach(), rtol=0, atol=1e-12)
