"""While practice runs, with everything in its environment pointing at a real node, it touches nothing of it."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from node.demo.processes import Program, command_line
from tests.node.practice.conftest import RealHouse
from tests.node.practice.newcomer import Newcomer, until
from tests.node.practice.watching import Watch

pytestmark = [pytest.mark.journey, pytest.mark.timeout(600)]

_OF_THE_SYSTEM = ("/dev/", "/proc/", "pipe:", "socket:", "anon_inode:", "/usr/", "/etc/")


def family(pid: int) -> list[int]:
    """A process and all that it started."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(each for child in children for each in family(int(child)))]


def test_the_watch_sees_who_only_reads(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    watch = Watch([tmp_path])
    assert not watch.events()
    (tmp_path / "secret").read_text()
    assert any("secret" in each for each in watch.events())
    watch.close()


def test_the_real_house_stays_as_it_is_byte_for_byte_and_unread(newcomer: Newcomer, real_house: RealHouse) -> None:
    newcomer.begin("w8")
    until(lambda: newcomer.ticks("w8")[0], what="an offer of the partner's")
    assert not real_house.watch.events(), "nobody has even opened a file of it"
    # Reading it to compare makes events of our own: the watch begins anew.
    assert real_house.bytes_now() == real_house.before
    real_house.watch.close()
    real_house.watch = Watch([real_house.folder, real_house.data])


def test_practice_holds_open_only_what_is_in_its_own_folder(practice: Program, newcomer: Newcomer) -> None:
    newcomer.get("/")
    own = Path(practice.arguments[practice.arguments.index("--folder") + 1])
    [folder] = own.iterdir()
    assert folder.stat().st_mode & 0o777 == 0o700
    opened = set()
    for pid in family(practice.pid):
        for each in Path(f"/proc/{pid}/fd").iterdir():
            opened.add(os.readlink(each))
    inside = {each for each in opened if each.startswith(f"{folder}/")}
    assert any(each.endswith("node.db") for each in inside)
    assert any(each.endswith("directory.db") for each in inside)
    others = {each for each in opened - inside if not each.startswith(_OF_THE_SYSTEM)}
    log = str(practice.log)
    installed = {each for each in others if "/site-packages/" in each or each.endswith((".py", ".so", ".crt", ".pem"))}
    assert others - installed <= {log, os.getcwd()}, others


def test_what_it_starts_knows_no_setting_of_the_node(practice: Program) -> None:
    started = family(practice.pid)[1:]
    assert started, "the directory is a process of its own"
    for pid in started:
        settings = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        assert not [each for each in settings if each.startswith(b"CORDEE_")]


def test_it_listens_on_this_machine_alone_and_calls_nobody_else(practice: Program) -> None:
    inodes = {
        os.readlink(each)
        for pid in family(practice.pid)
        for each in Path(f"/proc/{pid}/fd").iterdir()
        if os.readlink(each).startswith("socket:")
    }
    remote = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            words = line.split()
            if f"socket:[{words[9]}]" in inodes:
                remote += [each.rpartition(":")[0] for each in words[1:3]]
    loopback = ("0100007F", "0200007F", "00000000", "0" * 32, "0000000000000000FFFF00000100007F")
    assert remote
    assert set(remote) <= set(loopback), remote


def test_it_refuses_a_folder_of_a_real_node(real_house: RealHouse) -> None:
    done = subprocess.run(
        command_line("practice", "serve", "--pages", "127.0.0.2:0", "--folder", str(real_house.data)),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 4, done.stderr
    assert "real node" in done.stderr


def test_a_session_has_another_name_and_a_real_one_is_dropped(newcomer: Newcomer, practice: Program) -> None:
    address = str(practice.ready["pages"])
    mine = newcomer.client.cookies["practice-session"]
    assert "session" not in newcomer.client.cookies
    with httpx.Client(base_url=address, headers={"sec-fetch-site": "same-origin"}) as other:
        real = other.get("/cases", headers={"cookie": f"session={mine}"})
        assert real.headers["location"].startswith("/sign-in"), "under the name of a real one it is nobody's"
        assert other.get("/cases", headers={"cookie": f"practice-session={mine}"}).status_code == 200
        signed = other.post("/sign-in", data={"name": "camille", "password": "ici-rien-n-est-reel", "next": ""})
        [given] = signed.headers.get_list("set-cookie")
        assert given.startswith("practice-session=")


def test_it_answers_under_no_name_of_a_node_s(practice: Program) -> None:
    address = str(practice.ready["pages"])
    port = urlsplit(address).port
    with httpx.Client(base_url=address) as client:
        for name in ("localhost", "127.0.0.1"):
            assert client.get("/sign-in", headers={"host": f"{name}:{port}"}).status_code == 421


def test_killed_it_takes_its_directory_along_and_the_next_one_erases_what_it_left(tmp_path: Path) -> None:
    within = tmp_path / "temporary"
    within.mkdir()
    served = Program(
        name="practice",
        arguments=("--output", "json", "practice", "serve", "--pages", "127.0.0.2:0", "--folder", str(within)),
        environment={},
        log=tmp_path / "practice.log",
    )
    served.start()
    [practising, *started] = family(served.pid)
    os.kill(practising, signal.SIGKILL)
    until(lambda: not [each for each in started if _runs(each)], what="the end of what it started")
    [left] = within.iterdir()
    served.kill()
    ended = subprocess.Popen(
        command_line("practice", "serve", "--pages", "127.0.0.2:0", "--folder", str(within)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until(lambda: not left.exists(), what="the erasure of what was left")
    finally:
        ended.send_signal(signal.SIGTERM)
        ended.wait(60)
    assert not list(within.iterdir()), "stopped before it was ready, it leaves nothing either"


def _runs(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        time.sleep(0)
        return False
