"""Nothing leaves that no act covers, and nothing is taken in that came without: for any case, act and sender."""

from __future__ import annotations

import asyncio
import copy
import os
import threading
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from cordee.act import Act, RecipientFacts, decide, parse_act
from cordee.case import PURPOSES, SECTIONS, Case, case_of, check_scope, minimise
from cordee.errors import CordeeError, InvalidRecord
from cordee.ids import TransferId
from cordee.transfer import State
from node import acts, records, sending, transfer_store
from node.app import Parts
from node.attachments import StoredAttachment
from node.demo.cheat import CheatingShipping
from node.mailbox_line import MailboxHost
from node.sending import Preview
from node.shipping import Shipping
from node.terms import Terms
from node.transfer_store import Transfer
from tests.attacks.bounds_of_scope import HANDING_OVER, LISTS, WITHOUT_ACT, beyond, lacking
from tests.cordee.test_minimisation import FIRST, SECOND, full_case
from tests.journeys.aftermath import holder, nothing_is_left
from tests.neighbours import Neighbour, Street, eventually, knows, neighbourhood
from tests.samples import acts_in, cases

T = TypeVar("T")

FULL = full_case()
CASES = [FULL, *cases()]
BASE = acts_in(FULL)[0].to_dict()
ORG = "0b0c1a44-9c4b-4f0a-8d0e-000000000001"
BASES = {
    "consent": ["consent"],
    "refusal": ["consent"],
    "information_only": ["shared_secrecy_l226_2_2"],
    "override": ["ip_l226_2_1", "penal_226_14_signalement", "vital_interest", "court_order"],
}
FIELDS = sorted(
    {
        f"{name}.{field}"
        for name in SECTIONS
        for entry in (FULL.section(name) if name in LISTS else [FULL.section(name)])
        for field in entry
        if not field.startswith("x_") and name != "consents"
    }
)
ANSWERS = ["agrees", "refuses", "assents", "dissents", "informed", "not_asked"]


def mostly(good: Any, *others: Any) -> st.SearchStrategy[Any]:
    """The good value fourteen times out of fifteen: there are a dozen of these, and enough is to get through."""
    return st.sampled_from([good] * 14 * max(1, len(others)) + list(others))


def acts_for(case: Case, recipients: list[dict[str, str]], now: datetime) -> st.SearchStrategy[dict[str, Any]]:
    """Acts about a case, good and bad ones, most of them near to good."""

    @st.composite
    def drawn(draw: st.DrawFn) -> dict[str, Any]:
        kind = draw(mostly("consent", "refusal", "information_only", "override"))
        starts = now + draw(mostly(timedelta(days=-1), timedelta(days=-100), timedelta(hours=1)))
        ends = now + draw(mostly(timedelta(days=1), timedelta(days=90), timedelta(hours=-1)))
        left_out = st.one_of(st.just(set()), st.sets(st.sampled_from(SECTIONS), max_size=4))
        sections = set(SECTIONS) - draw(left_out)
        minor: dict[str, Any] = {"role": "minor", "answer": draw(mostly("agrees", *ANSWERS))}
        if draw(st.booleans()):
            minor["discernment"] = {"result": draw(st.sampled_from(["able", "not_able"])), "assessed_by_role": "psy"}
        holders = [
            {"role": "parental_authority_holder", "answer": draw(mostly("agrees", *ANSWERS))}
            for _ in range(draw(mostly(1, 0, 2)))
        ]
        document = copy.deepcopy(BASE) | {
            "act_id": draw(st.uuids(version=4).map(str)),
            "case_id": draw(mostly(case.case_id, FIRST)),
            "kind": kind,
            "legal_basis": draw(st.sampled_from(BASES[kind])),
            "status": draw(mostly("refused" if kind == "refusal" else "active", "used", "withdrawn", "superseded")),
            "decided_at": _text(min(starts, now)),
            "decided_by": [minor, *holders],
            "purposes": sorted(draw(st.sets(st.sampled_from(sorted(PURPOSES)), min_size=1)) | {draw(PURPOSE)}),
            "sections": sorted(sections),
            "excluded_fields": draw(st.lists(st.sampled_from(FIELDS), unique=True, max_size=4)),
            "attachment_ids": sorted(draw(st.sets(st.sampled_from([FIRST, SECOND])))),
            "recipients": draw(st.lists(mostly(*recipients), min_size=1, max_size=2)),
            "valid_from": _text(starts),
            "valid_until": _text(ends),
            "single_use": draw(st.booleans()),
            "information": {
                "minor": draw(mostly("done", "not_possible", "against_interest")),
                "parents": draw(mostly("done", "not_possible", "against_child_interest", "none_known")),
                "reason_not_informed": "danger",
            },
            "justification": draw(mostly("danger immédiat", " ")),
            "validated_by_role": "cheffe de service",
            "review_due_at": _text(now + draw(mostly(timedelta(days=2), timedelta(hours=-1)))),
        }
        document.pop("withdrawal", None)
        return document

    return drawn()


PURPOSE = st.sampled_from(sorted(PURPOSES))
NONE: Any = st.just(frozenset())
CASE = st.one_of(st.just(FULL), st.just(FULL), st.sampled_from(CASES))
CHOICE = st.one_of(
    NONE, NONE, st.sets(st.sampled_from(["health", "links", "online_traces"])), st.sets(st.sampled_from(SECTIONS))
)
UNTICKED = st.one_of(
    NONE, NONE, st.sets(st.sampled_from(FIELDS), max_size=3), st.sets(st.sampled_from(SECTIONS), max_size=3)
)
ATTACHED = st.one_of(NONE, NONE, st.sets(st.sampled_from([FIRST, SECOND]))).map(tuple)


def asked_for(act: dict[str, Any]) -> st.SearchStrategy[str]:
    """A purpose, most often one of the act's."""
    own = st.sampled_from(act["purposes"])
    return st.one_of(own, own, own, PURPOSE)


def _text(time: datetime) -> str:
    return time.replace(microsecond=0).isoformat()


# ---- the sender's side: the rules, for anything ----

NOW = datetime.fromisoformat("2026-11-24T10:00:00+01:00")
RECIPIENTS = [
    {"kind": "organisation", "org_id": ORG},
    {"kind": "organisation", "org_id": FIRST},
    {"kind": "category", "category": "emergency_shelter"},
    {"kind": "category", "category": "crip", "departement": "75"},
]


@st.composite
def situations(draw: st.DrawFn) -> dict[str, Any]:
    case = draw(CASE)
    recipient = RecipientFacts(
        org_id=ORG,
        active=draw(mostly(True, False)),
        card_valid=draw(mostly(True, False)),
        bound_by_secrecy=draw(st.booleans()),
        categories=frozenset(draw(st.sets(st.sampled_from(["emergency_shelter", "crip"])))),
        departement=draw(st.sampled_from(["13", "75"])),
    )
    documents = draw(st.lists(acts_for(case, RECIPIENTS, NOW), min_size=1, max_size=2))
    purpose = draw(asked_for(documents[0]))
    return {
        "case": case,
        "documents": documents,
        "with_act": draw(mostly(True, False)),
        "recipient": recipient,
        "purpose": purpose,
        "ticked": draw(CHOICE),
        "unticked": draw(UNTICKED),
        "attachments": draw(ATTACHED),
        "hands_over": draw(st.booleans()) and purpose in HANDING_OVER,
    }


@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(situations())
def test_whatever_is_asked_nothing_leaves_beyond_an_act_that_allows_it(situation: dict[str, Any]) -> None:
    try:
        recorded = [parse_act(each) for each in situation["documents"]]
    except InvalidRecord:
        event("an act that cannot be recorded")
        return
    case, act, purpose = situation["case"], recorded[0] if situation["with_act"] else None, situation["purpose"]
    recipient: RecipientFacts = situation["recipient"]
    choice = {key: situation[key] for key in ("ticked", "unticked", "attachments", "hands_over")}
    try:
        decide(act=act, acts_on_record=recorded, case=case, purpose=purpose, recipient=recipient, now=NOW).require()
        package = minimise(case, purpose=purpose, act=act, **choice)
    except CordeeError as refused:
        event(f"refused: {refused.reason}")
        return
    event("something may leave")
    plain = act.to_dict() if act else None
    facts = {
        "org_id": recipient.org_id,
        "categories": recipient.categories,
        "departement": recipient.departement,
        "bound_by_secrecy": recipient.bound_by_secrecy,
    }
    if purpose in WITHOUT_ACT:
        assert not {"contact", "family", "attachments", "notes"} & set(package), "a projection that names nobody"
        return
    assert plain is not None
    assert lacking(plain, case_id=case.case_id, purpose=purpose, now=NOW, **facts) == []
    assert beyond(package, choice.pop("attachments"), case=case.to_dict(), act=plain, purpose=purpose, **choice) == []


# ---- the recipient's side: the rules, for anything ----


@settings(max_examples=500, deadline=None)
@given(acts_for(FULL, RECIPIENTS, NOW), PURPOSE, st.data())
def test_whatever_comes_only_what_the_act_covers_is_taken_in(
    document: dict[str, Any], purpose: str, data: st.DataObject
) -> None:
    try:
        act = parse_act(document)
    except InvalidRecord:
        return
    # A package as a cheat would make it: what is allowed, and perhaps a section, a field or a file more, or less.
    rule = PURPOSES[purpose]
    allowed = {name for name in act.sections | {"meta"} if rule.modes[name] != "X"}
    names = data.draw(st.sets(st.sampled_from(sorted(allowed))))
    names |= data.draw(st.one_of(st.just(set()), st.sets(st.sampled_from(SECTIONS), max_size=1)))
    try:
        package = minimise(FULL, purpose=purpose, act=act, taken=names, ticked=allowed & set(_optional(rule)))
    except CordeeError:
        package = {}
    worse = copy.deepcopy(package)
    for name in sorted(names - set(package))[:1]:
        worse[name] = FULL.section(name)
    for path in data.draw(st.sets(st.sampled_from(FIELDS), max_size=1)):
        name, _, field = path.partition(".")
        if name in worse:
            source = FULL.section(name)
            target, origin = (worse[name][0], source[0]) if name in LISTS else (worse[name], source)
            if field in origin:
                target[field] = origin[field]
    came = data.draw(ATTACHED)
    try:
        check_scope(worse, came, purpose=purpose, act=act, taken=tuple(names))
    except CordeeError as refused:
        event(f"refused: {refused.reason}")
        return
    event("taken in")
    # Of what is marked "may be sent" the recipient sees the marks that came, so the oracle is told the same.
    found = beyond(worse, came, case=FULL.to_dict(), act=document, purpose=purpose, hands_over=purpose in HANDING_OVER)
    assert found == []
    assert set(worse) <= names


def _optional(rule: Any) -> Iterator[str]:
    return (name for name, mode in rule.modes.items() if mode == "C" and name != "attachments")


# ---- the sender's side: a whole node, asked for anything ----


class Neighbourhood:
    """Three associations that live in a loop of their own, so that a property can ask them from outside."""

    def __init__(self, folder: Path) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._stack = neighbourhood(folder, "Paris", "Marseille", "Lyon", start=False)
        self.street, (self.paris, self.marseille, self.lyon) = self.ask(self._stack.__aenter__())
        self.ask(self.paris.start())
        self.ask(eventually(lambda: len(self.paris.here.roster._cards) == 3, what="the cards"))

    def ask(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    def close(self) -> None:
        self.ask(self._stack.__aexit__(None, None, None))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Neighbourhood]:
    made = Neighbourhood(tmp_path_factory.mktemp("scope"))
    yield made
    made.close()


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_a_whole_node_offers_nothing_beyond_an_act_that_allows_it(town: Neighbourhood, data: st.DataObject) -> None:
    street, paris = town.street, town.paris
    now = street.clock.now()
    record = data.draw(CASE).to_dict()
    record.pop("consents", None)
    listed = {each["attachment_id"]: each for each in record.pop("attachments", [])}
    record["meta"] |= {"case_id": str(uuid.uuid4()), "owner_org_id": paris.profile["org_id"]}
    record["meta"].pop("received_transfer_id", None)
    to = data.draw(st.sampled_from([town.marseille, town.lyon]))
    recipients = [
        {"kind": "organisation", "org_id": to.profile["org_id"]},
        {"kind": "organisation", "org_id": town.marseille.profile["org_id"]},
        {"kind": "category", "category": "emergency_shelter"},
        {"kind": "organisation", "org_id": FIRST},
    ]
    case = case_of(record)
    document = data.draw(acts_for(case, recipients, now))
    document |= {"case_id": case.case_id, "act_id": str(uuid.uuid4())}  # the node keeps what earlier examples made
    purpose = data.draw(asked_for(document))
    choice = {
        "ticked": data.draw(CHOICE),
        "unticked": data.draw(UNTICKED),
        "attachments": data.draw(ATTACHED),
        "kind": data.draw(mostly("transfer" if purpose in HANDING_OVER else "referral", "transfer", "referral")),
    }
    marked = {name: data.draw(mostly(True, False)) for name in (FIRST, SECOND)}
    town.ask(_keep(paris, case, listed, marked, now))
    try:
        act = parse_act(document)
        town.ask(_record(paris, act, now))
    except CordeeError:
        event("an act that cannot be recorded")
        return
    asked = {"case_id": case.case_id, "recipient": member_of(paris, to), "purpose": purpose, "act_id": act.act_id}
    transfers = town.ask(paris.here.db.read(transfer_store.all_transfers))
    try:
        preview = town.ask(paris.here.sending.preview(paris.person, **asked, **choice))
    except CordeeError as refused:
        event(f"refused: {refused.reason}")
        with pytest.raises(type(refused)):
            town.ask(paris.here.sending.offer(paris.person, **asked, **choice))
        assert town.ask(paris.here.db.read(transfer_store.all_transfers)) == transfers, "nothing was kept of it"
        return
    event("offered")
    transfer = town.ask(paris.here.sending.offer(paris.person, **asked, **choice))
    packed = town.ask(_terms(paris, transfer, case.case_id))
    assert packed.package == preview.package, "what was previewed is what leaves"
    assert list(packed.attachments) == [each.attachment_id for each in preview.attachments]
    stored = town.ask(paris.here.db.read(lambda tx: records.read_case(tx, paris.here.vault, case.case_id)))
    profile = paris.here.roster.card(asked["recipient"], now=now).profile
    assert purpose not in WITHOUT_ACT
    gaps = lacking(
        document,
        case_id=case.case_id,
        purpose=purpose,
        org_id=to.profile["org_id"],
        categories=profile.categories,
        departement=profile.departement,
        bound_by_secrecy=True,
        now=now,
    )
    assert gaps == []
    outside = beyond(
        packed.package,
        packed.attachments,
        case=stored.case.to_dict(),
        act=document,
        purpose=purpose,
        hands_over=choice["kind"] == "transfer",
        ticked=choice["ticked"],
        unticked=choice["unticked"],
    )
    assert outside == []
    assert parse_act(packed.act).to_dict() == parse_act(document).for_travel().to_dict()
    _says_no_more_than(preview)


def _says_no_more_than(preview: Preview) -> None:
    assert set(preview.summary.sections) == set(preview.package)


def member_of(node: Neighbour, other: Neighbour) -> Any:
    shown = {each.profile.org_id: each.member for each in node.here.roster.members() if each.profile}
    return shown[other.profile["org_id"]]


async def _keep(paris: Neighbour, case: Case, listed: dict[str, Any], marked: dict[str, bool], now: datetime) -> None:
    node = paris.here

    def step(tx: Any) -> None:
        records.create_case(tx, node.vault, case, by="camille", now=now, random=os.urandom)
        for attachment_id in (FIRST, SECOND):
            described = listed.get(attachment_id, {})
            stored = StoredAttachment(
                attachment_id=attachment_id,
                file_id=os.urandom(16).hex(),
                file_name="note.pdf",
                media_type="application/pdf",
                kind=described.get("kind", "report"),
                section="actions",
                size=12,
                sha256=bytes(32),
                may_be_sent=marked[attachment_id],
                third_party_data=False,
            )
            records.add_attachment(tx, node.vault, case.case_id, stored, by="camille", now=now)

    await node.db.write(step)


async def _record(paris: Neighbour, act: Act, now: datetime) -> None:
    await paris.here.db.write(lambda tx: acts.record_act(tx, paris.here.vault, act, by="camille", now=now))


async def _terms(paris: Neighbour, transfer: TransferId, case_id: str) -> Terms:
    def read(tx: Any) -> Terms:
        row = transfer_store.read_transfer(tx, transfer)
        return Terms.unsealed(row.sealed_terms, records.data_key_of(tx, paris.here.vault, case_id), transfer)

    return await paris.here.db.read(read)


# ---- the recipient's side: whole nodes, and senders that cheat ----


def packs(alter: Callable[[Terms], Terms]) -> type[Shipping]:
    """A node that offers honestly and packs something else."""

    class Cheat(Shipping):
        async def _pack(self, job: Transfer, host: MailboxHost) -> asyncio.Task[int | None] | None:
            house = self._house
            key = await house.db.read(lambda tx: records.data_key_of(tx, house.vault, job.case_id or ""))
            altered = alter(Terms.unsealed(job.sealed_terms, key, job.id))
            return await super()._pack(replace(job, sealed_terms=altered.sealed(key, job.id)), host)

    return Cheat


def adds(section: str, **fields: Any) -> type[Shipping]:
    """A node that adds a section, or fields to one."""

    def alter(terms: Terms) -> Terms:
        if section in LISTS:
            return replace(terms, package=terms.package | {section: [fields]})
        present: Any = terms.package.get(section, {})
        return replace(terms, package=terms.package | {section: present | fields})

    return packs(alter)


def widens_the_act(terms: Terms) -> Terms:
    act = parse_act(terms.act).to_dict()
    act["sections"] = sorted({*act["sections"], "schooling"})
    return replace(terms, act=parse_act(act).to_bytes(), package=terms.package | {"schooling": {"level": "college"}})


class Flips(Shipping):
    """One bit of the ciphertext, on the way."""

    async def _counted(
        self, transfer: TransferId, pieces: AsyncIterator[bytes], offset: int
    ) -> AsyncGenerator[bytes, None]:
        async for piece in super()._counted(transfer, pieces, offset):
            middle = len(piece) // 2
            yield piece[:middle] + bytes([piece[middle] ^ 1]) + piece[middle + 1 :]


NOTE = {
    "note_id": FIRST,
    "created_at": "2026-10-01T10:00:00Z",
    "author_id": "u-1",
    "visibility": "team",
    "text": "Zéphyrine",
}
CHEATS: dict[str, tuple[type[Shipping], str]] = {
    "a section that the act leaves out": (adds("schooling", level="college"), "out_of_scope"),
    "a section that was not ticked, and so not offered": (adds("health", allergies="arachides"), "out_of_scope"),
    "a field that the act holds back": (adds("contact", social_handles=[]), "out_of_scope"),
    "a field that never leaves": (adds("meta", local_number="P-1"), "out_of_scope"),
    "a field of its own": (adds("identity", x_mine="1"), "out_of_scope"),
    "the team's notes": (adds("notes", **NOTE), "out_of_scope"),
    "every attachment": (CheatingShipping, "out_of_scope"),
    "another purpose": (packs(lambda terms: replace(terms, purpose="ase_handover")), "out_of_scope"),
    "another kind": (packs(lambda terms: replace(terms, kind="referral")), "out_of_scope"),
    "another act": (packs(widens_the_act), "act_refused"),
    "another nonce": (packs(lambda terms: replace(terms, nonce=bytes(32))), "act_refused"),
    "what is no record": (adds("identity", birth_date="hier"), "invalid_record"),
    "a flipped bit": (Flips, "damaged"),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def street(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Street]:
    """Marseille is not bound by professional secrecy."""
    async with neighbourhood(tmp_path_factory.mktemp("cheats"), "Paris") as (made, _):
        marseille = await made.settle("Marseille", 1, secrecy=False)
        await marseille.start()
        for each in made.neighbours.values():
            await eventually(lambda each=each: knows(each, 2), what="cards")
        yield made


async def _with(paris: Neighbour, parts: Parts | None) -> None:
    await paris.stop()
    await paris.start(parts=parts)


async def _agreed(paris: Neighbour, marseille: Neighbour, **act: Any) -> tuple[str, TransferId]:
    record = await paris.case()
    record_id = record["meta"]["case_id"]
    attached = [await paris.attach(record_id, os.urandom(size)) for size in (1000, 2000)]
    act_id = await paris.act(record, marseille, attachments=attached[:1], **act)
    transfer = await paris.offer(record, marseille, act_id, attachments=attached[:1])
    await marseille.reaches(transfer, State.OFFERED)
    return record_id, transfer


def files_of(neighbour: Neighbour, folder: str) -> list[str]:
    place = neighbour.folder / folder
    return sorted(path.name for path in place.iterdir()) if place.exists() else []


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", list(CHEATS))
async def test_what_a_cheating_sender_ships_is_refused_whole(street: Street, name: str) -> None:
    cheat, code = CHEATS[name]
    paris, marseille = street.neighbours.values()
    await _with(paris, Parts(shipping=cheat))
    quarantine = files_of(marseille, "attachments")
    case_id, transfer = await _agreed(paris, marseille)
    await marseille.here.receiving.accept(marseille.person, transfer)
    await refused_whole(street, transfer, case_id, code)
    assert files_of(marseille, "attachments") == quarantine


async def refused_whole(street: Street, transfer: TransferId, case_id: str, code: str) -> None:
    paris, marseille = street.neighbours.values()
    for each in (paris, marseille):
        await each.reaches(transfer, State.REFUSED)
        reason = await each.here.transfers.reason(each.person, transfer)
        assert reason is not None
        assert reason.code == code
    assert await holder(marseille, case_id) == "none"
    assert await marseille.here.db.read(lambda tx: records.imported_as(tx, transfer)) is None
    assert await holder(paris, case_id) == "here"
    await nothing_is_left(street, transfer, paris, marseille)
    assert files_of(marseille, "spool") == []


@pytest.mark.asyncio(loop_scope="module")
async def test_sections_that_the_recipient_did_not_take_are_refused(street: Street) -> None:
    paris, marseille = street.neighbours.values()
    original: dict[str, Any] = {}

    def all_of_it(terms: Terms) -> Terms:
        return replace(terms, package=original["package"])

    await _with(paris, Parts(shipping=packs(all_of_it)))
    case_id, transfer = await _agreed(paris, marseille)
    original["package"] = (await _terms(paris, transfer, case_id)).package
    wanted = set(original["package"]) - {"exploitation", "attachments"}
    await marseille.here.receiving.accept(marseille.person, transfer, sections=wanted)
    await refused_whole(street, transfer, case_id, "out_of_scope")


@pytest.mark.asyncio(loop_scope="module")
async def test_more_than_was_announced_never_gets_past_the_mailbox(street: Street) -> None:
    paris, marseille = street.neighbours.values()

    def huge(terms: Terms) -> Terms:
        situation: Any = terms.package["situation"]
        return replace(terms, package=terms.package | {"situation": situation | {"x_more": "a" * 400_000}})

    await _with(paris, Parts(shipping=packs(huge)))
    case_id, transfer = await _agreed(paris, marseille)
    await marseille.here.receiving.accept(marseille.person, transfer)

    async def packed() -> bool:
        row = await paris.here.db.read(lambda tx: transfer_store.read_transfer(tx, transfer))
        return row.ciphertext_header is not None

    await eventually(packed, what="the package")
    await asyncio.sleep(0.5)
    assert await marseille.state(transfer) is State.ACCEPTED
    assert await street.town.directory.mailbox.size(transfer) < 400_000
    await paris.here.sending.withdraw(paris.person, transfer)
    await marseille.reaches(transfer, State.WITHDRAWN)
    assert await holder(marseille, case_id) == "none"
    await nothing_is_left(street, transfer, paris, marseille)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    "changes",
    [
        {"recipients": [{"kind": "organisation", "org_id": FIRST}]},
        {"kind": "refusal", "status": "refused"},
        {"status": "superseded"},
        {"purposes": ["health_care"]},
        {"kind": "information_only", "legal_basis": "shared_secrecy_l226_2_2", "justification": "danger"},
    ],
    ids=["another recipient", "a refusal", "superseded", "another purpose", "secrecy that we are not bound by"],
)
async def test_an_offer_made_past_the_decision_table_is_refused_by_the_other_side(
    street: Street, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    paris, marseille = street.neighbours.values()
    await _with(paris, None)
    # The owner of this machine has taken the table, and the check of the purpose, out of the program.
    table, rules = sending.decide, sending.minimise
    good = parse_act(BASE | {"sections": list(SECTIONS), "excluded_fields": [], "attachment_ids": []})

    def anything(**question: Any) -> Any:
        return replace(table(**question), allowed=True)

    def everything(case: Case, **question: Any) -> dict[str, Any]:
        act = parse_act(good.to_dict() | {"purposes": sorted(PURPOSES), "attachment_ids": question["attachments"]})
        return rules(case, **question | {"act": act})

    monkeypatch.setattr(sending, "decide", anything)
    monkeypatch.setattr(sending, "minimise", everything)
    case_id, transfer = await _agreed(paris, marseille, **changes)
    await marseille.here.receiving.accept(marseille.person, transfer)
    await refused_whole(street, transfer, case_id, "act_refused")


@pytest.mark.asyncio(loop_scope="module")
async def test_after_all_that_an_honest_transfer_still_arrives(street: Street) -> None:
    paris, marseille = street.neighbours.values()
    await _with(paris, None)
    case_id, transfer = await _agreed(paris, marseille)
    await marseille.here.receiving.accept(marseille.person, transfer)
    await paris.reaches(transfer, State.RECEIVED)
    assert await holder(marseille, case_id) == "here"
