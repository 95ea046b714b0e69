"""A node restored from a backup: what was under way, what it missed. Whole nodes and a real directory in a process."""

from __future__ import annotations

import io
import os
import shutil
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from cordee.transfer import Kind, State
from node import journal, transfer_store
from node.app import opened
from node.backup import make_backup
from node.joining import CERTIFICATE
from node.restoring import opened_by_passphrase, restore
from node.vault import FILE, Vault
from tests.neighbours import PASSPHRASE, Neighbour, eventually, neighbourhood

from .aftermath import holder, one_holder, secrets_of


def save(neighbour: Neighbour) -> bytes:
    target = io.BytesIO()
    vault = Vault.open(neighbour.folder / FILE, PASSPHRASE)
    make_backup(neighbour.folder, vault, target, now=neighbour.street.clock.now(), random=os.urandom)
    return target.getvalue()


async def burn_and_restore(neighbour: Neighbour, data: bytes, *, start: bool = True) -> None:
    """The machine is gone; another one gets what was saved."""
    if neighbour.node is not None:
        await neighbour.stop()
    shutil.rmtree(neighbour.folder)
    restore(
        io.BytesIO(data),
        neighbour.folder,
        opener=opened_by_passphrase(PASSPHRASE),
        passphrase=None,
        now=neighbour.street.clock.now(),
        random=os.urandom,
    )
    if start:
        await neighbour.start()


async def actions(neighbour: Neighbour) -> list[str]:
    lines = await neighbour.here.db.read(journal.entries)
    return [each.action for each in lines]


async def test_what_was_under_way_is_broken_off_on_both_sides_and_can_be_offered_again(tmp_path: Path) -> None:
    async with neighbourhood(tmp_path, "Paris", "Marseille") as (street, (paris, marseille)):
        record = await paris.case()
        act = await paris.act(record, marseille)
        transfer = await paris.offer(record, marseille, act, hold=True)
        await marseille.reaches(transfer, State.OFFERED)
        await marseille.here.receiving.accept(marseille.person, transfer)
        await paris.reaches(transfer, State.ACCEPTED)
        data = save(marseille)
        before = await secrets_of(marseille, transfer)
        assert before
        incarnation = street.town.network.roster.members[marseille.here.member].incarnation
        await burn_and_restore(marseille, data)
        await paris.reaches(transfer, State.EXPIRED)
        await marseille.reaches(transfer, State.EXPIRED)
        assert await secrets_of(marseille, transfer) == []
        assert await secrets_of(paris, transfer) == []
        member = paris.here.roster.roster.members[marseille.here.member]
        assert member.incarnation is not None
        assert member.incarnation != incarnation
        assert "node.restored_told" in await actions(marseille)
        again = await paris.offer(record, marseille, act)
        await marseille.reaches(again, State.OFFERED)
        await marseille.here.receiving.accept(marseille.person, again)
        await marseille.reaches(again, State.RECEIVED)
        await paris.reaches(again, State.RECEIVED)
        assert await one_holder(record["meta"]["case_id"], paris, marseille) is marseille


async def test_a_case_that_came_after_the_backup_is_given_back_to_whoever_sent_it(tmp_path: Path) -> None:
    async with neighbourhood(tmp_path, "Paris", "Marseille") as (_, (paris, marseille)):
        data = save(marseille)
        record = await paris.case()
        transfer = await paris.offer(record, marseille, await paris.act(record, marseille))
        await marseille.reaches(transfer, State.OFFERED)
        await marseille.here.receiving.accept(marseille.person, transfer)
        await paris.reaches(transfer, State.RECEIVED)
        case_id = record["meta"]["case_id"]
        assert await one_holder(case_id, paris, marseille) is marseille
        await burn_and_restore(marseille, data)
        await eventually(lambda: _is(paris, case_id, "here"), what="the case back in Paris")
        assert await holder(marseille, case_id) == "none"
        row = await marseille.here.db.read(lambda tx: transfer_store.read_transfer(tx, transfer))
        assert (row.state, row.erasure) == (State.RECEIVED, "returned")


async def test_a_case_handed_over_after_the_backup_is_not_held_twice(tmp_path: Path) -> None:
    async with neighbourhood(tmp_path, "Paris", "Marseille") as (_, (paris, marseille)):
        record = await paris.case()
        transfer = await paris.offer(record, marseille, await paris.act(record, marseille))
        await marseille.reaches(transfer, State.OFFERED)
        data = save(paris)
        await marseille.here.receiving.accept(marseille.person, transfer)
        await paris.reaches(transfer, State.RECEIVED)
        await burn_and_restore(paris, data)
        await paris.reaches(transfer, State.RECEIVED)
        case_id = record["meta"]["case_id"]
        assert await one_holder(case_id, paris, marseille) is marseille
        kinds = [kind for kind, _ in await paris.here.db.read(lambda tx: transfer_store.kinds(tx, transfer))]
        assert kinds == [Kind.OFFER, Kind.ACCEPTANCE, Kind.SHIPMENT, Kind.RECEIPT_TAKEN]


async def test_a_hand_over_that_the_backup_knows_nothing_of_is_journalled_with_whom_to_ask(tmp_path: Path) -> None:
    async with neighbourhood(tmp_path, "Paris", "Marseille") as (_, (paris, marseille)):
        record = await paris.case()
        data = save(paris)
        transfer = await paris.offer(record, marseille, await paris.act(record, marseille))
        await marseille.reaches(transfer, State.OFFERED)
        await marseille.here.receiving.accept(marseille.person, transfer)
        await paris.reaches(transfer, State.RECEIVED)
        await burn_and_restore(paris, data)
        lines = await paris.here.db.read(journal.entries)
        told = next(each for each in lines if each.action == "restored.handed_on")
        assert (told.subject, told.facts["peer"]) == (transfer.hex(), marseille.here.member.hex())


async def test_a_case_erased_on_request_after_the_backup_is_erased_again(tmp_path: Path) -> None:
    async with neighbourhood(tmp_path, "Paris", "Marseille") as (_, (paris, marseille)):
        record = await paris.case()
        transfer = await paris.offer(record, marseille, await paris.act(record, marseille))
        await marseille.reaches(transfer, State.OFFERED)
        await marseille.here.receiving.accept(marseille.person, transfer)
        await paris.reaches(transfer, State.RECEIVED)
        data = save(marseille)
        case_id = record["meta"]["case_id"]
        await marseille.here.receiving.give_back(marseille.person, transfer, code="other", text="x")
        await eventually(lambda: _is(paris, case_id, "here"), what="the case back in Paris")
        await burn_and_restore(marseille, data)
        assert await holder(marseille, case_id) == "none"
        assert await one_holder(case_id, paris, marseille) is paris


async def test_an_offer_that_never_left_is_over_after_a_restore(tmp_path: Path) -> None:
    async with neighbourhood(tmp_path, "Paris", "Marseille", mailbox_quota=1 << 16) as (_, (paris, marseille)):
        first, record = await paris.case(0), await paris.case(1)
        await paris.offer(first, marseille, await paris.act(first, marseille), hold=True)  # takes all the room there is
        transfer = await paris.offer(record, marseille, await paris.act(record, marseille))
        await eventually(lambda: paris.here.outbox.refusal is not None, what="an offer that waits for room")
        data = save(paris)
        assert await paris.state(transfer) is State.OFFERED
        await burn_and_restore(paris, data)
        assert await paris.state(transfer) is State.WITHDRAWN
        assert paris.here.db.look(transfer_store.waiting) == []


async def test_the_lost_machine_stands_still_should_somebody_start_it_again(tmp_path: Path) -> None:
    async with neighbourhood(tmp_path, "Paris", "Marseille") as (_, (paris, marseille)):
        data = save(marseille)
        await marseille.stop()
        old = tmp_path / "old"
        shutil.copytree(marseille.folder, old)
        await burn_and_restore(marseille, data)
        await marseille.stop()
        shutil.rmtree(marseille.folder)
        old.rename(marseille.folder)
        vault = Vault.open(marseille.folder / FILE, PASSPHRASE)
        async with opened(marseille.folder, vault=vault, clock=paris.street.clock, random=os.urandom) as node:
            await eventually(lambda: node.roster.alarm is not None, what="an alarm")
            assert node.roster.alarm is not None
            assert node.roster.alarm.reason == "ENTRY_REFUSED"
        marseille.node = None


async def test_a_certificate_that_ran_out_in_the_backup_is_renewed_at_the_front(tmp_path: Path) -> None:
    async with neighbourhood(tmp_path, "Paris", "Marseille") as (street, (_, marseille)):
        await burn_and_restore(marseille, save(marseille), start=False)
        place, now = marseille.folder / CERTIFICATE, street.clock.now()
        place.write_bytes(expired(place.read_bytes(), now - timedelta(days=1)))
        await marseille.start()
        assert "node.restored_told" in await actions(marseille)
        assert x509.load_der_x509_certificate(place.read_bytes()).not_valid_after_utc > now


async def test_a_transport_key_that_was_replaced_after_the_backup_keeps_nobody_out(tmp_path: Path) -> None:
    async with neighbourhood(tmp_path, "Paris", "Marseille") as (_, (paris, marseille)):
        data = save(marseille)
        await marseille.here.publishing.rotate_transport()
        await marseille.here.roster.sync()  # by the new key: the former one counts no more
        await burn_and_restore(marseille, data)
        assert "node.restored_told" in await actions(marseille)
        record = await paris.case()
        transfer = await paris.offer(record, marseille, await paris.act(record, marseille))
        await marseille.reaches(transfer, State.OFFERED)


def expired(certificate: bytes, since: datetime) -> bytes:
    """As this certificate, but over: only its dates matter, for nobody is shown it any more."""
    present = x509.load_der_x509_certificate(certificate)
    made = x509.CertificateBuilder().subject_name(present.subject).issuer_name(present.issuer)
    made = made.public_key(present.public_key()).serial_number(present.serial_number)  # type: ignore[arg-type]
    made = made.not_valid_before(since - timedelta(days=90)).not_valid_after(since)
    return made.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256()).public_bytes(Encoding.DER)


async def _is(neighbour: Neighbour, case_id: str, wanted: str) -> bool:
    return await holder(neighbour, case_id) == wanted
