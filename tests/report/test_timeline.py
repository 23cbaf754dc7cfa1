"""The timeline says how much was changed, where, and in which band."""

import re

import numpy as np

from audiomend.report.listening import Excerpt, Sound
from audiomend.report.spectrogram import Region
from audiomend.report.timeline import describe, envelope, timeline

RATE = 8_000


def excerpt(seconds: float, start: float, duration: float) -> Excerpt:
    return Excerpt((Sound("a", np.full((1, round(seconds * RATE)), 0.5), RATE),), start, duration)


def test_the_share_counts_every_moment_once() -> None:
    regions = [
        Region(1, 1.5),
        Region(1.25, 1.75),
        Region(1.2, 1.3, low_hz=4000),
        Region(3.005, 4),
        Region(2.75, 3),
    ]
    html = timeline(regions, excerpt(10, 0, 10))
    assert "<h3>Changed: 3 stretches, 1.995 s of 10.000 s (20% of the time)</h3>" in html


def test_one_stretch_is_not_plural() -> None:
    assert "Changed: 1 stretch, 0.500 s of 10.000 s (5% of the time)" in timeline(
        [Region(1, 1.5)], excerpt(10, 0, 10)
    )


def test_a_change_of_one_sample_has_a_length() -> None:
    html = timeline([Region(1, 1 + 1 / 44100)], excerpt(10, 0, 10))
    assert "Changed: 1 stretch, 0.023 ms of 10.000 s (0.00023% of the time)" in html


def test_without_changes_there_is_no_timeline() -> None:
    assert timeline([], excerpt(10, 0, 10)) == ""


def test_bars_and_the_excerpt_stand_at_their_shares_of_the_file() -> None:
    html = timeline([Region(30, 45)], excerpt(12, 15, 60))
    assert '<rect class="bar" x="50.000%" width="25.000%"' in html
    assert '<rect class="frame" x="25.000%" width="20.000%"' in html


def test_a_whole_file_has_no_frame() -> None:
    assert "frame" not in timeline([Region(30, 45)], excerpt(60, 0, 60))


def test_at_most_a_hundred_stretches_are_written_out() -> None:
    html = timeline([Region(k / 10, k / 10 + 0.01) for k in range(105)], excerpt(20, 0, 20))
    assert html.count("<li>") == 100
    assert "And 5 more." in html


def test_describe() -> None:
    assert describe(Region(1.5, 61.25)) == "1.500 s to 1:01.250"
    assert describe(Region(0, 2, low_hz=4000)) == "0.000 s to 2.000 s, above 4000 Hz"
    assert describe(Region(0, 2, low_hz=50, high_hz=60)) == "0.000 s to 2.000 s, 50 to 60 Hz"
    assert describe(Region(0, 2, high_hz=60)) == "0.000 s to 2.000 s, 0 to 60 Hz"


def test_a_stretch_shorter_than_a_millisecond_has_two_ends() -> None:
    assert describe(Region(1.61801, 1.61801 + 1 / 44100)) == "1.61801 s to 1.61803 s"
    assert describe(Region(61.2, 61.2005)) == "1:01.2000 to 1:01.2005"
    assert describe(Region(2.0, 2.0)) == "2.000000 s to 2.000000 s"


def test_the_envelope_is_the_largest_sample_of_each_point() -> None:
    audio = np.zeros((2, 6000))
    audio[0, 1234] = 0.25
    audio[1, 5999] = -0.5
    points = re.findall(r"(\d+),([\d.]+)", envelope(audio))
    assert len(points) == 1200
    upper = {int(x): float(y) for x, y in points[:600]}
    lower = [(int(x), float(y)) for x, y in points[600:]]
    assert (upper[122], upper[123], upper[124], upper[599]) == (1.0, 0.5, 1.0, 0.0)
    assert lower == [(x, 2 - upper[x]) for x in reversed(range(600))]


def test_the_envelope_of_silence_is_a_line() -> None:
    assert "nan" not in envelope(np.zeros((1, 10)))
