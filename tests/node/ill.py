"""A node of tests, made ill in one way at a time, and a small disk to fill."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from cordee.runtime.database import Database
from cordee.runtime.doctor import Finding
from node.app import Node
from node.findings import NODE
from tests.builders import seeded_random
from tests.lacking import lacking

from .association import opened, profiles, registered

__all__ = ["certificate_until", "codes", "damage", "lone_node", "small_disk"]


@asynccontextmanager
async def lone_node(folder: Path) -> AsyncIterator[Node]:
    """A node that knows its roster, has a certificate, and no connection to any directory."""
    network = registered(profiles())
    member = next(iter(network.members.values()))
    with opened(folder, network=network, member=member, random=seeded_random("node")) as node:
        await node.roster.sync()
        yield node


def codes(found: Iterable[Finding]) -> set[str]:
    """What was found, by code; each has words and a remedy that its facts fill."""
    told = set()
    for each in found:
        assert NODE.by_code[each.ailment.code] is each.ailment
        assert "{" not in each.ailment.words.format(**each.facts)
        assert "{" not in each.ailment.remedy.format(**each.facts)
        told.add(each.ailment.code)
    return told


def damage(database: Database) -> None:
    """Turn every page but the first of the file to nonsense, and see to it that none is read from memory instead."""
    assert database.truncate_log()
    with sqlite3.connect(database.path) as other:  # its step makes whoever has the file open read its pages anew
        other.execute("CREATE TABLE IF NOT EXISTS beside (x)")
    other.close()
    assert database.truncate_log()
    with database.path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(4096)
        file.write(b"\xff" * (size - 4096))


@contextmanager
def small_disk(folder: Path, *, size: str = "40m") -> Iterator[Path]:
    """A file system of its own in `folder`. Skips where this account may not mount one; in CI it may."""
    folder.mkdir(exist_ok=True)
    done = subprocess.run(
        ("mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "cordee-small", str(folder)),
        capture_output=True,
        check=False,
    )
    if done.returncode:
        lacking("no file system can be mounted here (needs root)")
    try:
        yield folder
    finally:
        subprocess.run(("umount", "--lazy", str(folder)), check=True)


def certificate_until(ends: datetime) -> bytes:
    """A certificate (DER) that runs out then."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "node")])
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    begins = ends - timedelta(days=90)
    return made.not_valid_before(begins).not_valid_after(ends).sign(key, hashes.SHA256()).public_bytes(Encoding.DER)
