"""Numbers as people read them."""

import pytest

from audiomend.report.words import percent


@pytest.mark.parametrize(
    ("share", "words"),
    [(1, "100%"), (0.414, "41%"), (0.0996, "10%"), (0.0214, "2.1%"), (0.000321, "0.032%"), (0, "0%")],
)
def test_shares_in_words(share: float, words: str) -> None:
    assert percent(share) == words
