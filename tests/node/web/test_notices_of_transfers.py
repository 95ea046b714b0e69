"""Whole nodes: an offer that comes is told by e-mail, and a mail server that is away holds no transfer up."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from cordee.transfer import State
from node import notices
from node.app import Mail
from node.mailing import Server
from node.notices import Wish
from node.people import Role
from tests.neighbours import eventually, neighbourhood

from ..mail_server import Authority, MailServer
from .following import account, offered


async def test_an_offer_is_told_by_e_mail_and_goes_its_way_while_the_mail_server_is_away(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    post = MailServer(context=authority.context("localhost"))
    server = Server("localhost", post.port, "noreply@asso.example", authority=authority.path)
    async with neighbourhood(tmp_path, "Paris", "Marseille") as (street, (paris, marseille)):
        await marseille.stop()
        node = await marseille.start(mail=Mail(server))
        assert node.notices is not None
        person, now = await account(marseille, "Nadia", Role.HANDLER), node.clock.now()
        wish = Wish("nadia@asso.example", "fr")
        await node.db.write(lambda tx: notices.keep_wish(tx, node.vault, person.account_id, wish, (), now=now))

        _, transfer = await offered(paris, marseille)
        due = "SELECT due_at FROM notice WHERE due_at IS NOT NULL"
        await eventually(lambda: node.db.look(lambda tx: tx.exec_driver_sql(due).scalar()), what="it is to be told")
        street.clock.advance(timedelta(minutes=11))
        book = node.notices
        await eventually(lambda: book.condition.reason == "Unreachable", what="the server is missed")
        await node.receiving.accept(marseille.person, transfer)
        await marseille.reaches(transfer, State.RECEIVED)
        await paris.reaches(transfer, State.RECEIVED)

        with post.running():
            street.clock.advance(timedelta(minutes=5))
            await eventually(lambda: post.taken, what="the message")
            await eventually(lambda: book.condition.well, what="nothing is amiss any more")
        assert [to for _, to, _ in post.taken] == [["nadia@asso.example"]]
        assert transfer.hex().encode() not in post.taken[0][2]
