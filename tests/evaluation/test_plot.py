"""The picture is well-formed, and its points lie where their figures say."""

import math
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from audiomend.evaluation.plot import HEIGHT, WIDTH, Axis, family, quality_against_time, ticks
from audiomend.evaluation.summary import Row

BASE = Row("music", 3.0, "damaged", "clipped_sdr_db", 8, 0, 3.0, 3.0, 2.5, 3.5, 0.0, 0.0)
FAST = replace(BASE, method="ours@steps=4", mean=6.0, low=5.0, high=7.0, rtf=0.1)
SLOW = replace(BASE, method="ours@steps=16", mean=9.0, low=8.0, high=10.0, rtf=10.0)
PEER = replace(BASE, method="a<b&c", mean=5.0, low=4.0, high=6.0, rtf=1.0)
SVG = "{http://www.w3.org/2000/svg}"


def drawn(*rows: Row) -> ElementTree.Element:
    return ElementTree.fromstring(quality_against_time("declip", rows))


def circles(picture: ElementTree.Element) -> list[tuple[float, float]]:
    panel = picture.find(f"{SVG}g")
    assert panel is not None
    return [(float(c.attrib["cx"]), float(c.attrib["cy"])) for c in panel.findall(f"{SVG}circle")]


def test_points_lie_where_their_figures_say() -> None:
    """Time from 0.01 to 100 on a logarithmic axis, quality from 2.5 to 10 with a margin of 0.08 of it."""
    low, high = 2.5 - 0.6, 10 + 0.6
    expected = [
        (WIDTH * (math.log10(rtf) + 2) / 4, HEIGHT * (high - mean) / (high - low))
        for rtf, mean in ((0.1, 6.0), (10.0, 9.0), (1.0, 5.0))
    ]
    for point, place in zip(circles(drawn(BASE, SLOW, FAST, PEER)), expected, strict=True):
        assert point == pytest.approx(place, abs=0.06)


def test_the_time_axis_spans_whole_decades() -> None:
    """From 0.3 to 30: an axis from 0.1 to 100."""
    places = circles(drawn(replace(FAST, rtf=0.3), replace(SLOW, rtf=30.0)))
    assert [x for x, _ in places] == pytest.approx(
        [WIDTH * (math.log10(rtf) + 1) / 3 for rtf in (0.3, 30.0)], abs=0.06
    )


def test_methods_that_differ_in_steps_are_one_line() -> None:
    picture = drawn(BASE, SLOW, FAST, PEER)
    (line,) = picture.iter(f"{SVG}polyline")
    assert len(line.attrib["points"].split()) == 2
    texts = [text.text for text in picture.iter(f"{SVG}text")]
    assert {"4", "16", "ours", "a<b&c", "damaged", "music, input SDR 3 dB"} <= set(texts)


def test_there_is_a_panel_for_each_set_and_severity_but_none_for_the_pool() -> None:
    rows = [replace(FAST, set=name, severity=s) for name in ("music", "speech", "all") for s in (3.0, 10.0)]
    assert len(drawn(*rows).findall(f"{SVG}g")) == 4


def test_failed_and_infinite_figures_are_not_drawn() -> None:
    lost = replace(FAST, mean=None, low=None, high=None, rtf=None)
    endless = replace(SLOW, mean=300.0, low=300.0, high=300.0)
    assert circles(drawn(BASE, lost, endless)) == []


def test_nothing_measured_is_an_empty_picture() -> None:
    assert drawn().findall(f"{SVG}g") == []


def test_families() -> None:
    assert family("a@steps=8,b=1") == ("a@b=1", "8")
    assert family("a@b=1") == ("a@b=1", "")
    assert family("a@steps=8") == ("a", "8")


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0.0, 10.0, [0, 2, 4, 6, 8, 10]), (-1.2, 1.2, [-1, -0.5, 0, 0.5, 1]), (3.1, 3.9, [3.2, 3.4, 3.6, 3.8])],
)
def test_ticks_are_round(low: float, high: float, expected: list[float]) -> None:
    assert ticks(low, high) == expected


def test_an_axis_is_linear() -> None:
    axis = Axis(1.0, 3.0, 200.0, 0.0)
    assert [axis(v) for v in (1.0, 1.5, 3.0)] == [200.0, 150.0, 0.0]
