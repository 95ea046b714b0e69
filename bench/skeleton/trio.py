"""The skeleton's three processes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

from bench.certificates import write_certificates
from bench.driver import Desk, drive
from bench.relay.trio import companion
from bench.skeleton.protected import write_keys
from bench.skeleton.sizes import Sizes
from bench.workload import PURPOSE
from cordee.runtime.tls import TransportKey
from cordee.v1 import node_pb2

__all__ = ["Hollow", "skeleton"]


class Hollow:
    """The two hollow nodes, as their tools see them."""

    def __init__(self, sender: Desk, recipient: Desk) -> None:
        self._sender, self._recipient = sender, recipient

    def drive(self, count: int) -> float:
        """Seconds for so many transfers, 16 at a time."""
        content = node_pb2.PreviewTransferRequest(
            case_id=str(uuid.uuid4()),
            act_id=str(uuid.uuid4()),
            recipient=self._recipient.member,
            purpose=PURPOSE,
        )
        offer = node_pb2.OfferTransferRequest(content=content, kind="transfer")
        return asyncio.run(drive(self._sender, self._recipient, [offer] * count))


@contextlib.contextmanager
def skeleton(folder: Path, sizes: Sizes, *, protected: bool = False) -> Iterator[Hollow]:
    """A hollow directory and two hollow nodes, running. With `protected` they do the cryptography of each transfer."""
    folder.chmod(0o700)
    names = ("sender", "recipient")
    if protected:
        write_keys(folder, names)
    members = write_certificates(folder, clients=names)
    digests = {name: TransportKey.from_pem((folder / f"{name}.key").read_bytes()).digest for name in names}
    with contextlib.ExitStack() as running:
        directory = running.enter_context(
            companion(
                "bench.skeleton.directory",
                folder,
                *(f"{digests[name].hex()}:{members[name].hex()}" for name in names),
                log=folder / "directory.log",
            )
        )
        desks = []
        for name, peer in zip(names, reversed(names), strict=True):
            socket = folder / name[0]
            words = (folder, name, directory.ready["port"], socket, sizes.to_json(), *([peer] if protected else []))
            running.enter_context(companion("bench.skeleton.node", *words, log=folder / f"{name}.log"))
            desks.append(Desk(socket=socket, token=os.urandom(32).hex(), member=members[name]))
        yield Hollow(*desks)
