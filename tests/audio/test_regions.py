"""Times, spans and label files become sample intervals, or one sentence."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiomend.errors import UsageError
from audiomend.restorers.regions import merge, parse_intervals, parse_time

RATE = 1000


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("12", 12),
        ("12.5", 12.5),
        (".5", 0.5),
        ("7.", 7),
        (" 3 ", 3),
        ("90.25", 90.25),
        ("1:23.4", 83.4),
        ("0:01:23.4", 83.4),
        ("2:03:04.5", 7384.5),
        ("75:00", 4500),
        ("100:59:59", 363_599),
    ],
)
def test_times(text, seconds):
    assert parse_time(text) == pytest.approx(seconds, abs=1e-9)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "-1",
        "1e3",
        "nan",
        "inf",
        "1:2:3:4",
        "1:75",
        "1:75:00",
        "1:60",
        "1,5",
        "1.5:00",
        ":30",
        "٣",
        "1_0",
        "9" * 400,
    ],
)
def test_what_is_no_time(text):
    with pytest.raises(UsageError, match="is not a time"):
        parse_time(text)


def test_spans_become_samples():
    assert parse_intervals(["1.2-1.45"], RATE, 2000) == [(1200, 1450)]
    assert parse_intervals(["0:00:01.2 - 0:01.45"], RATE, 2000) == [(1200, 1450)]


def test_a_time_falls_on_the_nearest_sample():
    assert parse_intervals(["0.0014-0.0026"], RATE, 10) == [(1, 3)]


def test_spans_are_sorted_and_merged():
    assert parse_intervals(["3-4", "1-2", "1.5-2.5", "2.5-2.6"], RATE, 9000) == [(1000, 2600), (3000, 4000)]


def test_nothing_named_is_no_interval():
    assert parse_intervals([], RATE, 100) == []


def test_a_span_may_end_with_the_file():
    assert parse_intervals(["0-0.1"], RATE, 100) == [(0, 100)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0-0.101", r"'0-0.101' ends at 0.101 s, outside the file, which is 0.100 s long"),
        ("5-6", r"outside the file"),
        ("0.05-0.01", r"'0.05-0.01' ends before it starts"),
        ("0.05-0.05", r"holds no sample"),
        ("0.0501-0.0502", r"holds no sample"),
        ("0.05", r"neither a span START-STOP nor an Audacity label file"),
        ("a-b", r"neither a span"),
        ("-1-2", r"neither a span"),
        ("1-2-3", r"neither a span"),
        ("0.05-", r"neither a span"),
        ("no\0name", r"neither a span"),
        ("x" * 5000, r"neither a span"),
    ],
)
def test_what_is_no_span(text, message):
    with pytest.raises(UsageError, match=message):
        parse_intervals([text], RATE, 100)


def test_label_file(tmp_path):
    labels = tmp_path / "labels.txt"
    labels.write_text(
        "1.000000\t1.500000\tclick\n\\\t200.0\t3000.0\n0.25\t0.5\t\n\n3,5\t4,0\tcomma\n2.0\t2.0\tpoint\n"
    )
    assert parse_intervals([str(labels)], RATE, 9000) == [(250, 500), (1000, 1500), (3500, 4000)]


def test_a_label_may_span_the_whole_file(tmp_path):
    labels = tmp_path / "labels.txt"
    labels.write_text("0.0\t9.0\tall\n")
    assert parse_intervals([str(labels)], RATE, 9000) == [(0, 9000)]


def test_label_file_of_windows(tmp_path):
    labels = tmp_path / "labels.txt"
    labels.write_bytes(b"\xef\xbb\xbf1.0\t1.5\t\xe4\r\n")
    assert parse_intervals([str(labels)], RATE, 9000) == [(1000, 1500)]


def test_labels_and_spans_together(tmp_path):
    labels = tmp_path / "labels.txt"
    labels.write_text("1.0\t1.5\n")
    assert parse_intervals(["1.4-2", str(labels)], RATE, 9000) == [(1000, 2000)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hello\n", r"line 1 of .*labels.txt is not a label; each line is START<tab>END<tab>NAME"),
        ("1.0\t2.0\n1.0\n", "line 2 of"),
        ("1.0\tnan\tx\n", "line 1 of"),
        ("-1.0\t2.0\tx\n", "line 1 of"),
        ("1.0\tinf\tx\n", "line 1 of"),
        ("2.0\t1.0\tx\n", "line 1 of .* ends before it starts"),
        ("1.0\t99.0\tx\n", "line 1 of .* outside the file"),
        ("", "holds no label with a start and an end"),
        ("1.0\t1.0\tpoint\n", "holds no label with a start and an end"),
    ],
)
def test_what_is_no_label_file(tmp_path, text, message):
    labels = tmp_path / "labels.txt"
    labels.write_text(text)
    with pytest.raises(UsageError, match=message):
        parse_intervals([str(labels)], RATE, 9000)


def test_a_huge_file_is_no_label_file(tmp_path):
    labels = tmp_path / "labels.txt"
    with labels.open("wb") as file:
        file.truncate((16 << 20) + 1)
    with pytest.raises(UsageError, match="larger than 16,777,216 bytes"):
        parse_intervals([str(labels)], RATE, 9000)


@settings(deadline=None)
@given(st.floats(0, 359_999, allow_nan=False))
def test_hours_minutes_and_seconds_say_the_same_as_seconds(seconds):
    milliseconds = round(seconds * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    text = f"{hours}:{minutes:02}:{rest // 1000:02}.{rest % 1000:03}"
    assert parse_time(text) == pytest.approx(milliseconds / 1000, abs=1e-9)


intervals = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 20)).map(lambda pair: (pair[0], sum(pair))))


@settings(deadline=None)
@given(intervals)
def test_merging_keeps_the_samples(spans):
    merged = merge(spans)
    assert {i for a, b in merged for i in range(a, b)} == {i for a, b in spans for i in range(a, b)}
    assert all(a < b for a, b in merged)
    assert all(first[1] < second[0] for first, second in pairwise(merged))


@settings(deadline=None)
@given(st.text())
def test_any_text_is_a_span_or_a_sentence(text):
    try:
        result = parse_intervals([text], RATE, 5000)
    except UsageError:
        return
    assert all(0 <= start < stop <= 5000 for start, stop in result)
