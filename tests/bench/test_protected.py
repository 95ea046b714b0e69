from __future__ import annotations

import os
from collections import Counter
from dataclasses import replace

import pytest

from bench.skeleton import protected
from bench.skeleton.protected import Checks, OwnKeys, Protected, PublicKeys, write_keys
from bench.skeleton.sizes import Sizes
from bench.skeleton.trio import skeleton
from cordee.content import ciphertext_size
from cordee.errors import BadSignature, CannotOpen, ContentDamaged
from cordee.ids import TransferId
from cordee.layout import MINIMUM_SIZE

SIZES = Sizes(offer=3_484, answer=3_575, shipment=1_436, receipt=172, ciphertext=ciphertext_size(MINIMUM_SIZE))
ID = TransferId(bytes(range(16)))
DEMANDED = {
    "sign_entry": 4,
    "verify": 8,  # by the broker, and by the other party
    "seal_summary": 1,
    "open_summary": 1,
    "seal_sections": 1,
    "open_sections": 1,
    "seal_content_key": 1,
    "open_content_key": 1,
    "write_content": 1,
    "ContentReader": 1,
}


@pytest.fixture
def parties():
    there, here = OwnKeys.generate(), OwnKeys.generate()
    check = Checks([there.signing.public, here.signing.public])
    return Protected(SIZES, there, here.public), Protected(SIZES, here, there.public), check


def test_a_transfer_goes_from_its_offer_to_its_receipt(tmp_path):
    with skeleton(tmp_path, SIZES, protected=True) as hollow:
        assert hollow.drive(20) > 0


def test_exactly_what_the_protocol_demands_is_done(parties, monkeypatch):
    done: Counter[str] = Counter()

    def counted(name, real):
        return lambda *given, **named: done.update([name]) or real(*given, **named)

    for name in DEMANDED.keys() - {"sign_entry"}:
        monkeypatch.setattr(protected, name, counted(name, getattr(protected, name)))
    sign = protected.SigningKey.sign_entry
    monkeypatch.setattr(protected.SigningKey, "sign_entry", counted("sign_entry", sign))
    carry(*parties)
    assert done == DEMANDED


def test_every_message_is_as_large_as_the_real_one(parties):
    statements, ciphertext = carry(*parties)
    sizes = {each.type.rpartition(".")[2].lower(): len(each.body) for each in statements}
    assert Sizes(**sizes, ciphertext=len(ciphertext)) == SIZES
    for each in statements:
        plain = SIZES.statement(each.type.rpartition(".")[2].lower(), ID)
        assert each.ByteSize() == plain.ByteSize()


def test_nothing_is_remembered_of_a_transfer_that_is_over(parties):
    carry(*parties)
    assert parties[0]._under_way == parties[1]._under_way == {}


@pytest.mark.parametrize("field", ["body", "ed25519_signature", "mldsa65_signature"])
def test_an_altered_statement_is_noticed_by_the_broker_and_by_the_other_party(parties, field):
    there, here, check = parties
    statement = there.offer(ID)
    value = getattr(statement, field)
    setattr(statement, field, bytes([value[0] ^ 1]) + value[1:])
    with pytest.raises(BadSignature):
        check(statement)
    with pytest.raises(BadSignature):
        here.hear(ID, statement)


def test_what_is_sealed_opens_for_its_transfer_alone(parties):
    there, here, _ = parties
    with pytest.raises(CannotOpen):
        here.hear(TransferId(os.urandom(16)), there.offer(ID))


def test_altered_content_is_noticed(parties):
    there, here, _ = parties
    here.hear(ID, there.offer(ID))
    there.hear(ID, here.answer(ID))
    ciphertext = bytearray(there.pack(ID))
    here.hear(ID, there.shipment(ID))
    ciphertext[-1] ^= 1
    with pytest.raises(ContentDamaged):
        here.unpack(ID, bytes(ciphertext))


def test_content_of_another_size_than_the_real_one_is_not_measured():
    keys = OwnKeys.generate()
    with pytest.raises(ValueError, match="ciphertext"):
        Protected(replace(SIZES, ciphertext=300_000), keys, keys.public)


def test_sealed_texts_that_do_not_fit_are_not_measured():
    with pytest.raises(ValueError, match="do not fit"):
        SIZES.body("receipt", ID, bytes(400))


def test_keys_are_read_as_they_were_written(tmp_path):
    write_keys(tmp_path, ["sender"])
    assert OwnKeys.read(tmp_path, "sender").public == PublicKeys.read(tmp_path, "sender")
    assert (tmp_path / "sender.seeds").stat().st_mode & 0o777 == 0o600


def carry(there: Protected, here: Protected, check: Checks):
    """One transfer as the three processes share it out; its four statements and its ciphertext."""
    offer = there.offer(ID)
    check(offer)
    here.hear(ID, offer)
    answer = here.answer(ID)
    check(answer)
    there.hear(ID, answer)
    ciphertext = there.pack(ID)
    shipment = there.shipment(ID)
    check(shipment)
    here.hear(ID, shipment)
    here.unpack(ID, ciphertext)
    receipt = here.receipt(ID)
    check(receipt)
    there.hear(ID, receipt)
    return [offer, answer, shipment, receipt], ciphertext
