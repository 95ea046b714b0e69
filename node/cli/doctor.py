"""`cordee node doctor`: what is wrong with the node, in words, and what to do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from node.cli.calling import data_dir_option

if TYPE_CHECKING:
    from cordee.runtime.doctor import Finding

__all__ = ["doctor"]

_SECONDS = 60.0
_CONNECT_SECONDS = 5.0


@click.command("doctor")
@data_dir_option
@click.option("--socket", type=click.Path(path_type=Path), envvar="CORDEE_NODE_SOCKET", help="The node's unix socket.")
@click.option(
    "--passphrase-file",
    envvar="CORDEE_NODE_PASSPHRASE_FILE",
    default="",
    help="Also try whether the passphrase in this file opens the vault.",
)
@click.option(
    "--pages", envvar="CORDEE_NODE_PAGES", default="127.0.0.1:8480", show_default=True, help="As given to “serve”."
)
@click.option(
    "--pages-certificate",
    type=click.Path(path_type=Path),
    envvar="CORDEE_NODE_PAGES_CERTIFICATE",
    help="As given to “serve”.",
)
@click.option(
    "--pages-key", type=click.Path(path_type=Path), envvar="CORDEE_NODE_PAGES_KEY", help="As given to “serve”."
)
@click.option("--mail-password-file", envvar="CORDEE_NODE_MAIL_PASSWORD_FILE", default="", help="As given to “serve”.")
@click.option("--mailbox-listen", envvar="CORDEE_NODE_MAILBOX_LISTEN", default="", help="As given to “serve”.")
@click.option("--status", "tells", envvar="CORDEE_NODE_STATUS", default="none", help="As given to “serve”.")
@click.pass_context
def doctor(
    ctx: click.Context,
    data_dir: Path,
    socket: Path | None,
    passphrase_file: str,
    pages: str,
    pages_certificate: Path | None,
    pages_key: Path | None,
    mail_password_file: str,
    mailbox_listen: str,
    tells: str,
) -> None:
    """What is wrong with this node, in words, and what to do about it; whether it runs or not.

    It looks at the folder, the settings and this machine, and asks the node if it runs. It changes nothing. The exit
    code is 0 unless something is broken; then it is that of the first broken thing.

    JSON: [{finding, severity: broken | soon | advice, message, remedy, facts: {}}]
    """
    import asyncio

    from cordee.runtime.checkup import unit_findings
    from cordee.runtime.clock import SystemClock
    from cordee.runtime.doctor import tell
    from cordee.runtime.output import Output
    from node.findings import NODE
    from node.folder_check import UNIT, Settings, check_folder
    from node.rpc.address import default_socket

    settings = Settings(
        passphrase_file=passphrase_file,
        pages=pages,
        pages_certificate=pages_certificate,
        pages_key=pages_key,
        mail_password_file=mail_password_file,
        mailbox_listen=mailbox_listen,
        status=tells,
    )
    where = socket or default_socket(data_dir)
    running, found = asyncio.run(_asked(where))
    found += check_folder(data_dir, settings=settings, now=SystemClock().now(), running=running)
    if not running and all(each.ailment.code not in ("not_initialised", "not_joined") for each in found):
        found.append(NODE.found("not_running", socket=where))
    found += unit_findings(UNIT, known=NODE)
    ctx.exit(int(tell(found, Output(ctx))))


async def _asked(socket: Path) -> tuple[bool, list[Finding]]:
    """Whether somebody answers there, and what the node says of itself."""
    import asyncio

    from cordee.errors import CordeeError, InvalidInput, NodeNotRunning
    from cordee.v1 import node_pb2
    from node.cli.client import connect
    from node.examining import RUNNING_VERSION
    from node.findings import NODE

    try:
        async with connect(socket) as client, asyncio.timeout(_SECONDS):
            answer = await client.info.Examine(node_pb2.ExamineRequest(thorough=True))
    except NodeNotRunning as silent:
        if not _listened_to(socket):
            return False, []
        return True, [NODE.found("not_answering", socket=socket, reason=silent.reason)]
    except InvalidInput as wrong:
        return False, [NODE.found("setting_wrong", setting="CORDEE_NODE_SOCKET", problem=wrong.facts["problem"])]
    except (CordeeError, TimeoutError) as silent:
        reason = getattr(silent, "reason", "TIMEOUT")
        return True, [NODE.found("not_answering", socket=socket, reason=reason)]
    known = [each for each in answer.findings if each.code in NODE.by_code]  # a newer node may know more
    found = [NODE.found(each.code, **each.facts) for each in known]
    if answer.version != RUNNING_VERSION:
        found.append(NODE.found("other_version", running=answer.version, installed=RUNNING_VERSION))
    return True, found


def _listened_to(path: Path) -> bool:
    """Whether a process has it open, though it does not answer: one without file descriptors, or stopped."""
    import socket

    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(_CONNECT_SECONDS)
        try:
            line.connect(str(path))
        except (BlockingIOError, TimeoutError):
            return True  # so many wait there already
        except OSError:
            return False
    return True
