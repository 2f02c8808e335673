"""Growth as a picture: panels of lines over a quantity, as one SVG file without scripts or fonts."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

Points = Sequence[tuple[float, float]]

_WIDTH, _HEIGHT, _COLUMNS = 380, 270, 2
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 16, 34, 62
# Okabe and Ito's colours, which colour-blind readers can tell apart.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")


@dataclass(frozen=True, slots=True)
class Panel:
    """Lines by name under a title; `goal` is drawn as a dashed line. Points without a positive value are left out."""

    title: str
    lines: Mapping[str, Points]
    log: bool = True
    goal: float | None = None


@dataclass(frozen=True, slots=True)
class _Axis:
    """A scale from values to places; `low` and `high` are values, `start` and `end` places."""

    low: float
    high: float
    start: float
    end: float
    log: bool

    def place(self, value: float) -> float:
        low, high = self._of(self.low), self._of(self.high)
        return self.start + (self._of(value) - low) / (high - low) * (self.end - self.start)

    def ticks(self) -> list[float]:
        """Round values within the axis: powers of ten with 2 and 5 where there are few, or four equal steps."""
        if not self.log:
            step = 10 ** math.floor(math.log10(self.high / 4))
            step *= next(factor for factor in (1, 2, 2.5, 5, 10) if factor * step >= self.high / 4.5)
            return [step * i for i in range(int(self.high / step) + 1)]
        powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        tens = [10.0**power for power in powers if self.low <= 10.0**power <= self.high]
        fine = [factor * 10.0**power for power in powers for factor in (1, 2, 5)]
        return tens if len(tens) > 2 else [value for value in fine if self.low <= value <= self.high]

    def _of(self, value: float) -> float:
        return math.log10(value) if self.log else value


def plot(title: str, note: str, panels: Sequence[Panel]) -> str:
    """An SVG of the panels that have points; `note` stands below them."""
    shown = [panel for panel in panels if any(_positive(points) for points in panel.lines.values())]
    rows = -(-len(shown) // _COLUMNS)
    width, height = _COLUMNS * _WIDTH, 40 + rows * _HEIGHT + 24
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif"'
        ' font-size="11" fill="#222">',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        f'<text x="16" y="26" font-size="16">{escape(title)}</text>',
    ]
    for number, panel in enumerate(shown):
        x, y = number % _COLUMNS * _WIDTH, 40 + number // _COLUMNS * _HEIGHT
        parts.append(f'<g transform="translate({x} {y})">{"".join(_panel(panel))}</g>')
    parts.append(f'<text x="16" y="{height - 8}" fill="#666" font-size="10">{escape(note)}</text></svg>')
    return "\n".join(parts) + "\n"


def short(value: float) -> str:
    """A number in few characters: 1000000 is 1M, 0.5 stays."""
    for size, sign in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{sign}"
    return f"{value:g}"


def _panel(panel: Panel) -> list[str]:
    lines = {name: kept for name, points in panel.lines.items() if (kept := _positive(points))}
    xs = [x for points in lines.values() for x, _ in points]
    ys = [y for points in lines.values() for _, y in points] + ([panel.goal] if panel.goal else [])
    across = _Axis(min(xs) / 1.15, max(xs) * 1.15, _LEFT, _WIDTH - _RIGHT, True)
    low = min(ys) / 1.3 if panel.log else 0.0
    up = _Axis(low, max(ys) * (1.3 if panel.log else 1.1), _HEIGHT - _BOTTOM, _TOP, panel.log)
    parts = [f'<text x="{_LEFT}" y="20" font-size="12" font-weight="bold">{escape(panel.title)}</text>']
    for tick in up.ticks():
        y = up.place(tick)
        parts.append(f'<path d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}" stroke="#ddd"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{short(tick)}</text>')
    for tick in sorted(set(xs)):
        x = across.place(tick)
        parts.append(f'<path d="M{x:.1f} {_HEIGHT - _BOTTOM}v4" stroke="#888"/>')
        parts.append(f'<text x="{x:.1f}" y="{_HEIGHT - _BOTTOM + 16}" text-anchor="middle">{short(tick)}</text>')
    if panel.goal:
        y = up.place(panel.goal)
        parts.append(f'<path d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}" stroke="#a00" stroke-dasharray="4 3"/>')
    for number, (name, points) in enumerate(lines.items()):
        parts.extend(_line(number, name, points, across, up))
    return parts


def _line(number: int, name: str, points: Points, across: _Axis, up: _Axis) -> list[str]:
    """A line with its points, and its entry in the legend, three to a row."""
    colour = _COLOURS[number % len(_COLOURS)]
    places = [(across.place(x), up.place(y)) for x, y in points]
    path = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
    dots = [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{colour}"/>' for x, y in places]
    x, y = _LEFT + number % 3 * 102, _HEIGHT - _BOTTOM + 34 + number // 3 * 14
    return [
        f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="1.6"/>',
        *dots,
        f'<rect x="{x}" y="{y - 8}" width="9" height="9" fill="{colour}"/>',
        f'<text x="{x + 13}" y="{y}">{escape(name)}</text>',
    ]


def _positive(points: Points) -> list[tuple[float, float]]:
    return sorted((x, y) for x, y in points if y > 0)
