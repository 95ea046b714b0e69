"""The commands as their users run them: real processes, real files."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cordee.card import make_card
from cordee.invitation import Invitation
from cordee.runtime.tls import TransportKey, channel
from cordee.sealing import SealingKey
from cordee.signing import SigningKey, member_id_of
from cordee.times import timestamp_of
from cordee.v1 import directory_pb2 as pb
from cordee.v1 import directory_pb2_grpc
from cordee.v1 import statements_pb2 as v1
from cordee.words import six_words
from tests.directory.town import encoded, profile_of
from tests.typist import light_key, typist

pytestmark = pytest.mark.journey

PASSPHRASE = "une phrase assez longue"


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class Office:
    """Two administrators at their machines, and the directory's server."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "directory"
        self.members, self.front = (f"127.0.0.1:{free_port()}" for _ in range(2))
        (folder / "passphrase").write_text(PASSPHRASE + "\n")
        self.server: subprocess.Popen[str] | None = None

    def run(self, *arguments: str, code: int = 0) -> Any:
        done = typist().typed("--output", "json", "--lang", "en", *arguments, environment={})
        out, self.told = done.stdout.decode(), done.stderr.decode()
        assert done.returncode == code, f"{arguments}: {done.returncode}\n{out}\n{self.told}"
        if code:
            return json.loads(self.told.strip().splitlines()[-1]) if code != 2 else self.told
        return json.loads(out) if out.strip() else None

    def admin(self, who: str, *arguments: str, code: int = 0, yes: bool = True) -> Any:
        options = ["--key", str(self.folder / f"{who}.key"), "--passphrase-file", str(self.folder / "passphrase")]
        options += ["--home", str(self.folder / f"{who}.home")]
        flags = ["--yes"] if yes else []
        return self.run(*flags, "admin", *arguments, *options, code=code)

    def key(self, who: str) -> SigningKey:
        return light_key(self.folder / f"{who}.key", PASSPHRASE.encode())

    def typed_key(self, who: str) -> Any:
        """One as people make it: each command that opens it takes half a second."""
        return self.run(
            "admin",
            "key",
            "new",
            "--out",
            str(self.folder / f"{who}.key"),
            "--passphrase-file",
            str(self.folder / "passphrase"),
        )

    def start(self) -> dict[str, Any]:
        arguments = ["directory", "serve", "--data-dir", str(self.data)]
        arguments += ["--listen-members", self.members, "--listen-front", self.front]
        self.server = subprocess.Popen(
            [sys.executable, "-m", "cordee.runtime.command", *arguments],
            stdout=subprocess.PIPE,
            stderr=(self.folder / "log").open("a"),
            text=True,
        )
        assert self.server.stdout is not None
        ready: dict[str, Any] = json.loads(self.server.stdout.readline())
        return ready

    def stop(self) -> int:
        assert self.server is not None
        self.server.send_signal(signal.SIGTERM)
        code = self.server.wait(20)
        self.server = None
        return code

    def found(self) -> Any:
        self.run(
            "directory",
            "init",
            "--data-dir",
            str(self.data),
            "--name",
            "localhost",
            "--members",
            self.members,
            "--front",
            self.front,
        )
        for who in ("alice", "bruno"):
            self.key(who)
        self.start()
        genesis = str(self.folder / "genesis.json")
        self.admin(
            "alice",
            "found",
            "--founding",
            str(self.data / "founding.json"),
            "--administrator",
            str(self.folder / "alice.key.pub"),
            "--administrator",
            str(self.folder / "bruno.key.pub"),
            "--threshold",
            "2",
            "--genesis",
            genesis,
        )
        early = self.run("admin", "found", "--submit", "--genesis", genesis, "--home", "x", code=4)
        assert early["reason"] == "INVALID_INPUT"
        self.admin("bruno", "sign-genesis", genesis)
        return self.run("admin", "found", "--submit", "--genesis", genesis, "--home", str(self.folder / "alice.home"))

    def ask(self, invitation: Path, name: str, *, profile: bytes | None = None) -> tuple[SigningKey, str]:
        """An association asks to join, as a node does. Its key and its member id."""
        import asyncio

        invited = Invitation.parse(invitation.read_bytes())
        identity, transport, sealing = (
            SigningKey.generate(os.urandom),
            TransportKey.generate(),
            SealingKey.generate(os.urandom),
        )
        member, now, profile = member_id_of(identity.public), datetime.now(UTC), profile or encoded(profile_of(name))
        card = make_card(
            identity,
            network=invited.network,
            member=member,
            number=1,
            sealing_key=sealing.public,
            transport_key_digest=transport.digest,
            profile=profile,
            now=now,
        )
        request = identity.sign(
            v1.JoinRequest(
                network=invited.network,
                invitation=invited.invitation,
                secret=invited.secret,
                identity_key=identity.public.to_message(),
                card=card.to_message(),
                profile=profile,
                certificate_request=transport.request(),
                time=timestamp_of(now),
            )
        )

        async def send() -> int:
            async with channel(invited.front, root=invited.ca_certificate) as line:
                stub: Any = directory_pb2_grpc.EnrolmentStub(line)
                return int(
                    (await stub.Request(pb.EnrolmentRequest(join_request=request.to_message()), timeout=10)).state
                )

        assert asyncio.run(send()) == pb.JOIN_STATE_WAITING
        return identity, member.hex()


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    made = Office(tmp_path)
    yield made
    if made.server is not None:
        made.server.kill()
        made.server.wait(10)


def test_from_two_keys_to_an_admitted_member_and_back(office: Office) -> None:
    founded = office.found()
    assert (founded["founded"], founded["missing"], founded["threshold"]) == (True, [], 2)
    profile = profile_of("Marseille")
    invitation = office.folder / "invitation.json"
    naming = ["--legal-name", profile["legal_name"], "--number", profile["siret"]]
    office.admin("alice", "invite", *naming, "--secrecy", "--out", str(invitation))
    assert invitation.stat().st_mode & 0o777 == 0o600
    (row,) = office.admin("alice", "requests")
    assert (row["state"], row["legal_name"], row["turn"]) == ("invited", profile["legal_name"], "association")

    identity, member = office.ask(invitation, "Marseille")
    (row,) = office.admin("bruno", "requests")
    assert (row["member"], row["state"], row["legal_name"]) == (member, "waiting", profile["legal_name"])
    assert row["words"] == six_words(identity.public)

    wrong = " ".join(six_words(SigningKey.generate(os.urandom).public))
    assert office.admin("alice", "admit", member, "--words", wrong, code=5)["reason"] == "WORDS_DIFFER"
    words = " ".join(six_words(identity.public)).upper()
    assert "Nobody is there to answer" in office.admin("alice", "admit", member, "--words", words, code=2, yes=False)
    first = office.admin("alice", "admit", member[:8], "--words", words)
    assert (first["appended"], first["signatures"]) == (False, 1)
    assert "Admit the association" in office.told
    assert office.admin("alice", "admit", member, "--words", words)["signatures"] == 1, "one administrator counts once"
    (pending,) = office.admin("bruno", "pending")
    assert (pending["entry"], pending["about"]) == (first["entry"], member)
    second = office.admin("bruno", "admit", profile["legal_name"], "--words", words)
    assert (second["appended"], second["signatures"], second["entry"]) == (True, 2, first["entry"])
    assert [row["state"] for row in office.admin("alice", "requests")] == ["admitted"]

    seen = office.admin("bruno", "status")
    assert (seen["entries"], seen["nodes"], seen["know"], seen["silent"]) == (2, 1, 0, [member])
    assert seen["members"] == {"active": 1, "suspended": 0, "removed": 0}
    assert "0 of 1 nodes know the newest entry; not heard of lately: 1." in office.told
    waits = office.admin("alice", "suspend", "--watch", profile["legal_name"])
    assert (waits["appended"], "know" in waits) == (False, False), "there is nothing to follow yet"
    (entry,) = office.admin("bruno", "pending")
    signed = office.admin("bruno", "sign", entry["entry"][:10], "--watch", "--watch-seconds", "1")
    assert signed["appended"]
    assert (signed["nodes"], signed["know"], signed["not_yet"]) == (0, 0, []), "its own node does not count"
    (known,) = office.admin("alice", "members")
    assert (known["member"], known["state"], known["name"]) == (member, "suspended", profile["legal_name"])
    assert [row["type"] for row in office.admin("bruno", "log")] == ["Genesis", "MemberAdmitted", "MemberSuspended"]
    for who in ("bruno", "alice"):
        done = office.admin(who, "remove", member)
    assert done["appended"]
    assert office.admin("alice", "suspend", member, code=8)["reason"] == "ENTRY_REFUSED"
    assert office.stop() == 0
    logged = (office.folder / "log").read_text()
    assert profile["legal_name"] not in logged
    assert PASSPHRASE not in logged


def test_an_administrator_is_added_and_another_removed(office: Office) -> None:
    office.found()
    office.key("chloe")
    for who in ("alice", "bruno"):
        done = office.admin(who, "administrators", "add", str(office.folder / "chloe.key.pub"))
    assert done["appended"]
    network = json.loads((office.folder / "alice.home" / "network.json").read_text())["network"]
    founding = str(office.data / "founding.json")
    office.run(
        "admin", "attach", "--founding", founding, "--network", network, "--home", str(office.folder / "chloe.home")
    )
    bruno = next(row for row in office.admin("bruno", "administrators", "list") if row["own"])["key_id"]
    for who in ("alice", "chloe"):
        done = office.admin(who, "administrators", "remove", bruno[:10])
    assert done["appended"]
    assert office.admin("bruno", "members", code=5)["reason"] == "NOT_AN_ADMINISTRATOR"


def test_a_wrong_passphrase_opens_no_key_and_no_key_is_written_over(office: Office) -> None:
    made = office.typed_key("alice")
    assert (office.folder / "alice.key").stat().st_mode & 0o777 == 0o600
    key = str(office.folder / "alice.key")
    shown = office.run("admin", "key", "show", key + ".pub")
    assert shown["words"] == made["words"]
    passphrase = str(office.folder / "passphrase")
    again = office.run("admin", "key", "new", "--out", key, "--passphrase-file", passphrase, code=6)
    assert again["reason"] == "ALREADY_EXISTS"
    (office.folder / "passphrase").write_text("une autre phrase longue\n")
    office.run("directory", "init", "--data-dir", str(office.data), "--name", "localhost")
    founding = ["--founding", str(office.data / "founding.json"), "--administrator", key + ".pub"]
    assert office.admin("alice", "found", *founding, code=5)["reason"] == "KEY_LOCKED"


def test_status_backup_and_recovery_after_a_restore(office: Office) -> None:
    office.found()
    backup = office.folder / "backup"
    saved = office.run("directory", "backup", "--data-dir", str(office.data), "--to", str(backup))
    assert saved["files"] == ["directory.db", "founding.json"]
    again = office.run("directory", "backup", "--data-dir", str(office.data), "--to", str(backup), code=6)
    assert again["reason"] == "ALREADY_EXISTS"
    office.key("chloe")
    for who in ("alice", "bruno"):
        office.admin(who, "administrators", "add", str(office.folder / "chloe.key.pub"))
    office.admin("alice", "log", "--export", str(office.folder / "log.export"))
    status = office.run("directory", "status", "--data-dir", str(office.data))
    assert (status["founded"], status["entries"], status["signed"]) == (True, 2, 2)
    assert office.stop() == 0

    for each in office.data.glob("directory.db*"):
        each.unlink()
    (office.data / "directory.db").write_bytes((backup / "directory.db").read_bytes())
    assert office.start()["ready"], "it waits for whoever gives the rest back"
    assert office.run("directory", "status", "--data-dir", str(office.data))["log_behind"]
    assert office.admin("alice", "members", code=7)["reason"] == "DIRECTORY_BEHIND"
    assert office.stop() == 0
    recover = ["directory", "recover", "--data-dir", str(office.data), "--log", str(office.folder / "log.export")]
    assert office.run(*recover) == {"entries": 2, "added": 1}
    assert office.start()["ready"]
    assert len(office.admin("alice", "log")) == 2


def test_a_directory_is_made_once_and_its_secrets_are_for_its_owner_alone(office: Office) -> None:
    office.run("directory", "init", "--data-dir", str(office.data), "--name", "localhost")
    again = office.run("directory", "init", "--data-dir", str(office.data), "--name", "localhost", code=6)
    assert again["reason"] == "ALREADY_EXISTS"
    assert {path.name: path.stat().st_mode & 0o777 for path in office.data.iterdir()} == {
        "ca.key": 0o600,
        "log.key": 0o600,
        "server.key": 0o600,
        "founding.json": 0o644,
    }


def test_the_office_makes_its_yearly_report(office: Office) -> None:
    office.found()
    year = datetime.now(UTC).year - 2
    assert office.stop() == 0
    with sqlite3.connect(office.data / "directory.db") as db:  # as if it had counted since then
        db.execute("UPDATE counting SET since = ?", (int(datetime(year, 1, 1, tzinfo=UTC).timestamp() * 1e6),))
        for side in ("sender", "recipient"):
            rows = [(year, "received", side, bytes([member]), 30) for member in range(4)]
            rows += [(year, "declined", side, bytes([member]), 10) for member in range(4)]
            db.executemany("INSERT INTO tally VALUES (?, ?, ?, ?, ?)", rows)
    db.close()
    office.start()
    shown = office.admin("alice", "report", "--year", str(year))
    told = {(each["table"], each["row"]): each["count"] for each in shown}
    assert told["members", "at_end"] == 0
    assert (told["transfers", "received"], told["transfers", "declined"], told["transfers", "total"]) == (
        120,
        None,
        160,
    )
    out = office.folder / "out"
    out.mkdir()
    made = office.admin("bruno", "report", "--year", str(year), "--out", str(out))
    assert {Path(each).name for each in made["files"]} == {path.name for path in out.iterdir()}
    assert "localhost/roster" in (out / f"report-{year}.html").read_text()
    again = office.admin("bruno", "report", "--year", str(year), "--out", str(out), code=6)
    assert again["reason"] == "ALREADY_EXISTS"
    early = office.admin("alice", "report", "--year", str(year + 2), code=5)
    assert early["reason"] == "YEAR_NOT_CLOSED"
    assert office.admin("alice", "report", "--year", str(year - 1), code=3)["reason"] == "NOT_FOUND"


def test_keys_are_recovered_revoked_and_exchanged_by_the_administrators_commands(office: Office) -> None:
    office.found()
    invitation = office.folder / "relais.json"
    asked = ["--legal-name", "Association Relais", "--number", profile_of("Relais")["siret"], "--secrecy"]
    office.admin("alice", "invite", *asked, "--out", str(invitation))
    identity, member = office.ask(invitation, "Relais")
    for who in ("alice", "bruno"):
        office.admin(who, "admit", member, "--words", " ".join(six_words(identity.public)))

    made = office.run(
        "directory", "rotate-key", "--data-dir", str(office.data), "--out", str(office.folder / "log.pub")
    )
    words = " ".join(made["words"])
    assert not office.admin("alice", "rotate-key", str(office.folder / "log.pub"), "--words", words)["appended"]
    assert "signs its log with another key" in office.told
    assert office.admin("bruno", "rotate-key", str(office.folder / "log.pub"), "--words", words)["appended"]

    made = office.run("directory", "rotate-ca", "--data-dir", str(office.data), "--out", str(office.folder / "ca.der"))
    certificate = str(office.folder / "ca.der")
    wrong = office.admin("alice", "rotate-ca", certificate, "--digest", "00" * 32, code=4)
    assert wrong["reason"] == "INVALID_INPUT"
    assert not office.admin("alice", "rotate-ca", certificate, "--digest", made["digest"])["appended"]
    assert "is trusted until" in office.told
    assert office.admin("bruno", "rotate-ca", certificate, "--digest", made["digest"])["appended"], "the same entry"
    for who in ("alice", "bruno", "alice"):
        assert [each["member"] for each in office.admin(who, "members")] == [member], "with both CAs"

    assert not office.admin("alice", "revoke", member)["appended"]
    assert "counts no more from now on" in office.told
    assert office.admin("bruno", "revoke", member)["appended"]
    assert office.admin("alice", "members")[0]["state"] == "suspended"

    new = six_words(office.key("new").public)
    announce = ["recover", member, "--announce", str(office.folder / "new.key.pub"), "--words", " ".join(new)]
    assert not office.admin("alice", *announce, "--stolen")["appended"]
    assert "stolen" in office.told
    told = office.admin("bruno", *announce, "--stolen", "--out", str(office.folder / "way.json"))
    assert (told["step"], told["appended"], told["words"]) == ("announced", True, new)
    assert json.loads((office.folder / "way.json").read_text())["member"] == member
    early = office.admin("alice", "recover", member, code=8)
    assert early["reason"] == "ENTRY_REFUSED"
    assert office.admin("alice", "members")[0]["state"] == "suspended"
    assert office.stop() == 0
    office.start()
    assert len(office.admin("alice", "log")) == 6
