"""What an administrator's machine keeps of a directory that lies, and how the office judges what associations bring."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cordee.checkpoint import Checkpoint, sign_checkpoint
from cordee.errors import IntegrityFailure, NotFound, RosterForked, RosterRolledBack, Unreachable
from cordee.ids import Digest
from cordee.signing import SigningKey
from cordee.v1 import statements_pb2 as v1
from cordee.views import Verdict, export_views, make_view
from directory.administrator import evidence
from directory.administrator.home import Home, LogCopy
from directory.house import Founding
from tests.builders import Network
from tests.cordee.test_views import a_network, held, other_of, view


@pytest.fixture
def network() -> Network:
    return a_network()


@pytest.fixture
def home(network: Network, tmp_path: Path) -> Home:
    """An administrator's folder that has seen the network's three entries."""
    made = Home(tmp_path / "home")
    made.create(
        network.roster.network,
        Founding(
            directory_key=network.directory.public,
            ca_certificate=b"a certificate",
            origin=network.roster.origin,
            members="localhost:1",
            front="localhost:2",
        ),
    )
    made.log().extend(network.entries, network.checkpoint(), now=network.now)
    return made


async def shown(home: Home, network: Network, entries: list[v1.Entry], note: str, *, gives: bool = True) -> Path | None:
    """The machine is shown this, and refuses it."""
    log, known = home.log(), home.log().size

    async def whole() -> list[v1.Entry]:
        if not gives:
            raise Unreachable(peer="the directory")
        return entries

    with pytest.raises(IntegrityFailure) as refused:
        log.extend(entries[known:], note, now=network.now)
    return await evidence.keep(log, size=known, shown=note, refusal=refused.value, fetch=whole)


async def test_a_fork_of_a_longer_log_is_kept_once_and_proven(home: Home, network: Network) -> None:
    other = other_of(network, "Nulle part", "Ailleurs", drop=1)
    other.now = network.now
    note = other.checkpoint(network.now)
    kept = await shown(home, network, other.entries, note)
    assert kept is not None
    assert await shown(home, network, other.entries, note) == kept
    (found,) = evidence.kept(home)
    assert (found.path, found.verdict) == (kept, Verdict.FORK)
    assert found.report is not None
    assert found.report.differs_at == 3
    assert found.shows
    assert kept.stat().st_mode & 0o777 == 0o600


async def test_a_log_that_is_not_given_out_is_kept_and_shows_nothing(home: Home, network: Network) -> None:
    other = other_of(network, "Nulle part", "Ailleurs", drop=1)
    await shown(home, network, other.entries, other.checkpoint(network.now), gives=False)
    (found,) = evidence.kept(home)
    assert (found.verdict, found.shows) == (None, ())


async def test_a_smaller_log_signed_later_is_proven(home: Home, network: Network) -> None:
    network.now += network.roster.policy.freshness_limit / 2
    await shown(home, network, network.entries, network.checkpoint(size=2))
    (found,) = evidence.kept(home)
    assert found.verdict is Verdict.ROLLBACK


async def test_a_note_by_a_stranger_is_kept_and_shows_nothing(home: Home, network: Network) -> None:
    stranger = SigningKey.generate(lambda size: bytes(range(size)))
    checkpoint = Checkpoint(network.roster.origin, 3, Digest(bytes(32)), network.now.replace(microsecond=0))
    await shown(home, network, network.entries, sign_checkpoint(checkpoint, stranger))
    (found,) = evidence.kept(home)
    assert (found.report, found.verdict) == (None, None)


async def test_a_machine_that_has_no_signed_note_yet_keeps_nothing(home: Home, network: Network) -> None:
    (home.evidence.parent / "checkpoint").unlink()
    older = network.checkpoint(size=2)
    assert await shown(home, network, network.entries, older) is None
    with pytest.raises(NotFound):
        evidence.own_file(home)
    log = home.log()
    log.extend([], network.checkpoint(), now=network.now)
    assert evidence.own_file(home), "it has one from the next look on"


def test_a_node_that_signed_another_root_is_kept_once_and_a_word_that_shows_nothing_is_not(
    home: Home, network: Network
) -> None:
    paris, log = network.members["Paris"], home.log()
    other = held(network, paris, bytes(32)).to_message()
    path = evidence.keep_word(log, other)
    assert path is not None
    assert evidence.keep_word(log, other) == path
    for nothing in (
        held(network, paris, network.tree.root()),
        held(network, paris, bytes(32), size=9),
        network.members["Marseille"].identity.sign(v1.HeldCheckpoint.FromString(other.body)),
    ):
        assert evidence.keep_word(log, nothing.to_message()) is None
    (found,) = evidence.kept(home)
    assert (found.path, found.verdict) == (path, Verdict.SPLIT_VIEW)


def test_the_note_is_kept_with_the_log_and_only_if_it_verified(home: Home, network: Network) -> None:
    note = network.checkpoint()
    log = home.log()
    log.extend([], note, now=network.now)
    assert home.log().note == log.note == note
    for wrong, reason in ((network.checkpoint(size=2), RosterRolledBack), (_forked(network), RosterForked)):
        with pytest.raises(reason):
            home.log().extend([], wrong, now=network.now)
        assert home.log().note == note


def _forked(network: Network) -> str:
    checkpoint = Checkpoint(network.roster.origin, 3, Digest(bytes(32)), network.now.replace(microsecond=0))
    return sign_checkpoint(checkpoint, network.directory)


# ---- the command ----


def cordee(*arguments: object) -> tuple[int, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "cordee.runtime.command", "--output", "json", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.returncode, json.loads((done.stdout or done.stderr).strip() or "null")


async def test_the_office_judges_what_associations_bring_beside_its_own_copy(
    home: Home, network: Network, tmp_path: Path
) -> None:
    folder = home.evidence.parent
    honest, lied_to = tmp_path / "honest", tmp_path / "lied-to"
    other = other_of(network, "Nulle part", drop=1)
    honest.write_bytes(export_views([view(network)]))
    lied_to.write_bytes(export_views([make_view(other.entries, note=other.checkpoint(), size=3)]))
    code, found = cordee("admin", "evidence", honest, "--home", folder)
    assert (code, found["verdict"], len(found["views"])) == (0, "agree", 2)
    code, found = cordee("admin", "evidence", honest, lied_to, "--home", folder)
    assert (code, found["verdict"], found["differs_at"]) == (0, "fork", 3)

    written = tmp_path / "office"
    assert cordee("admin", "evidence", "--file", written, "--home", folder)[0] == 0
    network_id = network.roster.network.hex()
    code, found = cordee("verify", written, lied_to, "--network", network_id)
    assert (code, found["verdict"]) == (0, "fork")

    assert cordee("admin", "evidence", "--home", folder) == (0, [])
    await shown(home, network, other.entries, other.checkpoint(network.now))
    code, rows = cordee("admin", "evidence", "--home", folder)
    assert [each["verdict"] for each in rows] == ["fork"]
    assert "two rosters" in rows[0]["shows"][0]
    assert cordee("verify", rows[0]["file"], "--network", network_id)[1]["verdict"] == "fork"


def test_copies_without_a_note_still_load(network: Network, tmp_path: Path) -> None:
    log = LogCopy(tmp_path / "log", network.roster.network)
    log.load()
    assert (log.note, log.size) == ("", 0)
