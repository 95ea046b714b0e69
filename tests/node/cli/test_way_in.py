"""Joining as the association sees it: how far it has come, who must act, and why it was refused."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cordee.errors import InvalidInput, JoinRefused
from cordee.invitation import Invitation
from cordee.signing import SigningPublicKey, member_id_of
from cordee.v1 import directory_pb2 as pb
from cordee.v1 import statements_pb2 as v1
from node import joining
from tests.neighbours import PASSPHRASE, Street, neighbourhood

from .conftest import Cordee

NAME = "Marseille"


@pytest.fixture
async def street(tmp_path: Path) -> AsyncIterator[Street]:
    async with neighbourhood(tmp_path, start=False) as (made, _):
        yield made


async def wait(street: Street) -> Any:
    return await joining.wait(
        street.folder / NAME,
        passphrase=PASSPHRASE,
        clock=street.clock,
        random=os.urandom,
        give_up_after=timedelta(seconds=1),
    )


async def refuse(street: Street, key: SigningPublicKey, reason: str) -> None:
    command = street.town.command(v1.RefuseJoinRequest(member=member_id_of(key), reason=reason))
    await street.town.administer("RefuseJoinRequest", pb.RefuseJoinRequestRequest(command=command))


async def test_the_node_tells_the_steps_their_times_and_who_must_act_next(street: Street, cordee: Cordee) -> None:
    key, profile = await street.invite(NAME, 0)
    place = ("--data-dir", str(street.folder / NAME))
    assert (await cordee("node", "status", *place)).code == 7, "it has not asked: there is nothing to tell"
    await street.ask(NAME)
    told = (await cordee("node", "status", *place)).json
    assert told["member"] == member_id_of(key).hex()
    assert [each["step"] for each in told["steps"] if each["at"]] == ["invited", "asked"]
    assert told["turn"] == "administrators"
    assert "six words" in (await cordee("--lang", "en", "node", "status", *place, output=None)).out

    entry = street.town.network.signed_entry(
        street.town.admission(_Keys(key), profile), street.town.network.administrators[0]
    )
    await street.town.sign(entry)
    late = (await cordee("node", "status", *place)).json
    assert late["signatures"] == 0, "without the passphrase it tells what it was told last"
    # The command asks by the machine's own clock, and this network lives a month earlier: it is asked from here.
    await joining.status(street.folder / NAME, passphrase=PASSPHRASE, clock=street.clock, random=os.urandom)
    told = (await cordee("node", "status", *place)).json
    assert (told["signatures"], told["threshold"], told["turn"]) == (1, 2, "administrators")
    assert [each["step"] for each in told["steps"] if not each["at"]] == ["admitted", "connected"]


class _Keys:
    """As `Town.admission` asks for them."""

    def __init__(self, key: SigningPublicKey) -> None:
        self.keys = self
        self.identity = self
        self.public = key
        self.id = member_id_of(key)


async def test_the_link_is_as_good_as_the_file(street: Street, cordee: Cordee, tmp_path: Path) -> None:
    """Typed as a command: it says what is wrong with the link before anything is sent."""
    await street.invite(NAME, 0)
    link = Invitation.parse((street.folder / f"{NAME}.invitation").read_bytes()).to_link()
    (tmp_path / "passphrase").write_bytes(PASSPHRASE)
    asked = ("--profile", str(street.folder / f"{NAME}.json"), "--data-dir", str(street.folder / NAME))
    asked += ("--passphrase-file", str(tmp_path / "passphrase"))
    cut = await cordee("node", "join", link[:-9], *asked)
    assert (cut.code, cut.error["facts"]["path"]) == (4, "invitation")
    whole = await cordee("node", "join", link, *asked)
    # It was read: this network lives a month earlier, so that by the machine's clock the invitation is over.
    assert whole.error["facts"]["path"] == "invitation.expires"


async def test_a_refusal_reaches_the_screen_and_what_was_put_right_is_asked_for_anew(
    street: Street, cordee: Cordee
) -> None:
    key, profile = await street.invite(NAME, 0)
    await street.ask(NAME)
    file = street.folder / f"{NAME}.json"
    profile["display_name"] = "Marseille et Aubagne"
    file.write_text(json.dumps(profile))
    with pytest.raises(InvalidInput):
        await street.ask(NAME)  # the first request waits
    await refuse(street, key, "Le nom affiché dit une autre ville.")
    with pytest.raises(JoinRefused, match="une autre ville"):
        await wait(street)
    told = (await cordee("node", "status", "--data-dir", str(street.folder / NAME))).json
    assert (told["turn"], told["reason"]) == ("association", "Le nom affiché dit une autre ville.")

    await street.ask(NAME)
    told = (await cordee("node", "status", "--data-dir", str(street.folder / NAME))).json
    assert (told["turn"], told["reason"]) == ("administrators", None)
    await refuse(street, key, "Appelez-nous.")
    await street.ask(NAME)
    with pytest.raises(JoinRefused):
        await wait(street)  # nothing was put right, nothing was asked anew
    await street.ask(NAME, again=True)
    await street.admit(key, profile, secrecy=True)
    assert await wait(street) == member_id_of(key)
    progress, member, _ = joining.last_known(street.folder / NAME) or pytest.fail("nothing was noted")
    assert (progress.next[0], member) == ("nobody", member_id_of(key))
