"""`cordee consent`: who agreed, or was told, or on which other ground something may leave."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from cordee.errors import N_
from node.cli.calling import on_node

if TYPE_CHECKING:
    from cordee.runtime.output import Output
    from cordee.v1 import node_pb2
    from node.cli.client import Client

__all__ = ["group"]


@click.group(name="consent")
def group() -> None:
    """Consent acts: what may leave a case, for whom, until when, and why."""


@group.command("record")
@click.argument("case_id")
@click.argument("file")
@on_node
async def record(client: Client, output: Output, *, case_id: str, file: str) -> None:
    """Record an act of a case from a JSON FILE (- for standard input). It is never changed afterwards.

    JSON: {act_id, case_id}
    """
    from cordee.act import parse_act
    from cordee.v1 import node_pb2
    from node.cli.documents import checked
    from node.cli.files import read_bytes

    body = read_bytes(file)
    checked(parse_act, body, where=file)
    answer = await client.consents.RecordAct(node_pb2.RecordActRequest(case_id=case_id, body=body))
    output.record({"act_id": answer.act_id, "case_id": case_id})


@group.command("list")
@click.argument("case_id")
@on_node
async def list_(client: Client, output: Output, *, case_id: str) -> None:
    """Every act of a case, withdrawn ones too.

    JSON: [{act_id, case_id, kind, legal_basis, status, purposes: [], sections: [], valid_from, valid_until}]
    """
    from cordee.v1 import node_pb2

    request = node_pb2.ListActsRequest(case_id=case_id)
    rows = [_line(each) async for each in client.consents.ListActs(request)]
    output.rows(rows, ("act_id", "kind", "legal_basis", "status", "purposes", "sections", "valid_until"))


@group.command("show")
@click.argument("act_id")
@on_node
async def show(client: Client, output: Output, *, act_id: str) -> None:
    """One act, whole.

    JSON: {act_id, case_id, act: {}}
    """
    from cordee.v1 import node_pb2

    answer = await client.consents.ReadAct(node_pb2.ReadActRequest(act_id=act_id))
    output.record({"act_id": act_id, "case_id": answer.act.case_id, "act": json.loads(answer.act.body)})


@group.command("withdraw")
@click.argument("act_id")
@click.option("--by-role", required=True, help="Who withdraws it: minor, mother, father, guardian, ase, judge, …")
@click.option("--reason-file", default="", help="File with the reason in words; - for standard input. None is needed.")
@on_node
async def withdraw(client: Client, output: Output, *, act_id: str, by_role: str, reason_file: str) -> None:
    """Withdraw an act, and with it every transfer that rests on it.

    What waits is called back. Where the case has arrived already, the other association is asked to erase it and must
    answer; what a person has read cannot be called back.

    JSON: {act_id, transfers: []}
    """
    from cordee.v1 import node_pb2
    from node.cli.files import read_text

    reason = read_text(reason_file) if reason_file else ""
    output.confirm(N_("Withdraw this act and every transfer that rests on it?"))
    answer = await client.consents.WithdrawAct(
        node_pb2.WithdrawActRequest(act_id=act_id, by_role=by_role, reason=reason)
    )
    output.record({"act_id": act_id, "transfers": [each.hex() for each in answer.transfer_ids]})


def _line(message: node_pb2.ActRecord) -> dict[str, Any]:
    act = json.loads(message.body)
    told = ("kind", "legal_basis", "status", "purposes", "sections", "valid_from", "valid_until")
    return {"act_id": message.act_id, "case_id": message.case_id} | {name: act.get(name) for name in told}
