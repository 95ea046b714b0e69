"""C2SP chunked encryption: Wycheproof's vectors through the library that encrypts content, and our sizes on them."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cryptography.cobblestone import Cobblestone256Decryptor
from cryptography.exceptions import InvalidTag

from cordee.content import KEY_SIZE, ciphertext_size

NAME = "c2sp_chunked_encryption_aes_256_gcm_test.json"
VALID, INVALID = 10, 25


def cases(wycheproof: Callable[[str], Any], result: str) -> Iterator[dict[str, Any]]:
    for group in wycheproof(NAME)["testGroups"]:
        assert (group["aead"], group["sha"]) == ("AEAD_AES_256_GCM", "SHA-512")
        yield from (case for case in group["tests"] if case["result"] == result)


def decrypt(case: dict[str, Any], piece: int) -> tuple[int, bytes]:
    """Length and SHA-512 of the plaintext."""
    ciphertext = zlib.decompress(bytes.fromhex(case["ct"]))
    decryptor = Cobblestone256Decryptor(bytes.fromhex(case["key"]), bytes.fromhex(case["ctx"]))
    sha512, length = hashlib.sha512(), 0
    for start in range(0, len(ciphertext), piece):
        plaintext = decryptor.update(ciphertext[start : start + piece])
        sha512.update(plaintext)
        length += len(plaintext)
    rest = decryptor.finalize()
    sha512.update(rest)
    return length + len(rest), sha512.digest()


@pytest.mark.parametrize("piece", [7_777, 262_144])
def test_valid_ciphertexts_decrypt(piece: int, wycheproof: Callable[[str], Any]) -> None:
    ran = 0
    for case in cases(wycheproof, "valid"):
        assert decrypt(case, piece) == (case["msgLength"], bytes.fromhex(case["msgSha512"])), case["comment"]
        ran += 1
    assert ran == VALID


@pytest.mark.parametrize("piece", [7_777, 262_144])
def test_invalid_ciphertexts_are_refused(piece: int, wycheproof: Callable[[str], Any]) -> None:
    ran = 0
    for case in cases(wycheproof, "invalid"):
        key_fits = len(bytes.fromhex(case["key"])) == KEY_SIZE
        with pytest.raises(InvalidTag if key_fits else ValueError):
            decrypt(case, piece)
        ran += 1
    assert ran == INVALID


def test_the_size_that_we_announce_is_that_of_the_published_ciphertexts(wycheproof: Callable[[str], Any]) -> None:
    ran = 0
    for case in cases(wycheproof, "valid"):
        assert len(zlib.decompress(bytes.fromhex(case["ct"]))) == ciphertext_size(case["msgLength"])
        ran += 1
    assert ran == VALID
