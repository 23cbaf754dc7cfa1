"""Numbers as people read them."""

import pytest

from audiomend.words import beside, decibels, percent, plural


@pytest.mark.parametrize(
    ("share", "words"),
    [(1, "100%"), (0.414, "41%"), (0.0996, "10%"), (0.0214, "2.1%"), (0.000321, "0.032%"), (0, "0%")],
)
def test_shares_in_words(share: float, words: str) -> None:
    assert percent(share) == words


def test_gains_in_decibels() -> None:
    assert decibels(10 ** (-7 / 20)) == pytest.approx(-7)


def test_levels_beside_another() -> None:
    assert [beside(level) for level in (-3.46, 0.44, 0.0)] == ["3.5 dB below", "0.4 dB above", "0.0 dB below"]


def test_counts_in_words() -> None:
    assert [plural(n, "gap") for n in (1, 2, 1200)] == ["1 gap", "2 gaps", "1,200 gaps"]
    assert [plural(n, "stretch", "stretches") for n in (1, 2)] == ["1 stretch", "2 stretches"]
