"""Truths of the other damages: sampling, phases, spectrogram regions, quantisation, mixtures."""

import math

import pytest
import torch

from audiomend.errors import UsageError
from audiomend.operators.decimate import Decimate
from audiomend.operators.hard_clip import HardClip
from audiomend.operators.mask import Mask
from audiomend.operators.mixture import Mixture
from audiomend.operators.quantize import Quantize
from audiomend.operators.stft_magnitude import StftMagnitude
from audiomend.operators.time_frequency_mask import TimeFrequencyMask, frames


def noise(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


# --- Samples ------------------------------------------------------------------------------------------


def test_decimate_by_hand():
    x = torch.arange(8.0)
    assert Decimate(3, 8).forward(x).tolist() == [0, 3, 6]
    assert Decimate(3, 8).adjoint(torch.tensor([1.0, 2.0, 3.0])).tolist() == [1, 0, 0, 2, 0, 0, 3, 0]
    assert Decimate(3, 8).project(x, torch.tensor([9.0, 9.0, 9.0])).tolist() == [9, 1, 2, 9, 4, 5, 9, 7]
    assert x.tolist() == list(range(8))


@pytest.mark.parametrize("arguments", [(0, 5), (2, 0)])
def test_an_impossible_factor_is_refused(arguments):
    with pytest.raises(UsageError, match="both must be at least 1"):
        Decimate(*arguments)


@pytest.mark.parametrize(
    ("length", "share", "kept"), [(1000, 0.05, 50), (7, 0.5, 4), (9, 0.0, 0), (9, 1.0, 9)]
)
def test_random_samples_are_as_many_as_asked_for(length, share, kept):
    masks = [Mask.random(length, share, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
    assert [int(mask.known.sum()) for mask in masks] == [kept] * 3
    assert torch.equal(masks[0].known, masks[1].known)
    assert share in (0, 1) or not torch.equal(masks[0].known, masks[2].known)


@pytest.mark.parametrize("share", [-0.1, 1.1, math.nan])
def test_an_impossible_share_is_refused(share):
    with pytest.raises(UsageError, match=r"share of known samples is .* from 0 to 1"):
        Mask.random(10, share, torch.Generator())


# --- Phases -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("time", [1, 63, 64, 100])
def test_magnitudes_by_their_definition(time):
    operator, x = StftMagnitude(window=16, hop=4), noise(time)
    n = torch.arange(16, dtype=torch.float64)
    hamming = 0.54 - 0.46 * torch.cos(2 * math.pi * n / 16)
    padded = torch.nn.functional.pad(x, (0, 16))
    direct = torch.stack(
        [torch.fft.rfft(padded[i : i + 16] * hamming).abs() for i in range(0, time + 1, 4)], dim=-1
    )
    torch.testing.assert_close(operator.forward(x), direct, rtol=0, atol=1e-13)


@pytest.mark.parametrize("time", [1, 63, 64, 100])
def test_phases_of_the_clean_signal_bring_it_back(time):
    """Up to its sign, which magnitudes do not know."""
    operator, clean = StftMagnitude(window=16, hop=4), noise(2, 3, time)
    y = operator.forward(clean)
    torch.testing.assert_close(operator.project(clean, y), clean, rtol=0, atol=1e-13)
    torch.testing.assert_close(operator.project(-2 * clean, y), -clean, rtol=0, atol=1e-13)
    torch.testing.assert_close(operator.project(3 * clean, 5 * y), 5 * clean, rtol=0, atol=1e-12)


def test_griffin_lim_approaches_the_magnitudes():
    """Each step shrinks the error or leaves it (Griffin & Lim 1984)."""
    operator, x = StftMagnitude(window=16, hop=4), noise(100, seed=2)
    y, errors = operator.forward(noise(100, seed=1)), []
    for _ in range(30):
        errors.append((operator.forward(x) - y)[:, 3:-3].norm().item())
        x = operator.project(x, y)
    assert errors[-1] < 0.5 * errors[0]


def test_magnitudes_of_rows_silence_and_gradients():
    operator, x = StftMagnitude(), noise(2, 2000)
    torch.testing.assert_close(operator.forward(x)[1], operator.forward(x[1]), rtol=0, atol=1e-12)
    silence = torch.zeros(2, 2000, requires_grad=True)
    y = operator.forward(silence)
    assert y.shape == (2, 513, 8)
    y.sum().backward()
    assert silence.grad is not None
    assert silence.grad.abs().max() == 0
    assert torch.equal(operator.project(silence.detach(), y.detach()), torch.zeros(2, 2000))
    assert torch.autograd.gradcheck(StftMagnitude(8, 2).forward, noise(1, 13).requires_grad_())


@pytest.mark.parametrize("hop", [0, 17])
def test_an_impossible_hop_is_refused(hop):
    with pytest.raises(UsageError, match=f"16 samples every {hop}; the hop must be from 1 to the window"):
        StftMagnitude(16, hop)


# --- Regions of the spectrogram -----------------------------------------------------------------------


@pytest.mark.parametrize("time", [1, 100, 4000])
def test_nothing_erased_is_the_identity_and_everything_erased_is_silence(time):
    shape, x = (frames(time, 64), 33), noise(2, time)
    torch.testing.assert_close(TimeFrequencyMask(torch.ones(shape), 64).forward(x), x, rtol=0, atol=1e-13)
    assert TimeFrequencyMask(torch.zeros(shape), 64).forward(x).abs().max() == 0


def test_a_box_takes_out_its_band_in_its_region_only():
    rate, time = 8000.0, 8000
    seconds = torch.arange(time, dtype=torch.float64) / rate
    low, high = (torch.sin(2 * math.pi * hz * seconds) for hz in (500, 2500))
    operator = TimeFrequencyMask.box(time, rate, (2000, 3000), (0.25, 0.75), window=256)
    inside, outside = slice(2200, 5800), slice(0, 1800)
    y = operator.forward(low + high)
    assert (y - low)[inside].abs().max() < 1e-3
    assert (y - low - high)[outside].abs().max() < 1e-3
    assert (y - low - high)[6200:].abs().max() < 1e-3
    edge = TimeFrequencyMask.box(64, 64.0, (2, 3), (0.25, 0.25), window=64).weight
    assert edge.shape == (8, 33)
    assert (edge == 0).nonzero().tolist() == [[1, 2], [1, 3]]


def test_the_ends_of_a_signal_do_not_meet():
    operator, x = spectral(100), torch.zeros(100, dtype=torch.float64)
    x[-1] = 1
    assert operator.forward(x)[:32].abs().max() == 0


def spectral(time):
    weight = torch.rand(frames(time, 64), 33, generator=torch.Generator().manual_seed(1))
    return TimeFrequencyMask(weight, 64)


@pytest.mark.parametrize(
    "weight", [torch.ones(4, 32), torch.ones(33), 1.1 * torch.ones(4, 33), -torch.ones(4, 33)]
)
def test_an_impossible_weight_is_refused(weight):
    with pytest.raises(UsageError, match="TimeFrequencyMask: "):
        TimeFrequencyMask(weight, 64)


def test_a_signal_of_another_length_is_refused():
    with pytest.raises(UsageError, match="a signal of 300 samples has 24 frames; the weight has 12"):
        spectral(100).forward(torch.zeros(300))


# --- Quantisation -------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [0.25, 0.1, 2.0**-15])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_quantisation_rounds_and_its_projection_stays_in_the_cell(step, dtype):
    operator, clean, x = Quantize(step), noise(2, 3, 500, seed=1, dtype=dtype), noise(2, 3, 500, dtype=dtype)
    y = operator.forward(clean)
    assert (y - clean).abs().max() <= step / 2 * (1 + 1e-2)
    torch.testing.assert_close(y / step, torch.round(y / step), rtol=0, atol=2e-3)
    projected = operator.project(x, y)
    assert torch.equal(operator.forward(projected), y)
    assert torch.equal(operator.project(clean, y), clean)
    far = (x - y).abs() > step
    assert ((projected - y).abs()[far] > step / 2 * 0.98).all()
    assert torch.equal(torch.sign(projected - y)[far], torch.sign(x - y)[far])
    assert torch.equal(operator.project(x, y)[1], operator.project(x[1], y[1]))


@pytest.mark.timeout(20)
def test_an_observation_that_no_signal_gives_has_cells_too():
    """Rounded in float64 it need not be a multiple of the step in float32. Nor do odd values hang it."""
    operator, x = Quantize(0.1), noise(41, dtype=torch.float32)
    y = operator.forward(torch.linspace(-1, 1, 41, dtype=torch.float64)).float()
    assert not torch.equal(operator.forward(y), y)
    assert torch.equal(operator.forward(operator.project(x, y)), operator.forward(y))
    odd = torch.tensor([1e9, -1e30, math.inf, math.nan])
    assert operator.project(torch.zeros(4), odd).isfinite().tolist() == [True, True, False, False]


def test_quantisation_of_silence_its_gradient_and_its_pseudo_inverse():
    operator, x = Quantize(0.5), torch.tensor([0.0, 0.2, 0.3, -0.7], requires_grad=True)
    y = operator.forward(x)
    assert y.tolist() == [0.0, 0.0, 0.5, -0.5]
    (y * torch.arange(4)).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [0, 1, 2, 3]
    assert torch.equal(operator.forward(operator.pinv(y)), y)
    clip = HardClip(-0.5, 0.4)
    assert torch.equal(clip.forward(clip.pinv(clip.forward(x))), clip.forward(x))


@pytest.mark.parametrize("step", [0.0, -1.0, math.nan])
def test_an_impossible_step_is_refused(step):
    with pytest.raises(UsageError, match=r"step is .* above 0"):
        Quantize(step)


# --- Mixtures -----------------------------------------------------------------------------------------


def test_mixture_by_hand():
    operator, x = Mixture((1.0, -2.0)), torch.tensor([[1.0, 2.0], [3.0, 5.0]])
    assert operator.forward(x).tolist() == [-5.0, -8.0]
    assert operator.pinv(torch.tensor([5.0, 10.0])).tolist() == [[1.0, 2.0], [-2.0, -4.0]]


@pytest.mark.parametrize("gains", [(), (0.0, 0.0)])
def test_a_mixture_of_nothing_is_refused(gains):
    with pytest.raises(UsageError, match="one of them must differ from 0"):
        Mixture(gains)
