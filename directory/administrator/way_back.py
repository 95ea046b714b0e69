"""What a new machine must know of the network before a lost node can begin on it. Nothing in it is secret."""

from __future__ import annotations

import json

from cordee.ids import MemberId
from directory.administrator.home import Network

__all__ = ["way_back"]


def way_back(network: Network, member: MemberId) -> bytes:
    """The file for `cordee node recover`."""
    plain = {
        "format": "cordee way back 1",
        "network": network.id.hex(),
        "members": network.members,
        "front": network.front,
        "ca_certificate": network.ca_certificate.hex(),
        "member": member.hex(),
    }
    return json.dumps(plain, indent=1).encode()
