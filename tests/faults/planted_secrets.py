"""Secrets put on purpose wherever the search looks, while the network runs: what is not found there, it cannot see."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

from tests.faults.secret_network import SecretNetwork
from tests.faults.spilled import Place, Secret, found_in, planted_in_memory

__all__ = ["KINDS", "Planted", "planted"]

KINDS: Mapping[str, int] = {
    "one-time seed": 32,
    "one-time seed, ML-KEM": 64,
    "one-time seed, X25519": 32,
    "content key": 32,
    "data key of an erased case": 32,
    "passphrase": 41,
    "password": 19,
    "session token": 32,
    "secret of a second factor": 20,
}
"""What is searched for, and how many bytes it has."""

_AS_BYTES = 2  # ways that are no text: as it is, and backwards
_WAYS = 11
_IN_NODE = ("spool", "attachments", "mailbox", "inflight", "tombstones-planted")
_HOLDS = """
import sys, tempfile, time
held = sys.stdin.buffer.read()
file = tempfile.TemporaryFile(dir=sys.argv[1])
file.write(held), file.flush()
print(flush=True)
time.sleep(3600)
"""


@dataclass
class Planted:
    """What was put where, and what the search saw of it."""

    wanted: set[tuple[str, Secret]] = field(default_factory=set)
    found: set[tuple[str, Secret]] = field(default_factory=set)

    @property
    def missed(self) -> set[tuple[str, str]]:
        """Place and kind."""
        return {(place, secret.kind) for place, secret in self.wanted - self.found}

    @property
    def places(self) -> set[str]:
        """Where something was put."""
        return {place for place, _ in self.wanted}


def planted(network: SecretNetwork) -> Planted:
    """Each kind, in each of the ways in which it may be written down, a value of its own for each; in each place that
    the network's own search looks at. In the memory of its processes, which is large, each kind and each way once.
    """
    every = [Secret(kind, os.urandom(size)) for kind, size in KINDS.items() for _ in range(_WAYS)]
    once = every[:: len(KINDS) + 1]
    done = Planted()
    with ExitStack() as stack:
        for place in _put_in_files(network, every):
            done.wanted |= {(place, each) for each in every}
        for name, path in _databases(network):
            freed = [Secret(kind, os.urandom(size)) for kind, size in KINDS.items()]
            _put_in_free_pages(path, freed)
            stack.enter_context(_put_in_log(path, every))
            done.wanted |= {(f"{name}{path.name}-wal", each) for each in every}
            done.wanted |= {(f"{name}{path.name}", each) for each in freed}
        helper = stack.enter_context(_holding(network, every))
        texts = [each for number, each in enumerate(every) if number % _WAYS >= _AS_BYTES]
        done.wanted |= {(f"{helper.name}, {part}", each) for part in ("cmdline", "environ") for each in texts}
        done.wanted |= {
            (f"{helper.name}, {part}", each) for part in ("a file without a name", "memory") for each in every
        }
        for program in network.stage.programs:
            stack.enter_context(planted_in_memory(program.pid, _written(once, every)))
            done.wanted |= {(f"{program.name}, memory", each) for each in once}
        of_helper, others = _parted(network.places("memory"), helper.name)
        for places, secrets in (
            (network.places("disk"), [each for _, each in done.wanted]),
            (of_helper, every),
            (others, once),
        ):
            done.found |= found_in(places, dict.fromkeys(secrets))
    return done


def _parted(places: Sequence[Place], name: str) -> tuple[list[Place], list[Place]]:
    own = [each for each in places if each.name.startswith(name)]
    return own, [each for each in places if each not in own]


def _written(secrets: Sequence[Secret], every: Sequence[Secret], *, text: bool = False) -> bytes:
    """Each in one way: the one that its place in the list says."""
    parts = []
    for secret in secrets:
        way = every.index(secret) % _WAYS
        if way >= _AS_BYTES or not text:
            parts.append(_ways(secret)[way])
    return b"\n".join(parts) + b"\n"


def _ways(secret: Secret) -> list[bytes]:
    """Always as many, in the same order; where two alphabets make no difference, one comes twice."""
    texts = sorted(secret.texts(), key=lambda each: (len(each), each))
    texts += texts[: _WAYS - _AS_BYTES - len(texts)]
    return [secret.value, secret.value[::-1], *texts]


def _put_in_files(network: SecretNetwork, every: Sequence[Secret]) -> Iterator[str]:
    """A file where each kind of file lies, and a line in each log; their names as the search tells them."""
    folder, data = network.stage.folder, _written(every, every)
    files = [(f"{house.name}/", house.data_dir, part) for house in network.stage.houses.values() for part in _IN_NODE]
    files += [("directory/", folder / "directory", "mailbox")]
    files += [(f"{part}/", folder / part, "") for part in ("proofs", "backup", "saved")]
    files += [(f"{network.temporary.name}/", network.temporary, "")]
    for name, where, part in files:
        path = where / part / "planted"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        yield f"{name}{path.relative_to(where)}"
    for program in network.stage.programs:
        with program.log.open("ab") as log:
            log.write(data)
        yield f"logs/{program.log.name}"


def _databases(network: SecretNetwork) -> Iterator[tuple[str, Path]]:
    yield "directory/", network.stage.folder / "directory" / "directory.db"
    for house in network.stage.houses.values():
        yield f"{house.name}/", house.data_dir / "node.db"


def _put_in_free_pages(path: Path, secrets: Sequence[Secret]) -> None:
    """Written, put into the database's own file, and deleted as SQLite does it by itself: without overwriting."""
    with closing(sqlite3.connect(path, isolation_level=None, timeout=60)) as db:
        db.execute("PRAGMA secure_delete = OFF")
        db.execute("CREATE TABLE planted_and_freed (value BLOB)")
        pages = [(each.value + bytes(10_000),) for each in secrets]
        db.executemany("INSERT INTO planted_and_freed VALUES (?)", pages)
        db.execute("DROP TABLE planted_and_freed")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()


@contextmanager
def _put_in_log(path: Path, every: Sequence[Secret]) -> Iterator[None]:
    """In the write-ahead log, which lasts as long as somebody reads what it has."""
    with closing(sqlite3.connect(path, isolation_level=None, timeout=60)) as db:
        db.execute("CREATE TABLE planted (value BLOB)")
        for each in every:
            db.execute("INSERT INTO planted VALUES (?)", (_written([each], every),))
        db.execute("BEGIN")
        db.execute("SELECT count(*) FROM planted").fetchone()
        yield
        db.execute("ROLLBACK")


@contextmanager
def _holding(network: SecretNetwork, every: Sequence[Secret]) -> Iterator[SimpleNamespace]:
    """A process that has them on its command line, in its environment, in a file without a name, and in its memory."""
    texts = _written(every, every, text=True).decode()
    process = subprocess.Popen(
        (sys.executable, "-c", _HOLDS, str(network.temporary), texts),
        env={"PLANTED": texts},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    held = SimpleNamespace(name="a helper", pid=process.pid)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        with process.stdin as to:
            to.write(_written(every, every))
        process.stdout.readline()
        network.beside.append(held)
        yield held
        network.beside.remove(held)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
