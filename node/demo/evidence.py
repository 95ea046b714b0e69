"""What is verified is read from databases, files and keys: nothing is believed because a command said so."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing

from sqlalchemy import Connection, create_engine
from sqlalchemy.engine import Engine
from sqlalchemy.pool import NullPool

from cordee import case as casework
from cordee.act import commitment, parse_act
from cordee.checkpoint import open_checkpoint
from cordee.entries import entry_leaf, network_id
from cordee.ids import MemberId, TransferId
from cordee.log import MerkleTree
from cordee.roster import replay
from cordee.signing import SigningKey
from cordee.transfer import Kind, State
from cordee.v1 import statements_pb2
from node import journal, records, transfer_store
from node.attachments import AttachmentStore
from node.demo.holding import require
from node.demo.stage import House
from node.joining import DATABASE, VAULT
from node.secrets import get_secret
from node.terms import Terms
from node.vault import Vault

__all__ = ["Evidence"]

_LOG = "SELECT entry FROM roster_entry ORDER BY position"


class Evidence:
    """Reads one association's folder, beside the running node."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._vault = Vault.open(house.data_dir / VAULT, (house.folder / "passphrase").read_bytes().split(b"\n", 1)[0])
        # Nothing stays open: the search reads these files as any program does, which gives up this process's locks.
        url = f"sqlite:///file:{house.data_dir / DATABASE}?mode=ro&uri=true"
        self._engine: Engine = create_engine(url, poolclass=NullPool)

    def _read(self) -> Connection:
        return self._engine.connect()

    # ---- the roster ----

    def roster(self, *, network: str, members: int, threshold: int) -> None:
        """Replay the log in the node's database, independently of the node."""
        with closing(sqlite3.connect(f"file:{self._house.data_dir / DATABASE}?mode=ro", uri=True)) as db:
            raw = [row[0] for row in db.execute(_LOG)]
            (note,) = db.execute("SELECT note FROM roster_head").fetchone()
        entries = [statements_pb2.Entry.FromString(each) for each in raw]
        require(network_id(entries[0]).hex() == network, "the genesis is the network's")
        verified = replay(entries)
        tree = MerkleTree([entry_leaf(each) for each in entries])
        checkpoint = open_checkpoint(note, verified.directory_key, verified.origin)
        require(
            checkpoint.size == len(entries) and checkpoint.root == tree.root(), "the signed root is that of the log"
        )
        require(len(verified.members) == members, f"{members} members")
        require(verified.policy.threshold == threshold, f"threshold {threshold}")
        for entry in entries[1:]:
            require(len(entry.signatures) >= threshold, "each admission bears two signatures")

    # ---- attachments ----

    def attachments(self, case_id: str, expected: dict[str, str]) -> None:
        """Open each sealed file with the case's own key, and compare digests."""
        with self._read() as tx:
            stored = records.read_case(tx, self._vault, case_id)
        store = AttachmentStore(self._house.data_dir / "attachments", random=bytes)
        require({each.attachment_id for each in stored.attachments} >= expected.keys(), "all attachments are there")
        for each in stored.attachments:
            if each.attachment_id in expected:
                digest = hashlib.sha256()
                for piece in store.read(stored.data_key, each):
                    digest.update(piece)
                require(digest.hexdigest() == expected[each.attachment_id], "the file is the same byte for byte")

    # ---- a transfer ----

    def offer_is_covered(self, transfer: str) -> bool:
        """The token's commitment opens to the act on record; the package is what the rules let leave."""
        with self._read() as tx:
            row = transfer_store.read_transfer(tx, TransferId(bytes.fromhex(transfer)))
            stored = records.read_case(tx, self._vault, row.case_id or "")
            terms = Terms.unsealed(row.sealed_terms, stored.data_key, row.id)
            signed = transfer_store.statement(tx, row.id, Kind.OFFER)
        require(signed is not None, "the offer is kept")
        offer = statements_pb2.Offer.FromString(signed.body if signed else b"")
        require(offer.token.commitment == commitment(terms.act, terms.nonce), "the token commits to this act")
        act = parse_act(terms.act)
        casework.check_scope(
            terms.package, terms.attachments, purpose=terms.purpose, act=act, taken=tuple(terms.offered)
        )
        return True

    def case_equals(self, transfer: str, sender: Evidence) -> None:
        """Every section that was to leave is there, and nothing else; the sender's copy is closed."""
        with sender._read() as tx:
            row = transfer_store.read_transfer(tx, TransferId(bytes.fromhex(transfer)))
            here = records.read_case(tx, sender._vault, row.case_id or "")
            terms = Terms.unsealed(row.sealed_terms, here.data_key, row.id)
            require(here.holder == "handed_over", "the sender's copy is read-only")
        act = parse_act(terms.act)
        expected = casework.minimise(
            here.case,
            purpose=terms.purpose,
            act=act,
            ticked=terms.ticked,
            unticked=terms.unticked,
            attachments=terms.attachments,
        )
        with self._read() as tx:
            there = records.read_case(tx, self._vault, row.case_id or "")
        require(there.holder == "here", "the recipient holds the case")
        for name, value in expected.items():
            came = there.case.section(name)
            if name == "meta":
                continue  # written anew by the recipient
            if name == "attachments":
                value = [each | {"may_be_sent": False} for each in value]
            require(came == value, f"the section {name} is the same")
        extra = {name for name in there.case.sections() if name not in expected and there.case.section(name)}
        require(not extra - {"consents"}, "nothing else came")

    def same_chain(self, transfer: str, other: Evidence, *after: Kind) -> None:
        """Both nodes keep the same four statements, and those that came after them."""
        identifier = TransferId(bytes.fromhex(transfer))
        with self._read() as tx:
            mine = [(kind, signed.digest) for kind, signed, _ in transfer_store.statements(tx, identifier)]
        with other._read() as tx:
            theirs = [(kind, signed.digest) for kind, signed, _ in transfer_store.statements(tx, identifier)]
        wanted = [Kind.OFFER, Kind.ACCEPTANCE, Kind.SHIPMENT, Kind.RECEIPT_TAKEN, *after]
        require([kind for kind, _ in mine] == wanted and mine == theirs, "the chains are the same")

    def nothing_in_flight(self, transfer: str) -> bool:
        """No content key, no one-time seed, no package, no ciphertext of this transfer. False while some is left."""
        identifier = TransferId(bytes.fromhex(transfer))
        with self._read() as tx:
            row = transfer_store.read_transfer(tx, identifier)
            if row.sealed_content_key is not None or row.sealed_one_time_seed is not None or row.job is not None:
                return False
            if row.outgoing:
                key = records.data_key_of(tx, self._vault, row.case_id or "")
                if Terms.unsealed(row.sealed_terms, key, row.id).package:
                    return False
        spool = self._house.data_dir / "spool"
        return not any(path.name.startswith(transfer) for path in (spool.iterdir() if spool.exists() else ()))

    def state(self, transfer: str) -> State:
        """As this node's database has it."""
        with self._read() as tx:
            return transfer_store.read_transfer(tx, TransferId(bytes.fromhex(transfer))).state

    def holds_nothing_of(self, case_id: str) -> None:
        """No record of this case."""
        with self._read() as tx:
            require(case_id not in {each.case_id for each in records.list_cases(tx, self._vault)}, "no such case here")

    def nothing_in_quarantine(self) -> bool:
        """No attachment file that a record does not know. False while some is left."""
        with self._read() as tx:
            known = records.file_ids(tx)
        files = {path.name for path in (self._house.data_dir / "attachments").iterdir() if path.is_file()}
        return len(files) == len(known)

    # ---- the journal ----

    def journal(self) -> int:
        """Verify the journal from the database with the node's own keys; how many lines it has."""
        with self._read() as tx:
            seed = get_secret(tx, self._vault, "identity")
            require(seed is not None, "the node has an identity")
            log = replay(statements_pb2.Entry.FromString(row[0]) for row in tx.exec_driver_sql(_LOG).all())
            former = log.members[MemberId(bytes.fromhex(self._house.member))].former_identities
            own = SigningKey.from_seed(seed or b"").public
            return journal.verify(tx, own, former=tuple(key for _, key in former)).lines
