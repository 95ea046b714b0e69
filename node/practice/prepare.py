"""What is laid ready when somebody begins a workflow: invented cases, a colleague, a case that comes by mistake."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection

from cordee.act import parse_act
from cordee.case import case_of
from node import acts, people, records
from node.app import Node
from node.demo import cases as synthetic
from node.people import Role
from node.practice.facts import Attempt

if TYPE_CHECKING:
    from node.practice.partner import Partner
    from node.practice.town import Practice

__all__ = ["prepare"]

_LAID: Final = {"w2": 0, "w3": 1, "w4": 2, "w5": 3, "w6": 2, "w10": 1}
"""Which of the invented cases a workflow begins with."""
_NAMES: Final = ("Sabine", "Karim", "Élodie", "Yann", "Fatou", "Hugo")
_PASSWORD_BYTES: Final = 24


async def prepare(practice: Practice, workflow: str) -> Attempt:
    """Lay ready what a workflow begins with. Each time anew: what was done before stays as it is."""
    node, now = practice.node, practice.node.clock.now()
    number = workflow.removeprefix("w")
    if workflow == "w7":
        return await _colleague(practice)
    if workflow == "w8":
        return Attempt(workflow, now, transfer=await _by_mistake(practice, practice.relay))
    if workflow == "w9":
        pair = [
            await _case(node, by="practice", which=each, name=f"Exercice 9 {which}", owner=practice.person.account_id)
            for each, which in ((3, "aînée"), (0, "cadette"))
        ]
        return Attempt(workflow, now, cases=tuple(each["meta"]["case_id"] for each in pair))
    if workflow not in _LAID:
        return Attempt(workflow, now)
    record = await _case(
        node, by="practice", which=_LAID[workflow], name=f"Exercice {number}", owner=practice.person.account_id
    )
    case_id = str(record["meta"]["case_id"])
    if workflow == "w6":
        await _share(node, practice.person, record, practice.relay, purpose="legal_support")
    return Attempt(workflow, now, cases=(case_id,))


async def _colleague(practice: Practice) -> Attempt:
    """A handler with two cases, about to leave."""
    node, now = practice.node, practice.node.clock.now()

    def add(tx: Connection) -> people.Account:
        taken = {each.name for each in people.list_accounts(tx, node.vault)}
        name = next((each for each in _NAMES if each not in taken), f"Collègue {len(taken)}")
        password = node.random(_PASSWORD_BYTES).hex()
        return people.add_account(tx, node.vault, name, password, {Role.HANDLER}, True, now, node.random)

    account = await node.db.write(add)
    made = [
        await _case(node, by="practice", which=each, name=f"Exercice 7 {letter}", owner=account.account_id)
        for each, letter in ((1, "A"), (2, "B"))
    ]
    ids = tuple(str(each["meta"]["case_id"]) for each in made)
    return Attempt("w7", now, cases=ids, account=account.account_id)


async def _by_mistake(practice: Practice, partner: Partner) -> str:
    """A case of the partner's, offered to us; the transfer's id."""
    record = await _case(partner.node, by=partner.person.account_id, which=1, name="Dossier reçu", owner="-")
    return await _share(partner.node, partner.person, record, practice, purpose="specialised_support", kind="transfer")


async def _share(
    node: Node,
    person: people.Handler,
    record: dict[str, Any],
    to: Partner | Practice,
    *,
    purpose: str,
    kind: str = "referral",
) -> str:
    """Record an agreement and offer a case under it; the transfer's id."""
    now, org_id = node.clock.now(), to.node.roster.card(to.node.member, now=node.clock.now()).profile.org_id
    act = parse_act(
        synthetic.act(record, purpose=purpose, recipients=[org_id], attachments=[], now=now, random=node.random)
    )
    await node.db.write(lambda tx: acts.record_act(tx, node.vault, act, by=person.account_id, now=now))
    offered = await node.sending.offer(
        person,
        case_id=record["meta"]["case_id"],
        recipient=to.node.member,
        purpose=purpose,
        act_id=act.act_id,
        kind=kind,
    )
    return offered.hex()


async def _case(node: Node, *, by: str, which: int, name: str, owner: str) -> dict[str, Any]:
    """One of the invented cases, under a name that says for which exercise it is."""
    now = node.clock.now()
    org_id = node.roster.card(node.member, now=now).profile.org_id
    record = synthetic.cases(now=now, owner=org_id, random=node.random)[which]
    record["meta"] |= {"pseudonym": name, "owner_user_id": owner, "co_handler_ids": [], "access_restriction": "team"}
    record["links"], record["attachments"] = [], []
    record["judicial"]["alerts"] = []  # whether one is made is for the newcomer to do
    record["actions"] = [each for each in record["actions"] if each["kind"] not in ("ip_sent", "signalement_sent")]
    record["risk"]["reassess_on"] = f"{now + timedelta(days=3):%Y-%m-%d}"
    case = case_of(record)
    await node.db.write(lambda tx: records.create_case(tx, node.vault, case, by=by, now=now, random=node.random))
    return record
