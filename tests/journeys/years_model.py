"""What a network is, in plain Python: the three-year journey compares every node with it.

It knows nothing of entries, signatures or the code that reads them. It is told what people and nodes did, in order,
and says what must have become of that.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class ModelMember:
    """One association, as everybody should see it."""

    state: str
    key: bytes
    former_keys: list[bytes]
    name: str
    secrecy: bool
    card: int = 1
    incarnation: bytes | None = None
    announced: bytes | None = None  # the key that is to follow a lost or stolen one
    revoked: bool = False


@dataclass
class Model:
    """The network so far."""

    administrators: set[bytes]
    threshold: int
    freshness_hours: int
    log_key: bytes
    ca: bytes
    members: dict[bytes, ModelMember] = field(default_factory=dict)
    entries: int = 1

    # ---- members ----

    def admitted(self, member: bytes, *, key: bytes, name: str, secrecy: bool) -> None:
        assert member not in self.members
        self.members[member] = ModelMember("active", key, [], name, secrecy)
        self.entries += 1

    def moved(self, member: bytes, *, to: str, before: str) -> None:
        assert self.members[member].state == before
        self.members[member].state = to
        self.entries += 1

    def removed(self, member: bytes) -> None:
        self.members[member].state = "removed"
        self.entries += 1

    def has_new_key(self, member: bytes, key: bytes) -> None:
        found = self.members[member]
        found.former_keys.append(found.key)
        found.key, found.announced = key, None
        self.entries += 1

    def restored(self, member: bytes, incarnation: bytes) -> None:
        self.members[member].incarnation = incarnation
        self.members[member].announced = None
        self.entries += 1

    def recovery_announced(self, member: bytes, key: bytes) -> None:
        self.members[member].announced = key
        self.entries += 1

    def objected(self, member: bytes) -> None:
        assert self.members[member].announced
        self.members[member].announced = None
        self.entries += 1

    def revoked(self, member: bytes) -> None:
        self.members[member].revoked = True
        self.moved(member, to="suspended", before="active")

    def recovered(self, member: bytes) -> None:
        found = self.members[member]
        assert found.announced
        if found.revoked:
            found.revoked, found.state = False, "active"
        self.has_new_key(member, found.announced)

    def published(self, member: bytes) -> None:
        """A card more: no entry."""
        self.members[member].card += 1

    # ---- government ----

    def administrator_came(self, key: bytes) -> None:
        self.administrators.add(key)
        self.entries += 1

    def administrator_went(self, key: bytes) -> None:
        self.administrators.remove(key)
        self.entries += 1

    def policy(self, *, threshold: int, freshness_hours: int) -> None:
        self.threshold, self.freshness_hours = threshold, freshness_hours
        self.entries += 1

    def log_key_rotated(self, key: bytes) -> None:
        self.log_key = key
        self.entries += 1

    def ca_rotated(self, digest: bytes) -> None:
        self.ca = digest
        self.entries += 1

    # ---- what others must say too ----

    def present(self, state: str = "active") -> list[bytes]:
        return [member for member, found in self.members.items() if found.state == state]

    def told(self) -> dict[str, Any]:
        """Everything, as a value to compare."""
        return {
            "entries": self.entries,
            "administrators": sorted(self.administrators),
            "threshold": self.threshold,
            "freshness_hours": self.freshness_hours,
            "log_key": self.log_key,
            "ca": self.ca,
            "members": {
                member: (
                    each.state,
                    each.key,
                    each.former_keys,
                    each.secrecy,
                    each.incarnation,
                    each.announced,
                    each.revoked,
                )
                for member, each in sorted(self.members.items())
            },
        }
