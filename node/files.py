"""Files that survive a power cut, for the owner alone: see `cordee.runtime.durable`."""

from __future__ import annotations

from cordee.runtime.durable import private_folder, replace, sync_folder, write_new

__all__ = ["private_folder", "replace", "sync_folder", "write_new"]
