"""`cordee admin invite`, `requests`, `admit` …: the members of the network."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from cordee.errors import N_, InvalidInput
from cordee.joining import Turn
from cordee.members import MemberState, registration_digest
from cordee.profile.numbers import DOUBTS, doubt_about
from cordee.runtime.checklist import checklist, in_words
from cordee.runtime.texts import translate
from cordee.v1 import statements_pb2 as v1
from cordee.words import six_words
from directory.administrator.applicants import Applicant, Invited, check_words
from directory.administrator.entries import about_member, admission, correction
from directory.administrator.inviting import LONGEST, USUAL, command_of, make_invitation
from directory.cli.session import Session, administering, pick
from directory.cli.watching import follow, watch_options
from directory.files import write_new

__all__ = ["admit", "correct", "invite", "members", "refuse", "reinstate", "remove", "requests", "suspend", "words"]

_COLUMNS = ("member", "legal_name", "registration_number", "bound_by_secrecy", "state", "words")
_DAYS = click.IntRange(1, LONGEST.days)


@click.command("invite")
@click.option("--legal-name", required=True, help="The association's registered name.")
@click.option("--number", required=True, help="Its SIRET, RNA or FINESS number.")
@click.option("--secrecy/--no-secrecy", required=True, help="Whether it is bound by professional secrecy; check this.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="Invitation file to make.")
@click.option(
    "--days", type=click.IntRange(1, LONGEST.days), default=USUAL.days, show_default=True, help="How long it is valid."
)
@administering
async def invite(session: Session, legal_name: str, number: str, secrecy: bool, out: Path, days: int) -> None:
    """Make an invitation: a file, and the same as a link. It works once; hand one of them over by a way that the
    association trusts.

    JSON: {invitation, file, legal_name, registration_number, bound_by_secrecy, expires, doubt, link}; `doubt` is a
    code where the number's check digits or form look wrong, else null
    """
    doubt = _warn(session, number)
    _require_new(out)
    made = make_invitation(
        session.home.network(),
        session.roster,
        legal_name=legal_name,
        number=number,
        bound_by_secrecy=secrecy,
        life=timedelta(days=days),
        now=session.clock.now(),
        random=os.urandom,
    )
    if not session.output.dry_run:
        await session.client.invite(**command_of(made))
        write_new(out, made.to_bytes())
    session.output.record(
        {
            "invitation": made.invitation.hex(),
            "file": str(out),
            "legal_name": legal_name,
            "registration_number": number,
            "bound_by_secrecy": secrecy,
            "expires": made.expires.isoformat(),
            "doubt": doubt,
            "link": None if session.output.dry_run else made.to_link(),
        }
    )


@click.command("requests")
@administering
async def requests(session: Session) -> None:
    """Who was invited and who asks to join, with the six words of each key, how far each has come, and who must act
    next. Call the association and have the words read out.

    The association reads the same checklist with "cordee node status".

    JSON: [{member, legal_name, registration_number, bound_by_secrecy, state, words: [], asked, steps: [{step, at,
    text}], turn, next, signatures, threshold, reason}]; who has not asked yet has no member and no words
    """
    applicants, doubts = await session.client.applicants(session.roster)
    for doubt in doubts:
        session.output.say(
            N_("One request is left out, since it does not verify: {why}"), why=translate(doubt, session.language)[0]
        )
    rows = [_row(session, applicant, told) for applicant, told in applicants]
    rows = [row for row in rows if row["state"] != "removed"]
    rows += [_invited(session, each) for each in await session.client.invited(session.roster)]
    session.output.rows(rows, _COLUMNS)
    if not session.output.for_programs:
        for row in rows:
            if row["turn"] != Turn.NOBODY:
                session.output.text("\n".join([f"\n{row['legal_name']}", *in_words(row)]))


@click.command("admit")
@click.argument("member")
@click.option("--words", "read_out", required=True, help="The six words, as the association read them out.")
@administering
async def admit(session: Session, member: str, read_out: str) -> None:
    """Admit MEMBER (its id, the beginning of it, or its name), after its six words were compared by telephone.

    JSON: {member, legal_name, entry, appended, signatures, threshold}
    """
    applicant = await _applicant(session, member)
    check_words(applicant.key, read_out)
    session.home.name(applicant.member, applicant.legal_name)
    session.output.say(N_("{name}, number {number}"), name=applicant.legal_name, number=applicant.registration_number)
    known = session.roster.members.get(applicant.member)
    if known is not None:
        outcome: dict[str, Any] = {"entry": None, "appended": True, "signatures": 0}
        outcome["threshold"] = session.roster.policy.threshold
        session.output.say(N_("It is a member already."))
    else:
        outcome = await session.propose(admission(applicant, session.roster, session.clock.now()))
    session.output.record({"member": applicant.member.hex(), "legal_name": applicant.legal_name, **outcome})


@click.command("refuse")
@click.argument("member")
@click.option("--reason", required=True, help="What the applicant is told.")
@administering
async def refuse(session: Session, member: str, reason: str) -> None:
    """Tell an applicant that it is not admitted, and why.

    JSON: {member, reason}
    """
    applicant = await _applicant(session, member)
    await session.client.refuse(applicant.member, reason)
    session.output.record({"member": applicant.member.hex(), "reason": reason})


@click.command("suspend")
@click.argument("member")
@administering
@watch_options
async def suspend(session: Session, member: str, watch: int | None) -> None:
    """Suspend MEMBER: its node is cut off at once, its transfers stand still.

    JSON: {member, entry, appended, signatures, threshold}; with --watch also {nodes, know, seconds,
    not_yet: [{member, name, knows, behind, connected, heard}]}
    """
    await _change(session, member, v1.MemberSuspended, watch)


@click.command("reinstate")
@click.argument("member")
@administering
@watch_options
async def reinstate(session: Session, member: str, watch: int | None) -> None:
    """Take back the suspension of MEMBER.

    JSON: {member, entry, appended, signatures, threshold}
    """
    await _change(session, member, v1.MemberReinstated, watch)


@click.command("correct")
@click.argument("member")
@click.option("--legal-name", help="Its registered name as it is now, together with --number.")
@click.option("--number", help="Its SIRET, RNA or FINESS number as it is now.")
@click.option("--secrecy/--no-secrecy", default=None, help="Whether it is bound by professional secrecy; check this.")
@administering
async def correct(
    session: Session, member: str, legal_name: str | None, number: str | None, secrecy: bool | None
) -> None:
    """Give MEMBER its new legal name or number, or say anew whether it is bound by professional secrecy.

    Its keys stay, so no words are compared: see the paper that says so (the register's receipt, the merger's deed).
    Each colleague types the name and the number again; only the same ones are signed together.

    JSON: {member, legal_name, entry, appended, signatures, threshold}
    """
    found = session.member(member)
    known = session.roster.members[found]
    if (legal_name is None) != (number is None):
        raise InvalidInput(field="--number", problem=N_("legal name and number are given together"))
    if legal_name is None and secrecy is None:
        raise InvalidInput(field="MEMBER", problem=N_("nothing in it is new"))
    registration = known.registration
    if legal_name is not None and number is not None:
        registration = registration_digest(legal_name, number)
        session.output.say(N_("{name}, number {number}"), name=legal_name, number=number)
        _warn(session, number)
    bound = known.bound_by_secrecy if secrecy is None else secrecy
    outcome = await session.propose(correction(found, registration, bound, session.roster, session.clock.now()))
    if legal_name is not None and not session.output.dry_run:
        session.home.expect(registration, legal_name)
        session.home.follow(session.roster)
    session.output.record({"member": found.hex(), "legal_name": legal_name, **outcome})


@click.command("remove")
@click.argument("member")
@administering
@watch_options
async def remove(session: Session, member: str, watch: int | None) -> None:
    """Remove MEMBER for good: its transfers expire at once, and its id never comes back.

    JSON: {member, entry, appended, signatures, threshold}
    """
    await _change(session, member, v1.MemberRemoved, watch)


@click.command("members")
@administering
async def members(session: Session) -> None:
    """The members, from this machine's own verified copy of the log.

    JSON: [{member, name, state, bound_by_secrecy, admitted}]
    """
    names = session.home.names()
    rows = [
        {
            "member": each.id.hex(),
            "name": names.get(each.id),
            "state": each.state.value,
            "bound_by_secrecy": each.bound_by_secrecy,
            "admitted": each.admitted_at.isoformat(timespec="seconds"),
        }
        for each in session.roster.members.values()
    ]
    session.output.rows(rows, ("member", "name", "state", "bound_by_secrecy", "admitted"))


@click.command("words")
@click.argument("member")
@administering
async def words(session: Session, member: str) -> None:
    """The six words of a member's identity key, from the verified log.

    JSON: {member, words: []}
    """
    found = session.roster.members[session.member(member)]
    session.output.record({"member": found.id.hex(), "words": six_words(found.identity)})


def _warn(session: Session, number: str) -> str | None:
    """Say what looks wrong about a number; it may be right all the same."""
    doubt = doubt_about(number)
    if doubt is not None:
        session.output.say(DOUBTS[doubt])
    return doubt


def _require_new(path: Path) -> None:
    if path.exists():
        raise InvalidInput(field="--out", problem=N_("the file exists already"))


async def _applicant(session: Session, given: str) -> Applicant:
    applicants, _ = await session.client.applicants(session.roster)
    by_id = {applicant.member: applicant for applicant, _ in applicants}
    return by_id[pick(given, {member: each.legal_name for member, each in by_id.items()})]


async def _change(
    session: Session,
    given: str,
    kind: type[v1.MemberSuspended | v1.MemberReinstated | v1.MemberRemoved],
    watch: int | None,
) -> None:
    member = session.member(given)
    outcome = await session.propose(about_member(kind, member, session.roster, session.clock.now()))
    outcome = await follow(session, outcome, watch)
    session.output.record({"member": member.hex(), **outcome}, hide=("not_yet",))


def _row(session: Session, applicant: Applicant, told: int) -> dict[str, Any]:
    known = session.roster.members.get(applicant.member)
    state = {MemberState.ACTIVE: "admitted", MemberState.SUSPENDED: "admitted", MemberState.REMOVED: "removed"}
    return {
        "member": applicant.member.hex(),
        "legal_name": applicant.legal_name,
        "registration_number": applicant.registration_number,
        "bound_by_secrecy": applicant.bound_by_secrecy,
        # Whether it was admitted the log says; whether a colleague refused it only the directory knows.
        "state": state[known.state] if known else ("refused" if told == _REFUSED else "waiting"),
        "words": applicant.words(),
        "asked": applicant.asked.isoformat(timespec="seconds"),
        **checklist(applicant.progress, session.language),
    }


def _invited(session: Session, invited: Invited) -> dict[str, Any]:
    return {
        "member": None,
        "legal_name": invited.legal_name,
        "registration_number": invited.registration_number,
        "bound_by_secrecy": invited.bound_by_secrecy,
        "state": "invited",
        "words": [],
        "asked": None,
        **checklist(invited.progress, session.language),
    }


_REFUSED = 3  # JOIN_STATE_REFUSED
