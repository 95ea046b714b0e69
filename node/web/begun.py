"""What a form began with, sealed into the form itself: only so can a stale form be told from a change.

It travels to the browser and back under the case's own data key: vital fields that the page does not show are in it,
and nobody but this node, while it has the case, can open it.
"""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from typing import Any

from cordee.errors import CannotOpen
from node.vault import DataKey

__all__ = ["opened", "sealed"]

_PLACE = "form.begun"
_LONGEST = 8 * 1024 * 1024  # bytes; a case has two MiB at most


def sealed(key: DataKey, case_id: str, section: str, content: Any) -> str:
    """A section's content, for a hidden field."""
    plain = zlib.compress(json.dumps(content, ensure_ascii=False).encode())
    return base64.urlsafe_b64encode(key.seal(plain, place=_PLACE, row=f"{case_id}/{section}")).decode()


def opened(key: DataKey, case_id: str, section: str, given: str) -> Any:
    """And back. Raises CannotOpen for what this node did not seal for this section."""
    try:
        plain = key.unseal(base64.urlsafe_b64decode(given), place=_PLACE, row=f"{case_id}/{section}")
        return json.loads(zlib.decompressobj().decompress(plain, _LONGEST))
    except (binascii.Error, ValueError, zlib.error) as broken:
        raise CannotOpen(what=_PLACE) from broken
