"""A kit, a backup and a fresh folder bring a node back; one sheet alone brings back nothing; only a proof counts."""

from __future__ import annotations

import io
import itertools
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from shamir_mnemonic.wordlist import WORDLIST

from cordee import shares
from cordee.errors import CannotOpen, InvalidInput, KitUnknown, SheetRefused, VaultLocked, WordsRefused
from cordee.shares import Sheet, combine, read_sheet
from node import journal, people, records, recovery
from node.backup import make_backup
from node.recovery import SHEET_WORDS, Standing, make_kit, rehearse, standing
from node.restoring import opened_by_sheets, restore
from node.secrets import secret_names
from node.store.migrations import node_database
from node.vault import Vault
from node.vault_file import VaultFile

from .conftest import NOW, everything
from .test_backup import CASE_ID, LATER, PASSPHRASE, house, rows

__all__ = ["house"]

Chance = Callable[[int], bytes]
NEW = b"une nouvelle phrase de passe"


def kit_of(house: Path, chance: Chance, *, needed: int = 2, count: int = 3) -> list[Sheet]:
    return make_kit(house, passphrase=PASSPHRASE, needed=needed, count=count, now=NOW, random=chance)


def saved(house: Path, chance: Chance) -> bytes:
    target = io.BytesIO()
    make_backup(house, Vault.open(house / "vault.json", PASSPHRASE), target, now=LATER, random=chance)
    return target.getvalue()


def stands(house: Path, passphrase: bytes = PASSPHRASE) -> Standing:
    vault = Vault.open(house / "vault.json", passphrase)
    with node_database(house / "node.db") as db:
        return db.read_sync(lambda tx: standing(tx, vault))


@pytest.mark.parametrize("chosen", list(itertools.combinations(range(3), 2)))
def test_any_two_sheets_and_a_backup_bring_back_every_case_and_account(
    house: Path, tmp_path: Path, chance: Chance, chosen: tuple[int, int]
) -> None:
    kit = kit_of(house, chance)
    data = saved(house, chance)
    there = tmp_path / "there"
    told = restore(
        io.BytesIO(data),
        there,
        opener=opened_by_sheets([kit[each] for each in chosen]),
        passphrase=NEW,
        now=LATER,
        random=chance,
    )
    assert (told.cases, told.accounts, told.attachments) == (1, 1, 1)
    vault = Vault.open(there / "vault.json", NEW)
    with node_database(there / "node.db") as db:
        assert db.read_sync(lambda tx: records.read_case(tx, vault, CASE_ID)).case.case_id == CASE_ID
        assert [each.name for each in db.read_sync(lambda tx: people.list_accounts(tx, vault))] == ["Hélène"]
    with pytest.raises(VaultLocked):
        Vault.open(there / "vault.json", PASSPHRASE)
    assert stands(there, NEW).tried == tuple(sorted(kit[each].number for each in chosen))  # it was a proof too


@pytest.mark.parametrize("alone", range(3))
def test_one_sheet_alone_brings_back_nothing(house: Path, chance: Chance, alone: int) -> None:
    kit = kit_of(house, chance)
    with pytest.raises(SheetRefused, match="missing"):
        opened_by_sheets([kit[alone]])
    with pytest.raises(SheetRefused, match="missing"):
        rehearse(house, [kit[alone]], now=LATER)
    # Nor does what it holds help to open the vault's file: no part of it is the secret.
    file, secret = VaultFile.read(house / "vault.json"), combine(kit[:2])
    value = int.from_bytes(secret, "big")
    held = 0
    for word in kit[alone].words[4:-3]:
        held = held * 1024 + WORDLIST.index(word)
    assert held != value
    with pytest.raises(KitUnknown):
        file.unlock_with_kit(kit[0].kit, held.to_bytes(16, "big"))


def test_another_nodes_sheets_open_nothing(house: Path, tmp_path: Path, chance: Chance) -> None:
    kit = kit_of(house, chance)
    stranger = shares.split(bytes(16), needed=2, count=3)
    with pytest.raises(KitUnknown):
        rehearse(house, stranger[:2], now=LATER)
    forged = [Sheet(kit[0].kit, each.number, 2, each.words) for each in stranger]
    with pytest.raises(KitUnknown):
        rehearse(house, forged[:2], now=LATER)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_wrong_words_never_open_and_the_wrong_one_is_named(data: st.DataObject) -> None:
    kit = shares.split(bytes(range(16)), needed=2, count=3)
    at = data.draw(st.integers(0, SHEET_WORDS - 1))
    words = list(kit[1].words)
    words[at] = data.draw(st.sampled_from([each for each in WORDLIST if each != words[at]]))
    with pytest.raises(WordsRefused) as refused:
        read_sheet(words, sheet=2, length=SHEET_WORDS)
    assert (refused.value.facts["sheet"], refused.value.facts["word"]) == ("2", str(at + 1))


def test_while_nobody_has_tried_a_kit_nobody_counts(house: Path, chance: Chance) -> None:
    assert stands(house) == Standing()
    kit = kit_of(house, chance)
    told = stands(house)
    assert (told.people, told.set_up, told.is_due(LATER)) == (0, False, True)
    assert (told.kit, told.needed, told.count) == (kit[0].kit, 2, 3)


def test_a_rehearsal_proves_with_the_recovered_key_and_uses_nothing_up(house: Path, chance: Chance) -> None:
    kit = kit_of(house, chance)
    before = (house / "vault.json").read_bytes()
    proof = rehearse(house, [kit[2], kit[0]], now=LATER)
    assert (proof.sheets, proof.cases, proof.people) == ((1, 3), 1, 2)
    told = stands(house)
    assert (told.people, told.set_up, told.tried, told.proven_at) == (2, True, (1, 3), LATER)
    assert (house / "vault.json").read_bytes() == before
    rehearse(house, kit[:2], now=LATER + timedelta(days=300))
    assert stands(house).people == 3
    assert not stands(house).is_due(LATER + timedelta(days=600))
    assert stands(house).is_due(LATER + timedelta(days=300 + 367))


def test_a_proof_is_journalled_with_the_sheets_and_the_number_of_cases(house: Path, chance: Chance) -> None:
    kit = kit_of(house, chance)
    rehearse(house, kit[:2], now=LATER)
    with node_database(house / "node.db") as db:
        lines = db.read_sync(journal.entries)
    assert [each.action for each in lines][-2:] == ["recovery.kit_made", "recovery.proven"]
    assert lines[-1].facts == {"kit": kit[0].kit, "sheets": "1,2", "cases": "1"}


def test_a_rehearsal_fails_where_the_key_opens_not_every_case(house: Path, chance: Chance) -> None:
    kit = kit_of(house, chance)
    with node_database(house / "node.db") as db:
        db.write_sync(lambda tx: tx.exec_driver_sql("UPDATE case_key SET sealed_key = zeroblob(72)").close())
    with pytest.raises(CannotOpen):
        rehearse(house, kit[:2], now=LATER)
    assert stands(house).people == 0


def test_a_rehearsal_fails_where_the_canary_is_not_this_vaults(house: Path, chance: Chance) -> None:
    kit = kit_of(house, chance)
    with node_database(house / "node.db") as db:
        query = "UPDATE secret SET sealed_value = zeroblob(72) WHERE name = 'recovery.canary'"
        db.write_sync(lambda tx: tx.exec_driver_sql(query).close())
    with pytest.raises(CannotOpen):
        rehearse(house, kit[:2], now=LATER)


def test_the_kit_before_works_until_the_new_one_is_proven_and_not_longer(house: Path, chance: Chance) -> None:
    old = kit_of(house, chance)
    rehearse(house, old[:2], now=LATER)
    new = kit_of(house, chance)
    assert stands(house).people == 2  # by the old one: making another takes nothing away
    rehearse(house, old[1:], now=LATER)
    rehearse(house, new[:2], now=LATER)
    with pytest.raises(KitUnknown):
        rehearse(house, old[:2], now=LATER)
    assert (stands(house).kit, stands(house).people) == (new[0].kit, 2)


def test_a_backup_opens_with_the_kit_of_its_own_time(house: Path, tmp_path: Path, chance: Chance) -> None:
    old = kit_of(house, chance)
    data = saved(house, chance)
    new = kit_of(house, chance)
    rehearse(house, new[:2], now=LATER)
    options = {"passphrase": NEW, "now": LATER, "random": chance}
    with pytest.raises(KitUnknown):
        restore(io.BytesIO(data), tmp_path / "there", opener=opened_by_sheets(new[:2]), **options)  # type: ignore[arg-type]
    restore(io.BytesIO(data), tmp_path / "there", opener=opened_by_sheets(old[:2]), **options)  # type: ignore[arg-type]


def test_three_of_five_need_three_that_were_tried(house: Path, chance: Chance) -> None:
    kit = kit_of(house, chance, needed=3, count=5)
    with pytest.raises(SheetRefused, match="missing"):
        rehearse(house, kit[:2], now=LATER)
    assert rehearse(house, kit[:3], now=LATER).people == 3


def test_a_kit_that_one_person_could_use_alone_cannot_be_made(house: Path, chance: Chance) -> None:
    before = (house / "vault.json").read_bytes()
    for needed, count in ((1, 3), (1, 1), (3, 2)):
        with pytest.raises(InvalidInput):
            kit_of(house, chance, needed=needed, count=count)
    assert (house / "vault.json").read_bytes() == before


def test_no_word_and_no_secret_of_a_kit_lies_in_any_file(house: Path, chance: Chance) -> None:
    kit = kit_of(house, chance)
    rehearse(house, kit[:2], now=LATER)
    found = everything(house)
    assert combine(kit[:2]) not in found
    for sheet in kit:
        assert " ".join(sheet.words[4:7]).encode() not in found


def test_the_vault_file_without_a_kit_is_as_it_always_was(house: Path) -> None:
    plain = json.loads((house / "vault.json").read_bytes())
    assert set(plain) == {"format", "kdf", "opslimit", "memlimit", "salt", "sealed_key"}


def test_unproven_kits_do_not_pile_up_for_ever(house: Path, chance: Chance) -> None:
    for _ in range(16):
        kit_of(house, chance)
    with pytest.raises(InvalidInput, match="unproven"):
        kit_of(house, chance)


def test_what_is_kept_of_kits_that_stopped_working_goes_with_them(house: Path, chance: Chance) -> None:
    kit_of(house, chance)
    new = kit_of(house, chance)
    rehearse(house, new[:2], now=LATER)
    with node_database(house / "node.db") as db:
        assert db.read_sync(lambda tx: secret_names(tx, prefix="recovery.kit.")) == [f"recovery.kit.{new[0].kit}"]
    assert rows(house, "SELECT count(*) FROM secret WHERE name = 'recovery.canary'") == [(1,)]
    assert recovery.ENOUGH == 2
