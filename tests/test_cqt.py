"""The constant-Q transforms: the published numbers, and exact at any length."""

from pathlib import Path

import numpy as np
import pytest
import torch

from audiomend.errors import UsageError
from audiomend.transforms.cqt import Cqt, OctaveCqt

GOLDEN = np.load(Path(__file__).parent / "golden" / "cqtdiff_transform.npz")
# Largest deviation of a float32 evaluation of the published code from a float64 one, forward and inverse.
FLOAT32_ERRORS = {"small": (2.3e-7, 3.5e-7), "odd": (3.5e-7, 4.9e-7), "44k1": (2.0e-7, 2.9e-7)}


def noise(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.from_numpy(np.random.Generator(np.random.PCG64(seed)).standard_normal(shape))


def published(name: str) -> tuple[Cqt, int]:
    """The transform of a golden, and its seed."""
    rate, length, bins, octaves, seed = (int(value) for value in GOLDEN[f"{name}_settings"])
    return Cqt(rate, length, octaves, bins), seed


def by_rows(stored: torch.Tensor) -> torch.Tensor:
    """(batch, columns, rows, 2), the axes of the goldens -> (batch, rows, columns) complex."""
    return torch.view_as_complex(stored).transpose(1, 2)


def relative_error(result: torch.Tensor, golden: str) -> float:
    expected = torch.from_numpy(GOLDEN[golden]).double()
    found = result.flatten()[torch.from_numpy(GOLDEN[f"{golden}_at"]).long()]
    return ((found - expected).abs().max() / expected.abs().max()).item()


@pytest.mark.parametrize("name", ["small", "odd", "44k1"])
def test_published_numbers(name: str) -> None:
    transform, seed = published(name)
    batch = 1 if name == "44k1" else 2
    stored = 2 if name == "small" else 1
    x = noise(batch, transform.length, seed=seed)[:stored] * 0.1
    shape = (2 if name != "44k1" else 1, transform.columns, transform.rows, 2)
    arbitrary = by_rows(noise(*shape, seed=seed + 1)[:stored] * 0.1)
    np.testing.assert_allclose(transform.frequencies, GOLDEN[f"{name}_frequencies"], rtol=1e-13)

    def errors(x: torch.Tensor, arbitrary: torch.Tensor) -> tuple[float, float]:
        forward = torch.view_as_real(transform.forward(x).transpose(1, 2))
        inverse = transform.inverse(arbitrary)
        return relative_error(forward, f"{name}_forward"), relative_error(inverse, f"{name}_inverse")

    forward, inverse = errors(x, arbitrary)
    assert forward < 1e-12
    assert inverse < 1e-7  # stored in float32
    forward, inverse = errors(x.float(), arbitrary.to(torch.complex64))
    assert forward < 10 * FLOAT32_ERRORS[name][0]
    assert inverse < 10 * FLOAT32_ERRORS[name][1]


def test_published_numbers_of_the_paper() -> None:
    transform, seed = published("paper")
    assert (transform.rows, transform.columns) == (450, 704)
    np.testing.assert_allclose(transform.frequencies, GOLDEN["paper_frequencies"], rtol=1e-13)
    x = noise(1, transform.length, seed=seed) * 0.1
    spectrum = transform.forward(x)
    assert relative_error(torch.view_as_real(spectrum.transpose(1, 2)), "paper_forward") < 1e-12
    energy = spectrum[0].abs().square()
    np.testing.assert_allclose(energy.sum(1), GOLDEN["paper_row_energy"], rtol=1e-11)
    np.testing.assert_allclose(energy.sum(0), GOLDEN["paper_column_energy"], rtol=1e-11)
    arbitrary = by_rows(noise(1, transform.columns, transform.rows, 2, seed=seed + 1) * 0.1)
    assert relative_error(transform.inverse(arbitrary), "paper_inverse") < 1e-12
    again = transform.inverse(transform.forward(x.float()))
    assert (again - x).abs().max() < 1e-6


def test_published_numbers_by_octaves() -> None:
    rate, length, bins, octaves, seed = (int(value) for value in GOLDEN["octave_settings"])
    transform = OctaveCqt(rate, length, octaves, bins, published=True)
    np.testing.assert_allclose(transform.frequencies, GOLDEN["octave_frequencies"], rtol=1e-13)
    x = noise(length, seed=seed) * 0.1
    spectrum = transform.forward(x)
    assert transform.columns == (64, 128, 256, 512)
    for octave, coefficients in enumerate(spectrum):
        kept = coefficients[:, :: 2**octave].numpy()
        np.testing.assert_allclose(kept, GOLDEN[f"octave_forward_{octave}"], rtol=0, atol=1e-14)
    np.testing.assert_allclose(transform.inverse(spectrum), GOLDEN["octave_inverse"], rtol=0, atol=1e-14)
    np.testing.assert_allclose(transform.high_pass(x), GOLDEN["octave_high_pass"], rtol=0, atol=1e-14)


def test_published_high_pass_misplaces_the_end_of_odd_windows() -> None:
    transform = OctaveCqt(22_050, 4080, 4, 8, published=True)
    impulse = torch.zeros(4080, dtype=torch.float64)
    impulse[0] = 1
    kept = torch.fft.rfft(transform.high_pass(impulse)).real
    # The window at 0 Hz has 255 bins, from -127 to 127. What belongs to 127 stands at -128, and the mean of
    # both sides halves it.
    assert kept[126] < 0.25
    assert 0.6 < kept[127] < 0.7
    assert 0.65 < kept[128] < 0.75
    assert kept[129] == 1


# Settings whose highest band the published code loses by rounding are among them: (4, 64), (8, 32), (3, 64).
@pytest.mark.parametrize(("octaves", "bins"), [(4, 64), (8, 32), (3, 64), (7, 64), (2, 1), (1, 12)])
@pytest.mark.parametrize("length", [8, 9, 61, 997, 4096])
def test_reconstruction_is_exact_at_any_length(length: int, octaves: int, bins: int) -> None:
    x = noise(2, length)
    transform = Cqt(44_100, length, octaves, bins)
    spectrum = transform.forward(x)
    assert spectrum.shape == (2, octaves * bins + 2, transform.columns)
    torch.testing.assert_close(transform.inverse(spectrum), x, rtol=0, atol=1e-12)
    by_octaves = OctaveCqt(44_100, length, octaves, bins)
    torch.testing.assert_close(
        by_octaves.inverse(by_octaves.forward(x)), by_octaves.high_pass(x), rtol=0, atol=1e-12
    )


@pytest.mark.parametrize(("octaves", "bins"), [(7, 64), (6, 48), (4, 64)])
@pytest.mark.parametrize("length", [997, 6001, 65_535])
def test_reconstruction_in_float32_errs_by_less_than_a_millionth(
    length: int, octaves: int, bins: int
) -> None:
    """Of full scale, at the published RMS. With few wide bands the bin below Nyquist errs by 3e-5."""
    x = (0.1 * noise(1, length)).float()
    transform, by_octaves = Cqt(22_050, length, octaves, bins), OctaveCqt(22_050, length, octaves, bins)
    assert (transform.inverse(transform.forward(x)) - x).abs().max() < 1e-6
    kept = by_octaves.high_pass(x.double())
    assert (by_octaves.inverse(by_octaves.forward(x)) - kept).abs().max() < 1e-6


def test_a_partial_in_the_middle_of_a_band_stands_still() -> None:
    transform = Cqt(22_050, 4096, 4, 8)
    row = 20
    middle = round(transform.frequencies[row - 1] * 4096 / 22_050)
    t = torch.arange(4096, dtype=torch.float64)
    spectrum = transform.forward(torch.cos(2 * torch.pi * middle * t / 4096 + 0.7))
    # half of the partial lies on each side of 0 Hz, and the rows' transform is shorter than the signal's
    value = 4096 / 2 / transform.columns * torch.polar(*torch.tensor([1, 0.7], dtype=torch.float64))
    torch.testing.assert_close(spectrum[row], value.expand(transform.columns), rtol=0, atol=1e-10)
    assert spectrum[row + 2 :].abs().max() < 1e-10
    assert spectrum[: row - 1].abs().max() < 1e-10


def test_batches_are_items() -> None:
    transform, by_octaves = Cqt(16_000, 1000, 3, 8), OctaveCqt(16_000, 1000, 3, 8)
    x = noise(2, 3, 1000)
    spectrum, octaves = transform.forward(x), by_octaves.forward(x)
    torch.testing.assert_close(spectrum[1, 2], transform.forward(x[1, 2]))
    torch.testing.assert_close(transform.inverse(2 * spectrum)[1, 2], 2 * x[1, 2])
    for whole, item in zip(octaves, by_octaves.forward(x[1, 2]), strict=True):
        torch.testing.assert_close(whole[1, 2], item)
    item = by_octaves.inverse([octave[1, 2] for octave in octaves])
    torch.testing.assert_close(by_octaves.inverse(octaves)[1, 2], item)


def test_gradients() -> None:
    transform, by_octaves = Cqt(8000, 41, 2, 3), OctaveCqt(8000, 41, 2, 3)
    x = noise(41).requires_grad_()
    real, imaginary = (noise(transform.rows, transform.columns, seed=s).requires_grad_() for s in (2, 3))
    assert torch.autograd.gradcheck(transform.forward, x)
    assert torch.autograd.gradcheck(lambda r, i: transform.inverse(torch.complex(r, i)), (real, imaginary))
    assert torch.autograd.gradcheck(lambda x: by_octaves.inverse([c**2 for c in by_octaves.forward(x)]), x)


def test_inference_first_leaves_gradients_possible() -> None:
    transform, by_octaves = Cqt(8000, 43, 2, 3), OctaveCqt(8000, 43, 2, 3)
    x = noise(43)
    with torch.inference_mode():
        expected = by_octaves.high_pass(transform.inverse(transform.forward(x)))
    x.requires_grad_()
    result = by_octaves.high_pass(transform.inverse(transform.forward(x)))
    result.square().sum().backward()
    torch.testing.assert_close(result, expected)
    assert x.grad is not None


def test_wrong_sizes_are_named() -> None:
    with pytest.raises(UsageError, match=r"1 octaves of 1 bins"):
        Cqt(44_100, 1000, 1, 1)
    with pytest.raises(UsageError, match="7 samples"):
        OctaveCqt(44_100, 7, 2, 12)
    with pytest.raises(UsageError, match=r"\(2, 999\)"):
        Cqt(44_100, 1000, 2, 12).forward(torch.zeros(2, 999))
    with pytest.raises(UsageError, match=r"\(25, 4\)"):
        Cqt(44_100, 1000, 2, 12).inverse(torch.zeros(25, 4, dtype=torch.complex64))
