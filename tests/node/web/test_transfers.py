"""Offers answered and transfers followed at the pages of two whole nodes."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio

from cordee import proof
from cordee.case import mandatory_sections
from cordee.errors import CardExpired
from cordee.evidence import Sort, judge_transfer
from cordee.ids import TransferId
from cordee.transfer import State
from node import journal, records, transfer_store
from node.app import Parts
from node.demo.cheat import CheatingShipping
from node.people import Role
from node.transfers import TransferBook, TransferLine
from tests.neighbours import Street, eventually, neighbourhood
from tests.node.web.following import Browser, browser, offered

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def street(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Street]:
    async with neighbourhood(tmp_path_factory.mktemp("pages"), "Paris", "Marseille") as (town, _):
        yield town


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pages(street: Street) -> AsyncIterator[tuple[Browser, Browser]]:
    """A handler of Paris and one of Marseille, each also a lead."""
    async with AsyncExitStack() as stack:
        paris, marseille = [
            await stack.enter_async_context(browser(each, "Camille", Role.HANDLER, Role.LEAD))
            for each in street.neighbours.values()
        ]
        yield paris, marseille


def at(transfer: TransferId, step: str = "") -> str:
    return f"/transfers/{transfer.hex()}{step}"


async def accept(browser: Browser, transfer: TransferId, **typed: Any) -> None:
    await browser.send(at(transfer, "/accept"), conflict="no", areas="no", **typed)


async def words_of(browser: Browser, transfer: TransferId) -> list[str]:
    """Everything in the record that a person typed of themselves: none of it may be seen before it is theirs."""
    node = browser.neighbour.here
    row = await node.db.read(lambda tx: transfer_store.read_transfer(tx, transfer))
    stored = await node.db.read(lambda tx: records.read_case(tx, node.vault, row.case_id or ""))
    document = stored.case.to_dict()
    identity = [value for value in document["identity"].values() if isinstance(value, str) and len(value) > 6]
    return [document["meta"]["pseudonym"], document["situation"]["request_summary"], *identity]


# ---- an offer ----


async def test_an_offer_is_told_in_words_and_shows_nothing_that_is_sealed(pages: tuple[Browser, Browser]) -> None:
    paris, marseille = pages
    _, transfer = await offered(paris.neighbour, marseille.neighbour)
    shown = await marseille.ask(at(transfer))
    assert "Time left" in shown
    assert "Is a minor of the same group with you" in shown
    assert 'name="section"' in shown
    for word in await words_of(paris, transfer):
        assert word not in shown
    assert "Ouvrir" not in shown


async def test_todays_page_has_an_offer_and_its_time_left(pages: tuple[Browser, Browser]) -> None:
    paris, marseille = pages
    _, transfer = await offered(paris.neighbour, marseille.neighbour, expires_in=timedelta(minutes=20))
    shown = await marseille.ask("/")
    assert at(transfer) in shown
    assert "soon over" in shown


async def test_it_is_accepted_whole_and_the_case_arrives_with_how_to_make_contact_first(
    pages: tuple[Browser, Browser],
) -> None:
    paris, marseille = pages
    record, transfer = await offered(paris.neighbour, marseille.neighbour, ticked={"health"})
    node = marseille.neighbour.here
    summary = await node.transfers.summary(marseille.neighbour.person, transfer)
    await accept(marseille, transfer, section=list(summary.sections))
    await marseille.neighbour.reaches(transfer, State.RECEIVED)
    await paris.neighbour.reaches(transfer, State.RECEIVED)
    shown = await marseille.ask(at(transfer))
    assert record["contact"]["instructions"].split("’")[0].split("'")[0] in shown
    assert shown.index("how to make contact") < shown.index("Open the case")
    assert "unchanged to its last byte" in shown
    lines = await node.db.read(lambda tx: journal.entries(tx, about=record["meta"]["case_id"]))
    assert ("case.read", "contact") in [(each.action, each.facts.get("section")) for each in lines]


async def test_fewer_sections_are_accepted_but_never_fewer_than_the_purpose_needs(
    pages: tuple[Browser, Browser],
) -> None:
    paris, marseille = pages
    record, transfer = await offered(paris.neighbour, marseille.neighbour)
    await accept(marseille, transfer, section=[])
    await marseille.neighbour.reaches(transfer, State.RECEIVED)
    node = marseille.neighbour.here
    stored = await node.db.read(lambda tx: records.read_case(tx, node.vault, record["meta"]["case_id"]))
    needed = mandatory_sections("relocation")
    assert needed <= set(stored.case.sections())
    assert "weak_signals" not in stored.case.sections()


@pytest.mark.parametrize("answer", ["", "yes"])
async def test_it_is_not_accepted_before_a_person_says_that_no_conflict_is_there(
    pages: tuple[Browser, Browser], answer: str
) -> None:
    paris, marseille = pages
    _, transfer = await offered(paris.neighbour, marseille.neighbour)
    back = await marseille.send(at(transfer, "/accept"), status=422, conflict=answer, areas="no")
    assert 'id="errors"' in back.text
    assert 'href="#conflict"' in back.text
    assert await marseille.neighbour.state(transfer) is State.OFFERED


async def test_where_areas_are_to_be_avoided_a_person_answers_for_them_too(pages: tuple[Browser, Browser]) -> None:
    paris, marseille = pages
    node, record = paris.neighbour.here, await paris.neighbour.case()
    case_id, now = record["meta"]["case_id"], paris.neighbour.here.clock.now()
    stored = await node.db.read(lambda tx: records.read_case(tx, node.vault, case_id))
    changed = stored.case.with_section("housing", {**record["housing"], "areas_to_avoid": ["59", "62"]})
    await node.db.write(
        lambda tx: records.update_case(
            tx, node.vault, case_id, changed, expected_version=stored.version, by="camille", now=now
        )
    )
    act = await paris.neighbour.act(record, marseille.neighbour)
    transfer = await paris.neighbour.offer(record, marseille.neighbour, act)
    await marseille.neighbour.reaches(transfer, State.OFFERED)
    assert "in an area to avoid?" in await marseille.ask(at(transfer))
    back = await marseille.send(at(transfer, "/accept"), status=422, conflict="no")
    assert 'href="#areas"' in back.text
    await accept(marseille, transfer)
    lines = await marseille.neighbour.here.db.read(lambda tx: journal.of_subject(tx, transfer.hex()))
    answered = next(each for each in lines if each.action == "transfer.compatible")
    assert answered.facts == {"conflict": "no", "areas": "no"}
    assert answered.actor == marseille.neighbour.person.account_id


async def test_an_unknown_section_comes_back_as_an_error_in_words(pages: tuple[Browser, Browser]) -> None:
    paris, marseille = pages
    _, transfer = await offered(paris.neighbour, marseille.neighbour)
    back = await marseille.send(at(transfer, "/accept"), status=422, conflict="no", areas="no", section="links")
    assert "outside what the act covers" in back.text


async def test_it_is_declined_with_a_reason_that_its_sender_reads(pages: tuple[Browser, Browser]) -> None:
    paris, marseille = pages
    _, transfer = await offered(paris.neighbour, marseille.neighbour)
    await marseille.send(at(transfer, "/decline"), code="no_capacity", text="Une place samedi <b>")
    await paris.neighbour.reaches(transfer, State.DECLINED)
    shown = await paris.ask(at(transfer))
    assert "no free place" in shown
    assert "Une place samedi &lt;b&gt;" in shown
    assert "Did not go as it should" in await paris.ask("/")


@pytest.mark.parametrize("typed", [{}, {"code": "lazy"}, {"code": "other"}, {"code": "other", "text": "x" * 2001}])
async def test_a_decline_without_a_reason_comes_back_with_what_was_typed(
    pages: tuple[Browser, Browser], typed: dict[str, str]
) -> None:
    paris, marseille = pages
    _, transfer = await offered(paris.neighbour, marseille.neighbour)
    back = await marseille.send(at(transfer, "/decline"), status=422, **typed)
    assert 'id="errors"' in back.text
    assert typed.get("text", "") in back.text
    assert await marseille.neighbour.state(transfer) is State.OFFERED


async def test_what_was_typed_comes_back_where_the_node_cannot_answer_now(
    pages: tuple[Browser, Browser], monkeypatch: pytest.MonkeyPatch
) -> None:
    paris, marseille = pages
    _, transfer = await offered(paris.neighbour, marseille.neighbour)

    async def refuse(*_: object, **__: object) -> None:
        raise CardExpired()

    monkeypatch.setattr(marseille.neighbour.here.receiving, "decline", refuse)
    back = await marseille.send(at(transfer, "/decline"), status=422, code="other", text="Un long texte, pas perdu")
    assert "no valid card" in back.text
    assert "Un long texte, pas perdu" in back.text


# ---- withdrawing ----


async def test_an_offer_is_withdrawn_after_a_page_that_says_what_that_does(pages: tuple[Browser, Browser]) -> None:
    paris, marseille = pages
    _, transfer = await offered(paris.neighbour, marseille.neighbour)
    assert "They can no longer accept it." in await paris.ask(at(transfer, "/withdraw"))
    await paris.send(at(transfer, "/withdraw"))
    await marseille.neighbour.reaches(transfer, State.WITHDRAWN)
    assert "/accept" not in await marseille.ask(at(transfer))


async def test_what_went_to_the_wrong_association_is_withdrawn_and_noted_with_a_clock(
    pages: tuple[Browser, Browser],
) -> None:
    paris, marseille = pages
    _, transfer = await offered(paris.neighbour, marseille.neighbour)
    _, other = await offered(paris.neighbour, marseille.neighbour)
    await paris.send(at(transfer, "/withdraw"), wrong="on")
    await paris.send(at(other, "/withdraw"))
    await marseille.neighbour.reaches(transfer, State.WITHDRAWN)
    shown = await paris.ask(at(transfer))
    assert "It went to the wrong association" in shown
    assert "Tell the data protection officer at once" in shown
    assert "wrong association" not in await paris.ask(at(other))
    today = await paris.ask("/?whole=1")
    assert "A case went to the wrong association" in today
    clock = today.partition("Against the clock")[2].partition("</section>")[0]
    assert at(transfer) in clock
    assert at(other) not in clock
    node = paris.neighbour.here
    lines = await node.db.read(lambda tx: journal.latest(tx, action="transfer.wrong_recipient", limit=5))
    assert [each.subject for each in lines] == [transfer.hex()]
    assert "wrong association" not in await marseille.ask(at(transfer)), "they read that it was withdrawn, and not why"


async def test_a_held_one_is_withdrawn_after_acceptance(pages: tuple[Browser, Browser]) -> None:
    paris, marseille = pages
    _, transfer = await offered(paris.neighbour, marseille.neighbour, hold=True)
    await accept(marseille, transfer)
    await paris.neighbour.reaches(transfer, State.ACCEPTED)
    assert "Nothing of the case leaves any more." in await paris.ask(at(transfer, "/withdraw"))
    await paris.send(at(transfer, "/withdraw"))
    await marseille.neighbour.reaches(transfer, State.WITHDRAWN)


async def test_what_stands_still_shows_no_bar_and_what_moves_does(
    pages: tuple[Browser, Browser], monkeypatch: pytest.MonkeyPatch
) -> None:
    paris, marseille = pages
    _, transfer = await offered(paris.neighbour, marseille.neighbour, hold=True)
    await accept(marseille, transfer)
    await paris.neighbour.reaches(transfer, State.ACCEPTED)
    told = TransferBook._line

    async def bars(still: bool) -> list[str]:
        def half_way(book: TransferBook, *known: Any) -> TransferLine:
            return replace(told(book, *known), bytes_done=1000, bytes_total=4000, still=still)

        monkeypatch.setattr(TransferBook, "_line", half_way)
        pages = [await paris.ask(place) for place in ("/", "/transfers", at(transfer))]
        return [
            bar for page in pages for bar in re.findall(rf'<progress [^>]*data-progress="{transfer.hex()}"[^>]*>', page)
        ]

    assert (await paris.neighbour.here.transfers.get(paris.neighbour.person, transfer)).still
    assert ["hidden" in each for each in await bars(still=True)] == [True] * 3
    assert ["hidden" in each for each in await bars(still=False)] == [False] * 3


async def test_a_held_one_is_let_go(pages: tuple[Browser, Browser]) -> None:
    paris, marseille = pages
    _, transfer = await offered(paris.neighbour, marseille.neighbour, hold=True)
    await accept(marseille, transfer)
    await paris.neighbour.reaches(transfer, State.ACCEPTED)
    assert "nothing leaves until you let it go" in await paris.ask(at(transfer))
    assert "it waits for your word" in await paris.ask("/")
    await paris.send(at(transfer, "/ship"))
    await marseille.neighbour.reaches(transfer, State.RECEIVED)


async def test_what_is_shipped_to_somebody_away_is_withdrawn(street: Street, pages: tuple[Browser, Browser]) -> None:
    paris, _ = pages
    away = await street.settle("Lyon", len(street.neighbours))
    await away.start()
    await eventually(lambda: away.member in {each.member for each in paris.neighbour.here.roster.members()})
    await eventually(lambda: paris.neighbour.here.roster.card(away.member, now=street.clock.now()))
    _, transfer = await offered(paris.neighbour, away, hold=True)
    await away.here.receiving.accept(away.person, transfer)
    await paris.neighbour.reaches(transfer, State.ACCEPTED)
    await away.reaches(transfer, State.ACCEPTED)
    await away.stop()
    await paris.send(at(transfer, "/ship"))
    await paris.neighbour.reaches(transfer, State.SHIPPED)
    assert "What waits for them is erased, with its key." in await paris.ask(at(transfer, "/withdraw"))
    await paris.send(at(transfer, "/withdraw"))
    await paris.neighbour.reaches(transfer, State.WITHDRAWN)


@pytest.mark.parametrize("end", ["declined", "withdrawn", "received"])
async def test_what_is_over_is_neither_accepted_nor_declined(pages: tuple[Browser, Browser], end: str) -> None:
    paris, marseille = pages
    if end == "received":
        _, transfer = await received(paris, marseille)
    else:
        _, transfer = await offered(paris.neighbour, marseille.neighbour)
        if end == "declined":
            await marseille.send(at(transfer, "/decline"), code="no_capacity")
        else:
            await paris.send(at(transfer, "/withdraw"))
    await marseille.neighbour.reaches(transfer, State(end))
    await marseille.send(at(transfer, "/accept"), status=409, conflict="no", areas="no")
    await marseille.send(at(transfer, "/decline"), status=409, code="no_capacity")
    assert await marseille.neighbour.state(transfer) is State(end)


async def test_what_is_over_without_having_come_is_not_withdrawn(pages: tuple[Browser, Browser]) -> None:
    paris, marseille = pages
    _, transfer = await offered(paris.neighbour, marseille.neighbour)
    await marseille.send(at(transfer, "/decline"), code="no_capacity")
    await paris.neighbour.reaches(transfer, State.DECLINED)
    assert "/withdraw" not in await paris.ask(at(transfer))
    await paris.ask(at(transfer, "/withdraw"), status=303)
    await paris.send(at(transfer, "/withdraw"), status=409)


async def received(paris: Browser, marseille: Browser, **options: Any) -> tuple[dict[str, Any], TransferId]:
    record, transfer = await offered(paris.neighbour, marseille.neighbour, **options)
    await marseille.neighbour.here.receiving.accept(marseille.neighbour.person, transfer)
    await marseille.neighbour.reaches(transfer, State.RECEIVED)
    await paris.neighbour.reaches(transfer, State.RECEIVED)
    return record, transfer


async def test_what_is_refused_on_arrival_says_why_on_both_sides(
    street: Street, pages: tuple[Browser, Browser]
) -> None:
    _, marseille = pages
    cheat = await street.settle("Brest", len(street.neighbours))
    await cheat.start(parts=Parts(shipping=CheatingShipping))
    await eventually(lambda: cheat.here.roster.card(marseille.neighbour.here.member, now=street.clock.now()))
    await eventually(lambda: cheat.member in {each.member for each in marseille.neighbour.here.roster.members()})
    record = await cheat.case(1)
    await cheat.attach(record["meta"]["case_id"], b"nothing that the act covers")
    transfer = await cheat.offer(record, marseille.neighbour, await cheat.act(record, marseille.neighbour))
    await marseille.neighbour.reaches(transfer, State.OFFERED)
    await accept(marseille, transfer)
    await marseille.neighbour.reaches(transfer, State.REFUSED)
    shown = await marseille.ask(at(transfer))
    assert "something lay outside what the act covers" in shown
    assert "Refused on arrival" in shown
    assert "unchanged to its last byte" not in shown
    await cheat.reaches(transfer, State.REFUSED)
    async with browser(cheat, "Camille", Role.HANDLER) as sender:
        assert "something lay outside what the act covers" in await sender.ask(at(transfer))
    await cheat.stop()


async def asked_to_erase(paris: Browser, marseille: Browser) -> tuple[dict[str, Any], TransferId]:
    record, transfer = await received(paris, marseille)
    assert "have to answer with a signature" in await paris.ask(at(transfer, "/withdraw"))
    await paris.send(at(transfer, "/withdraw"))
    await erasure_is(marseille, transfer, "asked")
    return record, transfer


async def erasure_is(browser: Browser, transfer: TransferId, answer: str) -> None:
    node = browser.neighbour.here

    async def said() -> bool:
        return (await node.db.read(lambda tx: transfer_store.read_transfer(tx, transfer))).erasure == answer

    await eventually(said, what=f"erasure {answer}")


async def test_what_was_received_is_erased_on_request_once_somebody_is_sure(pages: tuple[Browser, Browser]) -> None:
    paris, marseille = pages
    record, transfer = await asked_to_erase(paris, marseille)
    assert "You are asked to erase this" in await marseille.ask(at(transfer))
    assert "To be erased" in await marseille.ask("/")
    back = await marseille.send(at(transfer, "/erasure"), status=422, answer="erase")
    assert "cannot be undone" in back.text
    await marseille.ask(f"/cases/{record['meta']['case_id']}")
    await marseille.send(at(transfer, "/erasure"), answer="erase", sure="on")
    await erasure_is(paris, transfer, "done")
    assert "Erased on request" in await paris.ask(at(transfer))
    for each in (paris, marseille):
        assert "Download the erasure receipt" in await each.ask(at(transfer))
        answer = await each.client.get(at(transfer, "/erasure-receipt"))
        assert answer.headers["content-disposition"].endswith('.erasure"')
        found = judge_transfer(answer.content, network=each.neighbour.here.house.network)
        assert (found.sort, found.facts["erased"]) == (Sort.ERASURE, True)
    await marseille.ask(f"/cases/{record['meta']['case_id']}", status=404)
    await marseille.ask(at(transfer))


async def test_what_the_law_has_them_keep_is_kept_with_the_reason(pages: tuple[Browser, Browser]) -> None:
    paris, marseille = pages
    _, transfer = await asked_to_erase(paris, marseille)
    assert "erasure receipt" not in await paris.ask(at(transfer))
    await paris.ask(at(transfer, "/erasure-receipt"), status=404)
    back = await marseille.send(at(transfer, "/erasure"), status=422, answer="keep", code="because")
    assert "Choose a reason." in back.text
    await marseille.send(at(transfer, "/erasure"), answer="keep", code="legal_obligation", text="Signalement en cours")
    await erasure_is(paris, transfer, "refused")
    shown = await paris.ask(at(transfer))
    assert "the law obliges us to keep it" in shown
    assert "Signalement en cours" in shown
    answer = await paris.client.get(at(transfer, "/erasure-receipt"))
    assert judge_transfer(answer.content, network=paris.neighbour.here.house.network).facts["erased"] is False


async def test_what_is_not_for_us_is_given_back_and_todays_page_says_why(pages: tuple[Browser, Browser]) -> None:
    paris, marseille = pages
    record, transfer = await received(paris, marseille)
    case_id = record["meta"]["case_id"]
    page = await marseille.ask(at(transfer, "/return"))
    assert "What will happen" in page
    assert "Somebody has written in this case" not in page
    back = await marseille.send(at(transfer, "/return"), status=422, code="other", text="")
    assert "Say in a few words which." in back.text
    assert "cannot be undone" in back.text
    await marseille.ask(f"/cases/{case_id}")
    back = await marseille.send(at(transfer, "/return"), status=422, code="because", sure="on")
    assert "Choose a reason." in back.text
    await marseille.send(at(transfer, "/return"), code="wrong_recipient", text="Un homonyme.", sure="on")
    await marseille.ask(f"/cases/{case_id}", status=404)
    mine = await marseille.ask(at(transfer))
    assert "Not for you: erased here" in mine
    assert "This is not for us" not in mine
    await erasure_is(paris, transfer, "returned")
    today = await paris.ask("/")
    assert "Did not go as it should" in today
    assert "it was meant for another association" in today
    shown = await paris.ask(at(transfer))
    assert "Un homonyme." in shown
    assert f"/cases/{case_id}/send" in shown
    assert "/withdraw" not in shown
    await paris.ask(f"/cases/{case_id}")
    await marseille.ask(at(transfer, "/return"), status=303)
    await marseille.send(at(transfer, "/return"), status=409, code="other", text="Encore.", sure="on")


async def test_what_was_written_since_it_came_is_named_before_it_is_given_back(pages: tuple[Browser, Browser]) -> None:
    paris, marseille = pages
    record, transfer = await received(paris, marseille)
    node, case_id = marseille.neighbour.here, record["meta"]["case_id"]
    stored = await node.db.read(lambda tx: records.read_case(tx, node.vault, case_id))
    written = stored.case.with_section("notes", None)
    await node.db.write(
        lambda tx: records.update_case(
            tx,
            node.vault,
            case_id,
            written,
            expected_version=stored.version,
            by=marseille.neighbour.person.account_id,
            now=node.clock.now(),
        )
    )
    assert "Somebody has written in this case" in await marseille.ask(at(transfer, "/return"))


# ---- updates ----


async def test_an_update_of_a_referral_stands_beside_the_case(pages: tuple[Browser, Browser]) -> None:
    paris, marseille = pages
    record, first = await received(paris, marseille, purpose="joint_followup", kind="referral")
    assert "Send what is new in this case" in await paris.ask(at(first))
    await paris.ask(at(first, "/update"))
    sent = await paris.send(at(first, "/update"), section=["risk"])
    update = TransferId(bytes.fromhex(sent.headers["location"].rpartition("/")[2]))
    await marseille.neighbour.reaches(update, State.RECEIVED)
    assert "/versions" in await marseille.ask(f"/cases/{record['meta']['case_id']}")
    shown = await marseille.ask(f"/cases/{record['meta']['case_id']}/versions")
    assert "Side by side" in shown
    assert "Here, now" in shown
    assert "Show (this is recorded)" in shown
    shown = (
        await marseille.send(
            f"/cases/{record['meta']['case_id']}/versions", status=200, field=["risk.retaliation_risk", "meta", "x.y"]
        )
    ).text
    assert "Show (this is recorded)" not in shown
    node = marseille.neighbour.here
    lines = await node.db.read(lambda tx: journal.of_subject(tx, record["meta"]["case_id"]))
    viewed = [each.facts["field"] for each in lines if each.action == "field.viewed"]
    assert viewed == ["risk.retaliation_risk"]
    nothing = await paris.send(at(first, "/update"), status=409)
    assert 'id="errors"' in nothing.text


# ---- the list, the proof, and what is nobody's business ----


async def test_the_list_names_pseudonyms_and_associations_and_is_filtered(pages: tuple[Browser, Browser]) -> None:
    paris, marseille = pages
    record, transfer = await offered(paris.neighbour, marseille.neighbour)
    ours = await paris.ask("/transfers?state=under_way&direction=out")
    assert at(transfer) in ours
    assert record["meta"]["pseudonym"] in ours
    assert at(transfer) not in await paris.ask("/transfers?state=ended")
    theirs = await marseille.ask("/transfers?state=waiting")
    assert at(transfer) in theirs
    assert at(transfer) not in await marseille.ask("/transfers?direction=out")


async def test_a_proof_is_a_file_that_verifies(pages: tuple[Browser, Browser]) -> None:
    paris, marseille = pages
    _, transfer = await received(paris, marseille)
    answer = await paris.client.get(at(transfer, "/proof"))
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment")
    report = proof.verify(answer.content, network=paris.neighbour.here.house.network)
    assert (report.transfer_id, report.outcome) == (transfer, State.RECEIVED)


@pytest.mark.parametrize("step", ["", "/proof", "/erasure-receipt", "/withdraw", "/return", "/erasure", "/update"])
@pytest.mark.parametrize("name", ["0" * 32, "z" * 32, "12", "%2e%2e"])
async def test_a_transfer_that_is_not_here_is_not_found(pages: tuple[Browser, Browser], name: str, step: str) -> None:
    await pages[0].ask(f"/transfers/{name}{step}", status=404)


async def test_an_offer_of_ours_cannot_be_answered_by_us(pages: tuple[Browser, Browser]) -> None:
    paris, marseille = pages
    _, transfer = await offered(paris.neighbour, marseille.neighbour)
    await paris.send(at(transfer, "/accept"), status=404, conflict="no")
    await paris.send(at(transfer, "/decline"), status=404, code="no_capacity")
    await paris.ask(at(transfer, "/return"), status=404)
    assert await paris.neighbour.state(transfer) is State.OFFERED


async def test_who_is_no_handler_reads_and_decides_nothing(street: Street, pages: tuple[Browser, Browser]) -> None:
    paris, marseille = pages
    _, transfer = await offered(paris.neighbour, marseille.neighbour)
    async with browser(marseille.neighbour, "Audrey", Role.AUDITOR) as auditor:
        assert "/accept" not in await auditor.ask(at(transfer))
        await auditor.send(at(transfer, "/accept"), status=403, conflict="no")
        await auditor.send(at(transfer, "/decline"), status=403, code="no_capacity")
    async with browser(marseille.neighbour, "Direction", Role.ADMINISTRATOR) as administrator:
        await administrator.ask(at(transfer), status=403)
        await administrator.ask("/transfers", status=403)
        await administrator.ask("/live", status=403)
