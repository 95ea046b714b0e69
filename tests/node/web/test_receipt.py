"""The sheet for the family, for each kind of act."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any

import pytest

from cordee.act import parse_act
from node.demo import cases as synthetic
from node.web.act_told import told
from node.web.receipt import House, receipt, sheet

NOW = datetime(2026, 5, 4, 20, 30, tzinfo=UTC)
OURS = House("Ligne Coquelicot", ("+33199006822",))
KINDS: dict[str, dict[str, Any]] = {
    "consent": {},
    "refusal": {"kind": "refusal", "status": "refused", "sections": []},
    "information_only": {
        "kind": "information_only",
        "legal_basis": "shared_secrecy_l226_2_2",
        "justification": "Pour préparer l’accueil.",
    },
    "override": {
        "kind": "override",
        "legal_basis": "vital_interest",
        "justification": "Menaces de mort.",
        "validated_by_role": "cheffe de service",
        "review_due_at": "2026-05-11T20:00:00+02:00",
    },
}


def act_of(kind: str, **changes: Any) -> Any:
    record = synthetic.cases(now=NOW, owner="603c7633-1379-4eaa-a59a-1759389079cc", random=os.urandom)[0]
    document = synthetic.act(
        record,
        purpose="specialised_support",
        recipients=["39180f55-0764-463c-b133-7c32a83fe466"],
        attachments=[],
        now=NOW,
        random=os.urandom,
    )
    return parse_act({**document, **KINDS[kind], **changes})


def words_of(act: Any, language: str) -> str:
    shown = told(act, members=[], persons={}, now=NOW, language=language)
    return "\n".join(line for _, line in sheet(act, shown, OURS, now=NOW, language=language))


@pytest.mark.parametrize("language", ["fr", "en"])
@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_act_fits_one_page(kind: str, language: str) -> None:
    act = act_of(kind)
    shown = told(act, members=[], persons={}, now=NOW, language=language)
    made = receipt(act, shown, OURS, now=NOW, language=language)
    assert made.startswith(b"%PDF")
    assert b"/Count 1" in made


@pytest.mark.parametrize("kind", KINDS)
def test_no_sheet_tells_why_or_what_was_said(kind: str) -> None:
    act = act_of(kind)
    words = words_of(act, "fr")
    assert act.to_dict()["evidence"]["words_used"] not in words
    assert not act.justification or act.justification not in words


def test_a_sheet_of_a_refusal_promises_that_nothing_is_sent() -> None:
    words = words_of(act_of("refusal"), "en")
    assert "Nothing is sent to them for this." in words
    assert "What they are told" not in words


def test_a_sheet_says_so_where_the_act_was_taken_back_since() -> None:
    withdrawal = {"at": "2026-05-05T10:00:00+02:00", "by_role": "minor"}
    words = words_of(act_of("consent", status="withdrawn", withdrawal=withdrawal), "en")
    assert "This was taken back since." in words
    assert "If you change your mind" not in words


def test_nobody_is_told_to_have_agreed_who_did_not() -> None:
    agreed = act_of("consent").to_dict()
    agreed["decided_by"][0]["answer"] = "dissents"
    words = words_of(parse_act(agreed), "en")
    assert ", you agreed" not in words
    assert "those who answer for you agreed" in words
