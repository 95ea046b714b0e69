"""HPKE: RFC 9180 and draft-ietf-hpke-pq, through the library that seals for us; our own suite through our own keys.

The vectors authenticate associated data, which the library's public call does not take, so its private one is used.
Only the first message of each set can be opened: the library has no context for a second one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.bindings._rust import openssl
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM1024PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, MLKEM1024P384PrivateKey, Suite

from cordee.sealing import SealingKey, SealingPublicKey

EXPORT_ONLY = 0xFFFF
KDFS = {1: KDF.HKDF_SHA256, 2: KDF.HKDF_SHA384, 3: KDF.HKDF_SHA512, 16: KDF.SHAKE128, 17: KDF.SHAKE256}
AEADS = {1: AEAD.AES_128_GCM, 2: AEAD.AES_256_GCM, 3: AEAD.CHACHA20_POLY1305}


def nist(curve: ec.EllipticCurve) -> Callable[[bytes], Any]:
    return lambda secret: ec.derive_private_key(int.from_bytes(secret, "big"), curve)


def mlkem1024_p384(seed: bytes) -> MLKEM1024P384PrivateKey:
    expanded = hashlib.shake_256(seed).digest(64 + 48)
    scalar = int.from_bytes(expanded[64:], "big")
    return MLKEM1024P384PrivateKey(
        MLKEM1024PrivateKey.from_seed_bytes(expanded[:64]), ec.derive_private_key(scalar, ec.SECP384R1())
    )


KEMS: dict[int, tuple[KEM, Callable[[bytes], Any]]] = {
    0x10: (KEM.P256, nist(ec.SECP256R1())),
    0x11: (KEM.P384, nist(ec.SECP384R1())),
    0x12: (KEM.P521, nist(ec.SECP521R1())),
    0x20: (KEM.X25519, X25519PrivateKey.from_private_bytes),
    0x41: (KEM.MLKEM768, MLKEM768PrivateKey.from_seed_bytes),
    0x42: (KEM.MLKEM1024, MLKEM1024PrivateKey.from_seed_bytes),
    0x51: (KEM.MLKEM1024_P384, mlkem1024_p384),
    0x647A: (KEM.MLKEM768_X25519, lambda seed: SealingKey.from_seed(seed)._library_key),
}


def opened(case: dict[str, Any], *, flip: int | None = None) -> bytes:
    kem, private_key = KEMS[case["kem_id"]]
    suite = Suite(kem, KDFS[case["kdf_id"]], AEADS[case["aead_id"]])
    message = case["encryptions"][0]
    sealed = bytearray.fromhex(case["enc"] + message["ct"])
    if flip is not None:
        sealed[flip] ^= 1
    key = private_key(bytes.fromhex(case["skRm"]))
    plaintext: bytes = openssl.hpke._decrypt_with_aad(
        suite, bytes(sealed), key, bytes.fromhex(case["info"]), bytes.fromhex(message["aad"])
    )
    return plaintext


def supported(case: dict[str, Any]) -> bool:
    return case["mode"] == 0 and case["kem_id"] in KEMS and case["kdf_id"] in KDFS and case["aead_id"] in AEADS


@pytest.mark.parametrize(
    ("name", "all_sets", "ours"), [("test-vectors.json", 128, 18), ("hpke-pq-test-vectors.json", 13, 7)]
)
def test_the_first_message_of_each_base_mode_set_opens(
    name: str, all_sets: int, ours: int, published: Callable[[str], str]
) -> None:
    sets = json.loads(published(f"HPKE/{name}"))
    cases = [case for case in sets if supported(case)]
    assert (len(sets), len(cases)) == (all_sets, ours)
    for case in cases:
        assert opened(case) == bytes.fromhex(case["encryptions"][0]["pt"])
        with pytest.raises(InvalidTag):
            opened(case, flip=-1)


def test_our_own_suite_is_among_them_and_its_seed_gives_its_public_key(published: Callable[[str], str]) -> None:
    sets = json.loads(published("HPKE/hpke-pq-test-vectors.json"))
    hybrid = [case for case in sets if case["kem_id"] == 0x647A]
    assert len(hybrid) == 2
    assert [(case["kdf_id"], case["aead_id"]) for case in hybrid].count((1, 3)) == 1
    for case in hybrid:
        key = SealingKey.from_seed(bytes.fromhex(case["skRm"]))
        assert key.public == SealingPublicKey.parse(bytes.fromhex(case["pkRm"]))
