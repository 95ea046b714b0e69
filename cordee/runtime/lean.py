"""structlog without rich, pygments and attrs, which only its console renderer uses: 4 MiB of each server's memory."""

from __future__ import annotations

import sys

__all__ = ["structlog"]

_there = "rich" in sys.modules
if not _there:
    sys.modules["rich"] = None  # type: ignore[assignment]  # an import of it fails, which structlog allows for
try:
    import structlog
finally:
    if not _there:
        del sys.modules["rich"]
