"""A trained prior, ready to be asked."""

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from audiomend.conditions import Condition
from audiomend.denoisers.base import Denoiser
from audiomend.denoisers.preconditioned import noise_predicting, preconditioned
from audiomend.denoisers.wiener import wiener
from audiomend.errors import ModelError, UsageError
from audiomend.models import untrained
from audiomend.models.card import Card, read_card
from audiomend.models.precision import check, choose, choose_device
from audiomend.models.store import SHIPPED, checked_weights, find
from audiomend.networks import cqtdiff, cqtdiff_plus, sashimi
from audiomend.networks.patch_unet import Architecture, PatchUnet, Seen

_DDPM_BETAS = np.linspace(1e-4, 0.02, 200)  # of SaShiMi-Diff (Goel et al. 2022)


@runtime_checkable
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

        def rows(x: Tensor, log_level: Tensor, some: slice) -> Tensor:
            there = next(self.network.parameters()).device  # the walk itself stays on the CPU
            told = None if seen is None else Seen(**{n: t[some].to(there) for n, t in vars(seen).items()})
            level = log_level[some].to(there)
            return self.network(x[some].to(there), level, torch.full_like(level, share), told).to(x.device)

        def network(x: Tensor, log_level: Tensor) -> Tensor:
            if next(self.network.parameters()).device.type != "cpu":
                return rows(x, log_level, slice(None))
            # One by one they are as fast, to the bit the same, and take the memory of one.
            return torch.cat([rows(x, log_level, slice(row, row + 1)) for row in range(len(x))])

        return preconditioned(network, self.card.sigma_data)


@dataclass(frozen=True, eq=False)
class PublishedPrior:
    """A published network with its card. It is told nothing but the noise level.

    Attributes:
        card: what it is.
        network: takes (batch, length) and (batch, 1): ln(sigma) / 4 with EDM's preconditioning, the step with
            that of DDPM. In evaluation, on its device.
        length: samples of one window at the card's rate.
        precision: number format of the convolutions.
    """

    card: Card
    network: nn.Module
    length: int
    precision: str

    def denoiser(self, bandwidth_hz: float | None = None, condition: Condition | None = None) -> Denoiser:
        del bandwidth_hz, condition  # it was not trained with them
        sigma_data = self.card.sigma_data

        def network(x: Tensor, told: Tensor) -> Tensor:
            there = next(self.network.parameters()).device  # the walk itself stays on the CPU
            return self.network(x.to(there), told[:, None].to(there)).to(x.device)

        if self.card.preconditioning == "DDPM":
            return noise_predicting(network, _DDPM_BETAS.tolist())
        return preconditioned(lambda x, level: network(x, (level + math.log(sigma_data)) / 4), sigma_data)


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


def load_model(name: str | Path | None = None, precision: str = "auto", device: str = "auto") -> Prior:
    """A model that every verb takes as `model`, in the number format and on the device that verbs choose.

    Args:
        name: a shipped model, a model's folder, or None for the default one.
        precision: auto, float32 or bfloat16, of the network.
        device: auto, cpu, cuda or mps.

    Raises:
        UsageError: an unknown precision, or a device that this machine lacks.
        ModelError: as `load`.
    """
    check(precision, device)
    there = choose_device(device)
    return load(name, choose(precision, there), there)


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
    if card.architecture not in _PRIORS:
        raise ModelError(
            f"{card.name:.80} is a {card.architecture:.80}; this version knows {', '.join(_PRIORS)}."
        )
    arguments: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in card.arguments.items()}
    build = partial(_PRIORS[card.architecture], card, arguments, precision)
    try:
        tensors = load_file(checked_weights(folder))
        if folder.parent != SHIPPED:  # torch loads its compilers for this, 70 MiB and a second of them
            with torch.device("meta"):  # names and shapes, before memory is taken for the network
                _compare(build().network.state_dict(), tensors)
        prior = build()
        prior.network.load_state_dict(
            {n: t.float() if t.is_floating_point() else t for n, t in tensors.items()}
        )
    except (SafetensorError, RuntimeError, TypeError, ValueError, KeyError, UsageError) as error:
        raise ModelError(f"The weights of {card.name:.80} do not fit its card: {error!s:.300}") from None
    prior.network.eval().requires_grad_(False).to(device)
    return prior


def _compare(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> None:
    if odd := expected.keys() ^ found.keys():
        raise ValueError(f"{len(odd)} tensors are missing or unknown, {min(odd):.80} among them")
    for name, like in expected.items():
        if found[name].shape != like.shape or found[name].is_floating_point() != like.is_floating_point():
            shape, dtype = tuple(found[name].shape), found[name].dtype
            raise ValueError(
                f"{name} is {shape} of {dtype}, the network has {tuple(like.shape)} of {like.dtype}"
            )


def _patch_unet(card: Card, arguments: Mapping[str, Any], precision: str) -> TrainedPrior:
    return TrainedPrior(card, PatchUnet(Architecture(**arguments), getattr(torch, precision)))


def _cqtdiff(card: Card, arguments: Mapping[str, Any], precision: str) -> PublishedPrior:
    architecture = cqtdiff.Architecture(**arguments)
    network = cqtdiff.CqtDiff(architecture, getattr(torch, precision))
    return PublishedPrior(card, network, architecture.length, precision)


def _cqtdiff_plus(card: Card, arguments: Mapping[str, Any], precision: str) -> PublishedPrior:
    del precision  # all of it is float32
    architecture = cqtdiff_plus.Architecture(**arguments)
    return PublishedPrior(card, cqtdiff_plus.CqtDiffPlus(architecture), architecture.length, "float32")


def _sashimi(card: Card, arguments: Mapping[str, Any], precision: str) -> PublishedPrior:
    del precision  # all of it is float32
    sizes = dict(arguments)
    length = sizes.pop("length")  # the network takes many
    return PublishedPrior(card, sashimi.Sashimi(sashimi.Architecture(**sizes)), length, "float32")


_PRIORS: dict[str, Callable[[Card, Mapping[str, Any], str], TrainedPrior | PublishedPrior]] = {
    PatchUnet.__name__: _patch_unet,
    cqtdiff.CqtDiff.__name__: _cqtdiff,
    cqtdiff_plus.CqtDiffPlus.__name__: _cqtdiff_plus,
    sashimi.Sashimi.__name__: _sashimi,
}


def arguments_of(
    architecture: Architecture | cqtdiff.Architecture | cqtdiff_plus.Architecture | sashimi.Architecture,
) -> dict[str, object]:
    """A card's `arguments`, as JSON has them."""
    return {k: list(v) if isinstance(v, tuple) else v for k, v in dataclasses.asdict(architecture).items()}
