"""After each end of a transfer, keys, seeds, passphrases and passwords are nowhere: disks, processes, their memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.planted_secrets import planted
from tests.faults.secret_network import WIPING, RecordedStage, SecretNetwork
from tests.faults.tally import Row, count

pytestmark = [pytest.mark.fault, pytest.mark.timeout(900)]

PLAIN = bool(os.environ.get("CORDEE_TEST_PLAIN_MEMORY"))
"""Measure what is found where freed memory is not overwritten (docs/secrets.md); the test in memory then fails."""


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecretNetwork]:
    folder = tmp_path_factory.mktemp("secret")
    temporary = folder / "tmp"
    temporary.mkdir()
    environment = {} if PLAIN else WIPING
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("TMPDIR", str(temporary))
        stage = RecordedStage(folder / "stage", folder / "drawn", environment=environment)
        made = SecretNetwork(stage, temporary, 0)
        with stage.open():
            made.prepare()
            made.write()
            made.expire_later()
            for state, play in (
                ("declined", made.decline),
                ("withdrawn before anybody answered", made.withdraw_early),
                ("withdrawn after acceptance", made.withdraw),
                ("received, then erased", made.receive_and_erase),
                ("refused, for the key was lost", made.lose_the_key),
                ("broken off by a restore", made.restore),
                ("received, then given back", made.give_back),
                ("refused whole", made.cheat),
                ("expired", made.end),
            )[: 4 if PLAIN else 9]:
                play()
                made.ended(state)
            made.erase_at_the_sender("declined")
            made.ended("erased by the sender")
            made.sign_out()
            made.ended("signed out", last=True)
            yield made


def test_nothing_of_them_is_on_a_disk_or_to_be_seen_of_a_process(network: SecretNetwork) -> None:
    count(Row("secrets after each end state (disk)", tries=network.searches["disk"], leaked=len(network.on_disk)))
    assert not network.on_disk


def test_nothing_of_them_is_in_memory(network: SecretNetwork) -> None:
    note = f"{network.at_first['memory']} still there at the first look"
    tries, leaked = network.searches["memory"], len(network.in_memory)
    count(Row("secrets after each end state (memory)", tries=tries, leaked=leaked, note=note))
    assert not network.in_memory


def test_there_was_something_to_search_for(network: SecretNetwork) -> None:
    assert network.kinds >= {
        "one-time seed",
        "one-time seed, ML-KEM",
        "content key",
        "data key of an erased case",
        "passphrase",
        "password",
        "session token",
        "secret of a second factor",
    }
    assert len(network.ends) == 12


def test_what_has_to_be_there_is_found_by_the_same_search(network: SecretNetwork) -> None:
    """The sender's node was started anew at the end and has not needed its key since; the recipient's has."""
    places = {("helpline", "inflight"), ("marseille", "inflight"), ("marseille", "the node, memory")}
    assert network.there() - {("helpline", "the node, memory")} == places


def test_servers_dump_no_core(network: SecretNetwork) -> None:
    for program in network.stage.programs:
        limits = Path(f"/proc/{program.pid}/limits").read_text().splitlines()
        assert next(line for line in limits if line.startswith("Max core file size")).split()[4:6] == ["0", "0"]


def test_each_kind_of_secret_is_found_in_each_kind_of_place_where_it_is_planted(network: SecretNetwork) -> None:
    """The last test here: what it plants stays in the network's files."""
    done = planted(network)
    assert not done.missed
    assert len(done.wanted) > 1000
    assert done.places >= {
        *(f"{house}/{part}" for house in ("helpline", "marseille") for part in ("node.db", "node.db-wal")),
        *(f"{house}/spool/planted" for house in ("helpline", "marseille")),
        *(f"{name}, memory" for name in ("directory", "helpline", "marseille", "a helper")),
        *("directory/directory.db", "directory/directory.db-wal", "directory/mailbox/planted", "logs/helpline.log"),
        *("saved/planted", "backup/planted", "proofs/planted", "tmp/planted", "logs/directory.log"),
        *("a helper, cmdline", "a helper, environ", "a helper, a file without a name"),
    }
