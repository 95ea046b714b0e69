"""`cordee node status` before the node is a member: the checklist that the network's office reads too."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from cordee.errors import NodeNotRunning
from cordee.runtime.checklist import checklist, in_words
from cordee.runtime.clock import SystemClock
from cordee.runtime.output import Output
from node import joining
from node.cli.files import read_secret
from node.rpc.address import default_socket

__all__ = ["is_joining", "show"]


def is_joining(data_dir: Path) -> bool:
    """The node has asked to join and has no certificate yet."""
    return (data_dir / joining.MEMBERSHIP).exists() and not (data_dir / joining.CERTIFICATE).exists()


def show(data_dir: Path, passphrase_file: str | None, output: Output) -> None:
    """Tell how far it has come: asked of the directory now where the vault can be opened, else as it was told last.

    Raises: NodeNotRunning where nothing was told yet and the vault stays closed; VaultLocked, Unreachable.
    """
    if passphrase_file is not None:
        passphrase = read_secret(passphrase_file).encode()
        asyncio.run(joining.status(data_dir, passphrase=passphrase, clock=SystemClock(), random=os.urandom))
    known = joining.last_known(data_dir)
    if known is None:
        raise NodeNotRunning(socket=default_socket(data_dir))
    progress, member, at = known
    told = checklist(progress, output.language)
    if output.for_programs:
        output.record({"member": member.hex(), "asked_at": at.isoformat(timespec="seconds"), **told})
        return
    output.text("\n".join(in_words(told)))
