"""`cordee node`: one association's own node."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cordee.errors import N_
from node.cli.account import login, logout, user, whoami
from node.cli.backup import backup, restore
from node.cli.calling import data_dir_option, on_node, passphrase_option
from node.cli.doctor import doctor
from node.cli.evidence import evidence
from node.cli.keys import keys, object_, recover
from node.cli.node_report import report
from node.cli.recovery import recovery_kit
from node.cli.team import team

if TYPE_CHECKING:
    from cordee.runtime.output import Output
    from node.cli.client import Client

__all__ = ["group"]


@click.group(name="node")
def group() -> None:
    """This association's node: its keys, its people, its place in the network."""


for command in (
    login,
    logout,
    whoami,
    user,
    team,
    evidence,
    keys,
    object_,
    recover,
    backup,
    restore,
    recovery_kit,
    report,
    doctor,
):
    group.add_command(command)


@group.command("init")
@data_dir_option
@passphrase_option
@click.option("--administrator", required=True, help="Name of the first account.")
@click.option("--password-file", required=True, help="File whose first line is that account's password.")
@click.pass_context
def init(ctx: click.Context, data_dir: Path, passphrase_file: str, administrator: str, password_file: str) -> None:
    """Make the node's vault and keys, and the first account, which may make others.

    JSON: {data_dir, member, administrator}
    """
    from cordee.runtime.output import Output
    from cordee.signing import member_id_of
    from node.cli.files import read_secret
    from node.cli.setup import found

    Output(ctx).for_real()
    if [passphrase_file, password_file].count("-") == 2:
        raise click.UsageError("Only one secret can come from standard input.")
    passphrase, password = read_secret(passphrase_file), read_secret(password_file)
    identity = found(data_dir, passphrase=passphrase, administrator=administrator, password=password)
    Output(ctx).record(
        {"data_dir": str(data_dir), "member": member_id_of(identity).hex(), "administrator": administrator}
    )


@group.command("join")
@click.argument("invitation")
@click.option("--profile", type=click.Path(path_type=Path), required=True, help="The association's entry, as JSON.")
@click.option("--wait", "wait", is_flag=True, help="Wait until the administrators have decided.")
@click.option("--timeout", default="1h", show_default=True, metavar="SPAN", help="With --wait: give up after this.")
@click.option("--again", is_flag=True, help="After a refusal: ask anew with the same profile.")
@data_dir_option
@passphrase_option
@click.pass_context
def join(
    ctx: click.Context,
    invitation: str,
    profile: Path,
    wait: bool,
    timeout: str,
    again: bool,
    data_dir: Path,
    passphrase_file: str,
) -> None:
    """Ask to join the network with the INVITATION (the file, or the link itself), and show the six words that the
    administrators compare.

    It may be repeated; it goes on where it was. How far it has come: "cordee node status". A refusal says why; with a
    profile that was put right (or with --again) it is asked anew, as long as the invitation is good.

    JSON: {words: [], admitted}
    """
    import asyncio
    import os

    from cordee.runtime.clock import SystemClock
    from cordee.runtime.output import Output
    from cordee.runtime.spans import span
    from cordee.runtime.texts import text
    from node import joining
    from node.cli.files import read_bytes, read_secret

    output, clock, limit = Output(ctx), SystemClock(), span(timeout, field="--timeout")
    output.for_real()
    # Told by name if one is missing, before anything is asked of the directory.
    given = invitation.strip()
    invited = given.encode() if given.startswith("cordee:") else read_bytes(given)
    described = read_bytes(str(profile))
    passphrase = read_secret(passphrase_file).encode()

    async def ask() -> list[str]:
        words = await joining.request(
            data_dir,
            passphrase=passphrase,
            invitation=invited,
            profile=described,
            clock=clock,
            random=os.urandom,
            again=again,
        )
        if wait:
            output.say(_large(words))
            await joining.wait(data_dir, passphrase=passphrase, clock=clock, random=os.urandom, give_up_after=limit)
        return words

    words = asyncio.run(ask())
    if output.for_programs:
        output.record({"words": words, "admitted": wait})
    elif wait:
        output.text(text(N_("Admitted."), output.language))
    else:
        output.text(_large(words))


@group.command("words")
@on_node
async def words(client: Client, output: Output) -> None:
    """The six words of this node's key, to be read out to an administrator.

    JSON: {words: []}
    """
    from cordee.v1 import node_pb2
    from node.cli import shapes

    answer = await client.info.GetStatus(node_pb2.GetStatusRequest())
    told = shapes.words(answer.identity_key)
    if output.for_programs:
        output.record({"words": told})
    else:
        output.text(_large(told))


@group.command("serve")
@data_dir_option
@passphrase_option
@click.option("--socket", type=click.Path(path_type=Path), envvar="CORDEE_NODE_SOCKET", help="Where to listen.")
@click.option(
    "--pages",
    metavar="ADDRESS:PORT",
    envvar="CORDEE_NODE_PAGES",
    default="127.0.0.1:8480",
    show_default=True,
    help="Where handlers open their pages; “none” serves none. Port 0 takes any.",
)
@click.option("--pages-host", envvar="CORDEE_NODE_PAGES_HOST", default="localhost", help="Name that browsers ask for.")
@click.option(
    "--pages-certificate", type=click.Path(path_type=Path), envvar="CORDEE_NODE_PAGES_CERTIFICATE", help="PEM chain."
)
@click.option("--pages-key", type=click.Path(path_type=Path), envvar="CORDEE_NODE_PAGES_KEY", help="Its private key.")
@click.option(
    "--mail-host",
    envvar="CORDEE_NODE_MAIL_HOST",
    default="",
    help="SMTP server that tells people that something waits.",
)
@click.option("--mail-port", type=int, envvar="CORDEE_NODE_MAIL_PORT", default=587, show_default=True, help="Its port.")
@click.option(
    "--mail-security",
    type=click.Choice(["starttls", "tls"]),
    envvar="CORDEE_NODE_MAIL_SECURITY",
    default="starttls",
    show_default=True,
    help="How the way to it is encrypted; without encryption nothing is sent.",
)
@click.option("--mail-from", envvar="CORDEE_NODE_MAIL_FROM", default="", help="Address that the messages come from.")
@click.option("--mail-user", envvar="CORDEE_NODE_MAIL_USER", default="", help="User at the server.")
@click.option(
    "--mail-password-file", envvar="CORDEE_NODE_MAIL_PASSWORD_FILE", default="", help="File with that user’s password."
)
@click.option(
    "--mail-ca",
    type=click.Path(path_type=Path),
    envvar="CORDEE_NODE_MAIL_CA",
    help="PEM of who signs its certificate, where this system does not know them.",
)
@click.option(
    "--mail-every",
    type=int,
    envvar="CORDEE_NODE_MAIL_EVERY",
    default=60,
    show_default=True,
    help="Minutes between two messages to one person, 15 to 1440.",
)
@click.option(
    "--mailbox-listen",
    envvar="CORDEE_NODE_MAILBOX_LISTEN",
    default="",
    help="host:port on which members reach a mailbox of this node's own, e.g. 0.0.0.0:7443 [default: none].",
)
@click.option(
    "--mailbox-endpoint",
    envvar="CORDEE_NODE_MAILBOX_ENDPOINT",
    default="",
    help="host:port under which other members reach it, as the card and each acceptance tell it.",
)
@click.option(
    "--practice-url",
    envvar="CORDEE_NODE_PRACTICE_URL",
    default="",
    help="Where the association keeps practice running; the pages then lead there.",
)
@click.option(
    "--status",
    "tells",
    metavar="ADDRESS:PORT",
    envvar="CORDEE_NODE_STATUS",
    default="none",
    show_default=True,
    help="Where, on this machine alone, /metrics, /healthz and /readyz are answered, e.g. 127.0.0.1:9464.",
)
def serve(
    data_dir: Path,
    passphrase_file: str,
    socket: Path | None,
    pages: str,
    pages_host: str,
    pages_certificate: Path | None,
    pages_key: Path | None,
    mail_host: str,
    mail_port: int,
    mail_security: str,
    mail_from: str,
    mail_user: str,
    mail_password_file: str,
    mail_ca: Path | None,
    mail_every: int,
    mailbox_listen: str,
    mailbox_endpoint: str,
    practice_url: str,
    tells: str,
) -> None:
    """Run the node until it is told to stop (SIGTERM, Ctrl-C).

    Prints one JSON line when it is ready: {"ready": true, "socket": …, "member": …, "pages": …, "status": …}
    """
    import asyncio

    from cordee.runtime.memory import keep_few_arenas, keep_freed_memory
    from cordee.runtime.process import allow_many_files, forbid_core_dumps
    from node.cli.files import read_secret
    from node.vault import FILE, Vault

    forbid_core_dumps()
    allow_many_files()
    keep_few_arenas()
    keep_freed_memory()
    # Before the node itself is imported: Argon2id takes its memory while little else is there.
    vault = Vault.open(data_dir / FILE, read_secret(passphrase_file).encode())

    from cordee.runtime import logs
    from cordee.runtime.clock import SystemClock
    from cordee.runtime.output import to_json
    from node import app

    def ready(facts: dict[str, Any]) -> None:
        click.echo(to_json(facts))

    logs.configure()
    logs.take_over()
    shown = None
    if pages != "none":
        from functools import partial

        from node.web.app import application
        from node.web.pages.practice import address_of, explained
        from node.web.server import Listening, serving

        where = Listening.parse(pages, host=pages_host, certificate=pages_certificate, key=pages_key)
        where.require_sound()
        practice = explained(address_of(practice_url, own=pages_host))
        shown = partial(serving, where=where, site=partial(application, practice=practice))
    mail = None
    if mail_host:
        from datetime import timedelta

        from node.mailing import Server

        password = read_secret(mail_password_file) if mail_password_file else ""
        server = Server(mail_host, mail_port, mail_from, mail_security, mail_user, password, mail_ca)
        server.require_sound()
        mail = app.Mail(server, timedelta(minutes=mail_every))
    door = None
    if mailbox_listen or mailbox_endpoint:
        from node.direct_mailbox import Door

        door = Door(mailbox_listen, mailbox_endpoint)
        door.require_sound()
    clock = SystemClock()
    asyncio.run(
        app.serve(
            data_dir,
            vault=vault,
            socket=socket,
            ready=ready,
            clock=clock,
            pages=shown,
            mail=mail,
            door=door,
            status="" if tells == "none" else tells,
        )
    )


@group.command("status")
@data_dir_option
@click.option(
    "--passphrase-file",
    envvar="CORDEE_NODE_PASSPHRASE_FILE",
    help="Before the node is admitted: file whose first line opens the vault, to ask the directory now.",
)
@click.option("--socket", type=click.Path(path_type=Path), envvar="CORDEE_NODE_SOCKET", help="The node's unix socket.")
@click.pass_context
def status(ctx: click.Context, data_dir: Path, passphrase_file: str | None, socket: Path | None) -> None:
    """How the node is: its place in the network, how fresh its roster is, whether there is an alarm, and how many
    people can bring it back.

    Before it is admitted: the steps of joining, when each was done and who must act next, as the network's office reads
    them too. Without --passphrase-file that is what the directory answered last.

    JSON: {member, words: [], network, roster_size, roster_root, checkpoint_time, connected, alarm: {reason, facts: {},
    message, remedy} or null, asked_to_correct, recovery: {words: [], reason, announced, due} or null, kit: {people,
    needed, sheets, proven, due, set_up, backup}}; before it is admitted {member, asked_at, steps: [{step, at, text}],
    turn, next, signatures, threshold, reason}
    """
    import asyncio

    from cordee.runtime.output import Output
    from node.cli import under_way
    from node.cli.client import connect
    from node.rpc.address import default_socket

    output, where = Output(ctx), socket or default_socket(data_dir)
    output.for_real()
    if under_way.is_joining(data_dir) and not where.exists():
        under_way.show(data_dir, passphrase_file, output)
        return

    async def ask() -> None:
        from cordee.v1 import node_pb2
        from node.cli import shapes

        async with connect(where) as client:
            answer = await client.info.GetStatus(node_pb2.GetStatusRequest())
        shape = shapes.status(answer, output.language)
        if shape["recovery"]:
            output.say(
                N_(
                    "Administrators have announced another identity key for this node; from {due} on it can be put in "
                    "force. If nobody here asked for that, object now: cordee node object"
                ),
                due=shape["recovery"]["due"],
            )
        if not shape["kit"]["set_up"]:
            output.say(
                N_("Setting up is not over: fewer than two people can bring this node back (cordee node recovery-kit).")
            )
        elif shape["kit"]["due"]:
            output.say(N_("It is a year since the recovery kit was tried: cordee node recovery-kit --rehearse"))
        output.record(shape)

    asyncio.run(ask())


@group.command("leaving")
@on_node
async def leaving(client: Client, output: Output) -> None:
    """What is left to do before the association can leave the network: it merges with another, or it closes.

    JSON: {may_leave, left: [{what, count, ids: [], text}]}
    """
    from cordee.runtime.texts import text
    from cordee.v1 import node_pb2
    from node.leaving import KINDS

    answer = await client.info.ListLeftToDo(node_pb2.ListLeftToDoRequest())
    left = [
        {
            "what": each.what,
            "count": each.count,
            "ids": list(each.ids),
            "text": text(KINDS[each.what], output.language),
        }
        for each in answer.left
    ]
    if output.for_programs:
        output.record({"may_leave": not left, "left": left})
        return
    for row in left:
        output.text(f"{row['count']}  {row['text']}")
    if not left:
        output.text(text(N_("Nothing is left to do: the network’s administrators may remove it."), output.language))


def _large(words: list[str]) -> str:
    """Six words that can be read out over the telephone without losing one's place."""
    width = max(len(word) for word in words) + 6
    lines = ["  ".join(f"{at + 1}. {word.upper():<{width}}" for at, word in part) for part in _rows(words)]
    return "\n" + "\n\n".join(line.rstrip() for line in lines) + "\n"


def _rows(words: list[str]) -> list[list[tuple[int, str]]]:
    numbered = list(enumerate(words))
    return [numbered[:3], numbered[3:]]
