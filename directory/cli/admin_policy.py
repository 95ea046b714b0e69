"""`cordee admin policy`: how many must sign, and the limits that every node and the directory keep."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import timedelta
from typing import Any

import click

from cordee.errors import N_, InvalidInput
from cordee.policy import Policy
from cordee.runtime.spans import span
from cordee.runtime.texts import text
from cordee.v1 import statements_pb2 as v1
from directory.administrator.policy_words import SETTINGS, value_text
from directory.cli.session import Session, administering

__all__ = ["policy"]

_SPAN = "SPAN"
_MEBIBYTE = 2**20
_SPANS = {
    "freshness": "freshness_limit",
    "offer_life": "offer_life_limit",
    "shipping": "shipping_limit",
    "recovery_delay": "recovery_delay",
}
_SIZES = {"content_megabytes": "content_size_limit", "mailbox_megabytes": "mailbox_quota"}


@click.group("policy")
def policy() -> None:
    """How many must sign, and the limits that every node and the directory keep."""


@policy.command("show")
@administering
async def show(session: Session) -> None:
    """The policy in force, from the verified log. Times in seconds, sizes in bytes.

    JSON: {threshold, administrators, freshness_limit, offer_life_limit, shipping_limit, content_size_limit,
    mailbox_quota, recovery_delay, act_life_limit, shared_secrecy_closed, holders_alone_closed}
    """
    roster, output = session.roster, session.output
    if output.for_programs:
        output.record(_facts(roster.policy) | {"administrators": len(roster.administrators)})
        return
    for setting, name in SETTINGS.items():
        told = text(N_("{setting}: {value}"), session.language)
        output.text(
            told.format(
                setting=text(name, session.language), value=value_text(roster.policy, setting, session.language)
            )
        )
    output.text(
        text(N_("There are {count} administrators."), session.language).format(count=len(roster.administrators))
    )


@policy.command("change")
@click.option("--threshold", type=int, help="How many administrators must sign; no more than there are.")
@click.option("--freshness", metavar=_SPAN, help="Age at which a node stops trusting its roster: 1m to 7d.")
@click.option("--offer-life", metavar=_SPAN, help="How long an offer may wait for its answer: 1m to 14d.")
@click.option("--shipping", metavar=_SPAN, help="From an acceptance to the case at most: 1m to 14d.")
@click.option("--content-megabytes", type=click.IntRange(1, 2**20), help="Largest case with its files, in MiB.")
@click.option("--mailbox-megabytes", type=click.IntRange(1, 2**20), help="Most that may wait for one sender, in MiB.")
@click.option("--recovery-delay", metavar=_SPAN, help="From the announcement of a recovery to the key: 2d to 30d.")
@click.option("--act-life", metavar=_SPAN, help="How long an act counts at most: 3d to 7305d; “none” for no limit.")
@click.option("--shared-secrecy/--no-shared-secrecy", default=None, help="Sharing on professional secrecy alone.")
@click.option(
    "--holders-alone/--no-holders-alone",
    default=None,
    help="Sharing on the holders’ word alone where the minor cannot judge.",
)
@administering
async def change(session: Session, **given: Any) -> None:
    """Change what is named; the rest stays. Every node keeps the new limits as soon as it knows of them.

    JSON: {entry, appended, signatures, threshold, changed: []}
    """
    before = session.roster.policy
    after = _changed(before, given)
    changed = [name for name in SETTINGS if getattr(before, name) != getattr(after, name)]
    if not changed:
        raise InvalidInput(field="policy", problem=N_("nothing in it is new"))
    if after.threshold > len(session.roster.administrators):
        raise InvalidInput(
            field="--threshold",
            problem=N_("there are only {count} administrators"),
            count=len(session.roster.administrators),
        )
    head = session.roster.head(None, session.clock.now())
    outcome = await session.propose(v1.PolicyChanged(**head, policy=after.to_message()))
    session.output.record({**outcome, "changed": changed})


def _changed(before: Policy, given: dict[str, Any]) -> Policy:
    """Raises: InvalidInput for no span, MalformedStatement for a value out of its range."""
    settings: dict[str, Any] = {}
    if given["threshold"] is not None:
        settings["threshold"] = given["threshold"]
    for option, name in _SPANS.items():
        if given[option] is not None:
            settings[name] = span(given[option], field=f"--{option.replace('_', '-')}")
    for option, name in _SIZES.items():
        if given[option] is not None:
            settings[name] = given[option] * _MEBIBYTE
    if given["act_life"] is not None:
        settings["act_life_limit"] = (
            None if given["act_life"] == "none" else span(given["act_life"], field="--act-life")
        )
    if given["shared_secrecy"] is not None:
        settings["shared_secrecy_closed"] = not given["shared_secrecy"]
    if given["holders_alone"] is not None:
        settings["holders_alone_closed"] = not given["holders_alone"]
    return replace(before, **settings)


def _facts(policy: Policy) -> dict[str, Any]:
    return {
        name: value // timedelta(seconds=1) if isinstance(value, timedelta) else value
        for name, value in asdict(policy).items()
    }
