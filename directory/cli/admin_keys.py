"""`cordee admin recover`, `revoke`, `rotate-key`, `rotate-ca`: keys that are lost, stolen, or simply old."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from cordee.errors import N_, InvalidInput
from cordee.keyfile import read_public_file
from cordee.members import authority_digest
from cordee.runtime.tls import certificates_in
from cordee.times import moment_of, timestamp_of
from cordee.v1 import statements_pb2 as v1
from cordee.words import six_words
from directory.administrator.applicants import check_words
from directory.administrator.entries import about_member, announcement, recovery
from directory.administrator.way_back import way_back
from directory.cli.session import Session, administering
from directory.files import read_whole, replace

__all__ = ["recover", "revoke", "rotate_ca", "rotate_key"]

_FILE = click.Path(path_type=Path, dir_okay=False)
_OVERLAP_DAYS = 120


@click.command("recover")
@click.argument("member")
@click.option("--announce", "new_key", type=_FILE, help="The new key's public half, from cordee node recover.")
@click.option("--words", "read_out", help="With --announce: its six words, as they were read out by telephone.")
@click.option("--stolen", is_flag=True, help="With --announce: somebody else may have the old key; else it is lost.")
@click.option("--out", type=_FILE, help="Write what a new machine must know of the network, for cordee node recover.")
@administering
async def recover(
    session: Session, member: str, new_key: Path | None, read_out: str | None, stolen: bool, out: Path | None
) -> None:
    """Give MEMBER another identity key, in two steps: announce it, then put it in force without --announce.

    Between them lies the delay of the network's policy, in which whoever holds the old key may object. All members see
    what is announced. For a stolen key, "cordee admin revoke" first: it counts no more from then on.

    JSON: {member, step, words: [], due, entry, appended, signatures, threshold}
    """
    found, now = session.member(member), session.clock.now()
    if new_key is not None:
        if read_out is None:
            raise click.UsageError("--announce takes --words: have them read out by telephone.")
        public = read_public_file(read_whole(new_key))
        check_words(public, read_out)
        outcome = await session.propose(announcement(found, public, session.roster, now, stolen=stolen))
        step = "announced"
    else:
        statement = recovery(found, session.roster, now)
        outcome, step = await session.propose(statement), "recovered"
    if out is not None and not session.output.dry_run:
        replace(out, way_back(session.home.network(), found), mode=0o644)
    present = session.roster.members[found]
    waiting = present.recovery
    shown: dict[str, Any] = {
        "member": found.hex(),
        "step": step,
        "words": six_words(waiting.identity if waiting else present.identity),
        "due": waiting.due.isoformat(timespec="seconds") if waiting else None,
    }
    session.output.record(shown | outcome)


@click.command("revoke")
@click.argument("member")
@administering
async def revoke(session: Session, member: str) -> None:
    """Revoke the identity key of MEMBER, which somebody else may have: it counts no more, and the member is cut off.

    It comes back with another key (cordee admin recover).

    JSON: {member, entry, appended, signatures, threshold}
    """
    found = session.member(member)
    outcome = await session.propose(about_member(v1.IdentityRevoked, found, session.roster, session.clock.now()))
    session.output.record({"member": found.hex(), **outcome})


@click.command("rotate-key")
@click.argument("public_key", type=_FILE)
@click.option("--words", "read_out", required=True, help="Its six words, as the directory's operator read them out.")
@administering
async def rotate_key(session: Session, public_key: Path, read_out: str) -> None:
    """Have the directory sign its log with another key: PUBLIC_KEY is what "cordee directory rotate-key" made.

    JSON: {key_id, entry, appended, signatures, threshold}
    """
    public = read_public_file(read_whole(public_key))
    check_words(public, read_out)
    head = session.roster.head(None, session.clock.now())
    outcome = await session.propose(v1.DirectoryKeyRotated(**head, key=public.to_message()))
    session.output.record({"key_id": public.key_id.hex(), **outcome})


@click.command("rotate-ca")
@click.argument("certificate", type=_FILE)
@click.option("--digest", required=True, help="Its digest, as the directory's operator read it out.")
@click.option(
    "--overlap-days",
    type=click.IntRange(0, 400),
    default=_OVERLAP_DAYS,
    show_default=True,
    help="How long the old one is trusted too. A node that is away for longer does not get back in by itself.",
)
@administering
async def rotate_ca(session: Session, certificate: Path, digest: str, overlap_days: int) -> None:
    """Have certificates issued by another authority: CERTIFICATE is what "cordee directory rotate-ca" made.

    JSON: {digest, old_ends, entry, appended, signatures, threshold}
    """
    data = read_whole(certificate)
    if len(certificates_in(data)) != 1 or authority_digest(data).hex() != digest.strip().lower().replace(" ", ""):
        raise InvalidInput(field="--digest", problem=N_("it is not that of this certificate"))
    head = session.roster.head(None, session.clock.now())
    ends = moment_of(head["time"]) + timedelta(days=overlap_days)
    statement = v1.AuthorityRotated(**head, certificate_digest=authority_digest(data), old_end_time=timestamp_of(ends))
    outcome = await session.propose(statement)
    session.output.record(
        {"digest": authority_digest(data).hex(), "old_ends": ends.isoformat(timespec="seconds"), **outcome}
    )
