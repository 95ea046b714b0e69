"""A small real network in which every field holds a mark, played through every outcome and searched all along."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from cordee.summary import REASON_TEXT_LIMIT
from node.demo import cases
from node.demo.processes import CommandFailed
from node.demo.stage import House, until
from tests.attacks.looking import Found, Look
from tests.attacks.marked_records import PURPOSE, SHARING, marked_act, marked_case, without_narratives
from tests.attacks.watched_stage import WatchedStage

__all__ = ["MarkedNetwork"]

_TICKED = ("health", "online_traces", "links")


@dataclass
class MarkedNetwork(WatchedStage):
    """What people do on the stage, and what they wrote."""

    outcomes: dict[str, str] = field(default_factory=dict)  # name of the case -> its transfer
    records: dict[str, dict[str, Any]] = field(default_factory=dict)
    acts: dict[str, dict[str, Any]] = field(default_factory=dict)
    attached: dict[str, str] = field(default_factory=dict)
    core_limits: dict[str, str] = field(default_factory=dict)
    waited: int = 0  # bytes of ciphertext that the directory's mailbox held
    arrived: str = ""  # what the recipient's own people read
    in_nodes: set[Found] = field(default_factory=set)  # in the memory of a node, where it has to be

    @property
    def helpline(self) -> House:
        """The sender."""
        return self.stage.houses["helpline"]

    @property
    def marseille(self) -> House:
        """The recipient."""
        return self.stage.houses["marseille"]

    # ---- before ----

    def prepare(self) -> None:
        """A directory that tells its metrics, two nodes, in each an account with a marked name and password."""
        stage, now = self.stage, datetime.now(UTC)
        stage.found()
        stage.directory.stop()
        stage.directory.arguments = (*stage.directory.arguments, "--metrics-port", str(self.metrics_port))
        stage.directory.start()
        profiles = cases.profiles(now=now)
        for name in ("helpline", "marseille"):
            stage.join(stage.house(name, profiles[name]))
        for house in stage.houses.values():
            stage.start(house)
        for house in stage.houses.values():
            until(partial(_knows_both, house))
        self._made.mkdir()
        for name in ("expired", "declined", "withdrawn", "received", "kept", "shared", "refused"):
            self.records[name] = marked_case(self.marks, name, now=now)
        self.records["kept"] = without_narratives(self.records["kept"])
        self.search("before anything")

    def accounts(self) -> None:
        """People with marked names and passwords write from here on; one failed before."""
        for house in self.stage.houses.values():
            name = self.marks.text(f"{house.name}: the handler's name")
            password = self._file(f"{house.name}.password", self.marks.text(f"{house.name}: the handler's password"))
            house.command("node", "login", "direction", "--password-file", str(self.stage.password))
            roles = ("--role", "handler", "--role", "lead", "--bound-by-secrecy")
            house.command("node", "user", "add", name, *roles, "--password-file", password)
            house.command("node", "login", f"{name}x", "--password-file", password, expect=5)
            house.command("node", "login", name, "--password-file", password)

    def write(self) -> None:
        """The cases, files whose name, content and type are marks, and acts."""
        house, now = self.helpline, datetime.now(UTC)
        lines = "\n".join(json.dumps(record, ensure_ascii=False) for record in self.records.values())
        house.command("case", "import", self._file("cases.ndjson", lines))
        again = self._file("again.json", json.dumps(self.records["declined"]))
        house.command("case", "new", again, expect=6)  # a refusal has a case in its hands too
        for name, size in (("received", 300_000), ("refused", 9_000)):
            self.attached[name] = self._attach(name, size)
        for name, record in self.records.items():
            attachments = [self.attached[name]] if name == "received" else []
            org = self.marseille.profile["org_id"]
            act = marked_act(self.marks, record, recipients=[org], attachments=attachments, now=now)
            house.command("consent", "record", self._case(name), self._file(f"{name}.act", json.dumps(act)))
            self.acts[name] = act

    def _attach(self, name: str, size: int) -> str:
        mark = self.marks.text(f"{name}: the content of a file")
        path = self._made / f"{self.marks.text(f'{name}: the name of a file')}.txt"
        path.write_text((f"{mark} \n" * (size // len(mark)))[:size], encoding="utf-8")  # at every place of a group
        done = self.helpline.command(
            *("case", "attach", self._case(name), str(path), "--section", "actions"),
            *("--media-type", f"text/{self.marks.text(f'{name}: the type of a file')}"),
        )
        digest, given = hashlib.sha256(path.read_bytes()), str(done["attachment_id"])
        for value in (digest.digest(), digest.hexdigest().encode()):
            self.marks.literals[value] = f"{name}: the digest of a file"
        for value in (given.encode(), bytes.fromhex(given.replace("-", ""))):
            self.marks.row_literals[value] = f"{name}: attachment_id"
        return given

    # ---- the outcomes ----

    def expire_later(self) -> None:
        """An offer that nobody answers, for a short time. It ends while the others are played."""
        self._offer("expired", "--expires-in", "30s")

    def decline(self) -> None:
        """Declined with as many words as there may be."""
        transfer = self._offer("declined")
        self.marseille.transfer(transfer)
        self.search("an offer waits")
        mark = self.marks.text("declined: why")
        text = self._file("why", (f"{mark} " * REASON_TEXT_LIMIT)[:REASON_TEXT_LIMIT].strip())
        self.marseille.command("transfer", "decline", transfer, "--code", "other", "--text-file", text)
        self._wait(self.helpline, transfer, "declined")
        if mark not in self.helpline.transfer(transfer)["reason"]["text"]:
            raise AssertionError("the sender cannot read why")

    def withdraw(self) -> None:
        """Accepted, then withdrawn before it left."""
        transfer = self._offer("withdrawn", "--hold")
        self.marseille.command("transfer", "accept", transfer)
        self._wait(self.helpline, transfer, "accepted")
        self.helpline.command("transfer", "withdraw", transfer)
        for house in self.stage.houses.values():
            self._wait(house, transfer, "withdrawn")

    def receive_and_erase(self) -> None:
        """Received with a file, after it waited in the mailbox; then its act is withdrawn, and it is erased there."""
        transfer = self._offer("received", "--hold", "--attachment", self.attached["received"])
        self.marseille.command("transfer", "accept", transfer)
        self._wait(self.helpline, transfer, "accepted")
        self.marseille.program.stop()
        self.helpline.command("transfer", "ship", transfer)
        self._wait(self.helpline, transfer, "shipped")
        self.waited = sum(path.stat().st_size for path in self._in_mailbox(transfer))
        self.search("ciphertext waits")
        self.marseille.program.start()
        for house in self.stage.houses.values():
            self._wait(house, transfer, "received")
        until(lambda: not self._in_mailbox(transfer))
        self.arrived = json.dumps(self.marseille.command("case", "show", self._case("received")))
        self.search("received")
        for house in self.stage.houses.values():
            self.in_nodes |= Look(self.marks).in_memory(house.program.pid, house.name, first=True)
        reason = self._file("reason", self.marks.text("received: why the act was withdrawn"))
        role = self.marks.text("received: who withdrew the act")
        act_id = self.acts["received"]["act_id"]
        self.helpline.command("consent", "withdraw", act_id, "--by-role", role, "--reason-file", reason)
        self._wait_erasure(self.marseille, transfer, "asked")
        self.marseille.command("transfer", "erase-answer", transfer, "--erase")
        self._wait_erasure(self.helpline, transfer, "done")

    def receive_and_keep(self) -> None:
        """Received; the request to erase it is refused, with words."""
        transfer = self._offer("kept")
        self.marseille.command("transfer", "accept", transfer)
        for house in self.stage.houses.values():
            self._wait(house, transfer, "received")
        self.helpline.command("transfer", "withdraw", transfer)
        self._wait_erasure(self.marseille, transfer, "asked")
        text = self._file("keeping", self.marks.text("kept: why it is kept"))
        self.marseille.command("transfer", "erase-answer", transfer, "--keep", "--code", "other", "--text-file", text)
        self._wait_erasure(self.helpline, transfer, "refused")

    def share_and_update(self) -> None:
        """Followed by both: what is written later goes there by itself, and is kept beside the other's record."""
        first = self._offer("shared", "--kind", "referral", purpose=SHARING)
        self.marseille.command("transfer", "accept", first)
        for house in self.stage.houses.values():
            self._wait(house, first, "received")
        mark = self.marks.text("shared: what was written later")
        change = self._file("change.json", json.dumps({"risk": {"narrative": mark}}))
        self.helpline.command("case", "edit", self._case("shared"), change)
        update = self.helpline.command("transfer", "update", first)["transfer"]
        for house in self.stage.houses.values():
            self._wait(house, update, "received")
        if mark not in json.dumps(self.marseille.command("case", "versions", self._case("shared"))):
            raise AssertionError("the update did not arrive")

    def cheat(self) -> None:
        """A file that nobody agreed to: refused whole."""
        with self.stage.cheating(self.helpline):
            transfer = self._offer("refused")
            self.marseille.command("transfer", "accept", transfer)
            for house in self.stage.houses.values():
                self._wait(house, transfer, "refused")
            self.search("refused")

    def end(self) -> None:
        """The first offer is over; proofs, journals and a backup are made."""
        for house in self.stage.houses.values():
            self._wait(house, self.outcomes["expired"], "expired")
        self.helpline.command("case", "close", self._case("expired"))
        proofs = self.stage.folder / "proofs"
        proofs.mkdir()
        for name in ("received", "kept", "declined", "refused"):
            self.helpline.command("transfer", "proof", self.outcomes[name], "--file", str(proofs / name))
        data = str(self.stage.folder / "directory")
        self.stage.office("directory", "backup", "--data-dir", data, "--to", str(self.stage.folder / "backup"))
        for program in self.stage.programs:
            limits = Path(f"/proc/{program.pid}/limits").read_text().splitlines()
            self.core_limits[program.name] = next(line for line in limits if line.startswith("Max core file size"))
        self.search("at the end")

    # ---- helpers ----

    @property
    def _made(self) -> Path:
        """What people have on their own machines: the only place where marks may stand."""
        return self.stage.folder / "made"

    def _case(self, name: str) -> str:
        return str(self.records[name]["meta"]["case_id"])

    def _file(self, name: str, text: str) -> str:
        path = self._made / name
        path.write_text(text, encoding="utf-8")
        return str(path)

    def _offer(self, name: str, *options: str, purpose: str = PURPOSE) -> str:
        content = ("--purpose", purpose, "--act", self.acts[name]["act_id"])
        ticks = [word for section in _TICKED for word in ("--tick", section)]
        done = self.helpline.command(
            *("transfer", "offer", self._case(name), "--to", self.marseille.member, *content, *ticks, *options)
        )
        self.outcomes[name] = transfer = str(done["transfer"])
        self._wait(self.marseille, transfer, "offered")
        return transfer

    def _line(self, house: House, transfer: str) -> dict[str, Any]:
        with suppress(CommandFailed):  # a node that starts again
            return next((each for each in house.command("transfer", "list") if each["transfer"] == transfer), {})
        return {}

    def _wait(self, house: House, transfer: str, state: str) -> None:
        def reached() -> bool:
            line = self._line(house, transfer)
            return line.get("state") == state and not line["waits"]

        until(reached)

    def _wait_erasure(self, house: House, transfer: str, erasure: str) -> None:
        until(lambda: self._line(house, transfer).get("erasure") == erasure)

    def _in_mailbox(self, transfer: str) -> list[Path]:
        mailbox = self.stage.folder / "directory" / "mailbox"
        return [path for path in mailbox.rglob(f"*{transfer}*") if path.is_file()]


def _knows_both(house: House) -> bool:
    return len([each for each in house.command("members", "list") if each["card_expires"]]) == 2
