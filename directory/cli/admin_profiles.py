"""`cordee admin profile`: what a member publishes of itself, and what must not stand there."""

from __future__ import annotations

import json

import click

from cordee.errors import N_
from directory.cli.session import Session, administering

__all__ = ["profile"]


@click.group("profile")
def profile() -> None:
    """What a member publishes of itself: its own to edit; the office can say what must not stand there."""


@profile.command("show")
@click.argument("member")
@administering
async def show(session: Session, member: str) -> None:
    """What MEMBER publishes of itself, verified on this machine.

    JSON: {member, card, refused, doubts: [], profile: {}}; `refused` is why the office refused it, or null
    """
    found = session.member(member)
    published = await session.client.profile(found, session.roster)
    session.output.record(
        {
            "member": found.hex(),
            "card": published.number,
            "refused": published.refused or None,
            "doubts": list(published.profile.warnings),
            "profile": json.loads(published.profile.to_bytes()),
        }
    )


@profile.command("refuse")
@click.argument("member")
@click.option("--reason", required=True, help="What the association reads on its screen.")
@administering
async def refuse(session: Session, member: str, reason: str) -> None:
    """Tell MEMBER what must not stand in its profile. Whoever does not have this profile yet does not get it; those who
    have it read it until the member has published another.

    JSON: {member, card, reason}
    """
    found = session.member(member)
    published = await session.client.profile(found, session.roster)
    session.output.say(
        N_("{name}: the profile on card {number}"), name=published.profile.display_name, number=published.number
    )
    if not session.output.dry_run:
        session.output.confirm(N_("Refuse this profile?"))
        await session.client.refuse_profile(found, published.number, reason)
    session.output.record({"member": found.hex(), "card": published.number, "reason": reason})
