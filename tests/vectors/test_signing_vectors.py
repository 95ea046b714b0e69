"""ML-DSA-65 (Wycheproof), Ed25519 (RFC 8032's author) and X25519 (RFC 7748), through the libraries that we call."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

from cordee.errors import MalformedKey
from cordee.signing import SigningKey, SigningPublicKey

SOME_ED25519_KEY = SigningKey.from_seed(bytes(64)).public.ed25519
SOME_MLDSA65_KEY = SigningKey.from_seed(bytes(64)).public.mldsa65


def test_ml_dsa_65_signatures_verify_exactly_where_they_should(wycheproof: Callable[[str], Any]) -> None:
    ran = {"valid": 0, "invalid": 0, "malformed key": 0}
    for group in wycheproof("mldsa_65_verify_test.json")["testGroups"]:
        raw = bytes.fromhex(group["publicKey"])
        try:
            SigningPublicKey(SOME_ED25519_KEY, raw)
        except MalformedKey:
            assert all(case["result"] == "invalid" for case in group["tests"])
            ran["malformed key"] += len(group["tests"])
            continue
        key = MLDSA65PublicKey.from_public_bytes(raw)
        for case in group["tests"]:
            signature, message = bytes.fromhex(case["sig"]), bytes.fromhex(case["msg"])
            assert verifies(key, signature, message, bytes.fromhex(case.get("ctx", ""))) is (
                case["result"] == "valid"
            ), case
            ran[case["result"]] += 1
    assert sum(ran.values()) == 210
    assert ran["valid"] == 79
    assert ran["malformed key"] == 4


def verifies(key: MLDSA65PublicKey, signature: bytes, message: bytes, context: bytes) -> bool:
    try:
        key.verify(signature, message, context)
    except (InvalidSignature, ValueError):  # ValueError: a context string of more than 255 bytes
        return False
    return True


def test_ed25519_signs_and_verifies_as_published(published: Callable[[str], str]) -> None:
    ran = 0
    for line in published("asymmetric/Ed25519/sign.input").splitlines():
        seed, public, message, signed = (bytes.fromhex(part) for part in line.split(":")[:4])
        signature = signed[:64]
        ours = SigningKey.from_seed(seed[:32] + bytes(32))
        assert ours.public == SigningPublicKey(public, SOME_MLDSA65_KEY)
        assert ours._ed25519.sign(message).signature == signature
        VerifyKey(public).verify(message, signature)
        with pytest.raises(BadSignatureError):
            VerifyKey(public).verify(message + b"\0", signature)
        ran += 1
    assert ran == 1024


def test_x25519_agrees_as_published(published: Callable[[str], str]) -> None:
    pattern = r"COUNT = (\d+)\nINPUT_SCALAR = (\w+)\nINPUT_U = (\w+)\nOUTPUT_U = (\w+)"
    ran = 0
    for count, scalar, u, out in re.findall(pattern, published("asymmetric/X25519/rfc7748.txt")):
        private = X25519PrivateKey.from_private_bytes(bytes.fromhex(scalar))
        shared = private.exchange(X25519PublicKey.from_public_bytes(bytes.fromhex(u)))
        assert shared == bytes.fromhex(out), count
        ran += 1
    assert ran == 3
