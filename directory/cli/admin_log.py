"""`cordee admin log`, `pending`, `sign`, `administrators`: the log itself, and who may write into it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from cordee.entries import entry_digest
from cordee.errors import N_, CordeeError, InvalidInput, NotFound
from cordee.ids import KeyId, MemberId
from cordee.runtime.texts import translate
from cordee.v1 import statements_pb2 as v1
from cordee.words import six_words
from directory.administrator import keyfile
from directory.administrator.entries import about_of, describe
from directory.cli.session import Session, administering
from directory.cli.watching import follow, watch_options
from directory.files import write_new
from directory.log_file import encode_entries

__all__ = ["administrators", "log", "pending", "sign"]

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command("log")
@click.option("--export", type=_FILE, help="Write the verified log to this file, for cordee directory recover.")
@administering
async def log(session: Session, export: Path | None) -> None:
    """The roster log, every entry verified on this machine.

    JSON: [{index, type, about, time, signers: []}]
    """
    if export is not None:
        write_new(export, encode_entries(session.log.entries))
    rows = [
        {"index": index, **_entry_facts(entry), "signers": [KeyId(one.signer).short for one in entry.signatures]}
        for index, entry in enumerate(session.log.entries)
    ]
    session.output.rows(rows, ("index", "type", "about", "time", "signers"))


@click.command("pending")
@administering
async def pending(session: Session) -> None:
    """Entries that colleagues have signed and that want more signatures.

    JSON: [{entry, type, about, time, signatures, threshold, text: []}]
    """
    rows = []
    for entry in await session.client.pending():
        try:
            lines = describe(entry, session.roster, session.home.names(), session.language)
        except CordeeError as doubt:
            session.output.say(
                N_("One entry is left out, since it does not verify: {why}"), why=translate(doubt, session.language)[0]
            )
            continue
        rows.append(
            {
                "entry": entry_digest(entry).hex(),
                **_entry_facts(entry),
                "signatures": len(entry.signatures),
                "threshold": session.roster.policy.threshold,
                "text": lines,
            }
        )
    session.output.rows(rows, ("entry", "type", "about", "time", "signatures", "threshold"))


@click.command("sign")
@click.argument("entry")
@administering
@watch_options
async def sign(session: Session, entry: str, watch: int | None) -> None:
    """Sign the pending ENTRY (its id, or the beginning of it), after it was shown in words.

    A new member is better admitted with "cordee admin admit", which compares the six words.

    JSON: {entry, appended, signatures, threshold}; with --watch also {nodes, know, seconds, not_yet: []}
    """
    wanted = entry.strip().lower()
    found = [each for each in await session.client.pending() if entry_digest(each).hex().startswith(wanted)]
    if not found or not wanted:
        raise NotFound(what=N_("pending entry"))
    if len(found) > 1:
        raise InvalidInput(field="ENTRY", problem=N_("several entries begin like this"))
    outcome = await follow(session, await session.sign(found[0]), watch)
    session.output.record(outcome, hide=("not_yet",))


@click.group("administrators")
def administrators() -> None:
    """Who may sign for the network."""


@administrators.command("list")
@administering
async def list_(session: Session) -> None:
    """The administrators in force, from the verified log.

    JSON: [{key_id, words: [], own}]
    """
    rows = [
        {
            "key_id": each.key_id.hex(),
            "words": six_words(each),
            "own": each == session.key.public,
        }
        for each in session.roster.administrators.values()
    ]
    session.output.rows(rows, ("key_id", "words", "own"))
    threshold = session.roster.policy.threshold
    if len(rows) > threshold:
        message = N_("{threshold} must sign: {spare} of these keys may be lost.")
    else:
        message = N_("All of these must sign: once a key is lost, nobody can sign any more. Add an administrator.")
    session.output.say(message, threshold=threshold, spare=len(rows) - threshold)


@administrators.command("add")
@click.argument("public_key", type=_FILE)
@administering
async def add(session: Session, public_key: Path) -> None:
    """Make the holder of PUBLIC_KEY (a .pub file) an administrator. Compare its six words by telephone first.

    JSON: {key_id, entry, appended, signatures, threshold}
    """
    public = keyfile.load_public(public_key)
    head = session.roster.head(None, session.clock.now())
    outcome = await session.propose(v1.AdministratorAdded(**head, key=public.to_message()))
    session.output.record({"key_id": public.key_id.hex(), **outcome})


@administrators.command("remove")
@click.argument("key_id")
@administering
async def remove_administrator(session: Session, key_id: str) -> None:
    """Take the right to sign from an administrator, by the id of their key or the beginning of it.

    JSON: {key_id, entry, appended, signatures, threshold}
    """
    found = [each for each in session.roster.administrators if each.hex().startswith(key_id.strip().lower())]
    if len(found) != 1 or not key_id.strip():
        raise NotFound(what=N_("administrator"))
    head = session.roster.head(None, session.clock.now())
    outcome = await session.propose(v1.AdministratorRemoved(**head, administrator=found[0]))
    session.output.record({"key_id": found[0].hex(), **outcome})


def _entry_facts(entry: v1.Entry) -> dict[str, Any]:
    about, time = about_of(entry)
    return {
        "type": entry.type.rpartition(".")[2],
        "about": about.hex() if isinstance(about, MemberId | KeyId) else None,
        "time": time.isoformat(timespec="seconds"),
    }
