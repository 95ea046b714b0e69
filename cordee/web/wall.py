"""The clock on the wall: in which zone times are written and read on the pages."""

from __future__ import annotations

from typing import Final
from zoneinfo import ZoneInfo

__all__ = ["HERE"]

HERE: Final = ZoneInfo("Europe/Paris")
"""Associations in France write their times; a time without an offset is the one on their wall."""
