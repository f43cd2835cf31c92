"""The whole fleet at a glance: a tile a node, in the order of names, so that a bad rack shows as a block. Pure."""

from html import escape

from markupsafe import Markup

from fryer.outputs.wording import mark_of
from fryer.result import RunResult
from watchdog.vocabulary.verdicts import Verdict

_SIDE = 15


def tiles(result: RunResult, linked: frozenset[str]) -> Markup:
    """An SVG of all nodes; those in `linked` lead to ``#node-NAME``."""
    count = len(result.verdicts)
    per_row = 16 if count <= 256 else 64
    margin = 12 + 7 * max(len(node.node) for node in result.verdicts)
    rows = -(-count // per_row)
    parts = []
    for index, node in enumerate(result.verdicts):
        row, column = divmod(index, per_row)
        x, y = margin + column * _SIDE, row * _SIDE
        name = escape(node.node)
        if column == 0:
            parts.append(f'<text x="{margin - 6}" y="{y + 11}" text-anchor="end">{name}</text>')
        tile = f'<rect class="{node.verdict}" x="{x}" y="{y}" width="{_SIDE - 2}" height="{_SIDE - 2}"/>'
        if node.verdict is Verdict.PASS:
            parts.append(tile)
            continue
        mark = (
            f'<text class="mark" x="{x + 6.5:g}" y="{y + 10.5:g}" text-anchor="middle">{mark_of(node.verdict)}</text>'
        )
        body = f"<g><title>{name} {node.verdict}</title>{tile}{mark}</g>"
        parts.append(f'<a href="#node-{name}">{body}</a>' if node.node in linked else body)
    width, height = margin + min(count, per_row) * _SIDE, rows * _SIDE
    head = f'<svg class="tiles" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img"'
    words = f"verdicts of {count} nodes in the order of their names"
    return Markup("".join([f'{head} aria-label="{words}">', *parts, "</svg>"]))  # noqa: S704 - names are escaped
