"""The six points of the demonstration, told and verified one after the other."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from node.demo import cases, files
from node.demo.evidence import Evidence
from node.demo.holding import DoesNotHold
from node.demo.needles import needles_of
from node.demo.search import Search, sample_of
from node.demo.stage import House, Stage, until
from node.demo.telling import Teller

__all__ = ["Story", "Told"]

_PURPOSE = "relocation"
_SEND = ("--tick", "health")


@dataclass
class Told:
    """What the report says of one transfer."""

    transfer: str
    title: str
    states: list[str]
    bytes: int = 0  # that left
    bound: int = 0  # announced to the directory
    seconds: float = 0.0


@dataclass
class Story:
    """Everything happens through commands; everything is verified by reading databases and keys."""

    stage: Stage
    teller: Teller
    translate: Callable[[str], str]
    wav_bytes: int
    random: Callable[[int], bytes] = os.urandom
    points: list[dict[str, Any]] = field(default_factory=list)
    transfers: list[Told] = field(default_factory=list)
    records: list[dict[str, Any]] = field(default_factory=list)
    made: dict[str, Path] = field(default_factory=dict)

    def tell(self) -> None:
        """From the founding to the proof. Raises where a point does not hold."""
        self.found()
        self.open_case()
        self.offer()
        self.arrive()
        self.other_outcomes()
        self.prove()

    # ---- helpers ----

    def _(self, text: str) -> str:
        return self.translate(text)

    @property
    def helpline(self) -> House:
        """The helpline in Paris."""
        return self.stage.houses["helpline"]

    @property
    def marseille(self) -> House:
        """The specialised association in Marseille."""
        return self.stage.houses["marseille"]

    @property
    def lille(self) -> House:
        """The shelter in Lille."""
        return self.stage.houses["lille"]

    def _point(self, number: int, title: str) -> None:
        self.points.append({"point": number, "title": title, "verified": []})
        self.teller.chapter(number, title)

    def _proved(self, text: str) -> None:
        self.points[-1]["verified"].append(text)
        self.teller.proved(text)

    def _evidence(self, house: House) -> Evidence:
        return Evidence(house)

    # ---- 1 ----

    def found(self) -> None:
        """Founding, invitations, six words, admission; every node verifies the log."""
        self._point(1, self._("Two administrators found the network; three associations join"))
        self.stage.network = self.stage.found()
        profiles = cases.profiles(now=datetime.now(UTC))
        self.teller.say(self._("The network's office has two administrators; nothing is valid without both."))
        for name, profile in profiles.items():
            house = self.stage.house(name, profile)
            words = self.stage.join(house)
            self.teller.say(f"{house.title} ({profile['head_office']['commune']}) : {' '.join(words)}")
        for house in self.stage.houses.values():
            self.stage.start(house)
        for house in self.stage.houses.values():
            until(partial(_knows_all, house), what=f"{house.name}: the cards of all three")
        self._proved(self._("The six words that both sides compared are those of the keys in the verified log."))
        for house in self.stage.houses.values():
            self._evidence(house).roster(network=self.stage.network, members=3, threshold=2)
        self._proved(
            self._("Each node's database replays from the genesis to the directory's signed checkpoint: same root.")
        )

    # ---- 2 ----

    def open_case(self) -> None:
        """A real-sized case with attachments in real formats."""
        self._point(2, self._("The helpline's handler opens a case and attaches files"))
        now = datetime.now(UTC)
        self.records = cases.cases(now=now, owner=self.helpline.profile["org_id"], random=self.random)
        self.made = files.make_files(self.stage.folder / "made", random=self.random, wav_bytes=self.wav_bytes)
        public = [house.profile for house in self.stage.houses.values()]
        words = needles_of(self.records, public, today=now.date())
        samples = [sample_of(path) for path in self.made.values()]
        at_home = Search(words, samples, [self.helpline.data_dir])
        directory = self.stage.directory
        self.abroad = Search(
            words, samples, [self.stage.folder / "directory", self.stage.folder / "logs"], directory.pid
        )
        for search in (at_home, self.abroad):
            search.before()
        for record in self.records:
            path = self.stage.folder / "made" / f"{record['meta']['pseudonym']}.json"
            path.write_text(json.dumps(record, ensure_ascii=False), encoding="utf-8")
            self.helpline.command("case", "new", str(path))
        main = self.records[0]["meta"]
        size = len(json.dumps(self.records[0], ensure_ascii=False).encode())
        self.teller.say(self._("{pseudonym}: {size} bytes of notes.").format(pseudonym=main["pseudonym"], size=size))
        kinds = {"note": "report", "photo": "other", "recording": "other"}
        self.attached: dict[str, dict[str, Any]] = {}
        for name, path in self.made.items():
            done = self.helpline.command(
                *("case", "attach", main["case_id"], str(path), "--kind", kinds[name], "--section", "actions")
            )
            self.attached[name] = done
            self.teller.say(f"{done['media_type']:<16}{done['size']:>12,}  {path.name}".replace(",", "\u202f"))
        at_home.after()
        self._proved(self._("Nothing of the case or its files lies in clear in the node's folder."))
        self._evidence(self.helpline).attachments(
            main["case_id"], {each["attachment_id"]: each["sha256"] for each in self.attached.values()}
        )
        self._proved(self._("Each sealed file opens with the case's own key to the bytes that were attached."))

    # ---- 3 ----

    def offer(self) -> None:
        """The act, the search, the offer."""
        self._point(3, self._("She records the agreement, looks for a place, and offers the case"))
        record = self.records[0]
        case_id = record["meta"]["case_id"]
        chosen = [each["attachment_id"] for each in self.attached.values()]
        act = self._record_act(record, [self.marseille], attachments=chosen)
        self.teller.say(self._("The minor and her mother agreed, by word of mouth; sections and end date are written."))
        found = self.helpline.command(
            *("members", "search", "--need", "secure_relocation_shelter", "--departement", "13"),
            *("--age", "15", "--gender", "girl"),
        )
        if found[0]["member"] != self.marseille.member:
            raise DoesNotHold("the search does not find Marseille first")
        self.teller.say(
            self._("Search “hébergement, 13, mineure de 15 ans”: {names}.").format(
                names=", ".join(each["name"] for each in found)
            )
        )
        attachments = [word for each in chosen for word in ("--attachment", each)]
        common = (case_id, "--to", self.marseille.member, "--purpose", _PURPOSE, "--act", act["act_id"], *_SEND)
        preview = self.helpline.command("transfer", "preview", *common, *attachments)
        self.teller.say(self._("What will leave: {sections}.").format(sections=", ".join(preview["sections"])))
        self.began = time.monotonic()
        self.first = self.helpline.command("transfer", "offer", *common, *attachments)["transfer"]
        self._proved(
            self._("The offer's token opens to this act, and every field that may leave lies within it.")
            if self._evidence(self.helpline).offer_is_covered(self.first)
            else ""
        )

    def _record_act(
        self, record: dict[str, Any], recipients: list[House], *, attachments: list[str] | None = None
    ) -> dict[str, Any]:
        act = cases.act(
            record,
            purpose=_PURPOSE,
            recipients=[house.profile["org_id"] for house in recipients],
            attachments=attachments or [],
            now=datetime.now(UTC),
            random=self.random,
        )
        path = self.stage.folder / "made" / f"act-{act['act_id']}.json"
        path.write_text(json.dumps(act, ensure_ascii=False), encoding="utf-8")
        self.helpline.command("consent", "record", record["meta"]["case_id"], str(path))
        self.abroad.samples.append(act["evidence"]["words_used"].encode())
        return act

    # ---- 4 ----

    def arrive(self) -> None:
        """Acceptance, shipment, import, receipt; nothing is left of the keys."""
        self._point(4, self._("Marseille reads the sealed summary and accepts; the case arrives"))
        self._wait(self.marseille, self.first, "offered")
        shown = self.marseille.command("transfer", "show", self.first)
        self.teller.say(
            self._("The summary names nobody: {age} years, département {departement}, {sections} sections.").format(
                age=shown["summary"]["age"],
                departement=shown["summary"]["departement"],
                sections=len(shown["summary"]["sections"]),
            )
        )
        bound = self.helpline.transfer(self.first)["bytes_total"]
        accepted = time.monotonic()
        self.marseille.command("transfer", "accept", self.first)
        with self.teller.progress(self._("The case travels, sealed")) as moved:
            line = self._wait(
                self.helpline, self.first, "received", told=lambda each: moved(each["bytes_done"], each["bytes_total"])
            )
        seconds = time.monotonic() - accepted
        self._wait(self.marseille, self.first, "received")
        self.teller.say(line["sentence"])
        self.transfers.append(
            Told(
                self.first,
                self._("to Marseille, with files"),
                ["offered", "accepted", "shipped", "received"],
                bytes=line["bytes_total"],
                bound=bound,
                seconds=seconds,
            )
        )
        there, here = self._evidence(self.marseille), self._evidence(self.helpline)
        there.case_equals(self.first, here)
        self._proved(self._("The case there equals, field by field, what was to leave here."))
        there.attachments(
            self.records[0]["meta"]["case_id"],
            {each["attachment_id"]: each["sha256"] for each in self.attached.values()},
        )
        self._proved(
            self._("The files there have the digests of the files here: {count}, byte for byte.").format(count=3)
        )
        there.same_chain(self.first, here)
        self._proved(self._("Offer, answer, shipment and receipt are one chain, the same on both sides."))
        self._nothing_left(self.first)
        self._proved(
            self._("Ciphertext, one-time key and content key are gone from both nodes and from the directory.")
        )

    def _nothing_left(self, transfer: str) -> None:
        for house in (self.helpline, self.marseille):
            until(partial(self._evidence(house).nothing_in_flight, transfer), what=f"{house.name}: nothing in flight")
        mailbox = self.stage.folder / "directory" / "mailbox"
        until(lambda: not any(path.is_file() for path in mailbox.rglob(f"*{transfer}*")), what="an empty mailbox")

    def _holds_nothing_of(self, house: House, case_id: str) -> None:
        """The record is never there; the files of a refused transfer go after its state is told."""
        evidence = self._evidence(house)
        evidence.holds_nothing_of(case_id)
        until(evidence.nothing_in_quarantine, what=f"{house.name}: no file in quarantine")

    def _wait(
        self, house: House, transfer: str, state: str, *, told: Callable[[dict[str, Any]], None] | None = None
    ) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            for line in house.command("transfer", "list"):
                if line["transfer"] == transfer:
                    if told is not None:
                        told(line)
                    if line["state"] == state and not line["waits"]:
                        return dict(line)
            return None

        found: dict[str, Any] = until(look, seconds=300, what=f"{house.name}: {transfer[:8]} {state}")
        return found

    # ---- 5 ----

    def other_outcomes(self) -> None:
        """Declined and offered again, withdrawn, refused whole."""
        self._point(5, self._("Declined and offered again; withdrawn; and a node that cheats"))
        self._declined_then_lille()
        self._withdrawn()
        self._cheated()

    def _offer(self, record: dict[str, Any], to: House, act: dict[str, Any], *options: str) -> str:
        offered = self.helpline.command(
            *("transfer", "offer", record["meta"]["case_id"], "--to", to.member, "--purpose", _PURPOSE),
            *("--act", act["act_id"], *_SEND, *options),
        )
        transfer = str(offered["transfer"])
        self._wait(to, transfer, "offered")
        return transfer

    def _declined_then_lille(self) -> None:
        record = self.records[1]
        act = self._record_act(record, [self.marseille, self.lille])
        began = time.monotonic()
        second = self._offer(record, self.marseille, act)
        self.marseille.command("transfer", "decline", second, "--code", "no_capacity")
        line = self._wait(self.helpline, second, "declined")
        if line["reason_code"] != "no_capacity":
            raise DoesNotHold("the reason did not reach the sender")
        self.transfers.append(
            Told(
                second,
                self._("to Marseille, no place"),
                ["offered", "declined"],
                bound=line["bytes_total"],
                seconds=time.monotonic() - began,
            )
        )
        began = time.monotonic()
        third = self._offer(record, self.lille, act)
        self.lille.command("transfer", "accept", third)
        line = self._wait(self.helpline, third, "received")
        self._wait(self.lille, third, "received")
        self.transfers.append(
            Told(
                third,
                self._("the same case, to Lille"),
                ["offered", "accepted", "shipped", "received"],
                bytes=line["bytes_total"],
                bound=line["bytes_total"],
                seconds=time.monotonic() - began,
            )
        )
        self._evidence(self.lille).case_equals(third, self._evidence(self.helpline))
        self._holds_nothing_of(self.marseille, record["meta"]["case_id"])
        self._proved(self._("Declined for lack of places, the case went to Lille; Marseille holds nothing of it."))

    def _withdrawn(self) -> None:
        record = self.records[2]
        act = self._record_act(record, [self.marseille])
        began = time.monotonic()
        transfer = self._offer(record, self.marseille, act, "--hold")
        self.marseille.command("transfer", "accept", transfer)
        self._wait(self.helpline, transfer, "accepted")
        self.helpline.command("transfer", "withdraw", transfer)
        self._wait(self.marseille, transfer, "withdrawn")
        line = self._wait(self.helpline, transfer, "withdrawn")
        self.transfers.append(
            Told(
                transfer,
                self._("withdrawn before it left"),
                ["offered", "accepted", "withdrawn"],
                bound=line["bytes_total"],
                seconds=time.monotonic() - began,
            )
        )
        self._nothing_left(transfer)
        self._holds_nothing_of(self.marseille, record["meta"]["case_id"])
        self._proved(self._("Withdrawn after the acceptance: nothing left, and its one-time key is destroyed."))

    def _cheated(self) -> None:
        record = self.records[3]
        case_id = record["meta"]["case_id"]
        self.helpline.command(
            "case", "attach", case_id, str(self.made["note"]), "--kind", "report", "--section", "actions"
        )
        act = self._record_act(record, [self.marseille])
        began = time.monotonic()
        with self.stage.cheating(self.helpline):
            transfer = self._offer(record, self.marseille, act)
            self.marseille.command("transfer", "accept", transfer)
            line = self._wait(self.helpline, transfer, "refused")
            self._wait(self.marseille, transfer, "refused")
        self.transfers.append(
            Told(
                transfer,
                self._("with a file that nobody agreed to"),
                ["offered", "accepted", "shipped", "refused"],
                bytes=line["bytes_total"],
                bound=line["bytes_total"],
                seconds=time.monotonic() - began,
            )
        )
        if line["reason_code"] != "out_of_scope":
            raise DoesNotHold(f"refused for another reason: {line['reason_code']}")
        self._holds_nothing_of(self.marseille, case_id)
        self._proved(self._("The node that cheats is refused whole: out of scope, nothing imported."))

    # ---- 6 ----

    def prove(self) -> None:
        """The proof, the journals, and what the directory knows."""
        self._point(6, self._("The proof, the journals, and what the directory knows"))
        proof = self.stage.folder / "proof.bin"
        self.helpline.command("transfer", "proof", self.first, "--file", str(proof))
        report = self.stage.office("verify", str(proof), "--network", self.stage.network)
        if report["outcome"] != "received" or [each["kind"] for each in report["steps"]] != [
            "offer",
            "acceptance",
            "shipment",
            "receipt_taken",
        ]:
            raise DoesNotHold("the proof tells another story")
        altered = bytearray(proof.read_bytes())
        altered[len(altered) // 2] ^= 1
        spoiled = self.stage.folder / "proof-altered.bin"
        spoiled.write_bytes(altered)
        self.stage.office("verify", str(spoiled), "--network", self.stage.network, expect=8)
        self._proved(self._("The proof verifies offline; with one bit altered it does not."))
        for house in self.stage.houses.values():
            house.command("audit", "verify")
        lines = sum(self._evidence(house).journal() for house in self.stage.houses.values())
        self._proved(self._("The audit journals verify, {lines} lines in three nodes.").format(lines=lines))
        self._proved(
            self._("The directory's files, logs and memory hold none of {count} names, dates and words.").format(
                count=self.abroad.after()
            )
        )


def _knows_all(house: House) -> bool:
    return len([each for each in house.command("members", "list") if each["card_expires"]]) == 3
