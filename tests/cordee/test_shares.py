"""Sheets of recovery words: enough of them bring the secret back, one alone nothing, and a wrong word is found."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shamir_mnemonic.wordlist import WORDLIST

from cordee.errors import InvalidInput, SheetRefused, WordsRefused
from cordee.shares import combine, read_sheet, read_word, split, words_in, words_of

SECRET = bytes(range(16))
KIT = split(SECRET, needed=2, count=3)
LONG = split(bytes(range(64)), needed=2, count=3)


def typed(words: list[str] | tuple[str, ...], length: int = 20) -> None:
    read_sheet(words, sheet=2, length=length)


@pytest.mark.parametrize(("needed", "count"), [(2, 2), (2, 3), (3, 5)])
def test_any_sheets_that_are_enough_bring_the_secret_back_and_fewer_do_not(needed: int, count: int) -> None:
    made = split(SECRET, needed=needed, count=count)
    for chosen in itertools.permutations(made, needed):
        assert combine(chosen) == SECRET
    for chosen in itertools.combinations(made, needed - 1):
        with pytest.raises(SheetRefused, match="missing"):
            combine(chosen)


@pytest.mark.parametrize(("needed", "count"), [(1, 3), (0, 0), (1, 1), (4, 3), (2, 17)])
def test_a_kit_of_which_one_sheet_is_enough_cannot_be_made(needed: int, count: int) -> None:
    with pytest.raises(InvalidInput):
        split(SECRET, needed=needed, count=count)


def test_a_sheet_is_read_again_from_its_words_in_any_case_numbered_or_shortened() -> None:
    first = KIT[0]
    text = "\n".join(f"{at}. {word.upper()}" for at, word in enumerate(first.words, start=1))
    assert read_sheet(words_in(text), sheet=1, length=20) == first
    assert read_sheet([word[:4] for word in first.words], sheet=1, length=20) == first


def test_the_number_of_words_is_known_beforehand() -> None:
    assert (len(KIT[0].words), len(LONG[0].words)) == (words_of(16), words_of(64)) == (20, 59)


@given(sheet=st.sampled_from(KIT + LONG), word=st.sampled_from(WORDLIST), place=st.integers(0, 58))
@settings(max_examples=300, deadline=None)
def test_a_wrong_word_of_the_list_is_found_by_its_place(sheet: object, word: str, place: int) -> None:
    words = list(sheet.words)  # type: ignore[attr-defined]
    at = place % len(words)
    if words[at] == word:
        return
    words[at] = word
    with pytest.raises(WordsRefused) as refused:
        typed(words, len(words))
    assert (refused.value.facts["sheet"], refused.value.facts["word"]) == ("2", str(at + 1))


@given(place=st.integers(0, 19), letters=st.text("abcdefghijklmnopqrstuvwxyzé", min_size=0, max_size=9))
@settings(max_examples=300, deadline=None)
def test_a_word_that_is_on_no_list_is_told_by_its_place(place: int, letters: str) -> None:
    words = list(KIT[1].words)
    try:
        read_word(letters, sheet=2, position=place + 1)
    except WordsRefused:
        words[place] = letters
        with pytest.raises(WordsRefused) as refused:
            typed(words)
        assert (refused.value.facts["sheet"], refused.value.facts["word"]) == ("2", str(place + 1))


@given(data=st.data())
@settings(max_examples=200, deadline=None)
def test_a_sheet_with_two_or_three_wrong_words_is_never_taken(data: st.DataObject) -> None:
    words = list(KIT[0].words)
    places = data.draw(st.lists(st.integers(0, 19), min_size=2, max_size=3, unique=True))
    for at in places:
        words[at] = data.draw(st.sampled_from([each for each in WORDLIST if each != words[at]]))
    with pytest.raises((WordsRefused, SheetRefused)):
        typed(words)


@pytest.mark.parametrize("at", range(19))
def test_two_words_that_changed_places_are_told(at: int) -> None:
    words = list(KIT[0].words)
    words[at], words[at + 1] = words[at + 1], words[at]
    if words == list(KIT[0].words):
        return
    with pytest.raises(WordsRefused) as refused:
        typed(words)
    assert refused.value.facts["word"] == str(at + 1)


def test_a_sheet_of_another_kit_or_the_same_sheet_twice_is_told() -> None:
    other = split(SECRET, needed=2, count=3)
    with pytest.raises(SheetRefused) as refused:
        combine([KIT[0], other[1]])
    assert refused.value.facts["sheet"] == "2"
    with pytest.raises(SheetRefused, match="already"):
        combine([KIT[0], KIT[0]])


@pytest.mark.parametrize("length", [0, 1, 19, 21])
def test_a_word_too_few_or_too_many_is_told(length: int) -> None:
    with pytest.raises(SheetRefused) as refused:
        typed([*KIT[0].words, "academic"][:length])
    assert refused.value.facts["typed"] == str(length)


def test_a_sheet_never_shows_itself() -> None:
    assert KIT[0].words[5] not in repr(KIT[0])
