"""Six words for a key, to be compared by telephone when an association joins (protocol §4).

66 bits of the key's digest, stretched with Argon2id (RFC 9106): somebody who wants a key of their own with the same
words has to try 2^66 keys, at a tenth of a second and 64 MiB each. The stretching has one salt for all, because both
ends must find the same words from the key alone.
"""

from __future__ import annotations

import unicodedata
from typing import Literal

from mnemonic import Mnemonic
from nacl.pwhash import argon2id

from cordee.frame import Label, blake2b_128, blake2b_256
from cordee.signing import SigningPublicKey

__all__ = ["WORDS", "Language", "six_words"]

Language = Literal["fr", "en"]

WORDS = 6
_BITS_PER_WORD = 11  # 2,048 words in each list (BIP 39)
_ROUNDS = 4
_MEMORY = 64 * 1024 * 1024
_STRETCHED_SIZE = 16
_LISTS: dict[Language, str] = {"fr": "french", "en": "english"}


def six_words(key: SigningPublicKey, *, language: Language = "fr") -> list[str]:
    """The words of this key in French or English; both lists tell the same 66 bits. Takes 0.1 to 0.3 s.

    Every screen shows the French ones, whatever language it is in: two people compare them, and must see the same.

    Raises: KeyError for another language.
    """
    words = Mnemonic(_LISTS[language]).wordlist
    digest = blake2b_256(Label.FINGERPRINT, key.ed25519, key.mldsa65)
    stretched = argon2id.kdf(
        _STRETCHED_SIZE, digest, blake2b_128(Label.FINGERPRINT), opslimit=_ROUNDS, memlimit=_MEMORY
    )
    number = int.from_bytes(stretched, "big") >> (8 * _STRETCHED_SIZE - WORDS * _BITS_PER_WORD)
    shifts = range((WORDS - 1) * _BITS_PER_WORD, -1, -_BITS_PER_WORD)
    # The French list comes with its accents apart from their letters; people and terminals expect them together.
    return [unicodedata.normalize("NFC", words[number >> shift & 2**_BITS_PER_WORD - 1]) for shift in shifts]
