"""Lines over time as one SVG picture, drawn by hand: no library, no script, readable in any browser. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, isfinite, log10

COLOURS = ("#1b6ca8", "#d1495b", "#2e7d32", "#ed9b40", "#6a4c93", "#5c5c5c")
WIDTH, HEIGHT = 1000, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 190, 34, 28
_TICKS = 5


@dataclass(frozen=True, slots=True)
class Panel:
    """One plot: `lines` are (minutes, values) by name; values that are no numbers are left out. `limit` is dashed."""

    title: str
    lines: Mapping[str, tuple[Sequence[float], Sequence[float]]]
    limit: float | None = None


def svg(title: str, panels: Sequence[Panel]) -> str:
    """The panels under each other, over one axis of minutes."""
    points = [x for panel in panels for xs, _ in panel.lines.values() for x in xs]
    until = max([*points, 0.1])
    box = f'viewBox="0 0 {WIDTH} {HEIGHT * len(panels) + 40}" font-family="sans-serif" font-size="12"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {box}>',
        '<rect width="100%" height="100%" fill="white"/>',
        f'<text x="{_LEFT}" y="24" font-size="16">{escape(title)}</text>',
    ]
    for place, panel in enumerate(panels):
        parts += [f'<g transform="translate(0 {HEIGHT * place + 34})">', *_panel(panel, until), "</g>"]
    return "\n".join([*parts, "</svg>"])


def nice_step(span: float, ticks: int = _TICKS) -> float:
    """A step of 1, 2 or 5 times a power of ten, so that there are about so many of it in a span."""
    raw = span / ticks
    power = 10.0 ** floor(log10(raw))
    return float(next(step * power for step in (1, 2, 5, 10) if step * power >= raw * 0.999))


def _panel(panel: Panel, until: float) -> list[str]:
    values = [y for _, ys in panel.lines.values() for y in ys if isfinite(y)]
    most = max([*values, panel.limit or 0.0, 1e-9]) * 1.05
    wide, high = WIDTH - _LEFT - _RIGHT, HEIGHT - _TOP - _BOTTOM

    def x_of(minutes: float) -> float:
        return _LEFT + wide * minutes / until

    def y_of(value: float) -> float:
        return _TOP + high * (1 - value / most)

    parts = [f'<text x="{_LEFT}" y="{_TOP - 10}" font-weight="bold">{escape(panel.title)}</text>']
    step = nice_step(most)
    for number in range(ceil(most / step)):
        y, label = y_of(number * step), f"{number * step:,.10g}"
        parts.append(f'<line x1="{_LEFT}" x2="{_LEFT + wide}" y1="{y:.1f}" y2="{y:.1f}" stroke="#e0e0e0"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end" fill="#555">{label}</text>')
    step = nice_step(until, 10)
    for number in range(floor(until / step) + 1):
        x, label = x_of(number * step), f"{number * step:.10g} min"
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT - 8}" text-anchor="middle" fill="#555">{label}</text>')
    if panel.limit is not None:
        y = y_of(panel.limit)
        dashed = 'stroke="#b00020" stroke-dasharray="6 4"'
        parts.append(f'<line x1="{_LEFT}" x2="{_LEFT + wide}" y1="{y:.1f}" y2="{y:.1f}" {dashed}/>')
    for place, (name, (xs, ys)) in enumerate(panel.lines.items()):
        colour = COLOURS[place % len(COLOURS)]
        known = [(x, y) for x, y in zip(xs, ys, strict=True) if isfinite(y)]
        line = " ".join(f"{x_of(x):.1f},{y_of(y):.1f}" for x, y in known)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        last = f": {known[-1][1]:,.4g}" if known else ": nothing"
        y = _TOP + 14 + 17 * place
        parts.append(f'<text x="{_LEFT + wide + 12}" y="{y}" fill="{colour}">{escape(name)}{last}</text>')
    return parts
