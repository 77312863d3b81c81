"""A comparison as one HTML file that needs nothing else: styles, pictures and figures are inside."""

from __future__ import annotations

from html import escape

from edge_runtime.compare.pictures import accuracy_over_latency, latencies, size_bars
from edge_runtime.compare.rows import Comparison
from edge_runtime.compare.table import cells, head, headings, legend, remarks

STYLE = """
:root { color-scheme: light dark; --paper: #fff; --ink: #1b1f24; --soft: #5b6570; --line: #d7dce1; --mark: #eef4fa; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #14171a; --ink: #e6e9ec; --soft: #9aa4ae; --line: #333a41; --mark: #1d2733; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 64rem; padding: 1rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: .5rem 0; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; margin: 0; }
dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; }
.wide { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: .9rem; }
th, td { padding: .35rem .6rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; position: sticky; left: 0; background: var(--paper); }
th { color: var(--soft); font-weight: 600; }
tr.parent td { background: var(--mark); }
tr.failed { color: var(--soft); }
.pictures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); gap: 1.5rem; }
figure { margin: 0; overflow-x: auto; }
.whole { grid-column: 1 / -1; }
.whole svg { min-width: 40rem; }
figure svg { width: 100%; height: auto; display: block; }
figcaption { color: var(--soft); font-size: .9rem; }
footer, ul { color: var(--soft); font-size: .9rem; }
"""


def html(comparison: Comparison) -> str:
    """Return the page."""
    title = f"Variants of {comparison.parent.file}"
    facts = (line.split(maxsplit=1) for line in head(comparison))
    listed = "".join(f"<li>{escape(one)}</li>" for one in remarks(comparison))
    return "\n".join(
        [
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>",
            f"<h1>{escape(title)}</h1>",
            f"<dl>{''.join(f'<dt>{escape(name)}</dt><dd>{escape(fact)}</dd>' for name, fact in facts)}</dl>",
            f'<div class="wide" tabindex="0">{_table(comparison)}</div>',
            f"<ul>{listed}</ul>" if listed else "",
            f'<div class="pictures">{_pictures(comparison)}</div>',
            f"<footer><p>{escape(' '.join(legend(comparison)))}</p></footer>\n</body>\n</html>\n",
        ]
    )


def _table(comparison: Comparison) -> str:
    heads = "".join(f'<th scope="col">{escape(one)}</th>' for one in headings(comparison))
    rows = []
    for row in comparison.rows:
        kind = "parent" if row is comparison.parent else "" if row.is_measured else "failed"
        texts = "".join(f"<td>{escape(one)}</td>" for one in cells(comparison, row))
        rows.append(f'<tr class="{kind}" title="{escape(row.file)}">{texts}</tr>')
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _pictures(comparison: Comparison) -> str:
    drawn = (
        ("Accuracy and time: up and to the left is better", "whole", accuracy_over_latency(comparison)),
        ("Time", "half", latencies(comparison)),
        ("Size", "half", size_bars(comparison)),
    )
    return "".join(
        f'<figure class="{width}" tabindex="0"><figcaption>{title}</figcaption>{svg}</figure>'
        for title, width, svg in drawn
        if svg
    )
