"""From what a person types to an id: the whole of it, its beginning as tables show it, or an association's name."""

from __future__ import annotations

import re

from cordee.errors import N_, InvalidInput, NotFound
from cordee.ids import MemberId, TransferId
from cordee.v1 import node_pb2
from node.cli.client import Client

__all__ = ["member_of", "transfer_of"]

_HEX = re.compile(r"[0-9a-f]{1,32}")
_WHOLE = 32


async def member_of(client: Client, given: str) -> MemberId:
    """The member of a whole id, of the beginning of one, or of a name (its letter case does not matter).

    Raises: NotFound; InvalidInput where several would do.
    """
    text = given.strip()
    if len(text) == _WHOLE and _HEX.fullmatch(text.lower()):
        return MemberId(bytes.fromhex(text))
    found = [
        MemberId(record.member)
        async for record in client.members.ListMembers(node_pb2.ListMembersRequest())
        if record.name.casefold() == text.casefold() or record.member.hex().startswith(text.lower())
    ]
    return MemberId(_only(found, what=N_("member"), given=text))


async def transfer_of(client: Client, given: str) -> TransferId:
    """The transfer of a whole id or of the beginning of one. Raises NotFound; InvalidInput where several would do."""
    text = given.strip().lower()
    if not _HEX.fullmatch(text):
        raise InvalidInput(field="transfer", problem=N_("an id has hexadecimal digits only"))
    if len(text) == _WHOLE:
        return TransferId(bytes.fromhex(text))
    found = [
        TransferId(record.transfer_id)
        async for record in client.transfers.ListTransfers(node_pb2.ListTransfersRequest())
        if record.transfer_id.hex().startswith(text)
    ]
    return TransferId(_only(found, what=N_("transfer"), given=text))


def _only(found: list[MemberId] | list[TransferId], *, what: str, given: str) -> bytes:
    if not found:
        raise NotFound(what=what)
    if len(found) > 1:
        raise InvalidInput(
            field=what,
            problem=N_("“{given}” could be {count} of them; give more of the id"),
            given=given,
            count=len(found),
        )
    return found[0]
