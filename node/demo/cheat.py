"""A node's part that cheats: it ships attachments that no act covers. Only the demonstration and the tests use it."""

from __future__ import annotations

from collections.abc import Sequence

from node.attachments import StoredAttachment
from node.shipping import Shipping
from node.terms import Terms

__all__ = ["CheatingShipping"]


class CheatingShipping(Shipping):
    """Sends every attachment of the case, whatever was agreed."""

    def chosen(self, terms: Terms, kept: Sequence[StoredAttachment]) -> list[StoredAttachment]:
        """All of them."""
        return list(kept)
