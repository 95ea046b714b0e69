"""`cordee members`: the other associations, answered from this node's own copy of the roster."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from node.cli.calling import on_node

if TYPE_CHECKING:
    from cordee.runtime.output import Output
    from node.cli.client import Client

__all__ = ["group"]

_COLUMNS = ("member", "name", "commune", "departement", "state", "bound_by_secrecy", "card_expires")


@click.group(name="members")
def group() -> None:
    """The associations of the network. Nobody learns what is looked up here."""


@group.command("list")
@on_node
async def list_(client: Client, output: Output) -> None:
    """Every association on the roster.

    JSON: [{member, name, commune, departement, state, bound_by_secrecy, card_expires}]
    """
    from cordee.v1 import node_pb2
    from node.cli import shapes

    rows = [shapes.member(each) async for each in client.members.ListMembers(node_pb2.ListMembersRequest())]
    output.rows(rows, _COLUMNS)


@group.command("search")
@click.option("--need", "speciality", default="", help="Speciality, for instance emergency_shelter.")
@click.option("--departement", default="", help="Département of the minor.")
@click.option("--far-from", multiple=True, metavar="DÉPARTEMENT", help="Somewhere else than here; may be repeated.")
@click.option("--age", type=click.IntRange(0, 25), help="Age of the minor.")
@click.option("--gender", default="", help="Gender of the minor, as in the case record.")
@click.option("--language", default="", help="Language, as an ISO 639 code.")
@click.option("--tonight", is_flag=True, help="Takes in on the same day, or day and night.")
@click.option("--runaways", is_flag=True, help="Takes runaways.")
@click.option("--free-places", is_flag=True, help="Says that it has free places.")
@click.option("--authority", "authority_type", default="", help="Kind of authority, for instance crip.")
@on_node
async def search(
    client: Client,
    output: Output,
    *,
    speciality: str,
    departement: str,
    far_from: tuple[str, ...],
    age: int | None,
    gender: str,
    language: str,
    tonight: bool,
    runaways: bool,
    free_places: bool,
    authority_type: str,
) -> None:
    """Who can help? Best first; places last told long ago are marked stale.

    JSON: [{member, name, commune, departement, state, bound_by_secrecy, card_expires, service,
    reasons: [], capacity_age_seconds, stale}]
    """
    from cordee.v1 import node_pb2
    from node.cli import shapes

    request = node_pb2.FindMembersRequest(
        speciality=speciality,
        departement=departement,
        far_from=far_from,
        age=age,
        gender=gender,
        language=language,
        tonight=tonight,
        runaways=runaways,
        free_places=free_places,
        authority_type=authority_type,
    )
    rows = [shapes.match(each) async for each in client.members.FindMembers(request)]
    output.rows(rows, ("member", "name", "service", "departement", "reasons", "stale"))


@group.command("show")
@click.argument("member")
@on_node
async def show(client: Client, output: Output, *, member: str) -> None:
    """One association with its profile and the six words of its key. MEMBER is an id, its beginning, or a name.

    JSON: {member, name, commune, departement, state, bound_by_secrecy, card_expires, words: [], profile: {} or null}
    """
    from cordee.v1 import node_pb2
    from node.cli import shapes
    from node.cli.ids import member_of

    wanted = await member_of(client, member)
    answer = await client.members.ShowMember(node_pb2.ShowMemberRequest(member=wanted))
    shape = shapes.member(answer.record)
    shape["words"] = shapes.words(answer.identity_key)
    shape["profile"] = json.loads(answer.profile) if answer.profile else None
    output.record(shape)
