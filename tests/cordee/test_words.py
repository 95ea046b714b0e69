"""Six words: the same for the same key, on every machine and in every version."""

from __future__ import annotations

import hashlib
import unicodedata

import pytest
from mnemonic import Mnemonic

from cordee.signing import SigningKey, SigningPublicKey
from cordee.words import WORDS, Language, six_words

FRENCH = ["congeler", "miracle", "traction", "aéronef", "école", "excuse"]
ENGLISH = ["dad", "ostrich", "unveil", "allow", "escape", "garage"]


def key(name: str) -> SigningPublicKey:
    return SigningKey.from_seed(hashlib.shake_256(name.encode()).digest(64)).public


def positions(words: list[str], language: str) -> list[int]:
    listed = [unicodedata.normalize("NFC", word) for word in Mnemonic(language).wordlist]
    return [listed.index(word) for word in words]


def test_the_words_of_a_key_never_change() -> None:
    assert six_words(key("marseille"), language="fr") == FRENCH
    assert six_words(key("marseille"), language="en") == ENGLISH


def test_both_languages_tell_the_same_bits() -> None:
    for name in ("lille", "brest"):
        french = six_words(key(name), language="fr")
        english = six_words(key(name), language="en")
        assert len(french) == len(english) == WORDS
        assert positions(french, "french") == positions(english, "english")


def test_either_half_of_the_key_changes_the_words() -> None:
    one, other = key("marseille"), key("lille")
    mixed = [
        SigningPublicKey(one.ed25519, other.mldsa65),
        SigningPublicKey(other.ed25519, one.mldsa65),
        one,
        other,
    ]
    assert len({tuple(six_words(each, language="en")) for each in mixed}) == 4


def test_the_words_spread_over_the_whole_list() -> None:
    seen = [position for n in range(12) for position in positions(six_words(key(f"k{n}"), language="en"), "english")]
    assert min(seen) < 200
    assert max(seen) > 1_848
    assert len(set(seen)) > 60


@pytest.mark.parametrize("language", ["fr", "en"])
def test_words_are_written_as_people_write_them(language: Language) -> None:
    for word in six_words(key("brest"), language=language):
        assert unicodedata.is_normalized("NFC", word)
        assert word.isalpha()
        assert word.islower()
