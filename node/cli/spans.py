"""Spans of time as people type them to a node's commands."""

from __future__ import annotations

from cordee.runtime.spans import span

__all__ = ["span"]
