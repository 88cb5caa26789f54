"""The leaderboard as one page that needs nothing else: no script, no font, no picture from elsewhere."""

from collections.abc import Iterator, Sequence
from html import escape

from tokenpace.leaderboard.board import Board, Entry
from tokenpace.leaderboard.table import cells, headings, terms_sentence
from tokenpace.planning.wording import shown

_STYLE = """
:root { color-scheme: light dark; --ink: #101114; --ground: #fff; --line: #d5d8de; --soft: #f3f4f7; --accent: #d1495b; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8e9ed; --ground: #131418; --line: #3a3d46; --soft: #1d1f25; --accent: #ef6f80; }
}
body { margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 76rem; background: var(--ground); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; margin: .75rem 0; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .7rem; text-align: left; border-bottom: 1px solid var(--line); white-space: nowrap; }
td.number, th.number { text-align: right; }
td:last-child { white-space: normal; }
th { font-weight: 600; background: var(--soft); }
tr.pareto td { font-weight: 600; }
svg { width: 100%; height: auto; max-width: 48rem; }
svg text { fill: var(--ink); font-size: 12px; }
svg circle { fill: var(--line); stroke: var(--ink); }
svg circle.pareto { fill: var(--accent); }
svg path { stroke: var(--line); fill: none; }
code { white-space: pre-wrap; overflow-wrap: anywhere; }
"""
_WIDTH, _HEIGHT, _LEFT, _BELOW, _ABOVE, _RIGHT = 720, 360, 60, 40, 20, 120
_PARETO, _NUMBER = ' class="pareto"', ' class="number"'
_MEASURES = 6
"""Columns of numbers, and the verdict after them, at the end of each row."""


def page(board: Board) -> str:
    """Return the page."""
    models = ", ".join(sorted({one.model for one in board.entries}))
    names = headings(board)
    rows = "\n".join(_row(board, one) for one in board.entries)
    assumptions = "\n".join(f"<li>{escape(sentence)}</li>" for sentence in board.assumptions)
    commands = "\n".join(
        f"<dt>{escape(one.name)}, measured {escape(one.measured)}</dt><dd><code>{escape(one.command)}</code></dd>"
        for one in board.entries
    )
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>tokenpace leaderboard</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>{escape(models)}</h1>
<p>{escape(terms_sentence(board.terms))}</p>
<div class="scroll"><table>
<tr>{"".join(_columns(names, "th"))}</tr>
{rows}
</table></div>
{_plot(board)}
<h2>What is taken for granted</h2>
<ul>
{assumptions}
</ul>
<h2>How to measure it again</h2>
<dl>
{commands}
</dl>
<p>tokenpace {escape(board.tokenpace)}</p>
</body>
</html>
"""


def _row(board: Board, one: Entry) -> str:
    return f"<tr{_PARETO if one.pareto else ''}>{''.join(_columns(cells(board, one), 'td'))}</tr>"


def _columns(values: Sequence[str], tag: str) -> Iterator[str]:
    numbers = range(len(values) - _MEASURES, len(values) - 1)
    for place, value in enumerate(values):
        yield f"<{tag}{_NUMBER if place in numbers else ''}>{escape(value)}</{tag}>"


def _plot(board: Board) -> str:
    """Return quality by speed as SVG; nothing where fewer than two entries have both."""
    points = [
        (one, one.capacity_per_second, one.quality_percent)
        for one in board.entries
        if one.capacity_per_second is not None and one.quality_percent is not None
    ]
    if len(points) <= 1:
        return ""
    fastest = max(speed for _, speed, _ in points)
    qualities = [quality for *_, quality in points]
    least, span = min(qualities), (max(qualities) - min(qualities)) or 1.0
    marks = "\n".join(
        _mark(
            one,
            _LEFT + (_WIDTH - _LEFT - _RIGHT) * speed / fastest,
            _ABOVE + (_HEIGHT - _ABOVE - _BELOW) * (1 - (quality - least) / span),
        )
        for one, speed, quality in points
    )
    floor = _HEIGHT - _BELOW
    return f"""<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="quality by speed">
<path d="M{_LEFT} {_ABOVE}V{floor + 8}H{_WIDTH - _RIGHT}"/>
<text x="{_LEFT}" y="{_HEIGHT - 8}">0</text>
<text x="{_WIDTH - _RIGHT}" y="{_HEIGHT - 8}" text-anchor="end">{shown(fastest)} {board.terms.unit}s/s</text>
<text x="4" y="{_ABOVE + 4}">{max(qualities):g} %</text>
<text x="4" y="{floor + 4}">{least:g} %</text>
{marks}
</svg>"""


def _mark(one: Entry, across: float, down: float) -> str:
    kind = _PARETO if one.pareto else ""
    place = f'cx="{across:.1f}" cy="{down:.1f}"'
    label = f'<text x="{across + 9:.1f}" y="{down + 4:.1f}">{escape(one.name)}</text>'
    return f'<circle{kind} {place} r="5"/>{label}'
