"""`cordee node doctor`, as it is typed: in words in both languages, as JSON, with a telling exit code."""

from __future__ import annotations

import socket as socket_of
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.node.ill import certificate_until

from .conftest import Cordee


async def test_it_says_in_both_languages_that_there_is_no_node_and_what_to_do(cordee: Cordee, tmp_path: Path) -> None:
    doctor = ("node", "doctor", "--data-dir", str(tmp_path / "none"))
    told = await cordee(*doctor)
    assert told.code == 3
    (only,) = [each for each in told.json if each["severity"] == "broken"]
    assert only["finding"] == "not_initialised"
    assert only["facts"] == {"folder": str(tmp_path / "none")}
    french = await cordee("--lang", "fr", *doctor, output=None)
    assert "Il n’y a pas de nœud" in french.out
    english = await cordee("--lang", "en", *doctor, output=None)
    assert "There is no node in" in english.out
    assert "→" in english.out


async def test_it_asks_the_node_that_runs(cordee: Cordee, socket: Path, tmp_path: Path) -> None:
    told = await cordee("node", "doctor", "--data-dir", str(tmp_path), "--pages", "none")
    codes = {each["finding"] for each in told.json}
    assert "not_running" not in codes
    assert {"directory_away", "no_backup"} <= codes
    assert told.code != 0


async def test_it_says_that_the_node_does_not_run(cordee: Cordee, tmp_path: Path) -> None:
    (tmp_path / "passphrase").write_text("une phrase de passe\n")
    (tmp_path / "passphrase").chmod(0o600)
    made = await cordee(
        *("node", "init", "--data-dir", str(tmp_path / "node"), "--passphrase-file", str(tmp_path / "passphrase")),
        *("--administrator", "direction", "--password-file", "-"),
        stdin="mot de passe très long\n",
    )
    assert made.code == 0, made.err
    (tmp_path / "node" / "membership.json").write_text("{}")
    certificate = certificate_until(datetime.now(UTC) + timedelta(days=60))
    (tmp_path / "node" / "certificate.der").write_bytes(certificate)
    told = await cordee("node", "doctor", "--data-dir", str(tmp_path / "node"), "--pages", "none")
    assert "not_running" in {each["finding"] for each in told.json}
    assert told.code == 7


async def test_a_node_that_takes_no_call_is_told_from_one_that_does_not_run(cordee: Cordee, tmp_path: Path) -> None:
    """As one that was stopped, or has no file descriptors left: the kernel goes on taking connections for it."""
    (tmp_path / "vault.json").write_text("{")
    path = tmp_path / "node.sock"
    doctor = ("node", "doctor", "--data-dir", str(tmp_path), "--pages", "none", "--socket", str(path))
    with socket_of.socket(socket_of.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        told = {each["finding"] for each in (await cordee(*doctor)).json}
        assert "not_answering" in told
        assert "not_running" not in told
    told = {each["finding"] for each in (await cordee(*doctor)).json}
    assert "not_answering" not in told
