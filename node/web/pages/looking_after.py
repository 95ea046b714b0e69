"""Looking after the node: its health in words, the journal with its verification, the six words of any member."""

from __future__ import annotations

from http import HTTPStatus

from sqlalchemy import Connection
from starlette.datastructures import FormData
from starlette.responses import RedirectResponse, Response

from cordee.errors import N_, JournalBroken, NotFound
from cordee.ids import MemberId
from cordee.runtime.texts import translate
from cordee.words import six_words
from node import journal, need_to_know, people, teams
from node.evidence import whole_journal
from node.health import health_of
from node.identity import own_recovery
from node.mailing import REASONS
from node.web.journal_words import ACTIONS, TOPICS, facts_told, outcome_told
from node.web.rendering import page
from node.web.site import Page
from node.web.visit import Visit

__all__ = ["PAGES"]

_ABOUT = (
    ("people", "/people", N_("People"), N_("accounts and roles, help for who cannot come in")),
    ("teams", "/teams", N_("Teams"), N_("who works with whom, and cases that nobody may open any more")),
    ("profile", "/profile", N_("Profile"), N_("what the others read of us: services, ages, hours, contact")),
    ("openings", "/openings", N_("Openings"), N_("cases that were opened without being of the team")),
    ("health", "/node", N_("The node"), N_("whether it is well: connection, disk, certificate, backup")),
    ("journal", "/journal", N_("Journal"), N_("who did what and when, and that nobody changed it")),
    ("evidence", "/evidence", N_("Evidence"), N_("what the network showed us of its members, and whether it fits")),
    (
        "figures",
        "/figures",
        N_("Yearly reports"),
        N_("for the authority that supervises us: numbers, and nobody in them"),
    ),
    ("six_words", "/words", N_("Six words"), N_("to make sure by telephone that it is them")),
    ("access", "/access", N_("My access"), N_("passkeys, recovery codes, password")),
    ("notices", "/notices", N_("Messages by e-mail"), N_("to be told that something waits, without a word of what")),
    ("practice", "/practice", N_("Practise"), N_("the ten workflows, with invented cases, where nothing is real")),
)
_AT_ONCE = 50  # lines on a page


async def _association(visit: Visit) -> Response:
    """What there is besides cases, as far as it is the visitor's."""
    shown = [each for each in _ABOUT if visit.may(each[0])]
    waiting = 0
    if visit.may("openings"):
        waiting = len(await visit.node.db.read(lambda tx: need_to_know.openings(tx, visit.node.vault)))
    return page("association.html", visit.language, visit=visit, about=shown, waiting=waiting)


async def _health(visit: Visit) -> Response:
    health = await health_of(visit.node)
    alarm = translate(health.alarm, visit.language) if health.alarm else None
    return page(
        "health.html",
        visit.language,
        visit=visit,
        now=visit.node.clock.now(),
        health=health,
        alarm=alarm,
        recovery=own_recovery(visit.node.house),
        mail_reasons=REASONS,
    )


async def _object(visit: Visit, form: FormData) -> Response:
    """This node has its key: the recovery that administrators have announced is void."""
    await visit.node.identity.object(by=visit.handler.account_id)
    return RedirectResponse("/node", status_code=HTTPStatus.SEE_OTHER)


async def _journal(visit: Visit) -> Response:
    return await _journal_page(visit)


async def _verify(visit: Visit, form: FormData) -> Response:
    """The whole chain and each signature, now."""
    node = visit.node
    try:
        former = node.former_identities
        report = await node.db.read(lambda tx: journal.verify(tx, node.identity_public, former=former))
    except JournalBroken as broken:
        return await _journal_page(visit, broken=broken)
    return await _journal_page(visit, report=report)


async def _journal_page(
    visit: Visit, *, report: journal.JournalReport | None = None, broken: JournalBroken | None = None
) -> Response:
    node, asked = visit.node, visit.request.query_params
    topic, actor, about = asked.get("topic", ""), asked.get("actor", "")[:64], asked.get("about", "").strip()[:64]
    before = asked.get("before", "")
    start = int(before) if before.isascii() and before.isdecimal() and len(before) < 16 else None

    def query(tx: Connection) -> tuple[list[journal.JournalEntry], list[people.Account], list[teams.Team]]:
        lines = journal.latest(
            tx,
            before=start,
            about=about,
            actor=actor,
            action=topic if topic in TOPICS else "",
            limit=_AT_ONCE + 1,
        )
        return lines, people.list_accounts(tx, node.vault), teams.list_teams(tx, node.vault)

    lines, accounts, groups = await node.db.read(query)
    persons = {each.account_id: each.name for each in accounts}
    names = {each.team_id: each.name for each in groups} | persons
    names |= {each.hex(): node.roster.name_of(each) for each in node.roster.roster.members}
    return page(
        "journal.html",
        visit.language,
        status=HTTPStatus.OK if broken is None else HTTPStatus.CONFLICT,
        visit=visit,
        lines=[
            (each, *outcome_told(each.outcome, visit.language), facts_told(each.facts, names, visit.language))
            for each in lines[:_AT_ONCE]
        ],
        older=lines[_AT_ONCE - 1].line if len(lines) > _AT_ONCE else None,
        persons=persons,
        names=names,
        topics=TOPICS,
        actions=ACTIONS,
        topic=topic,
        actor=actor,
        about=about,
        report=report,
        broken=translate(broken, visit.language) if broken else None,
    )


async def _export(visit: Visit, form: FormData) -> Response:
    """Enough to verify it elsewhere; that it was taken is journalled first."""
    written = await whole_journal(visit.node.house, by=visit.handler.account_id)
    headers = {"Content-Disposition": 'attachment; filename="journal.ndjson"'}
    return Response(written, media_type="application/x-ndjson", headers=headers)


async def _members(visit: Visit) -> Response:
    wanted = visit.request.query_params.get("q", "").strip()[:100]
    found = [each for each in visit.node.roster.members() if wanted.casefold() in each.name.casefold()]
    return page("words.html", visit.language, visit=visit, members=found, wanted=wanted)


async def _words(visit: Visit) -> Response:
    """To be compared by telephone."""
    node = visit.node
    try:
        wanted = MemberId(bytes.fromhex(str(visit.request.path_params["member"])))
    except ValueError as malformed:
        raise NotFound(what=N_("member")) from malformed
    member = node.roster.roster.members.get(wanted)
    if member is None:
        raise NotFound(what=N_("member"))
    return page(
        "member_words.html",
        visit.language,
        visit=visit,
        member=node.roster.view(member),
        words=six_words(member.identity),
        own=wanted == node.member,
    )


PAGES = (
    Page("association", "/association", get=_association),
    Page("health", "/node", get=_health),
    Page("object", "/node/object", post=_object),
    Page("journal", "/journal", get=_journal),
    Page("journal_verify", "/journal/verify", post=_verify),
    Page("journal_export", "/journal/export", post=_export),
    Page("six_words", "/words", get=_members),
    Page("six_words_of", "/words/{member}", get=_words),
)
