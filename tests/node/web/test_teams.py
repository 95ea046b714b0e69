"""Teams: a case is its team's, in every list and on every page; what nobody may open any more is given to somebody."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from node import case_sealing, journal, listing, need_to_know, orphans, people, records, staff, teams
from node.people import Handler, Role
from node.store import table_of
from node.store.records import CaseRow
from tests.node.conftest import holds

from ..association import PASSWORD
from .acting import House, house_with_a_case


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with house_with_a_case(tmp_path) as house:
        await _account(house, "Karim")
        yield house


async def _account(house: House, name: str, *roles: Role) -> str:
    node, now = house.node, house.node.clock.now()
    made = await node.db.write(
        lambda tx: people.add_account(tx, node.vault, name, PASSWORD, roles or (Role.HANDLER,), True, now, node.random)
    )
    return made.account_id


async def _handler(house: House, name: str) -> Handler:
    accounts = await house.node.db.read(lambda tx: people.list_accounts(tx, house.node.vault))
    each = next(each for each in accounts if each.name == name)
    return Handler(each.account_id, each.name, each.roles, each.bound_by_secrecy)


async def _team(house: House, name: str, *members: str) -> str:
    node, now = house.node, house.node.clock.now()
    ids = {(await _handler(house, each)).account_id for each in members}

    def step(tx: Any) -> str:
        team = teams.add_team(tx, node.vault, name, now=now, random=node.random, by="adm")
        teams.set_members(tx, team, ids, now=now, by="adm")
        return team

    return await node.db.write(step)


def _case(house: House) -> str:
    return str(house.record["meta"]["case_id"])


def _pseudonym(house: House) -> str:
    return str(house.record["meta"]["pseudonym"])


async def _place(house: House, team: str | None) -> None:
    now = house.node.clock.now()
    await house.node.db.write(lambda tx: teams.place(tx, _case(house), team, now=now, by="adm"))


async def _named(house: House, owner: str, restriction: str = "named_users") -> None:
    node, now, case_id = house.node, house.node.clock.now(), _case(house)

    def step(tx: Any) -> None:
        stored = records.read_case(tx, node.vault, case_id)
        case = need_to_know.with_team(stored.case, restriction=restriction, owner=owner, others=[], now=now)
        records.update_case(tx, node.vault, case_id, case, expected_version=stored.version, by="node", now=now)

    await node.db.write(step)


async def _actions(house: House, action: str) -> list[journal.JournalEntry]:
    return await house.node.db.read(lambda tx: journal.latest(tx, action=action, limit=20))


async def test_a_case_of_a_team_is_listed_and_opened_by_that_team_alone(house: House) -> None:
    await _place(house, await _team(house, "Nuit", "Hélène"))
    inside, outside = await house.person("Hélène"), await house.person("Karim")
    assert _pseudonym(house) in (await inside.get("/cases")).text
    assert (await inside.get(f"/cases/{_case(house)}")).status_code == 200
    listed = (await outside.get("/cases")).text
    assert _pseudonym(house) not in listed
    assert "0 of 0" in listed, "nor is it counted"
    assert "/reason" in (await outside.get(f"/cases/{_case(house)}")).headers["location"]


async def test_whoever_the_case_names_opens_it_without_being_in_the_team(house: House) -> None:
    await _named(house, (await _handler(house, "Karim")).account_id, "team")
    await _place(house, await _team(house, "Nuit", "Hélène"))
    assert (await (await house.person("Karim")).get(f"/cases/{_case(house)}")).status_code == 200


@pytest.mark.parametrize("what", ["pseudonym", "local_number"])
async def test_its_whole_name_leads_to_the_door_that_asks_why_and_is_journalled(house: House, what: str) -> None:
    await _place(house, await _team(house, "Nuit", "Hélène"))
    outside, name = await house.person("Karim"), str(house.record["meta"][what])
    for part in (name[:-1], name[1:], ""):
        assert (
            "/reason"
            not in (
                await outside.get(
                    "/cases",
                )
                if not part
                else await outside.get(f"/cases?q={part}")
            ).text
        )
    assert await _actions(house, "case.found_by_name") == []
    shown = unescape((await outside.get(f"/cases?q={name.upper()}")).text)
    assert f"/cases/{_case(house)}/reason" in shown
    hidden = "local_number" if what == "pseudonym" else "pseudonym"
    assert str(house.record["meta"][hidden]) not in shown
    assert [each.subject for each in await _actions(house, "case.found_by_name")] == [_case(house)]


async def test_for_a_reason_it_stands_in_the_list_for_as_long_as_that_holds(house: House) -> None:
    await _place(house, await _team(house, "Nuit", "Hélène"))
    outside = await house.person("Karim")
    await outside.post(f"/cases/{_case(house)}/reason", {"reason": "Elle appelle ce soir, sa référente est absente."})
    assert _pseudonym(house) in (await outside.get("/cases")).text
    node, karim = house.node, await _handler(house, "Karim")
    later = node.clock.now() + need_to_know.OPEN_FOR
    told = await node.db.read(lambda tx: listing.find(tx, node.house.cases, node.vault, karim, now=later))
    assert told.total == 0


async def test_a_reason_makes_nobody_one_of_the_team(house: House) -> None:
    await _named(house, (await _handler(house, "Hélène")).account_id)
    outside, address = await house.person("Karim"), f"/cases/{_case(house)}/team"
    await outside.post(f"/cases/{_case(house)}/reason", {"reason": "Elle appelle ce soir, sa référente est absente."})
    karim = await _handler(house, "Karim")
    fields = {"version": "2", "restriction": "named_users", "owner": karim.account_id}
    refused = await outside.post(address, fields, page="/")
    assert "/reason" in refused.headers["location"]
    stored = await house.node.db.read(lambda tx: records.read_case(tx, house.node.vault, _case(house)))
    assert stored.case.value("meta.owner_user_id") != karim.account_id


async def test_what_was_sealed_before_lists_knew_whose_it_is_is_kept_as_well(house: House) -> None:
    """A line of an older release says nothing of its team: the case itself is asked."""
    await _named(house, "somebody")
    node, table = house.node, table_of(CaseRow)

    def step(tx: Any) -> None:
        key = case_sealing.data_key_of(tx, node.vault, _case(house))
        old = json.dumps([_pseudonym(house), "open", "high"]).encode()
        sealed = key.seal(old, place="case_record.sealed_line", row=_case(house))
        tx.execute(update(table).where(table.c.id == _case(house)).values(sealed_line=sealed, change=1000))

    await node.db.write(step)
    karim, now = await _handler(house, "Karim"), node.clock.now()
    told = await node.db.read(lambda tx: listing.find(tx, node.house.cases, node.vault, karim, now=now))
    assert told.total == 0


async def test_the_administrator_makes_fills_renames_and_dissolves_a_team(house: House, tmp_path: Path) -> None:
    person, helene = await house.person("Adrien"), await _handler(house, "Hélène")
    made = await person.post("/teams/new", {"name": "Équipe de nuit"}, page="/teams")
    address = made.headers["location"].partition("?")[0]
    again = await person.post("/teams/new", {"name": "équipe  de NUIT"}, page="/teams")
    assert again.status_code == 422
    assert 'value="équipe  de NUIT"' in again.text, "what was typed comes back"
    change = f"{address}/change"
    assert (await person.post(change, {"do": "members", "members": helene.account_id}, page=address)).status_code == 303
    refused = await person.post(change, {"do": "dissolved"}, page=address)
    assert refused.status_code == 422, "there is somebody in it"
    assert (await person.post(change, {"do": "renamed", "name": "Soirée"}, page=address)).status_code == 303
    assert "Soirée" in (await person.get("/teams")).text
    assert "Soirée" in (await person.get(f"/people/{helene.account_id}")).text
    await person.post(change, {"do": "members"}, page=address)
    assert (await person.post(change, {"do": "dissolved"}, page=address)).headers["location"] == "/teams?done=dissolved"
    assert await house.node.db.read(lambda tx: teams.list_teams(tx, house.node.vault)) == []
    for action in ("team.added", "team.joined", "team.renamed", "team.left", "team.dissolved"):
        assert len(await _actions(house, action)) == 1, action
    assert not holds(tmp_path, "Équipe de nuit".encode(), "Soirée".encode())


async def test_a_lead_sees_teams_and_changes_none(house: House) -> None:
    team, person = await _team(house, "Nuit", "Hélène"), await house.person("Léa")
    assert "Hélène" in (await person.get(f"/teams/{team}")).text
    assert (await person.post(f"/teams/{team}/change", {"do": "renamed", "name": "X"}, page="/")).status_code == 403


async def test_a_new_case_is_its_authors_teams(house: House) -> None:
    night, day = await _team(house, "Nuit", "Hélène"), await _team(house, "Jour", "Hélène", "Karim")
    person = await house.person("Hélène")
    typed = {"pseudonym": "Menthe-9", "channel": "phone", "summary": "Un appel", "danger": "unknown"}
    asked = await person.post("/cases/new", typed)
    assert asked.status_code == 422, "she is in two"
    await person.post("/cases/new", {**typed, "team": day})
    other = await house.person("Karim")
    assert "Menthe-9" in (await other.get("/cases")).text
    await person.post("/cases/new", {**typed, "pseudonym": "Sauge-9", "team": night})
    assert "Sauge-9" not in (await other.get("/cases")).text
    foreign = await other.post("/cases/new", {**typed, "team": night})
    assert foreign.status_code == 404, "not his team"


async def test_the_team_of_a_case_is_chosen_on_its_page(house: House) -> None:
    team, person = await _team(house, "Nuit", "Hélène"), await house.person("Hélène")
    fields = {"version": "1", "restriction": "team", "owner": "-", "team": team}
    assert (await person.post(f"/cases/{_case(house)}/team", fields)).status_code == 303
    assert f'value="{team}" selected' in (await person.get(f"/cases/{_case(house)}/team")).text
    assert _pseudonym(house) not in (await (await house.person("Karim")).get("/cases")).text


# ---- somebody leaves ----


async def test_closing_an_account_warns_of_cases_that_nobody_else_may_open(house: House) -> None:
    karim = await _handler(house, "Karim")
    await _named(house, karim.account_id)
    person, address = await house.person("Adrien"), f"/people/{karim.account_id}"
    assert _pseudonym(house) in (await person.get(address)).text
    refused = await person.post(f"{address}/change", {"do": "disabled"}, page=address)
    assert refused.status_code == 422
    assert not (await _account_of(house, "Karim")).disabled, "nothing has happened"
    helene = await _handler(house, "Hélène")
    answer = await person.post(
        f"{address}/change", {"do": "disabled", "heir": f"account:{helene.account_id}"}, page=address
    )
    assert answer.status_code == 303
    assert (await _account_of(house, "Karim")).disabled
    assert (await (await house.person("Hélène")).get(f"/cases/{_case(house)}")).status_code == 200
    (given,) = await _actions(house, "case.given")
    assert given.subject == _case(house)
    assert given.actor == (await _handler(house, "Adrien")).account_id


async def _account_of(house: House, name: str) -> people.Account:
    accounts = await house.node.db.read(lambda tx: people.list_accounts(tx, house.node.vault))
    return next(each for each in accounts if each.name == name)


async def test_what_is_left_waits_in_a_list_and_is_given_to_a_team_in_one_step(house: House) -> None:
    karim = await _handler(house, "Karim")
    await _named(house, karim.account_id)
    person, address = await house.person("Adrien"), f"/people/{karim.account_id}"
    await person.post(f"{address}/change", {"do": "disabled", "heir": "later"}, page=address)
    lead = await house.person("Léa")
    shown = await lead.get("/orphans")
    assert _pseudonym(house) in shown.text
    first_name = house.record["identity"].get("first_name")
    assert first_name
    assert first_name not in shown.text
    nobody = await lead.post("/orphans", {"cases": _case(house), "heir": ""})
    assert nobody.status_code == 422
    empty = await _team(house, "Vide")
    assert (await lead.post("/orphans", {"cases": _case(house), "heir": f"team:{empty}"})).status_code == 422
    team = await _team(house, "Nuit", "Hélène")
    given = await lead.post("/orphans", {"cases": _case(house), "heir": f"team:{team}"})
    assert given.headers["location"] == "/orphans?done=given"
    assert _pseudonym(house) in (await (await house.person("Hélène")).get("/cases")).text
    assert _pseudonym(house) not in (await lead.get("/cases")).text, "to the team, not to who gave it"


async def test_a_case_that_somebody_may_open_is_given_to_nobody(house: House) -> None:
    """Otherwise an administrator, who opens no case, could give any of them to a friend."""
    person = await house.person("Adrien")
    karim = await _handler(house, "Karim")
    refused = await person.post("/orphans", {"cases": _case(house), "heir": f"account:{karim.account_id}"}, page="/")
    assert refused.status_code == 422
    assert await _actions(house, "case.given") == []


@pytest.mark.parametrize("how", ["role", "team"])
async def test_a_case_is_without_anybody_however_that_came(house: House, how: str) -> None:
    node, now = house.node, house.node.clock.now()
    team = await _team(house, "Nuit", "Karim")
    await _place(house, team)

    def alone(tx: Any) -> list[str]:
        return [each.case_id for each in orphans.orphans(tx, node.vault, node.house.cases)]

    assert await node.db.read(alone) == []
    if how == "team":
        await node.db.write(lambda tx: teams.set_members(tx, team, (), now=now, by="adm"))
    else:
        karim = await _handler(house, "Karim")
        await node.db.write(
            lambda tx: staff.change(
                tx, node.vault, karim.account_id, roles={Role.AUDITOR}, bound_by_secrecy=True, now=now, by="adm"
            )
        )
    assert await node.db.read(alone) == [_case(house)]


async def test_an_erased_case_leaves_its_team(house: House) -> None:
    team = await _team(house, "Nuit", "Hélène")
    await _place(house, team)
    node, now = house.node, house.node.clock.now()
    await node.db.write(lambda tx: records.erase_case(tx, _case(house), now=now))
    (left,) = await node.db.read(lambda tx: teams.list_teams(tx, node.vault))
    assert left.cases == 0


async def test_to_find_cases_without_anybody_opens_none_that_is_known(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = house.node
    await node.db.read(lambda tx: node.house.cases.catch_up(tx, node.vault))
    person, karim = await house.person("Adrien"), await _handler(house, "Karim")

    def again(*_: object) -> None:
        raise AssertionError("opened again")

    monkeypatch.setattr(records, "_line", again)
    for path in ("/teams", "/orphans", f"/people/{karim.account_id}"):
        assert (await person.get(path)).status_code == 200
    closed = await person.post(f"/people/{karim.account_id}/change", {"do": "disabled"}, page="/")
    assert closed.headers["location"].endswith("done=disabled")
