"""A trained prior, ready to be asked."""

import dataclasses
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from audiomend.conditions import Condition
from audiomend.denoisers.base import Denoiser
from audiomend.denoisers.preconditioned import preconditioned
from audiomend.denoisers.wiener import wiener
from audiomend.errors import ModelError
from audiomend.models import untrained
from audiomend.models.card import Card, read_card
from audiomend.models.store import checked_weights, find
from audiomend.networks.patch_unet import Architecture, PatchUnet, Seen


class Prior(Protocol):
    """What is known of clean sound at one rate and level."""

    @property
    def card(self) -> Card: ...

    @property
    def length(self) -> int:
        """Samples of one window at the prior's rate."""
        ...

    @property
    def precision(self) -> str:
        """Number format of the convolutions."""
        ...

    def denoiser(self, bandwidth_hz: float | None = None, condition: Condition | None = None) -> Denoiser:
        """The denoiser for windows (batch, length) at the prior's rate and level.

        Args:
            bandwidth_hz: band of the clean signal, if it is known.
            condition: what a conditioned network is shown of the observation, (batch, length).
        """
        ...


@dataclass(frozen=True, eq=False)
class TrainedPrior:
    """A network with its card.

    Attributes:
        card: what it is.
        network: in evaluation, on its device, in its precision.
    """

    card: Card
    network: PatchUnet

    @property
    def length(self) -> int:
        return self.network.architecture.length

    @property
    def precision(self) -> str:
        return str(self.network.precision).removeprefix("torch.")

    def denoiser(self, bandwidth_hz: float | None = None, condition: Condition | None = None) -> Denoiser:
        nyquist = self.card.rate / 2
        share = 0.0 if bandwidth_hz is None else min(bandwidth_hz / nyquist, 1.0)
        seen = None if condition is None else _seen(condition, self.card.sigma_data, nyquist)

        def network(x: Tensor, log_level: Tensor) -> Tensor:
            there = next(self.network.parameters()).device  # the walk itself stays on the CPU
            told = None if seen is None else Seen(**{n: t.to(there) for n, t in vars(seen).items()})
            level = log_level.to(there)
            return self.network(x.to(there), level, torch.full_like(level, share), told).to(x.device)

        return preconditioned(network, self.card.sigma_data)


@dataclass(frozen=True, eq=False)
class WienerPrior:
    """The prior that needs no training: the empirical Wiener estimate."""

    card: Card = untrained.CARD
    length: int = 131_072
    precision: str = "float32"

    def denoiser(self, bandwidth_hz: float | None = None, condition: Condition | None = None) -> Denoiser:
        del bandwidth_hz, condition  # it has no use for them
        return wiener(self.card.rate, self.card.sigma_data)


def _seen(condition: Condition, sigma_data: float, nyquist: float) -> Seen:
    cutoff = torch.where(condition.cutoff_hz < nyquist, condition.cutoff_hz / nyquist, 0.0)
    return Seen(
        observation=condition.observation / sigma_data,
        unknown=condition.unknown,
        clip=condition.clip / sigma_data,
        cutoff=cutoff,
        present=torch.ones_like(cutoff),
    )


@lru_cache(maxsize=4)
def load(name: str | Path | None = None, precision: str = "float32", device: str = "cpu") -> Prior:
    """Load a model once; later calls give the same object.

    Args:
        name: a shipped model, a model's folder, or None for the default one.
        precision: float32 or bfloat16, of the network's convolutions.
        device: as torch names it.

    Raises:
        ModelError: unknown model, wrong hash, or weights that do not fit the card.
    """
    if name == untrained.NAME:
        return WienerPrior()
    folder = find(name)
    card = read_card(folder)
    if card.architecture != PatchUnet.__name__:
        raise ModelError(f"{card.name} is a {card.architecture}; this version knows {PatchUnet.__name__}.")
    try:
        arguments: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in card.arguments.items()
        }
        network = PatchUnet(Architecture(**arguments), getattr(torch, precision))
        tensors = load_file(checked_weights(folder))
        network.load_state_dict({n: t.float() for n, t in tensors.items()})
    except (SafetensorError, RuntimeError, TypeError) as error:
        raise ModelError(f"The weights of {card.name} do not fit its card: {error}") from None
    return TrainedPrior(card, network.eval().requires_grad_(False).to(device))


def arguments_of(architecture: Architecture) -> dict[str, object]:
    """A card's `arguments`, as JSON has them."""
    return {k: list(v) if isinstance(v, tuple) else v for k, v in dataclasses.asdict(architecture).items()}
