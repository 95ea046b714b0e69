"""`cordee admin console` as a process: its link, its end, and nothing of the passphrase anywhere."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import httpx
import pytest

from tests.directory.console.office import PASSPHRASE, Office
from tests.node.web.browser import forms_in

pytestmark = pytest.mark.journey


@contextmanager
def _running(office: Office, *more: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    office.home(0)
    arguments = ["--output", "json", "--lang", "en", "admin", "console", "--key", str(office.key_file(0))]
    process = subprocess.Popen(
        [sys.executable, "-m", "cordee.runtime.command", *arguments, "--home", str(office.folder / "home-0"), *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield process, json.loads(process.stdout.readline())["url"]
    finally:
        process.kill()
        process.wait(20)


@contextmanager
def _open(url: str, passphrase: str | None) -> Iterator[httpx.Client]:
    headers = {"sec-fetch-site": "same-origin", "accept-language": "en"}
    with httpx.Client(base_url=url.partition("/in/")[0], headers=headers, timeout=30) as client:
        _come_in(client, url, passphrase)
        yield client


def _come_in(client: httpx.Client, url: str, passphrase: str | None) -> None:
    form = next(each for each in forms_in(client.get(url).text) if each.action.startswith("/in/"))
    fields = dict(form.fill(passphrase=passphrase).fields if passphrase is not None else form.fields)
    assert client.post(form.action, data=fields).status_code == 303


@pytest.fixture
async def now(office: Office) -> Office:
    """The same office today: a command has the machine's clock."""
    office.town.move(timedelta(days=30))
    await office.town.directory.rosters.sign()
    return office


async def test_it_answers_on_this_machine_alone_and_ends_with_the_page(now: Office) -> None:
    await asyncio.to_thread(_ended_by_its_page, now)  # the directory runs in this loop


def _ended_by_its_page(office: Office) -> None:
    with _running(office) as (process, url):
        assert url.startswith("http://127.0.0.1:")
        with _open(url, PASSPHRASE) as client:
            end = next(each for each in forms_in(client.get("/members").text) if each.action == "/end")
            assert client.post("/end", data=dict(end.fields)).status_code == 200
        assert process.wait(20) == 0
        assert process.stderr is not None
        told = process.stderr.read()
    assert "works once" in told
    assert PASSPHRASE not in told
    assert url.rpartition("/")[2] not in told
    written = b"".join(file.read_bytes() for file in (office.folder / "home-0").rglob("*") if file.is_file())
    assert PASSPHRASE.encode() not in written


async def test_it_ends_when_it_is_told_to_and_takes_the_passphrase_from_a_file(now: Office) -> None:
    await asyncio.to_thread(_ended_by_a_signal, now)


def _ended_by_a_signal(office: Office) -> None:
    file = office.folder / "passphrase"
    file.write_text(PASSPHRASE + "\n")
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    with _running(office, "--passphrase-file", str(file), "--port", str(port)) as (process, url):
        assert url.startswith(f"http://127.0.0.1:{port}/in/")
        with _open(url, None) as client:
            assert client.get("/members").status_code == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        with pytest.raises(OSError, match="refused"), socket.create_connection(("127.0.0.1", port), 5):
            pass


async def test_a_wrong_passphrase_file_opens_no_console(office: Office) -> None:
    await asyncio.to_thread(_not_opened, office)


def _not_opened(office: Office) -> None:
    office.home(0)
    file = office.folder / "passphrase"
    file.write_text("une autre phrase\n")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "cordee.runtime.command", "--output", "json", "admin", "console"),
            *("--key", str(office.key_file(0)), "--home", str(office.folder / "home-0")),
            *("--passphrase-file", str(file)),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "LC_ALL": "C.UTF-8"},
    )
    assert done.stdout == ""
    assert json.loads(done.stderr.strip().splitlines()[-1])["reason"] == "KEY_LOCKED"
