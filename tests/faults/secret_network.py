"""A small real network, every end state of a transfer, and after each a search for what must be gone by then."""

from __future__ import annotations

import shutil
import sqlite3
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from node.case_sealing import unwrap
from node.demo.processes import Program
from node.demo.stage import House, Stage
from node.vault import FILE, Vault
from tests.attacks.marked_network import MarkedNetwork
from tests.faults.spilled import Drawn, Place, Secret, drawn_in, found_in, in_folder, in_process, in_running
from tests.web.browsing import come_in, form_token

__all__ = ["WIPING", "RecordedStage", "SecretNetwork"]

WIPING: Mapping[str, str] = {
    # As docs/secrets.md advises: what is freed is overwritten at once, also what Python frees.
    "PYTHONMALLOC": "malloc",
    "GLIBC_TUNABLES": "glibc.malloc.perturb=170:glibc.malloc.tcache_count=0",
}
_SEED, _CONTENT_KEY, _DATA_KEY = "one-time seed", "content key", "data key of an erased case"
_SECONDS = 20.0  # in which a slow machine, too, has emptied its log and let go of what it worked with
_PAUSE = 0.5
_KEY_BYTES = 32
_SECOND_FACTOR_BYTES = 20
_AFTER_SIGN_OUT = "session token", "secret of a second factor"


class RecordedStage(Stage):
    """A stage whose nodes tell a file, which lies apart, every random value that they draw."""

    def __init__(self, folder: Path, drawn: Path, *, environment: Mapping[str, str]) -> None:
        super().__init__(folder)
        self._drawn = drawn
        self._environment = environment
        drawn.mkdir()
        self.directory.environment = {**self.directory.environment, **environment}

    def drawn(self, house: House) -> Path:
        """What a node has drawn."""
        return self._drawn / house.name

    def house(self, name: str, profile: dict[str, Any]) -> House:
        """As a stage makes it, its program recorded from its first start on."""
        house = super().house(name, profile)
        house.program.arguments = self._recorded(house, *house.program.arguments)
        house.program.environment = {**house.program.environment, **self._environment}
        return house

    @contextmanager
    def cheating(self, house: House) -> Iterator[None]:
        """As a stage does it, recorded as well."""
        honest, arguments = house.program, ("-m", "node.demo.cheating", str(house.data_dir))
        honest.stop()
        house.program = Program(
            name=f"{house.name} (cheating)",
            arguments=self._recorded(house, *arguments, str(house.folder / "passphrase"), str(house.socket)),
            environment=honest.environment,
            log=self.folder / "logs" / f"{house.name}-cheating.log",
        )
        house.program.start()
        try:
            yield
        finally:
            house.program.stop()
            house.program = honest
            honest.start()

    def _recorded(self, house: House, *arguments: str) -> tuple[str, ...]:
        return (sys.executable, str(Path(__file__).with_name("recording.py")), str(self.drawn(house)), *arguments)


@dataclass
class SecretNetwork(MarkedNetwork):
    """The network, and what was found of secrets that must be gone."""

    on_disk: set[tuple[str, str, str]] = field(default_factory=set)  # end state, place, kind
    in_memory: set[tuple[str, str, str]] = field(default_factory=set)
    searches: dict[str, int] = field(default_factory=lambda: {"disk": 0, "memory": 0})
    kinds: set[str] = field(default_factory=set)
    ends: list[str] = field(default_factory=list)
    late: dict[str, float] = field(default_factory=dict)  # seconds until nothing was left
    erased: list[Secret] = field(default_factory=list)
    beside: list[Any] = field(default_factory=list)  # processes that are none of the stage's, looked at as well
    at_first: dict[str, int] = field(default_factory=lambda: {"disk": 0, "memory": 0})
    """Secrets that were still there when the first look was taken, right after the end state."""
    _given_up: set[Secret] = field(default_factory=set)  # waited for once in vain: not again
    _were_gone: set[Secret] = field(default_factory=set)
    _signed_out: bool = False

    def search(self, moment: str, *, running: bool = True) -> None:
        """Marks are searched for elsewhere (tests/attacks); that a case was received is an end for its secrets."""
        if moment == "received":
            self.ended(moment)

    def ended(self, state: str, *, last: bool = False) -> None:
        """A transfer has come to this end: nothing of its secrets is anywhere, soon. Those that were gone before are
        looked for once more after the last.
        """
        self.ends.append(state)
        every = list(dict.fromkeys(self._gone()))
        secrets = [each for each in every if last or each not in self._were_gone]
        self._were_gone |= set(every) - set(self._typed())
        self.kinds |= {each.kind for each in secrets}
        self.searches["disk"] += len(secrets)
        self.on_disk |= self._left(state, "disk", self._disk, secrets)
        # The token of a session that is over opens nothing, and it came over a socket, through buffers of libraries.
        secrets = [each for each in secrets if each.kind != _AFTER_SIGN_OUT[0]]
        self.searches["memory"] += len(secrets) * len(self.stage.programs)
        self.in_memory |= self._left(state, "memory", self._memory, secrets)

    def erase_at_the_sender(self, name: str) -> None:
        """A lead destroys a case for good."""
        case = self._case(name)
        self.erased.append(Secret(_DATA_KEY, self._data_key(self.helpline, case)))
        self.helpline.command("case", "erase", case)

    def receive_and_erase(self) -> None:
        """As usual; the recipient's data key of that case must be gone."""
        begun = len(self._drawn_by(self.marseille))
        super().receive_and_erase()
        self._note_data_keys(begun)

    def _note_data_keys(self, begun: int) -> None:
        self.erased += [
            Secret(_DATA_KEY, each.value)
            for each in self._drawn_by(self.marseille)[begun:]
            if each.who.startswith("node.vault/") and len(each.value) == _KEY_BYTES
        ]

    def withdraw_early(self) -> None:
        """Withdrawn while nobody has answered."""
        transfer = self._offer("declined")
        self.helpline.command("transfer", "withdraw", transfer)
        self._both(transfer, "withdrawn")

    def lose_the_key(self) -> None:
        """The key of the day, with which the recipient's one-time seed is sealed, is gone when the case comes."""
        transfer = self._accepted_and_held("withdrawn")
        self.marseille.program.stop()
        for path in (self.marseille.data_dir / "inflight").iterdir():
            path.unlink()
        self.marseille.program.start()
        self.helpline.command("transfer", "ship", transfer)
        self._both(transfer, "refused")

    def give_back(self) -> None:
        """Received, and not for them: erased there, and the sender's again."""
        transfer = self._offer("withdrawn")
        begun = len(self._drawn_by(self.marseille))
        self.marseille.command("transfer", "accept", transfer)
        self._both(transfer, "received")
        self.marseille.command("transfer", "return", transfer, "--code", "no_capacity")
        self._wait_erasure(self.helpline, transfer, "returned")
        self._note_data_keys(begun)

    def restore(self) -> None:
        """The recipient's machine is lost after it has accepted; a backup of then knows the one-time seed, sealed."""
        house = self.marseille
        transfer = self._accepted_and_held("declined")
        saved = self.stage.folder / "saved"
        saved.mkdir()
        house.command("node", "backup", str(saved / "marseille"))
        house.program.kill()
        shutil.rmtree(house.data_dir)
        house.command("node", "restore", str(saved / "marseille"))
        house.program.start()
        self._both(transfer, "expired")
        self.stage.sign_in(house)  # sessions end with the machine that was lost

    def sign_out(self) -> None:
        """Somebody was on the pages and leaves them; whoever used commands ends that session too."""
        house = self.helpline
        with httpx.Client(base_url=house.pages, timeout=60) as client:
            come_in(client, house)
            token = form_token(client)
            answer = client.post("/sign-out", data={"form_token": token}, headers={"Sec-Fetch-Site": "same-origin"})
            if answer.status_code != 303 or client.get("/cases").status_code != 303:
                raise AssertionError("the session has not ended")
        for each in self.stage.houses.values():
            each.command("node", "logout")
        self._signed_out = True

    def _accepted_and_held(self, name: str) -> str:
        transfer = self._offer(name, "--hold")
        self.marseille.command("transfer", "accept", transfer)
        self._wait(self.helpline, transfer, "accepted")
        return transfer

    def _both(self, transfer: str, state: str) -> None:
        for house in self.stage.houses.values():
            self._wait(house, transfer, state)

    def prepare(self) -> None:
        """As usual, without the cases that nobody sends here: each command takes its time."""
        super().prepare()
        for name in ("shared", "kept"):
            del self.records[name]

    def end(self) -> None:
        """The offer that nobody answered is over; a proof and a backup are made, which are searched too."""
        for house in self.stage.houses.values():
            self._wait(house, self.outcomes["expired"], "expired")
        proofs = self.stage.folder / "proofs"
        proofs.mkdir()
        self.helpline.command("transfer", "proof", self.outcomes["received"], "--file", str(proofs / "received"))
        data = str(self.stage.folder / "directory")
        self.stage.office("directory", "backup", "--data-dir", data, "--to", str(self.stage.folder / "backup"))

    def _line(self, house: House, transfer: str) -> dict[str, Any]:
        """Read from the node's database: to ask by a command would take half a second of a processor each time."""
        with sqlite3.connect(f"file:{house.data_dir / 'node.db'}?mode=ro", uri=True, timeout=30) as db:
            row = db.execute("SELECT state, erasure FROM transfer WHERE id = ?", (bytes.fromhex(transfer),)).fetchone()
            asked = "SELECT count(*) FROM statement WHERE transfer_id = ? AND waits"
            (waits,) = db.execute(asked, (bytes.fromhex(transfer),)).fetchone()
        db.close()
        return {"state": row[0], "erasure": row[1], "waits": waits > 0} if row else {}

    def there(self) -> set[tuple[str, str]]:
        """What has to be there, found by the same search: the key of the day, in memory and in its file."""
        found = set()
        for house in self.stage.houses.values():
            drawn = (each.value for each in self._drawn_by(house) if each.who.startswith("node.inflight"))
            keys = [Secret("key of the day", each) for each in drawn if len(each) == _KEY_BYTES]
            for place, _ in found_in([*in_folder(house.data_dir), in_running(house.program.pid, "the node")], keys):
                found.add((house.name, place.partition("/")[2].partition("/")[0] or place))
        return found

    # ---- what must be gone ----

    def _gone(self) -> list[Secret]:
        """Every transfer that was accepted so far is over."""
        found = [*self.erased]
        for house in self.stage.houses.values():
            for each in self._drawn_by(house):
                if each.who.startswith("node.inflight"):
                    continue  # the key of the day lives on for a day or two, in a file of its own
                if "cordee.sealing" in each.who and "node.receiving" in each.who:
                    found += Secret(_SEED, each.value).with_halves()
                elif len(each.value) == _KEY_BYTES and ("node.answers" in each.who or "node.shipping" in each.who):
                    found.append(Secret(_CONTENT_KEY, each.value))
                elif self._signed_out and each.who.startswith("node.sessions") and len(each.value) == _KEY_BYTES:
                    found.append(Secret(_AFTER_SIGN_OUT[0], each.value))
                elif each.who.startswith("node.second_factor") and len(each.value) == _SECOND_FACTOR_BYTES:
                    found.append(Secret(_AFTER_SIGN_OUT[1], each.value))
        return [*found, *self._typed()]

    def _typed(self) -> Iterator[Secret]:
        yield Secret("passphrase", self.stage.passphrase.read_bytes().strip())
        yield Secret("password", self.stage.password.read_bytes().strip())

    def _drawn_by(self, house: House) -> list[Drawn]:
        stage = self.stage
        assert isinstance(stage, RecordedStage)
        return drawn_in(stage.drawn(house))

    def _data_key(self, house: House, case: str) -> bytes:
        vault = Vault.open(house.data_dir / FILE, self.stage.passphrase.read_bytes().strip())
        with sqlite3.connect(f"file:{house.data_dir / 'node.db'}?mode=ro", uri=True) as db:
            (sealed,) = db.execute("SELECT sealed_key FROM case_key WHERE case_id = ?", (case,)).fetchone()
        return bytes(unwrap(vault, case, sealed))

    # ---- where ----

    def places(self, where: str) -> list[Place]:
        """What is looked at, of "disk" or "memory"; to be read once."""
        return list(self._disk() if where == "disk" else self._memory())

    def _disk(self) -> Iterator[Place]:
        folder = self.stage.folder
        for part in (*(folder / name for name in ("directory", "logs", "proofs", "backup", "saved")), self.temporary):
            yield from in_folder(part)
        for house in self.stage.houses.values():
            yield from in_folder(house.data_dir, name=house.name)
        for program in (*self.stage.programs, *self.beside):
            yield from in_process(program.pid, program.name)

    def _memory(self) -> Iterator[Place]:
        for program in (*self.stage.programs, *self.beside):
            yield in_running(program.pid, program.name)

    def _left(
        self, state: str, where: str, places: Callable[[], Iterable[Place]], secrets: Iterable[Secret]
    ) -> set[tuple[str, str, str]]:
        """What is still found when time is over. What was gone once is gone."""
        begun, left, looks = time.monotonic(), list(secrets), 0
        while True:
            found = found_in(places(), left)
            looks += 1
            if looks == 1:
                self.at_first[where] += len({secret for _, secret in found})
            passed = time.monotonic() - begun
            still = {secret for _, secret in found}
            if passed > _SECONDS or still <= self._given_up:
                self.late[f"{state}, {where}"] = passed
                self._given_up |= still
                return {(state, place, secret.kind) for place, secret in found}
            left = [each for each in left if each in still]
            time.sleep(_PAUSE)
