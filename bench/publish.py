"""`python -m bench.publish FILE`: write the results of a run into docs/performance.md, between its two marks."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

__all__ = ["publish", "table"]

_PAGE = Path(__file__).resolve().parent.parent / "docs" / "performance.md"
_BEGIN, _END = "<!-- results: begin -->\n", "<!-- results: end -->\n"
_HEAD = "| row | workload | ratio | min … max | goal | floor | slope | Cordée | peer | |\n" + "| --- " * 10 + "|\n"


def table(document: dict[str, Any]) -> str:
    """A run's results as Markdown."""
    rows = "".join(_row(each) for each in document["results"])
    told = (*(line["told"] for line in document.get("lines", ())), *document["notes"])
    notes = "".join(f"- {note}\n" for note in told)
    heading = f"{document['date'][:10]}, {document['machine']}, {document['rounds']} rounds:\n\n"
    return f"{heading}{_HEAD}{rows}\n{notes}"


def publish(file: Path, page: Path = _PAGE) -> None:
    """Replace what stands between the marks. Raises: ValueError where the page has no marks, or the run was quick."""
    document = json.loads(file.read_text(encoding="utf-8"))
    if document["quick"]:
        raise ValueError("a quick run measures nothing that could be published")
    text = page.read_text(encoding="utf-8")
    before, begin, rest = text.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise ValueError(f"{page.name} has no marks for results")
    page.write_text(f"{before}{_BEGIN}\n{table(document)}\n{_END}{after}", encoding="utf-8")


def _row(result: dict[str, Any]) -> str:
    spread, unit = result.get("ratio"), result["unit"]
    sign = "≥" if result["better"] == "higher" else "≤"
    ratio, span = ("–", "–")
    if spread is not None:
        ratio, span = f"{spread['median']:.2f} {unit}", f"{spread['least']:.2f} … {spread['greatest']:.2f}"
    slope = "–" if result["slope"] is None else f"{result['slope']:.2f}"
    limits = (f"{sign} {result['goal']:g}", f"{sign} {result['floor']:g}")
    cells = (result["id"], result["workload"], ratio, span, *limits, slope, result["ours"], result["theirs"])
    return f"| {' | '.join(cells)} | {result['verdict']} |\n"


if __name__ == "__main__":
    publish(Path(sys.argv[1]))
