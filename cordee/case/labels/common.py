"""Values that are the same in every field, and the lists that belong to no schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from cordee.errors import N_

__all__ = ["ABROAD", "COMMON", "TRANSFERS"]

COMMON: Final[Mapping[str, str]] = {
    "yes": N_("Yes"),
    "no": N_("No"),
    "unknown": N_("Not known"),
    "other": N_("Other"),
}
"""What a code means wherever its field says nothing else."""

ABROAD: Final[Mapping[str, str]] = {
    "abroad": N_("Abroad"),
}
"""The code of a département that is none, and no common value."""

TRANSFERS: Final[Mapping[str, Mapping[str, str]]] = {
    "transfer.kind": {
        "transfer": N_("Transfer"),
        "referral": N_("Sharing"),
        "update": N_("Update"),
    },
    "transfer.state": {
        "offered": N_("Offered"),
        "accepted": N_("Accepted"),
        "shipped": N_("Shipped"),
        "received": N_("Received"),
        "declined": N_("Declined"),
        "refused": N_("Refused"),
        "withdrawn": N_("Withdrawn"),
        "expired": N_("Expired"),
    },
}
"""What a transfer is, and where it stands."""
