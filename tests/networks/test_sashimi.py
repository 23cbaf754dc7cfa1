"""SaShiMi-Diff: the published numbers, and state spaces as their formula says."""

import math
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from audiomend.errors import UsageError
from audiomend.networks.sashimi import Architecture, Sashimi, StateSpaces, legs

STORED = np.load(Path(__file__).parents[1] / "golden" / "sashimi_network.npz")
SMALL = Architecture(width=8, layers=1, embedding=(16, 32))
LEGS = {"B": "hippo_B", "P": "hippo_P", "inv_w_real": "hippo_inv_w_real", "w_imag": "hippo_w_imag"}


def rule(name: str, z: NDArray[np.float64]) -> NDArray[np.float64]:
    last = name.rsplit(".", 1)[-1]
    if last == "log_dt":
        return -4.6 + 0.5 * z
    if last in ("weight_g", "s"):
        return 1 + 0.1 * z
    if last in ("m", "bias"):
        return 0.1 * z
    return z if last in ("C", "D", "weight_v") else z / math.sqrt(math.prod(z.shape[1:]))


@pytest.fixture
def network(drawn: ModuleType) -> Sashimi:
    network = Sashimi(SMALL)
    sums = drawn.fill(network, 95, rule, (*(f"kernel.{name}" for name in LEGS), "kernel.L"))
    assert list(sums) == STORED["names"].tolist()
    np.testing.assert_allclose(list(sums.values()), STORED["sums"], rtol=1e-12)
    for name, value in network.state_dict().items():
        if (last := name.rsplit(".", 1)[-1]) in LEGS:
            value.copy_(torch.from_numpy(STORED[LEGS[last]]))
    return network.requires_grad_(False)


def deviation(result: Tensor, expected: NDArray[np.float64]) -> float:
    return np.abs(result.numpy() - expected).max() / np.abs(expected).max()


def test_published_numbers(drawn: ModuleType, network: Sashimi) -> None:
    x, step = drawn.normal(96, 2, 256), torch.from_numpy(STORED["step"])
    expected = STORED["output"][:, 0]
    assert deviation(network(x, step).double(), expected) < 1e-5
    network = network.double()
    assert deviation(network(x.double(), step), expected) < 1e-12
    kernel = network.get_submodule("d_layers.0.layer.kernel")(256)
    assert deviation(kernel[..., ::2], STORED["kernel"]) < 1e-12


def test_initial_systems_are_the_published_ones() -> None:
    w, p, b = legs()
    np.testing.assert_allclose(w.imag, STORED["hippo_w_imag"], rtol=1e-5)  # found in float32
    np.testing.assert_allclose(w.real, -np.exp(STORED["hippo_inv_w_real"]), rtol=1e-6)
    for values, name in ((p, "hippo_P"), (b, "hippo_B")):  # the phases are free
        np.testing.assert_allclose(values.abs(), np.hypot(*STORED[name].T), rtol=1e-5)
    # but the same in both: the systems answer alike
    turned = (b * p.conj()).numpy()
    published = (STORED["hippo_B"] @ [1, 1j]) * (STORED["hippo_P"] @ [1, -1j])
    np.testing.assert_allclose(turned, published, rtol=1e-5, atol=1e-7)


def test_new_systems_have_the_published_spread() -> None:
    torch.manual_seed(0)
    spaces = StateSpaces(300)
    assert spaces.C.std().item() == pytest.approx(math.sqrt(0.5), rel=0.02)  # complex values of unit variance
    steps = spaces.log_dt.exp()
    assert 0.001 <= steps.min().item() < 0.0012
    assert 0.08 < steps.max().item() <= 0.1


def dense(spaces: StateSpaces, length: int) -> tuple[Tensor, Tensor]:
    """The formula over all 64 complex states: A_d of each channel, and the responses."""

    def whole(stored: Tensor) -> Tensor:
        values = torch.view_as_complex(stored.double())
        return torch.cat((values, values.conj()), dim=-1)

    w = torch.complex(-spaces.inv_w_real.double().exp(), spaces.w_imag.double())
    p, b, c = whole(spaces.P)[0], whole(spaces.B)[0], whole(spaces.C)
    a = torch.diag_embed(torch.cat((w, w.conj()), dim=-1)) - p[..., :, None] * p.conj()[..., None, :]
    dt, one = spaces.log_dt.double().exp()[:, None, None], torch.eye(64, dtype=a.dtype)
    step = torch.linalg.solve(one - dt / 2 * a, one + dt / 2 * a)
    state = torch.linalg.solve(one - dt / 2 * a, dt * b[..., None])
    responses = []
    for _ in range(length):
        responses.append((c[..., None, :] @ state)[..., 0, 0].real)
        state = step @ state
    return step, torch.stack(responses, dim=-1)


@pytest.mark.parametrize("length", [1, 2, 7, 64, 100])
def test_responses_follow_the_formula(length: int) -> None:
    torch.manual_seed(0)
    spaces = StateSpaces(3).double().requires_grad_(False)
    torch.testing.assert_close(spaces(length), dense(spaces, length)[1], rtol=0, atol=1e-10)


def test_published_weights_hold_a_transformed_reading() -> None:
    torch.manual_seed(0)
    spaces = StateSpaces(2).double().requires_grad_(False)
    step, responses = dense(spaces, 50)
    c = torch.view_as_complex(spaces.C)
    c = torch.cat((c, c.conj()), dim=-1)[..., None, :]
    transformed = (c - c @ torch.linalg.matrix_power(step, 40))[..., 0, :32]
    spaces.C.copy_(torch.view_as_real(transformed))
    spaces.L.fill_(40)
    torch.testing.assert_close(spaces(50), responses, rtol=0, atol=1e-9)


def test_kept_responses_follow_the_parameters() -> None:
    spaces = StateSpaces(2).requires_grad_(False)
    before = spaces(20)
    assert spaces(20) is before
    spaces.load_state_dict({**spaces.state_dict(), "C": 2 * spaces.C})
    torch.testing.assert_close(spaces(20), 2 * before)
    assert spaces(30).shape[-1] == 30
    assert spaces.double()(30).dtype == torch.float64


def test_inference_first_leaves_gradients_possible(network: Sashimi) -> None:
    step = torch.ones(1, 1)
    with torch.inference_mode():
        network(torch.zeros(1, 32), step)
    x = torch.randn(1, 32, requires_grad=True)
    network(x, step).sum().backward()
    assert x.grad is not None


def test_gradient_of_the_time_step() -> None:
    torch.manual_seed(0)
    spaces = StateSpaces(2).double()

    def responses(log_dt: Tensor) -> Tensor:
        return torch.func.functional_call(spaces, {"log_dt": log_dt}, (9,))

    assert torch.autograd.gradcheck(responses, spaces.log_dt.detach().requires_grad_())


@pytest.mark.parametrize(("width", "parameters"), [(32, 2.99e6), (64, 7.73e6), (128, 23.47e6)])
def test_published_sizes(width: int, parameters: float) -> None:
    network = Sashimi(Architecture(width))
    assert sum(p.numel() for p in network.parameters()) == pytest.approx(parameters, abs=5e3)
    assert network.state_dict()["c_layers.0.layer.kernel.kernel.P"].shape == (1, 4 * width, 32, 2)


def test_before_training_it_gives_nothing() -> None:
    assert not Sashimi(SMALL)(torch.randn(1, 64), torch.zeros(1, 1)).any()


def test_lengths_must_pool() -> None:
    with pytest.raises(UsageError, match="100 samples"):
        Sashimi(SMALL)(torch.zeros(1, 100), torch.zeros(1, 1))
