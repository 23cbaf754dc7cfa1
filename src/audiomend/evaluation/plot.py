"""Quality against time as an SVG picture: one panel per severity and set."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from audiomend.evaluation.damages import Task
from audiomend.evaluation.methods import UNPROCESSED
from audiomend.evaluation.metrics import LIMIT_DB
from audiomend.evaluation.scoring import FIGURES, shown_figures
from audiomend.evaluation.summary import ALL_SETS, Row
from audiomend.evaluation.tables import severity_title

# Okabe and Ito's colours, told apart by colour-blind readers too.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6d31", "#444444")
WIDTH, HEIGHT = 300, 200  # of a panel's axes, in pixels
LEFT, TOP, RIGHT, BOTTOM = 62, 44, 16, 44  # around the axes of a panel
LEGEND_LINE = 20


@dataclass(frozen=True)
class Axis:
    """A linear map of [low, high] onto pixels [at_low, at_high]."""

    low: float
    high: float
    at_low: float
    at_high: float

    def __call__(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return self.at_low + share * (self.at_high - self.at_low)


def quality_against_time(task: Task, rows: Sequence[Row]) -> str:
    """The picture: RTF on a logarithmic axis, the first shown figure of each severity, 95 % intervals.

    Methods that differ in `steps` only are one line, with the steps written at the points. The damaged clip
    is a dashed line. The pooled set is not shown, nor are infinite figures.
    """
    main = {severity: shown_figures(task, severity)[0] for severity in {row.severity for row in rows}}
    shown = [row for row in rows if row.set != ALL_SETS and row.figure == main[row.severity]]
    sets = list(dict.fromkeys(row.set for row in shown))
    severities = sorted({row.severity for row in shown})
    points = [row for row in shown if row.rtf and _finite(row.mean)]
    families = list(dict.fromkeys(family(row.method)[0] for row in points))
    colours = {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(families)}
    x = _time_axis([row.rtf for row in points if row.rtf])
    cell_width, cell_height = LEFT + WIDTH + RIGHT, TOP + HEIGHT + BOTTOM
    parts: list[str] = []
    for j, severity in enumerate(severities):
        for i, name in enumerate(sets):
            chosen = [row for row in shown if row.set == name and row.severity == severity]
            place = f"translate({i * cell_width + LEFT},{j * cell_height + TOP})"
            panel = _panel(task, severity, name, chosen, x, colours)
            parts.append(f'<g transform="{place}">{panel}</g>')
    bottom = cell_height * len(severities)
    parts.append(_legend(colours, bottom))
    width, height = cell_width * max(1, len(sets)), bottom + LEGEND_LINE * (len(colours) + 1) + 10
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12" fill="#222">'
        f'<rect width="100%" height="100%" fill="#fff"/>{"".join(parts)}</svg>\n'
    )


def family(method: str) -> tuple[str, str]:
    """A method without its `steps`, and the steps: "a@steps=8,b=1" is ("a@b=1", "8")."""
    name, _, options = method.partition("@")
    pairs = options.split(",") if options else []
    steps = [pair.partition("=")[2] for pair in pairs if pair.startswith("steps=")]
    rest = ",".join(pair for pair in pairs if not pair.startswith("steps="))
    return (f"{name}@{rest}" if rest else name), (steps[0] if steps else "")


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round values (1, 2 or 5 times a power of ten apart) inside [low, high], roughly `about` of them."""
    rough = (high - low) / about
    power = 10 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(k * step, 10) for k in range(first, math.floor(high / step + 1e-9) + 1)]


def _finite(value: float | None) -> bool:
    return value is not None and abs(value) < LIMIT_DB


def _time_axis(rtfs: Sequence[float]) -> Axis:
    exponents = [math.log10(rtf) for rtf in rtfs] or [0.0]
    low, high = math.floor(min(exponents) - 0.1), math.ceil(max(exponents) + 0.1)
    return Axis(low, high, 0, WIDTH)


def _quality_axis(rows: Sequence[Row]) -> Axis:
    values = [v for row in rows for v in (row.mean, row.low, row.high) if v is not None and _finite(v)]
    low, high = min(values, default=0.0), max(values, default=0.0)
    margin = 0.08 * (high - low) or 1.0
    return Axis(low - margin, high + margin, HEIGHT, 0)


def _panel(
    task: Task, severity: float, name: str, rows: Sequence[Row], x: Axis, colours: dict[str, str]
) -> str:
    y = _quality_axis(rows)
    figure = FIGURES[shown_figures(task, severity)[0]]
    parts = [
        _text(0, -24, f"{name}, {severity_title(task, severity)}", "start", weight="bold"),
        _text(0, -9, f"{figure.label} ({figure.better} is better)", "start", size=11),
        _axes(x, y),
    ]
    for row in rows:
        if row.method == UNPROCESSED and row.mean is not None and _finite(row.mean):
            parts.append(_line(0, y(row.mean), WIDTH, y(row.mean), "#888", dash="5 4"))
            parts.append(_text(WIDTH - 4, y(row.mean) - 4, UNPROCESSED, "end", size=11))
    for label, colour in colours.items():
        points = [r for r in rows if family(r.method)[0] == label and r.rtf and _finite(r.mean)]
        parts.append(_series(sorted(points, key=lambda r: r.rtf or 0.0), x, y, colour))
    return "".join(parts)


def _axes(x: Axis, y: Axis) -> str:
    parts = [f'<rect width="{WIDTH}" height="{HEIGHT}" fill="none" stroke="#999"/>']
    for value in ticks(y.low, y.high):
        parts.append(_line(0, y(value), WIDTH, y(value), "#e4e4e4"))
        parts.append(_text(-6, y(value) + 4, f"{value:g}", "end", size=11))
    for exponent in range(round(x.low), round(x.high) + 1):
        parts.append(_line(x(exponent), 0, x(exponent), HEIGHT, "#e4e4e4"))
        parts.append(_text(x(exponent), HEIGHT + 15, f"{10.0**exponent:g}", "middle", size=11))
    parts.append(_text(WIDTH / 2, HEIGHT + 31, "seconds of work per second of sound", "middle", size=11))
    return "".join(parts)


def _series(points: Sequence[Row], x: Axis, y: Axis, colour: str) -> str:
    parts: list[str] = []
    places = [(x(math.log10(p.rtf)), y(p.mean)) for p in points if p.rtf and p.mean is not None]
    if len(places) > 1:
        path = " ".join(f"{a:.1f},{b:.1f}" for a, b in places)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
    for point, (a, b) in zip(points, places, strict=True):
        if point.low is not None and point.high is not None and _finite(point.low) and _finite(point.high):
            parts.append(_line(a, y(point.low), a, y(point.high), colour, opacity=0.35))
        parts.append(f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3.5" fill="{colour}"/>')
        steps = family(point.method)[1]
        if steps:
            parts.append(_text(a - 1, b - 8, steps, "middle", size=10, colour=colour))
    return "".join(parts)


def _legend(colours: dict[str, str], top: float) -> str:
    parts: list[str] = []
    for i, (label, colour) in enumerate(colours.items()):
        height = top + LEGEND_LINE * (i + 0.5)
        parts.append(f'<circle cx="{LEFT + 5}" cy="{height:.1f}" r="4" fill="{colour}"/>')
        parts.append(_text(LEFT + 16, height + 4, label, "start"))
    note = "bars: 95 % bootstrap interval of the mean; numbers at points: steps"
    parts.append(_text(LEFT, top + LEGEND_LINE * (len(colours) + 0.5) + 4, note, "start", size=11))
    return "".join(parts)


def _line(
    x1: float, y1: float, x2: float, y2: float, colour: str, dash: str = "none", opacity: float = 1.0
) -> str:
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" '
        f'stroke-dasharray="{dash}" stroke-opacity="{opacity:g}"/>'
    )


def _text(
    x: float, y: float, text: str, anchor: str, size: int = 12, weight: str = "normal", colour: str = "#222"
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" font-weight="{weight}" '
        f'fill="{colour}">{escape(text)}</text>'
    )
