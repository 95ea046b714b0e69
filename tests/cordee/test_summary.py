"""Sealed texts open only where they belong, say nothing by their length, and keep their bounds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pytest

from cordee import summary as sealed_texts
from cordee.errors import CannotOpen, InvalidInput, MalformedStatement, OutOfScope
from cordee.frame import Label, frame
from cordee.ids import Digest, MemberId, NetworkId, TransferId
from cordee.sealing import SealingKey, seal_padded
from cordee.summary import (
    DECLINE_REASONS,
    KEEPING_REASONS,
    RECEIPT_REASONS,
    SEALED_CONTENT_KEY_SIZE,
    SEALED_REASON_SIZE,
    SEALED_REPORT_SIZE,
    SEALED_SECTIONS_SIZE,
    SEALED_SUMMARY_SIZE,
    Parties,
    Reason,
    Report,
    open_content_key,
    open_reason,
    open_report,
    open_sections,
    open_summary,
    seal_content_key,
    seal_reason,
    seal_report,
    seal_sections,
    seal_summary,
    transcript,
)
from cordee.v1 import statements_pb2 as v1
from tests.builders import seeded_random
from tests.transfers import SUMMARY

RANDOM = seeded_random("sealed texts")
KEY = SealingKey.generate(RANDOM)
OTHER_KEY = SealingKey.generate(RANDOM)
PARTIES = Parties(NetworkId(RANDOM(32)), TransferId(RANDOM(16)), MemberId(RANDOM(16)), MemberId(RANDOM(16)))
ABOUT, ELSEWHERE = Digest(RANDOM(32)), Digest(RANDOM(32))
NOON = datetime(2026, 3, 1, 12, 0, 0, 250, tzinfo=UTC)
CONTENT_KEY = RANDOM(32)


@dataclass(frozen=True)
class Text:
    """How one of the five texts is sealed and opened, and what comes out."""

    sealed: bytes
    size: int
    opened: object
    open: Callable[[bytes, Parties, Digest, SealingKey], object]


def texts() -> dict[str, Text]:
    to = KEY.public
    return {
        "summary": Text(
            seal_summary(SUMMARY, parties=PARTIES, to=to),
            SEALED_SUMMARY_SIZE,
            SUMMARY,
            lambda sealed, parties, _, key: open_summary(sealed, parties=parties, key=key),
        ),
        "sections": Text(
            seal_sections(["needs", "health"], parties=PARTIES, offer=ABOUT, to=to),
            SEALED_SECTIONS_SIZE,
            ("needs", "health"),
            lambda sealed, parties, about, key: open_sections(
                sealed, parties=parties, offer=about, key=key, offered=["health", "situation", "needs"]
            ),
        ),
        "reason": Text(
            seal_reason(Reason("other", "é" * 2000), codes=DECLINE_REASONS, parties=PARTIES, about=ABOUT, to=to),
            SEALED_REASON_SIZE,
            Reason("other", "é" * 2000),
            lambda sealed, parties, about, key: open_reason(
                sealed, codes=DECLINE_REASONS, parties=parties, about=about, key=key
            ),
        ),
        "report": Text(
            seal_report(Report(("needs", "attachments"), NOON), parties=PARTIES, about=ABOUT, to=to),
            SEALED_REPORT_SIZE,
            Report(("needs", "attachments"), NOON),
            lambda sealed, parties, about, key: open_report(sealed, parties=parties, about=about, key=key),
        ),
    }


@pytest.fixture(params=["summary", "sections", "reason", "report"])
def text(request: pytest.FixtureRequest) -> Text:
    return texts()[request.param]


def test_what_is_sealed_opens_as_it_was(text: Text) -> None:
    assert text.open(text.sealed, PARTIES, ABOUT, KEY) == text.opened


def test_every_sealed_text_has_its_one_size(text: Text) -> None:
    assert len(text.sealed) == text.size


def test_it_opens_with_no_other_key(text: Text) -> None:
    with pytest.raises(CannotOpen):
        text.open(text.sealed, PARTIES, ABOUT, OTHER_KEY)


@pytest.mark.parametrize("field", ["network", "transfer_id", "sender", "recipient"])
def test_it_opens_in_no_other_transfer(text: Text, field: str) -> None:
    value = getattr(PARTIES, field)
    other = replace(PARTIES, **{field: type(value)(bytes([value[0] ^ 1]) + value[1:])})
    with pytest.raises(CannotOpen):
        text.open(text.sealed, other, ABOUT, KEY)


@pytest.mark.parametrize("name", ["sections", "reason", "report"])
def test_it_opens_in_answer_to_nothing_else(name: str) -> None:
    text = texts()[name]
    with pytest.raises(CannotOpen):
        text.open(text.sealed, PARTIES, ELSEWHERE, KEY)


def test_no_text_opens_as_another() -> None:
    for name, text in texts().items():
        for other, opener in texts().items():
            if name != other:
                with pytest.raises(CannotOpen):
                    opener.open(text.sealed, PARTIES, ABOUT, KEY)


def test_a_short_reason_is_as_long_as_a_long_one() -> None:
    def size(text: str) -> int:
        reason = Reason("other", text)
        return len(seal_reason(reason, codes=DECLINE_REASONS, parties=PARTIES, about=ABOUT, to=KEY.public))

    assert size("") == size("x" * 2000)


def test_sections_that_were_not_offered_are_refused() -> None:
    sealed = seal_sections(["needs", "health"], parties=PARTIES, offer=ABOUT, to=KEY.public)
    with pytest.raises(OutOfScope) as refusal:
        open_sections(sealed, parties=PARTIES, offer=ABOUT, key=KEY, offered=["needs"])
    assert refusal.value.facts == {"item": "health"}


@pytest.mark.parametrize(
    "names", [["needs", "needs"], ["Needs"], ["needs "], [""], ["x" * 41], [f"s{number}" for number in range(33)]]
)
def test_names_of_sections_are_names_and_each_once(names: list[str]) -> None:
    with pytest.raises(InvalidInput):
        seal_sections(names, parties=PARTIES, offer=ABOUT, to=KEY.public)
    with pytest.raises(InvalidInput):
        seal_report(Report(tuple(names), NOON), parties=PARTIES, about=ABOUT, to=KEY.public)
    forged = _forged(v1.SectionsTaken(sections=names), Label.SEALED_SECTIONS, 1024)
    with pytest.raises(MalformedStatement):
        open_sections(forged, parties=PARTIES, offer=ABOUT, key=KEY, offered=names)


def _forged(message: v1.SectionsTaken | v1.Reason | v1.ErasureReport, label: Label, bucket: int) -> bytes:
    """What a cheating node could seal: right in form, wrong in content."""
    info = frame(label, PARTIES.network, PARTIES.transfer_id, PARTIES.sender, PARTIES.recipient, ABOUT)
    return seal_padded(message.SerializeToString(), to=KEY.public, info=info, bucket=bucket)


@pytest.mark.parametrize("codes", [DECLINE_REASONS, RECEIPT_REASONS, KEEPING_REASONS])
def test_reasons_are_of_their_closed_list(codes: dict[str, str]) -> None:
    for code in codes:
        sealed = seal_reason(Reason(code), codes=codes, parties=PARTIES, about=ABOUT, to=KEY.public)
        assert open_reason(sealed, codes=codes, parties=PARTIES, about=ABOUT, key=KEY) == Reason(code)
    with pytest.raises(InvalidInput):
        seal_reason(Reason("too_complex"), codes=codes, parties=PARTIES, about=ABOUT, to=KEY.public)
    for forged in (v1.Reason(code="too_complex"), v1.Reason(code="other", text="x" * 2001)):
        with pytest.raises(MalformedStatement):
            open_reason(_forged(forged, Label.SEALED_REASON, 4096), codes=codes, parties=PARTIES, about=ABOUT, key=KEY)


@pytest.mark.parametrize("text", ["x" * 2001, "\U0001f97a" * 1100])
def test_a_reason_that_is_too_long_is_refused_before_it_is_sealed(text: str) -> None:
    with pytest.raises(InvalidInput):
        seal_reason(Reason("other", text), codes=DECLINE_REASONS, parties=PARTIES, about=ABOUT, to=KEY.public)


def test_a_report_without_a_good_time_is_refused() -> None:
    broken = v1.ErasureReport(erased=["needs"])
    far = v1.ErasureReport(erased=["needs"])
    far.time.seconds = 2**60
    for forged in (broken, far):
        with pytest.raises(MalformedStatement):
            open_report(_forged(forged, Label.SEALED_REPORT, 1024), parties=PARTIES, about=ABOUT, key=KEY)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("kind", "gift"),
        ("purpose", ""),
        ("purpose", "Specialised support"),
        ("need", "x" * 65),
        ("departement", "x" * 65),
        ("gender", "x" * 65),
        ("urgency", "x" * 65),
        ("risk_level", "x" * 65),
        ("constraints", "x" * 801),
        ("first_transfer_id", bytes(16)),
    ],
)
def test_a_summary_keeps_its_bounds(field: str, value: object) -> None:
    broken = v1.Summary()
    broken.CopyFrom(SUMMARY)
    setattr(broken, field, value)
    with pytest.raises(InvalidInput) as refusal:
        seal_summary(broken, parties=PARTIES, to=KEY.public)
    assert refusal.value.facts["field"] == f"summary.{field}"
    info = frame(Label.SEALED_SUMMARY, PARTIES.network, PARTIES.transfer_id, PARTIES.sender, PARTIES.recipient, b"")
    forged = seal_padded(broken.SerializeToString(), to=KEY.public, info=info, bucket=2048)
    with pytest.raises(MalformedStatement):
        open_summary(forged, parties=PARTIES, key=KEY)


def test_the_longest_summary_of_plain_words_fits_and_one_that_does_not_is_refused() -> None:
    longest = v1.Summary()
    longest.CopyFrom(SUMMARY)
    longest.constraints = "é" * 600
    assert open_summary(seal_summary(longest, parties=PARTIES, to=KEY.public), parties=PARTIES, key=KEY) == longest
    longest.constraints = "\U0001f97a" * 600
    with pytest.raises(InvalidInput):
        seal_summary(longest, parties=PARTIES, to=KEY.public)


def test_an_update_names_the_first_transfer() -> None:
    update = v1.Summary()
    update.CopyFrom(SUMMARY)
    update.kind = "update"
    for first in (b"", bytes(15)):
        update.first_transfer_id = first
        with pytest.raises(InvalidInput):
            seal_summary(update, parties=PARTIES, to=KEY.public)
    update.first_transfer_id = bytes(16)
    assert open_summary(seal_summary(update, parties=PARTIES, to=KEY.public), parties=PARTIES, key=KEY) == update


def test_the_content_key_is_bound_to_offer_and_answer() -> None:
    sealed = seal_content_key(CONTENT_KEY, to=KEY.public, offer=ABOUT, answer=ELSEWHERE)
    assert len(sealed) == SEALED_CONTENT_KEY_SIZE
    assert open_content_key(sealed, key=KEY, offer=ABOUT, answer=ELSEWHERE) == CONTENT_KEY
    for offer, answer, key in ((ELSEWHERE, ABOUT, KEY), (ABOUT, ABOUT, KEY), (ABOUT, ELSEWHERE, OTHER_KEY)):
        with pytest.raises(CannotOpen):
            open_content_key(sealed, key=key, offer=offer, answer=answer)
    with pytest.raises(ValueError, match="32 bytes"):
        seal_content_key(bytes(31), to=KEY.public, offer=ABOUT, answer=ELSEWHERE)


def test_the_transcript_is_the_two_digests_in_their_order() -> None:
    assert transcript(ABOUT, ELSEWHERE) == frame(Label.TRANSCRIPT, ABOUT, ELSEWHERE)
    assert transcript(ABOUT, ELSEWHERE) != transcript(ELSEWHERE, ABOUT)


def test_every_sealed_text_has_a_label_of_its_own() -> None:
    labels = [value for name, value in vars(Label).items() if name.startswith("SEALED")]
    assert len({frame(label) for label in labels}) == len(labels) == 4
    assert set(sealed_texts.__all__) <= set(dir(sealed_texts))
