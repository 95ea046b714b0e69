"""Recovery words: a secret split into sheets of words, of which so many together bring it back and one alone nothing.

SLIP-39 (Shamir's secret sharing over words, with a checksum on each sheet), by its reference implementation; other
tools read these sheets too. The words are English whatever the reader's language: they are only signs to copy.
A sheet's checksum finds up to three wrong words, and one wrong word by its place: it is told, and never put right by
guessing.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from shamir_mnemonic import rs1024
from shamir_mnemonic.constants import CUSTOMIZATION_STRING_EXTENDABLE
from shamir_mnemonic.shamir import combine_mnemonics, generate_mnemonics
from shamir_mnemonic.share import Share
from shamir_mnemonic.utils import MnemonicError
from shamir_mnemonic.wordlist import WORD_INDEX_MAP, WORDLIST

from cordee.errors import N_, InvalidInput, SheetRefused, WordsRefused

__all__ = [
    "MOST_SHEETS",
    "Sheet",
    "combine",
    "read_sheet",
    "read_word",
    "require_fits",
    "split",
    "words_in",
    "words_of",
]

MOST_SHEETS: Final = 16
_FEWEST_NEEDED = 2  # one sheet alone must never be enough
_LETTERS = 4  # no two words of the list begin with the same four
_NUMBERING = re.compile(r"[0-9]+[.)]?")
_BY_BEGINNING = {word[:_LETTERS]: word for word in WORDLIST}
_WORD_BITS, _CHECKSUM_WORDS = 10, 3


@dataclass(frozen=True)
class Sheet:
    """What is printed on one sheet. Sheets of one kit bear the same `kit`; so many as are `needed` open it."""

    kit: str
    number: int
    needed: int
    words: tuple[str, ...]

    def __repr__(self) -> str:
        return f"Sheet({self.kit}, {self.number}, …)"


def words_of(size: int) -> int:
    """How many words a sheet of a secret of `size` bytes has."""
    return 4 + -(-size * 8 // _WORD_BITS) + _CHECKSUM_WORDS


def split(secret: bytes, *, needed: int, count: int) -> list[Sheet]:
    """Split a secret of 16 bytes or more, an even number, into `count` sheets, of which any `needed` bring it back.

    The chance is the implementation's own, from the operating system: it takes none from outside.

    Raises: InvalidInput for numbers with which one sheet alone would be enough, or that cannot be.
    """
    if not _FEWEST_NEEDED <= needed <= count <= MOST_SHEETS:
        raise InvalidInput(
            field="sheets",
            problem=N_("at least {fewest} must be needed, of {most} at most"),
            fewest=_FEWEST_NEEDED,
            most=MOST_SHEETS,
        )
    (made,) = generate_mnemonics(group_threshold=1, groups=[(needed, count)], master_secret=secret)
    return [_sheet(Share.from_mnemonic(each), tuple(each.split())) for each in made]


def words_in(text: str) -> list[str]:
    """The words of a typed or pasted sheet, without their numbers."""
    return [each for each in text.split() if _NUMBERING.fullmatch(each) is None]


def read_word(typed: str, *, sheet: int, position: int) -> str:
    """The word of the list that was typed, of which the first four letters will do. `sheet` and `position` from 1.

    Raises: WordsRefused, with words of the list that are like it.
    """
    plain = unicodedata.normalize("NFKD", typed.strip()).encode("ascii", "ignore").decode().lower()
    if plain in WORD_INDEX_MAP:
        return plain
    meant = _BY_BEGINNING.get(plain[:_LETTERS], "") if len(plain) >= _LETTERS else ""
    if meant and meant.startswith(plain):
        return meant
    near = difflib.get_close_matches(plain, WORDLIST, n=3, cutoff=0.6)
    if near:
        raise WordsRefused(
            sheet=sheet,
            word=position,
            problem=N_("it is not on the list of words; like it are: {near}"),
            near=", ".join(near),
        )
    raise WordsRefused(sheet=sheet, word=position, problem=N_("it is not on the list of words"))


def read_sheet(typed: Sequence[str], *, sheet: int, length: int) -> Sheet:
    """The sheet that these words are, checked as far as one alone can be. `sheet` says which it is, in errors.

    Raises: WordsRefused with the word that is wrong; SheetRefused where the sheet has another number of words than
    `length`, or several are wrong.
    """
    words = tuple(read_word(each, sheet=sheet, position=at) for at, each in enumerate(typed, start=1))
    if len(words) != length:
        raise SheetRefused(
            sheet=sheet,
            problem=N_("{typed} words were typed, and {length} stand on it"),
            typed=len(words),
            length=length,
        )
    indices = [WORD_INDEX_MAP[each] for each in words]
    if _residue(indices):
        _tell_wrong_word(indices, sheet)
    try:
        return _sheet(Share.from_mnemonic(" ".join(words)), words)
    except MnemonicError as refused:
        raise SheetRefused(sheet=sheet, problem=N_("it is no sheet of recovery words")) from refused


def combine(sheets: Sequence[Sheet]) -> bytes:
    """The secret, from as many sheets as are needed, in any order; more do no harm.

    Raises: SheetRefused with the sheet that does not go with those before it, or where there are too few.
    """
    for at, each in enumerate(sheets, start=1):
        require_fits(each, sheets[: at - 1], at=at)
    if not sheets or len(sheets) < sheets[0].needed:
        needed = sheets[0].needed if sheets else _FEWEST_NEEDED
        raise SheetRefused(sheet=len(sheets) + 1, problem=N_("it is missing: {needed} are needed"), needed=needed)
    try:
        return bytes(combine_mnemonics(" ".join(each.words) for each in sheets[: sheets[0].needed]))
    except MnemonicError as refused:
        raise SheetRefused(sheet=len(sheets), problem=N_("it does not go with the others")) from refused


def require_fits(sheet: Sheet, before: Iterable[Sheet], *, at: int) -> None:
    """Raises: SheetRefused where the sheet, typed as the one numbered `at`, is of another kit or was typed before."""
    for number, each in enumerate(before, start=1):
        if (sheet.kit, sheet.needed) != (each.kit, each.needed):
            raise SheetRefused(
                sheet=at, problem=N_("it is of kit {kit}, and the first one of {first}"), kit=sheet.kit, first=each.kit
            )
        if sheet.number == each.number:
            raise SheetRefused(sheet=at, problem=N_("it was typed already, as sheet {number}"), number=number)


def _sheet(share: Share, words: tuple[str, ...]) -> Sheet:
    if share.group_threshold != 1 or share.group_count != 1 or share.member_threshold < _FEWEST_NEEDED:
        raise MnemonicError("another kind of kit")
    return Sheet(kit=f"{share.identifier:04x}", number=share.index + 1, needed=share.member_threshold, words=words)


def _residue(indices: Sequence[int]) -> int:
    """0 where the checksum holds (SLIP-39: Reed-Solomon over GF(1024))."""
    return int(rs1024._polymod([*CUSTOMIZATION_STRING_EXTENDABLE, *indices])) ^ 1


def _tell_wrong_word(indices: list[int], sheet: int) -> None:
    """Raise with the one word that, were it another, would make the checksum hold; or two that changed places."""
    residue, nothing = _residue(indices), [0] * len(indices)
    base = _residue(nothing)
    for at in range(len(indices)):
        # The checksum is linear: what a change of one word does to it does not depend on the other words.
        bits = [_residue([*nothing[:at], 1 << bit, *nothing[at + 1 :]]) ^ base for bit in range(_WORD_BITS)]
        if _spans(bits, residue):
            raise WordsRefused(sheet=sheet, word=at + 1, problem=N_("it does not go with the other words"))
    for at in range(len(indices) - 1):
        changed = [*indices[:at], indices[at + 1], indices[at], *indices[at + 2 :]]
        if not _residue(changed):
            raise WordsRefused(sheet=sheet, word=at + 1, problem=N_("it has changed places with the next one"))
    raise SheetRefused(sheet=sheet, problem=N_("several of its words are wrong"))


def _spans(vectors: Iterable[int], wanted: int) -> bool:
    """Whether some of these bit vectors add up (XOR) to the one that is wanted."""
    basis: dict[int, int] = {}
    for each in vectors:
        left = _reduced(each, basis)
        if left:
            basis[left.bit_length()] = left
    return _reduced(wanted, basis) == 0


def _reduced(vector: int, basis: dict[int, int]) -> int:
    while vector and (known := basis.get(vector.bit_length())) is not None:
        vector ^= known
    return vector
