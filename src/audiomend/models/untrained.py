"""The card of the prior that needs no training, under the name `wiener`. No torch here."""

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
