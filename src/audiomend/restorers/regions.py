"""Stretches of time that a user names: `12.0-15.5`, `0:01:23.4-0:01:25`, or an Audacity label file.

Intervals are sample indices, half-open, sorted, merged where they touch.
"""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audiomend.errors import UsageError

Interval = tuple[int, int]
Span = tuple[float, float]  # seconds

LARGEST_LABEL_FILE = 16 << 20  # bytes
REGION_FADE_S = 0.01  # at the edges of a region, inside it, where every sample may change

_COUNT = r"\d{1,9}"
_SECONDS = rf"{_COUNT}(?:\.\d*)?|\.\d+"
_TIME = re.compile(rf"(?:(?:(?P<hours>{_COUNT}):)?(?P<minutes>{_COUNT}):)?(?P<seconds>{_SECONDS})", re.ASCII)
_TIME_FORMS = "seconds (12.5), minutes (1:23.4) or hours (0:01:23.4)"


def parse_intervals(texts: Sequence[str], rate: int, frames: int) -> list[Interval]:
    """The sample intervals that several spans or label files name together.

    A time t falls on the sample round(t * rate).

    Args:
        texts: each a span START-STOP or the path of an Audacity label file.
        rate: Hz.
        frames: length of the file; no interval may end beyond it.

    Raises:
        UsageError: a text is neither, a span is empty, reversed or not inside the file.
    """
    return merge(_interval(span, name, rate, frames) for text in texts for span, name in _spans(text))


def parse_time(text: str) -> float:
    """Seconds from `12.5`, `1:23.4` or `0:01:23.4`; below the first part, each part is less than 60.

    Raises:
        UsageError: it is no such time.
    """
    found = _TIME.fullmatch(text.strip())
    if found is None:
        raise UsageError(f"'{text}' is not a time; times are {_TIME_FORMS}")
    hours, minutes, seconds = int(found["hours"] or 0), int(found["minutes"] or 0), float(found["seconds"])
    if (found["minutes"] and seconds >= 60) or (found["hours"] and minutes >= 60):
        raise UsageError(f"'{text}' is not a time: minutes and seconds go up to 59")
    return hours * 3600 + minutes * 60 + seconds


def merge(intervals: Iterable[Interval]) -> list[Interval]:
    """Sorted intervals; those that overlap or touch become one."""
    merged: list[Interval] = []
    for start, stop in sorted(intervals):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(stop, merged[-1][1]))
        else:
            merged.append((start, stop))
    return merged


def region_fade(regions: Sequence[Interval], start: int, stop: int, rate: int) -> NDArray[np.float64]:
    """(stop - start,) 1 inside the regions with raised cosines inside their edges, 0 outside.

    The cosines last 10 ms, in a region of less than 40 ms a quarter of it.
    """
    weight = np.zeros(stop - start)
    place = np.arange(start, stop)
    for first, last in regions:
        if first < stop and last > start:
            edge = np.minimum(place - first, last - 1 - place) + 0.5
            fade = min(REGION_FADE_S * rate, (last - first) / 4)
            weight += np.sin(np.pi / 2 * np.clip(edge / fade, 0, 1)) ** 2
    return weight


def _spans(text: str) -> Iterator[tuple[Span, str]]:
    """The spans that `text` names, each with what to call it in a message."""
    start, dash, stop = text.partition("-")
    if dash and _TIME.fullmatch(start.strip()) and _TIME.fullmatch(stop.strip()):
        yield (parse_time(start), parse_time(stop)), f"'{text}'"
    elif os.path.isfile(text):  # unlike Path.is_file, no error for a name that cannot be
        yield from _labels(Path(text))
    else:
        raise UsageError(
            f"'{text}' is neither a span START-STOP nor an Audacity label file; times are {_TIME_FORMS}"
        )


def _labels(path: Path) -> Iterator[tuple[Span, str]]:
    names_any = False
    for number, line in enumerate(_lines(path), 1):
        if not line.strip() or line.startswith("\\"):  # the second line of a spectral label: its frequencies
            continue
        name = f"line {number} of {path}"
        start, stop = _label_times(line, name)
        if start == stop:  # a point label names no stretch
            continue
        names_any = True
        yield (start, stop), name
    if not names_any:
        raise UsageError(
            f"{path} holds no label with a start and an end; each line is START<tab>END<tab>NAME"
        )


def _lines(path: Path) -> list[str]:
    try:
        if path.stat().st_size > LARGEST_LABEL_FILE:
            raise UsageError(f"{path} is larger than {LARGEST_LABEL_FILE:,} bytes, so it is no label file")
        return path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None


def _label_times(line: str, name: str) -> Span:
    fields = line.split("\t")
    try:
        # Audacity writes the decimal comma in some languages.
        start, stop = (float(field.replace(",", ".")) for field in fields[:2])
        if not 0 <= start < float("inf") or not 0 <= stop < float("inf"):
            raise ValueError
    except ValueError:
        raise UsageError(f"{name} is not a label; each line is START<tab>END<tab>NAME, in seconds") from None
    return start, stop


def _interval(span: Span, name: str, rate: int, frames: int) -> Interval:
    if span[1] < span[0]:
        raise UsageError(f"{name} ends before it starts; spans are START-STOP")
    start, stop = round(span[0] * rate), round(span[1] * rate)
    if stop > frames:
        raise UsageError(
            f"{name} ends at {span[1]:g} s, outside the file, which is {frames / rate:.3f} s long"
        )
    if start == stop:
        raise UsageError(f"{name} holds no sample; a span is at least one sample long ({1 / rate:.2g} s)")
    return start, stop
