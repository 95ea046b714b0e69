"""The guide for a network's office, typed: every command of the page, in its order, against a real directory."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cordee.words import six_words
from tests.directory.test_commands import PASSPHRASE, Office
from tests.directory.town import profile_of
from tests.docs.test_administrators_page import PAGES, typed
from tests.docs.test_quick_start import EXAMPLES
from tests.typist import lighten, typist

pytestmark = pytest.mark.journey

ELSEWHERE = {
    "cordee node leaving",  # of an association's node: tests/node/cli/test_leaving.py types it
    # what nodes have kept: tests/directory/test_evidence.py types it
    "cordee admin evidence paris.evidence marseille.evidence",
    # told from the next February on: tests/directory/test_commands.py types it
    "cordee admin report --year 2026 --out report",
}
COLLEAGUE = {"anne": "bea"}


class Desk:
    """Anne's desk, on which she types what the page says; Bea repeats what takes two."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.office = Office(folder)
        self.office.data = folder / "directory"
        self.words = self.operator = self.digest = ""
        self.appended: list[str] = []
        for who in ("bea", "chloe", "dora"):
            self.office.key(who)

    def type(self, line: str) -> None:
        """One line of the page, with what stands for something on paper put in its place."""
        words = [self.meant(each) for each in shlex.split(line)[1:]]
        path = " ".join(words[:2])
        self.before(path, words)
        if path == "directory serve":
            assert self.office.start()["ready"]
            return
        who = Path(words[words.index("--key") + 1]).stem if "--key" in words else "anne"
        who = "dora" if path == "admin attach" else who  # whom the page tells it
        if path == "directory init":
            words[words.index("cordee.example")] = "localhost"
            words += ["--members", self.office.members, "--front", self.office.front]
        told = self.run(who, *words)
        if words[:3] == ["admin", "key", "new"]:
            lighten(self.folder / words[-1], PASSPHRASE.encode())
        if path == "directory rotate-key":
            self.operator = " ".join(told["words"])
        elif path == "directory rotate-ca":
            self.digest = told["digest"]
        if isinstance(told, dict) and told.get("appended") is False:
            told = self.run(COLLEAGUE[who], *words)
            assert told["appended"], line
        if isinstance(told, dict) and told.get("appended"):
            self.appended.append(" ".join(words[1:3]))
        if path == "admin attach":
            assert self.run("dora", "admin", "members")

    def meant(self, word: str) -> str:
        """What a word of the page is here."""
        if word == "KEY_ID":
            # First Chloé leaves, then Dora's key is stolen.
            return self.key_id("chloe" if "administrators remove" not in self.appended else "dora")
        return {
            "/srv/cordee": str(self.office.data),
            "/srv/backup/today": str(self.folder / "backup"),
            "the six words that you heard": self.words,
            "the six words that the operator read out": self.operator,
            "DIGEST": self.digest,
            "NETWORK_ID": self.network,
            "Association A": "Association Exemple de la Côte",
            "Association B": "Association Lyon",
        }.get(word, word)

    @property
    def network(self) -> str:
        file = self.folder / "anne.home" / "network.json"
        return str(json.loads(file.read_text())["network"]) if file.exists() else "NETWORK_ID"

    def key_id(self, who: str) -> str:
        return str(self.run("anne", "admin", "key", "show", f"{who}.key.pub")["key_id"])

    def before(self, path: str, words: list[str]) -> None:
        """What others have done when the page comes to this."""
        if path == "admin found" and "--founding" in words:
            (self.folder / "founding.json").write_bytes((self.office.data / "founding.json").read_bytes())
        elif path == "admin requests" and not self.words:
            profile = (EXAMPLES / "profile.json").read_bytes()
            identity, _ = self.office.ask(self.folder / "invitation.json", "", profile=profile)
            self.words = " ".join(six_words(identity.public))
        elif path == "admin refuse":
            words[2] = self.ask("Nice")[0]
        elif path == "admin remove":
            name, spoken = self.ask("Lyon")
            for who in ("anne", "bea"):
                self.run(who, "admin", "admit", name, "--words", spoken)
        elif path == "directory recover":
            assert self.office.stop() == 0

    def ask(self, name: str) -> tuple[str, str]:
        """Another association was invited and has asked. Its name, and its six words."""
        profile, file = profile_of(name), f"{name}.json"
        naming = ("--legal-name", profile["legal_name"], "--number", profile["siret"], "--secrecy")
        self.run("anne", "admin", "invite", *naming, "--out", file)
        identity, _ = self.office.ask(self.folder / file, name)
        return profile["legal_name"], " ".join(six_words(identity.public))

    def run(self, who: str, *words: str) -> Any:
        """In the folder of the page, as one of the administrators."""
        environment = {
            "CORDEE_ADMIN_KEY": str(self.folder / f"{who}.key"),
            "CORDEE_ADMIN_PASSPHRASE_FILE": str(self.folder / "passphrase"),
            "CORDEE_ADMIN_HOME": str(self.folder / f"{who}.home"),
        }
        done = typist().typed(
            *("--output", "json", "--lang", "en", "--yes", *words), environment=environment, folder=self.folder
        )
        out = done.stdout.decode()
        assert done.returncode == 0, f"{who}: {words}\n{out}\n{done.stderr.decode()}"
        return json.loads(out) if out.strip() else None


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    (tmp_path / "passphrase").write_text(PASSPHRASE + "\n")
    made = Desk(tmp_path)
    yield made
    if made.office.server is not None:
        made.office.server.kill()
        made.office.server.wait(10)


def test_an_office_goes_through_its_whole_guide(desk: Desk) -> None:
    for line in typed(PAGES["en"]):
        if line not in ELSEWHERE:
            desk.type(line)
    assert desk.appended == [
        "admit Association Exemple du Large",
        "suspend Association Exemple du Large",
        "reinstate Association Exemple du Large",
        "correct Association Exemple du Large",
        "correct Association Exemple de la Côte",
        "remove Association Lyon",
        "correct Association Exemple de la Côte",
        "policy change",
        "administrators add",
        "administrators remove",
        "administrators remove",
        "revoke Association A et B",
        "rotate-key log-next.pub",
        "rotate-ca ca-next.der",
    ]
    assert (desk.folder / "backup" / "directory.db").exists()
    assert sorted(row["state"] for row in desk.run("bea", "admin", "members")) == ["removed", "suspended"]
