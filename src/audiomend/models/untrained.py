"""The prior that needs no training: the empirical Wiener estimate, under the name `wiener`."""

from dataclasses import dataclass

from audiomend.conditions import Condition
from audiomend.denoisers.base import Denoiser
from audiomend.denoisers.wiener import wiener
from audiomend.models.card import Card

NAME = "wiener"

CARD = Card(
    name=NAME,
    summary="Empirical Wiener estimate on two short-time spectra; no training, the baseline of every table.",
    architecture="none",
    arguments={},
    process="EDM",
    preconditioning="none",
    rate=44_100,
    sigma_data=0.1,
    conditioned=False,
    segments=0,
    cpu_hours=0.0,
    training_data=[],
    withheld=[],
    weights_licence="none: there are no weights",
    figures={},
    limits=["Shrinks what looks like noise and keeps what looks like a partial; it invents nothing."],
    sha256="",
)


@dataclass(frozen=True)
class WienerPrior:
    """A `Prior` without weights."""

    card: Card = CARD
    length: int = 131_072
    precision: str = "float32"

    def denoiser(self, bandwidth_hz: float | None = None, condition: Condition | None = None) -> Denoiser:
        """The empirical Wiener denoiser; it uses neither the bandwidth nor the condition."""
        del bandwidth_hz, condition
        return wiener(self.card.rate, self.card.sigma_data)
