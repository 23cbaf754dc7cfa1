"""The STFT network that CQT-Diff is compared with: equal to its plain form."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from audiomend.errors import UsageError
from audiomend.networks.stft_unet import Architecture, StftUnet
from audiomend.transforms.stft import Stft

SMALL = Architecture(window=64, hop=16, widths=(8, 16))


def plain(w: dict[str, Tensor], x: Tensor, c_noise: Tensor) -> Tensor:
    """The network of two levels, written out."""
    turns = 2 * math.pi * c_noise * w["embedding.RFF_freq"]
    e = torch.cat((turns.sin(), turns.cos()), dim=1)
    for layer in range(3):
        e = F.relu(F.linear(e, w[f"embedding.MLP.{layer}.weight"], w[f"embedding.MLP.{layer}.bias"]))

    def conv(name: str, h: Tensor) -> Tensor:
        return F.conv2d(h, w[f"{name}.weight"], w[f"{name}.bias"], padding="same")

    def block(name: str, h: Tensor) -> Tensor:
        y = F.silu(F.group_norm(h, 8, w[f"{name}.norm_in.weight"], w[f"{name}.norm_in.bias"]))
        y = conv(f"{name}.conv_in", y)
        y = F.group_norm(y, 8, w[f"{name}.norm_out.weight"], w[f"{name}.norm_out.bias"])
        steer = F.linear(e, w[f"{name}.modulation.weight"], w[f"{name}.modulation.bias"])[:, :, None, None]
        a, b = steer[:, : y.shape[1]], steer[:, y.shape[1] :]
        y = conv(f"{name}.conv_out", F.silu((1 + a) * y + b))
        return ((conv(f"{name}.shortcut", h) if f"{name}.shortcut.weight" in w else h) + y) / math.sqrt(2)

    transform = Stft(64, 16, 32)
    spectrum = transform.forward(x)
    h = conv("stem", torch.stack((spectrum.real, spectrum.imag), dim=1))
    fine = block("encoder.0.1", block("encoder.0.0", h))
    pooled = fine.unflatten(3, (-1, 2)).unflatten(2, (-1, 2)).mean(dim=(3, 5))
    coarse = block("encoder.1.1", block("encoder.1.0", pooled))
    h = torch.cat((block("middle", coarse), coarse), dim=1)
    h = block("decoder.0.1", block("decoder.0.0", h))
    h = h.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    h = block("decoder.1.1", block("decoder.1.0", torch.cat((h, fine), dim=1)))
    real, imaginary = conv("out", F.silu(h)).unbind(1)
    return transform.inverse(torch.complex(real, imaginary))


def test_equals_its_plain_form() -> None:
    torch.manual_seed(0)
    network = StftUnet(SMALL).double().requires_grad_(False)
    for parameter in network.out.parameters():
        parameter.normal_()
    x, c_noise = torch.randn(2, 256).double(), torch.tensor([[-1.0], [0.3]]).double()
    y = network(x, c_noise)
    torch.testing.assert_close(y, plain(network.state_dict(), x, c_noise), rtol=1e-10, atol=1e-12)
    assert y.std() > 0.1


def test_published_size() -> None:
    parameters = sum(p.numel() for p in StftUnet(Architecture()).parameters())
    assert parameters == pytest.approx(65e6, rel=0.001)


def test_before_training_it_gives_nothing() -> None:
    assert not StftUnet(SMALL)(torch.randn(1, 128), torch.zeros(1, 1)).any()


def test_lengths_must_fit() -> None:
    with pytest.raises(UsageError, match="96 samples are no multiple of 64"):
        StftUnet(SMALL)(torch.zeros(1, 96), torch.zeros(1, 1))
    deep = StftUnet(Architecture(window=64, hop=16, widths=(8,) * 4))  # halves 8 hops three times
    assert deep(torch.zeros(1, 128), torch.zeros(1, 1)).shape == (1, 128)
    with pytest.raises(UsageError, match="192 samples are no multiple of 128"):
        deep(torch.zeros(1, 192), torch.zeros(1, 1))
