"""Numbers and lists as people read them."""

import ast
from pathlib import Path

import pytest

import audiomend
from audiomend.words import beside, decibels, listed, percent, plural


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


def test_lists_in_words() -> None:
    assert [listed(range(1, n)) for n in (2, 3, 4)] == ["1", "1 and 2", "1, 2 and 3"]
    assert listed(["a", "b", "c"], "or") == "a, b or c"


def test_there_is_one_minus_sign() -> None:
    """Of text that people read it is ASCII's, so that all of it looks alike, in any terminal."""
    for path in Path(audiomend.__file__).parent.rglob("*.py"):
        tree = ast.parse(path.read_text())
        nodes = [node for node in ast.walk(tree) if not isinstance(node, ast.Expr)]  # docstrings are formulas
        words = [one for node in nodes for one in ast.iter_child_nodes(node) if isinstance(one, ast.Constant)]
        assert not [
            one.value for one in words if isinstance(one.value, str) and "\N{MINUS SIGN}" in one.value
        ]
