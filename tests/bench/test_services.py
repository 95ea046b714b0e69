from __future__ import annotations

import subprocess
import sys

import pytest

from bench.place import NotEnoughSpace, free_port, make_file, place, require_space
from bench.services import PeerFailed, pipe, service


def test_bytes_go_through_a_pipe_of_commands(tmp_path):
    made = make_file(tmp_path / "a", 3_000_000)
    assert pipe(["cat", made], ["tee", tmp_path / "b"], seconds=20) > 0
    assert (tmp_path / "b").read_bytes() == made.read_bytes()


@pytest.mark.parametrize("commands", [(["false"], ["cat"]), (["echo", "x"], ["false"])])
def test_a_command_that_fails_anywhere_in_the_pipe_is_noticed(commands):
    with pytest.raises(PeerFailed, match="exit code 1"):
        pipe(*commands, seconds=20)


def test_a_pipe_that_takes_too_long_is_ended():
    with pytest.raises(PeerFailed, match="longer than"):
        pipe(["sleep", "60"], ["cat"], seconds=0.3)


def test_a_server_is_there_while_the_block_lasts_and_gone_afterwards(tmp_path):
    port = free_port()
    command = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(port)]
    with service(command, port=port, log=tmp_path / "log") as pid:
        subprocess.run(["kill", "-0", str(pid)], check=True)
    assert subprocess.run(["kill", "-0", str(pid)], check=False, capture_output=True).returncode


def test_a_server_that_ends_at_once_is_told_with_its_log(tmp_path):
    with (
        pytest.raises(PeerFailed, match="no such port"),
        service([sys.executable, "-c", "raise SystemExit('no such port')"], port=free_port(), log=tmp_path / "log"),
    ):
        pass


def test_nothing_is_left_of_the_folder():
    with place() as folder:
        make_file(folder / "x", 10)
    assert not folder.exists()


def test_a_disk_that_is_too_small_is_noticed_before_anything_is_measured(tmp_path):
    with pytest.raises(NotEnoughSpace, match="are needed"):
        require_space(tmp_path, 10**18)
