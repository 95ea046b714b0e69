"""After each end of a transfer, keys, seeds, passphrases and passwords are nowhere: disks, processes, their memory."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.faults.secret_network import WIPING, RecordedStage, SecretNetwork
from tests.faults.tally import Row, count

pytestmark = pytest.mark.fault


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecretNetwork]:
    folder = tmp_path_factory.mktemp("secret")
    temporary = folder / "tmp"
    temporary.mkdir()
    environment = {} if os.environ.get("CORDEE_TEST_PLAIN_MEMORY") else WIPING
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
                ("withdrawn after acceptance", made.withdraw),
                ("received, then erased", made.receive_and_erase),
                ("refused whole", made.cheat),
                ("expired", made.end),
            ):
                play()
                made.ended(state)
            made.erase_at_the_sender("declined")
            made.ended("erased by the sender")
            yield made


def test_nothing_of_them_is_on_a_disk_or_to_be_seen_of_a_process(network: SecretNetwork) -> None:
    count(Row("secrets after each end state (disk)", tries=network.searches["disk"], leaked=len(network.on_disk)))
    assert not network.on_disk


def test_nothing_of_them_is_in_memory(network: SecretNetwork) -> None:
    count(Row("secrets after each end state (memory)", tries=network.searches["memory"], leaked=len(network.in_memory)))
    assert not network.in_memory


def test_there_was_something_to_search_for(network: SecretNetwork) -> None:
    assert network.kinds >= {
        "one-time seed",
        "one-time seed, ML-KEM",
        "content key",
        "data key of an erased case",
        "passphrase",
        "password",
    }
