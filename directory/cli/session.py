"""An administrator at work: their key, opened; their copy of the log, brought up to date and verified."""

from __future__ import annotations

import asyncio
import functools
import os
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from google.protobuf.message import Message

from cordee.entries import entry_digest
from cordee.errors import N_, InvalidInput, NotFound
from cordee.ids import MemberId
from cordee.members import Roster, authority_digest
from cordee.runtime.clock import Clock, SystemClock
from cordee.runtime.output import Output
from cordee.runtime.tls import certificates_in
from cordee.signing import SigningKey
from cordee.v1 import statements_pb2 as v1
from cordee.words import Language
from directory.administrator.client import FrontClient, connected
from directory.administrator.entries import describe
from directory.administrator.home import Home, LogCopy
from directory.administrator.keyfile import open_key
from directory.administrator.signing import begun_or_new, ready_to_sign
from directory.files import read_whole

__all__ = ["Session", "administering", "home_option", "key_options", "language_of", "pick", "read_passphrase"]

_PROMPT = N_("Passphrase of the key")
_HEX = frozenset("0123456789abcdef")


def default_home() -> Path:
    """The data folder of the XDG base directories."""
    from platformdirs import user_data_path

    return user_data_path("cordee-admin")


home_option = click.option(
    "--home",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="CORDEE_ADMIN_HOME",
    default=default_home,
    show_default="CORDEE_ADMIN_HOME, or ~/.local/share/cordee-admin",
    help="Folder with this administrator's copy of the log.",
)


def key_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Which key, and where its passphrase comes from."""
    command = click.option(
        "--passphrase-file",
        envvar="CORDEE_ADMIN_PASSPHRASE_FILE",
        help="File whose first line opens the key; - for standard input [default: asked for].",
    )(command)
    return click.option(
        "--key",
        "key_file",
        type=click.Path(path_type=Path, dir_okay=False),
        envvar="CORDEE_ADMIN_KEY",
        required=True,
        help="File with the administrator's key.",
    )(command)


def read_passphrase(source: str | None, *, new: bool = False) -> bytes:
    """The first line of a file, of standard input for -, or what a person types.

    Raises: InvalidInput for an empty one, click.UsageError where nobody can be asked.
    """
    if source is None:
        if not sys.stdin.isatty():
            raise click.UsageError("Nobody is there to type the passphrase: give --passphrase-file.")
        typed: str = click.prompt(_PROMPT, hide_input=True, confirmation_prompt=new, err=True)
        return typed.encode()
    data = sys.stdin.buffer.readline(4096) if source == "-" else read_whole(Path(source), limit=4096)
    secret = data.split(b"\n", 1)[0].rstrip(b"\r")
    if not secret:
        raise InvalidInput(field="--passphrase-file", problem=N_("its first line is empty"))
    return secret


@dataclass
class Session:
    """One command's work."""

    home: Home
    client: FrontClient
    log: LogCopy
    roster: Roster
    key: SigningKey
    clock: Clock
    output: Output

    @property
    def language(self) -> Language:
        """Of words and sentences."""
        return language_of(self.output)

    def member(self, given: str) -> MemberId:
        """A member by its id, the beginning of one, or the name that this administrator knows.

        Raises: NotFound, InvalidInput where several would do.
        """
        return pick(given, {member: self.home.names().get(member, "") for member in self.roster.members})

    async def propose(self, statement: Message) -> dict[str, Any]:
        """Show what is signed, sign it (also what a colleague has begun), hand it in. Returns what became of it.

        Raises: click.Abort where the person says no; EntryRefused, NotAnAdministrator.
        """
        return await self.sign(begun_or_new(await self.client.pending(), statement))

    async def sign(self, entry: v1.Entry) -> dict[str, Any]:
        """As `propose`, for an entry that is there."""
        # Everything is checked before anything is shown: colleagues' signatures, place in the log, time.
        ready = ready_to_sign(entry, self.roster, self.key, self.clock.now())
        for line in describe(entry, self.roster, self.home.names(), self.language):
            self.output.say("{line}", line=line)
        facts = {"entry": entry_digest(entry).hex(), "threshold": self.roster.policy.threshold}
        if self.output.dry_run:
            return facts | {"appended": False, "signatures": len(entry.signatures)}
        if not ready.already:
            self.output.confirm(N_("Sign this?"))
        answer = await self.client.sign_entry(ready.signed)
        if answer.appended:
            self.roster = await self.client.sync(self.log)  # and so it is there, by our own verification
        elif not ready.already:
            self.output.say(N_("Signed. {left} more must sign."), left=answer.threshold - answer.signatures)
        return facts | {"appended": answer.appended, "signatures": answer.signatures}


def language_of(output: Output) -> Language:
    """The list that six words are taken from."""
    return "en" if output.language == "en" else "fr"


def pick(given: str, known: dict[MemberId, str]) -> MemberId:
    """One of these, by id, beginning of an id, or name. Raises: NotFound, InvalidInput where several would do."""
    wanted = given.strip().casefold()
    found = [
        member
        for member, name in known.items()
        if (set(wanted) <= _HEX and len(wanted) >= 4 and member.hex().startswith(wanted)) or name.casefold() == wanted
    ]
    if not wanted or not found:
        raise NotFound(what=N_("member"))
    if len(found) > 1:
        raise InvalidInput(field="MEMBER", problem=N_("several members begin like this"))
    return found[0]


def administering(command: Callable[..., Awaitable[None]]) -> Callable[..., Any]:
    """Run `command(session, …)` with the key opened and the log verified up to now."""

    @home_option
    @key_options
    @click.pass_context
    @functools.wraps(command)
    def callback(
        ctx: click.Context, /, home: Path, key_file: Path, passphrase_file: str | None, **arguments: Any
    ) -> None:
        place, clock = Home(home), SystemClock()
        network = place.network()
        key = open_key(key_file, read_passphrase(passphrase_file))

        async def work() -> None:
            async with connected(
                network.front,
                root=network.ca_certificate,
                network=network.id,
                key=key,
                clock=clock,
                random=os.urandom,
            ) as client:
                log = place.log()
                roster = await client.sync(log)
                place.follow(roster)
                if {authority_digest(each) for each in certificates_in(network.ca_certificate)} != set(
                    roster.trusted(clock.now())
                ):
                    place.trust(await client.authorities(roster))
                await command(
                    Session(
                        home=place,
                        client=client,
                        log=log,
                        roster=roster,
                        key=key,
                        clock=clock,
                        output=Output(ctx),
                    ),
                    **arguments,
                )

        asyncio.run(work())

    return callback
