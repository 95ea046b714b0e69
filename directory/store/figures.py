"""Tables of the yearly figures: what is counted while a year is open, and what was told of it once it was closed."""

from __future__ import annotations

from sqlmodel import Field

from directory.store import DirectoryTable

__all__ = ["ClosedYearRow", "CountingRow", "TallyRow"]


class TallyRow(DirectoryTable, table=True):
    """How often something happened in a year between an association and anybody. No transfer is in it, and no day.

    Which association is there because a count that is mostly one's own may not be told. Deleted with the year's close.
    """

    __tablename__ = "tally"

    year: int = Field(primary_key=True)
    figure: str = Field(primary_key=True)
    side: str = Field(primary_key=True)  # sender or recipient
    member: bytes = Field(primary_key=True)
    number: int


class CountingRow(DirectoryTable, table=True):
    """Since when this directory counts; one row."""

    __tablename__ = "counting"

    id: int = Field(primary_key=True)
    since: int


class ClosedYearRow(DirectoryTable, table=True):
    """What may be told of a year: written once, when it is closed."""

    __tablename__ = "closed_year"

    year: int = Field(primary_key=True)
    closed_at: int
    figures: bytes  # a serialised cordee.v1.YearFigures
