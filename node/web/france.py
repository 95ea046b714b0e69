"""A simple map of the départements: one square for each, in its rough place. Drawn by us, from no map of others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

__all__ = ["COLUMNS", "ROWS", "Tile", "tiles"]

# The places were found once by assigning each département's centre to the nearest free square.
_GRID: Final = """
..  ..  ..  ..  ..  ..  ..  62  59  ..  ..  ..  ..
..  ..  ..  ..  ..  76  80  60  02  08  ..  ..  ..
..  ..  ..  50  14  27  95  75  93  51  55  57  ..
..  ..  22  35  61  78  92  94  77  10  54  88  67
29  ..  56  53  72  28  91  45  89  52  70  90  68
..  ..  ..  44  49  37  41  18  58  21  39  25  ..
..  ..  ..  85  79  86  36  23  03  71  01  74  ..
..  ..  ..  17  16  87  19  63  42  69  38  73  ..
..  ..  ..  ..  33  24  46  15  43  07  26  05  ..
..  ..  ..  ..  40  47  82  81  12  48  30  84  04
..  ..  ..  ..  64  32  31  11  34  13  83  06  ..
..  ..  ..  ..  ..  65  09  66  ..  ..  ..  ..  2B
971 972 973 974 976 ..  ..  ..  ..  ..  ..  ..  2A
"""

_LINES: Final = [line.split() for line in _GRID.split("\n") if line]
COLUMNS: Final = len(_LINES[0])
ROWS: Final = len(_LINES)


@dataclass(frozen=True, slots=True)
class Tile:
    """One département's square: its place counted from the north-west, and how many associations sit there."""

    code: str
    column: int
    row: int
    count: int


def tiles(counts: Mapping[str, int]) -> tuple[Tile, ...]:
    """Every département's square with its number out of `counts`, 0 where it has none. Overseas ones stand below."""
    return tuple(
        Tile(code=code, column=column, row=row, count=counts.get(code, 0))
        for row, line in enumerate(_LINES)
        for column, code in enumerate(line)
        if code != ".."
    )
