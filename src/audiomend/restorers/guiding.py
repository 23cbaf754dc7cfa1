"""Guidance by name: what bends the estimate of a window towards the observation."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, cast, runtime_checkable

from torch import Tensor

from audiomend.denoisers.base import Denoiser
from audiomend.errors import UsageError
from audiomend.guidance.dps import dps
from audiomend.guidance.gradient import Norm, euclidean
from audiomend.guidance.null_space import ddnm_plus
from audiomend.guidance.projection import projected
from audiomend.guidance.proximal import proximal
from audiomend.guidance.pseudo_inverse import (
    noisy,
    pigdm,
    pigdm_without_gradient,
    pseudo_inverse,
)
from audiomend.guidance.reconstruction import reconstruction_as_printed
from audiomend.guidance.replace import replaced
from audiomend.guidance.scale import Constant, PowerLaw, Scale
from audiomend.guidance.vocal_restoration import Invertible, pigdm_dc, rg, rg_dc
from audiomend.operators import Forward, LinearOperator
from audiomend.processes.base import Process
from audiomend.restorers.way import Way


@runtime_checkable
class Projectable(Forward, Protocol):
    """A damage whose consistent signals are known."""

    def project(self, x: Tensor, observation: Tensor) -> Tensor: ...


@dataclass(frozen=True, eq=False)
class Measured:
    """What a guidance is made of.

    Attributes:
        denoise, process: of the walk.
        operator: of the rows that are denoised.
        observation: (rows, time) the damaged signal, or what the operator gives.
        sigma_data: RMS of clean signals.
        way: how the damage is walked.
        norm: of the residual of the observation.
        damaged: whether the observation is a damaged signal.
    """

    denoise: Denoiser
    process: Process
    operator: Forward
    observation: Tensor
    sigma_data: float
    way: Way
    norm: Norm = euclidean
    damaged: bool = True

    @property
    def y(self) -> Tensor:
        """What was measured: what the operator leaves of a damaged signal.

        Gaps hold nothing. The filter that made a file dull is only guessed, and its pass band is compared.
        """
        return self.operator.forward(self.observation) if self.damaged else self.observation

    @property
    def scale(self) -> Scale:
        return PowerLaw(self.way.xi, self.sigma_data, self.way.power)

    @property
    def projectable(self) -> Projectable:
        return cast(Projectable, self.operator)  # `check` has seen to it

    @property
    def invertible(self) -> Invertible:
        return cast(Invertible, self.operator)

    @property
    def linear(self) -> LinearOperator:
        return cast(LinearOperator, self.operator)

    @property
    def sigma_y(self) -> float:
        return self.way.sigma_y * self.sigma_data


@dataclass(frozen=True)
class Guidance:
    """A guidance that has a name.

    Attributes:
        make: the guided denoiser.
        gradient: whether an evaluation takes a backward pass through the network.
        needs: the methods that the operator must have, as a protocol.
    """

    make: Callable[[Measured], Denoiser]
    gradient: bool = False
    needs: type = Forward


def _rg(m: Measured) -> Denoiser:
    return rg(m.denoise, m.process, m.operator, m.y, m.scale, m.way.limit, m.norm)


def _rg_dc(m: Measured) -> Denoiser:
    return rg_dc(m.denoise, m.process, m.operator, m.y, m.scale, m.way.limit, m.norm)


def _rg_printed(m: Measured) -> Denoiser:
    return reconstruction_as_printed(m.denoise, m.process, m.operator.forward, m.y, m.scale, m.norm)


def _dps(m: Measured) -> Denoiser:
    return dps(m.denoise, m.process, m.operator.forward, m.y, Constant(m.way.xi * m.sigma_data), m.norm)


def _pigdm(m: Measured) -> Denoiser:
    correction = pseudo_inverse(m.operator.forward, m.invertible.pinv, m.y)
    return pigdm(m.denoise, m.process, correction)


def _pigdm_free(m: Measured) -> Denoiser:
    correction = pseudo_inverse(m.operator.forward, m.invertible.pinv, m.y)
    return pigdm_without_gradient(m.denoise, m.process, correction)


def _pigdm_noisy(m: Measured) -> Denoiser:
    return pigdm(m.denoise, m.process, noisy(m.linear, m.y, m.sigma_y, m.sigma_data))


GUIDANCE: dict[str, Guidance] = {
    "projection": Guidance(
        lambda m: projected(m.denoise, m.projectable.project, m.observation), needs=Projectable
    ),
    "replace": Guidance(lambda m: replaced(m.denoise, m.operator.forward, m.y)),
    "rg": Guidance(_rg, gradient=True),
    "rg-dc": Guidance(_rg_dc, gradient=True),
    "rg-printed": Guidance(_rg_printed, gradient=True),
    "dps": Guidance(_dps, gradient=True),
    "pigdm": Guidance(_pigdm, gradient=True, needs=Invertible),
    "pigdm-dc": Guidance(
        lambda m: pigdm_dc(m.denoise, m.process, m.invertible, m.y), gradient=True, needs=Invertible
    ),
    "pigdm-noisy": Guidance(_pigdm_noisy, gradient=True, needs=LinearOperator),
    "pigdm-free": Guidance(_pigdm_free, needs=Invertible),
    "ddnm+": Guidance(
        lambda m: ddnm_plus(m.denoise, m.process, m.linear, m.y, m.sigma_y), needs=LinearOperator
    ),
    "proximal": Guidance(
        lambda m: proximal(m.denoise, m.process, m.linear, m.y, m.sigma_y), needs=LinearOperator
    ),
    "none": Guidance(lambda m: m.denoise),
}


RECONSTRUCTION = ("rg", "rg-dc")  # whose strength is xi
REPLACING = ("replace", "rg-dc", "pigdm-dc")  # y + x_0 - A(x_0): the observation is a signal like x_0
_NEEDS = {
    Projectable: "damages whose consistent signals are known",
    Invertible: "damages with a pseudo-inverse",
    LinearOperator: "linear damages",
}


def check(name: str, operator: Forward) -> None:
    """Find out before a walk whether a damage has what a guidance needs.

    Raises:
        UsageError: it has not.
    """
    needs = GUIDANCE[name].needs
    if not isinstance(operator, needs):
        fitting = [other for other, guidance in GUIDANCE.items() if isinstance(operator, guidance.needs)]
        raise UsageError(
            f"The guidance {name} is for {_NEEDS[needs]}; for this one there are {', '.join(fitting)}."
        )
