from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from cordee.case import Case
from cordee.errors import InvalidInput, NeedToKnow, NotFound
from node import journal, need_to_know, people, records
from node.app import Node
from node.people import Handler
from tests.node.conftest import holds

from .acting import House, house_with_a_case

REASON = "Elle appelle ce soir, sa référente est absente."


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with house_with_a_case(tmp_path) as house:
        yield house


def _case_id(house: House) -> str:
    return str(house.record["meta"]["case_id"])


async def _handler(node: Node, name: str) -> Handler:
    accounts = await node.db.read(lambda tx: people.list_accounts(tx, node.vault))
    account = next(each for each in accounts if each.name == name)
    return Handler(account.account_id, account.name, account.roles, account.bound_by_secrecy)


async def _is_of_team(house: House, name: str, case: Case) -> bool:
    handler, now = await _handler(house.node, name), house.node.clock.now()
    return await house.node.db.read(lambda tx: need_to_know.is_of_team(tx, handler, case, now=now))


async def _restrict(house: House, restriction: str, owner: str = "-", others: tuple[str, ...] = ()) -> Case:
    node, now, case_id = house.node, house.node.clock.now(), _case_id(house)
    stored = await node.db.read(lambda tx: records.read_case(tx, node.vault, case_id))
    case = need_to_know.with_team(stored.case, restriction=restriction, owner=owner, others=list(others), now=now)
    await node.db.write(
        lambda tx: records.update_case(
            tx, node.vault, case_id, case, expected_version=stored.version, by="node", now=now
        )
    )
    return case


@pytest.mark.parametrize(
    ("restriction", "owner", "helene", "lea"),
    [
        ("team", "somebody", True, True),
        ("named_users", "hélène", True, False),
        ("named_users", "somebody", False, False),
        ("named_users", "-", False, True),  # nobody's yet: a lead gives it to somebody
        ("sealed", "somebody", False, True),
        ("sealed", "Hélène", True, True),
    ],
)
async def test_a_case_is_its_teams(house: House, restriction: str, owner: str, helene: bool, lea: bool) -> None:
    case = await _restrict(house, restriction, owner)
    told = [await _is_of_team(house, name, case) for name in ("Hélène", "Léa")]
    assert told == [helene, lea]


async def test_whoever_is_named_beside_is_of_the_team_by_their_account(house: House) -> None:
    helene = await _handler(house.node, "Hélène")
    case = await _restrict(house, "named_users", "somebody", (helene.account_id,))
    assert await _is_of_team(house, helene.name, case)


async def test_every_page_of_a_case_asks_why_and_a_reason_opens_it_for_half_a_day(house: House) -> None:
    await _restrict(house, "named_users", "somebody")
    person, case = await house.person("Hélène"), f"/cases/{_case_id(house)}"
    for path in (case, f"{case}/sections/risk", f"{case}/acts", f"{case}/acts/new", f"{case}/team"):
        answer = await person.get(path)
        assert answer.headers["location"] == f"{case}/reason?next={path}", path
    shown = await person.get(f"{case}/reason")
    assert house.record["meta"]["pseudonym"] not in shown.text
    refused = await person.post(f"{case}/reason", {"reason": "urgent"})
    assert refused.status_code == 422
    assert ">urgent</textarea>" in refused.text
    opened = await person.post(f"{case}/reason", {"reason": REASON, "next": f"{case}/sections/risk"})
    assert opened.headers["location"] == f"{case}/sections/risk"
    assert (await person.get(case)).status_code == 200
    helene, later = await _handler(house.node, "Hélène"), house.node.clock.now() + need_to_know.OPEN_FOR
    with pytest.raises(NeedToKnow):
        await house.node.db.read(
            lambda tx: need_to_know.require(tx, house.node.vault, helene, _case_id(house), now=later)
        )


async def test_the_reason_is_sealed_and_the_journal_says_only_that_there_is_one(house: House, tmp_path: Path) -> None:
    await _restrict(house, "named_users", "somebody")
    person = await house.person("Hélène")
    await person.post(f"/cases/{_case_id(house)}/reason", {"reason": REASON})
    assert not holds(tmp_path, REASON.encode(), b"appelle ce soir")
    lines = await house.node.db.read(lambda tx: journal.latest(tx, action="case.opened_for_reason", limit=5))
    assert [each.subject for each in lines] == [_case_id(house)]


async def test_another_lead_looks_at_it_and_nobody_at_their_own(house: House) -> None:
    await _restrict(house, "named_users", "somebody")
    node, case_id, now = house.node, _case_id(house), house.node.clock.now()
    await (await house.person("Hélène")).post(f"/cases/{case_id}/reason", {"reason": REASON})
    lead = await house.person("Léa")
    shown = await lead.get("/openings")
    assert REASON in shown.text
    (opening,) = await node.db.read(lambda tx: need_to_know.openings(tx, node.vault))
    with pytest.raises(InvalidInput):
        await node.db.write(lambda tx: need_to_know.look_at(tx, opening.opening_id, now=now, by=opening.account_id))
    assert (await lead.post("/openings", {"opening": opening.opening_id})).status_code == 303
    assert await node.db.read(lambda tx: need_to_know.openings(tx, node.vault)) == []
    (done,) = await node.db.read(lambda tx: need_to_know.openings(tx, node.vault, looked_at=True))
    assert done.looked_by == (await _handler(node, "Léa")).account_id


async def test_reasons_go_with_their_case(house: House) -> None:
    await _restrict(house, "named_users", "somebody")
    node, case_id = house.node, _case_id(house)
    await (await house.person("Hélène")).post(f"/cases/{case_id}/reason", {"reason": REASON})
    await node.db.write(lambda tx: records.erase_case(tx, case_id, now=node.clock.now()))
    assert await node.db.read(lambda tx: need_to_know.openings(tx, node.vault)) == []
    helene = await _handler(node, "Hélène")
    with pytest.raises(NotFound):
        await node.db.read(
            lambda tx: need_to_know.require(tx, node.vault, helene, case_id, now=node.clock.now() + timedelta(1))
        )


async def test_the_team_is_changed_on_its_page(house: House) -> None:
    lea = await _handler(house.node, "Léa")
    person, address = await house.person("Léa"), f"/cases/{_case_id(house)}/team"
    stored = await house.node.db.read(lambda tx: records.read_case(tx, house.node.vault, _case_id(house)))
    fields = {"version": str(stored.version), "restriction": "named_users", "owner": lea.account_id}
    assert (await person.post(address, fields)).status_code == 303
    other = await house.person("Hélène")
    assert "/reason" in (await other.get(f"/cases/{_case_id(house)}")).headers["location"]
    again = await person.post(address, fields)  # from a page that is out of date
    assert again.status_code == 422
