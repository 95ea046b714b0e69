"""The sending half of a transfer: offer, ship when it is accepted, keep the receipt (protocol §5 to §7).

Every statement is kept before it is sent; every step can be cut off at any moment and goes on after a restart.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import Connection

from cordee import content, statements
from cordee.act import Act, ActLimits, RecipientFacts, commitment, decide, outweighs
from cordee.case import PURPOSES, capacity_summary, minimise
from cordee.errors import (
    N_,
    CardExpired,
    InvalidInput,
    NotFound,
    NotInThisState,
    RecordClosed,
    RoleMissing,
    StaleRecord,
    TooLarge,
)
from cordee.ids import Digest, MemberId, TransferId
from cordee.profile import Profile
from cordee.runtime.crashpoint import register
from cordee.statements import Parties, new_token, new_transfer_id
from cordee.summary import seal_summary
from cordee.transfer import Kind, Party, State, next_state
from cordee.v1 import statements_pb2
from node import acts, journal, need_to_know, records, transfer_store
from node.attachments import StoredAttachment
from node.chain import Chain
from node.house import House
from node.manifests import manifest_of
from node.people import Handler, Role
from node.roster_sync import KnownCard
from node.terms import Terms
from node.transfer_access import require_transfer
from node.transfer_store import Transfer
from node.updating import Ground, ground_of

__all__ = ["KEY_PLACE", "Preview", "Sending"]

OFFER_BEFORE = register("node.offer.before_write")
OFFER_AFTER = register("node.offer.after_write")
WITHDRAWAL_AFTER = register("node.withdrawal.after_write")

KEY_PLACE = "transfer.sealed_content_key"
_TOKEN_GRACE = timedelta(hours=72)  # an answer may come at the offer's last minute
_BACKDATE = timedelta(minutes=5)  # the broker's clock may be a little behind ours
_OFFER_LIFE = {"emergency_shelter": timedelta(hours=2)}  # domain §4, W3
_USUAL_LIFE = timedelta(days=7)
_NOTHING: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Preview:
    """Exactly what an offer would say and what would leave."""

    sections: tuple[str, ...]
    package: dict[str, object]
    attachments: tuple[StoredAttachment, ...]
    summary: statements_pb2.Summary
    size_bound: int
    rule: int
    flags: frozenset[str]
    version: int  # of the case that was looked at
    expires: datetime  # of the offer, if it were made now


@dataclass(frozen=True)
class _Plan:
    preview: Preview
    terms: Terms
    act: Act  # as it travels
    recipient: KnownCard


class Sending:
    """What this node offers to others."""

    def __init__(self, house: House) -> None:
        self._house = house

    # ---- a handler's steps ----

    async def preview(
        self,
        handler: Handler,
        *,
        case_id: str,
        recipient: MemberId,
        purpose: str,
        act_id: str,
        kind: str = "transfer",
        ticked: Collection[str] = _NOTHING,
        unticked: Collection[str] = _NOTHING,
        attachments: Collection[str] = (),
    ) -> Preview:
        """Decide and show, without leaving a trace outside.

        Raises: NotCovered, OutOfScope, NotAMember, CardExpired, RosterStale, TooLarge, NotFound, RecordClosed.
        """
        handler.require(Role.HANDLER)
        _require_kind(kind, purpose)
        plan = await self._house.db.read(
            lambda tx: self._plan(
                tx,
                handler,
                case_id=case_id,
                recipient=recipient,
                purpose=purpose,
                act_id=act_id,
                kind=kind,
                ticked=frozenset(ticked),
                unticked=frozenset(unticked),
                attachments=tuple(attachments),
                nonce=bytes(32),
            )
        )
        return plan.preview

    async def offer(
        self,
        handler: Handler,
        *,
        case_id: str,
        recipient: MemberId,
        purpose: str,
        act_id: str,
        kind: str = "transfer",
        ticked: Collection[str] = _NOTHING,
        unticked: Collection[str] = _NOTHING,
        attachments: Collection[str] = (),
        expires_in: timedelta | None = None,
        hold: bool = False,
        expected_version: int | None = None,
    ) -> TransferId:
        """Offer a case. Only the sealed summary leaves until a person there accepts.

        With `hold`, the case leaves only when `ship` is called after the acceptance: for a minor who wants to meet
        them first, or an arrival that is not settled yet. `expected_version`: of the case that a person looked at; a
        case that changed since then is not offered.

        Raises: as `preview`; OfferAlreadyOpen; StaleRecord.
        """
        handler.require(Role.HANDLER)
        _require_kind(kind, purpose)
        house = self._house
        transfer, nonce = new_transfer_id(house.random), house.random(32)

        def step(tx: Connection) -> None:
            now = house.clock.now()
            plan = self._plan(
                tx,
                handler,
                case_id=case_id,
                recipient=recipient,
                purpose=purpose,
                act_id=act_id,
                kind=kind,
                ticked=frozenset(ticked),
                unticked=frozenset(unticked),
                attachments=tuple(attachments),
                nonce=nonce,
            )
            if expected_version is not None and plan.preview.version != expected_version:
                raise StaleRecord(present=plan.preview.version, given=expected_version)
            plan = replace(plan, terms=replace(plan.terms, hold=hold))
            self._keep_offer(tx, handler, transfer, plan, case_id, act_id, expires_in, now)

        house.crashpoints.reach(OFFER_BEFORE)
        await house.db.write(step)
        house.crashpoints.reach(OFFER_AFTER)
        house.changes.tell(transfer)
        return transfer

    async def update(
        self,
        handler: Handler,
        first: TransferId,
        *,
        sections: Collection[str] | None = None,
        attachments: Collection[str] = (),
    ) -> TransferId:
        """Send what is new in a case that is shared by the referral `first`, in either direction: a transfer of its
        own, under the same act and for the same purpose. The other node accepts it by itself while the act is in force.

        `sections`: which ones, those of the referral where None; `attachments`: ids, none unless named.

        Raises: as `node.updating.ground_of`; as `preview`; OfferAlreadyOpen while another offer of the case to the
        same association is under way.
        """
        handler.require(Role.HANDLER)
        house = self._house
        transfer, nonce = new_transfer_id(house.random), house.random(32)

        def step(tx: Connection) -> None:
            now = house.clock.now()
            ground = ground_of(house, tx, first, now=now)
            plan = self._plan_update(tx, handler, ground, sections, attachments, nonce)
            self._keep_offer(tx, handler, transfer, plan, ground.case_id, ground.act.act_id, None, now)

        house.crashpoints.reach(OFFER_BEFORE)
        await house.db.write(step)
        house.crashpoints.reach(OFFER_AFTER)
        house.changes.tell(transfer)
        return transfer

    async def preview_update(
        self,
        handler: Handler,
        first: TransferId,
        *,
        sections: Collection[str] | None = None,
        attachments: Collection[str] = (),
    ) -> Preview:
        """What `update` would send. Nothing is kept. Raises: as `update`."""
        handler.require(Role.HANDLER)
        house = self._house

        def look(tx: Connection) -> Preview:
            ground = ground_of(house, tx, first, now=house.clock.now())
            return self._plan_update(tx, handler, ground, sections, attachments, bytes(32)).preview

        return await house.db.read(look)

    async def ship(self, handler: Handler, transfer: TransferId) -> None:
        """Let go an accepted transfer that was offered with `hold`. Safe to repeat.

        Raises: NotFound, NotInThisState, NeedToKnow.
        """
        handler.require(Role.HANDLER)
        house = self._house

        def step(tx: Connection) -> None:
            now = house.clock.now()
            present = transfer_store.read_transfer(tx, transfer)
            require_transfer(tx, house.vault, handler, present, now=now)
            if not present.outgoing or present.state is not State.ACCEPTED:
                raise NotInThisState(state=present.state, statement=Kind.SHIPMENT)
            if present.job is None:
                transfer_store.set_fields(tx, transfer, now=now, job="ship")
                journal.append(tx, now=now, actor=handler.account_id, action="transfer.let_go", subject=transfer.hex())

        await house.db.write(step)
        house.changes.tell(transfer)

    async def withdraw(self, handler: Handler, transfer: TransferId) -> None:
        """Withdraw an offer, a shipment, or (as a request to erase) what was received.

        Raises: NotFound, NotInThisState, AnotherStatement, NeedToKnow.
        """
        handler.require(Role.HANDLER)
        house = self._house

        def step(tx: Connection) -> None:
            present = transfer_store.read_transfer(tx, transfer)
            require_transfer(tx, house.vault, handler, present, now=house.clock.now())
            if not present.outgoing:
                raise NotFound(what=N_("offer"))
            write_withdrawal(house, tx, present, actor=handler.account_id, now=house.clock.now())

        await house.db.write(step)
        self._after_withdrawal([transfer])

    async def record_act(
        self, handler: Handler, act: Act, *, also: Callable[[Connection], None] = lambda tx: None
    ) -> list[TransferId]:
        """Record an act, and do what `also` does in the same step. A refusal takes back what has not arrived yet under
        an agreement that it outweighs: those transfers are returned.

        Raises: NeedToKnow; NotFound where the case is not here; Conflict where there is an act of this id.
        """
        house = self._house

        def step(tx: Connection) -> list[TransferId]:
            now = house.clock.now()
            need_to_know.require(tx, house.vault, handler, act.case_id, now=now)
            also(tx)
            acts.record_act(tx, house.vault, act, by=handler.account_id, now=now)
            refused = list(_refused_by(house, tx, act, now=now))
            for each in refused:
                write_withdrawal(house, tx, each, actor=handler.account_id, now=now)
            return [each.id for each in refused]

        refused = await house.db.write(step)
        if refused:
            self._after_withdrawal(refused)
        return refused

    async def withdraw_act(self, handler: Handler, act_id: str, *, by_role: str, reason: str) -> list[TransferId]:
        """Withdraw an act and, with it, every transfer that rests on it. The transfers withdrawn are returned.

        Raises: NotFound, Conflict, NeedToKnow.
        """
        handler.require(Role.HANDLER)
        house = self._house

        def step(tx: Connection) -> list[TransferId]:
            now = house.clock.now()
            act = acts.read_act(tx, house.vault, act_id)
            need_to_know.require(tx, house.vault, handler, act.case_id, now=now)
            acts.withdraw_act(tx, house.vault, act_id, by_role=by_role, reason=reason, now=now)
            journal.append(tx, now=now, actor=handler.account_id, action="act.withdrawn", subject=act_id)
            resting = [
                each
                for each in transfer_store.of_case(tx, act.case_id)
                if each.outgoing and each.act_id == act_id and (not each.over or each.state is State.RECEIVED)
            ]
            asked_for = [each for each in resting if each.erasure is None]  # the others are withdrawn already
            for each in asked_for:
                write_withdrawal(house, tx, each, actor=handler.account_id, now=now)
            return [each.id for each in asked_for]

        withdrawn = await house.db.write(step)
        self._after_withdrawal(withdrawn)
        return withdrawn

    # ---- deciding ----

    def _plan_update(
        self,
        tx: Connection,
        handler: Handler,
        ground: Ground,
        sections: Collection[str] | None,
        attachments: Collection[str],
        nonce: bytes,
    ) -> _Plan:
        plan = self._plan(
            tx,
            handler,
            case_id=ground.case_id,
            recipient=ground.first.peer,
            purpose=ground.purpose,
            act_id=ground.act.act_id,
            kind="update",
            ticked=ground.chosen(sections, attachments=bool(attachments)),
            unticked=ground.held_back,
            attachments=tuple(attachments),
            nonce=nonce,
            ground=ground,
        )
        if not plan.preview.sections:
            raise InvalidInput(field="sections", problem=N_("none of them holds anything"))
        return plan

    def _plan(
        self,
        tx: Connection,
        handler: Handler,
        *,
        case_id: str,
        recipient: MemberId,
        purpose: str,
        act_id: str,
        kind: str,
        ticked: frozenset[str],
        unticked: frozenset[str],
        attachments: tuple[str, ...],
        nonce: bytes,
        ground: Ground | None = None,  # of an update, whose sections are then those ticked
    ) -> _Plan:
        house, now = self._house, self._house.clock.now()
        roster = house.roster.require_fresh(now)
        stored = records.read_case(tx, house.vault, case_id)
        need_to_know.require_case(tx, handler, stored.case, now=now)
        if stored.holder == "handed_over":
            raise RecordClosed()
        act = acts.read_act(tx, house.vault, act_id)
        known = house.roster.card(recipient, now=now)
        facts = recipient_facts(house, recipient, known.profile)
        goes_back = ground is not None and not ground.shared_by_us
        own = house.roster.card(house.member, now=now).profile if goes_back else None
        decision = decide(
            act=act,
            acts_on_record=acts.acts_of(tx, house.vault, case_id),
            case=stored.case,
            purpose=purpose,
            recipient=facts,
            now=now,
            update=ground is not None,
            named=recipient_facts(house, house.member, own) if own else None,
            limits=ActLimits.of(roster.policy),
        )
        decision.require()
        if act.legal_basis == "shared_secrecy_l226_2_2" and not handler.bound_by_secrecy:
            raise RoleMissing(role=N_("bound by professional secrecy"))
        roster.active(recipient)
        package = minimise(
            stored.case,
            purpose=purpose,
            act=act,
            ticked=ticked,
            unticked=unticked,
            attachments=attachments,
            taken=ticked if ground else None,
            hands_over=kind == "transfer",
            update=ground is not None,
        )
        chosen = tuple(each for each in stored.attachments if each.attachment_id in attachments)
        if len(chosen) != len(set(attachments)):
            raise NotFound(what=N_("attachment"))
        first = bytes(ground.first.id) if ground else b""
        summary = capacity_summary(
            stored.case,
            purpose=purpose,
            kind=kind,
            sections=tuple(package),
            attachments=len(chosen),
            first_transfer=first,
            now=now,
        )
        travels = acts.travelling_act(tx, house.vault, act_id)  # the same bytes each time: it may be known there
        terms = Terms(
            kind=kind,
            purpose=purpose,
            offered=tuple(package),
            ticked=ticked,
            unticked=unticked,
            attachments=tuple(each.attachment_id for each in chosen),
            act=travels.to_bytes(),
            nonce=nonce,
            package=package,
            first_transfer=first,
        )
        manifest = manifest_of(
            terms, chosen, transfer=bytes(16), sender=house.member, recipient=recipient, case_id=case_id
        )
        bound = content.size_bound(manifest)
        limit = roster.policy.content_size_limit
        if bound > limit:
            raise TooLarge(what=N_("content"), size=bound, limit=limit)
        preview = Preview(
            sections=tuple(package),
            package=package,
            attachments=chosen,
            summary=summary,
            size_bound=bound,
            rule=decision.rule,
            flags=decision.flags,
            version=stored.version,
            expires=self._expires(purpose, travels, None, now),
        )
        return _Plan(preview=preview, terms=terms, act=travels, recipient=known)

    def _expires(self, purpose: str, act: Act, asked: timedelta | None, now: datetime) -> datetime:
        """Until when an offer can be accepted: never longer than the network's policy and the act allow."""
        policy = self._house.roster.roster.policy
        life = min(asked or _OFFER_LIFE.get(purpose, _USUAL_LIFE), policy.offer_life_limit)
        return min(now + life, ActLimits.of(policy).end_of(act))

    def _keep_offer(
        self,
        tx: Connection,
        handler: Handler,
        transfer: TransferId,
        plan: _Plan,
        case_id: str,
        act_id: str,
        expires_in: timedelta | None,
        now: datetime,
    ) -> None:
        house = self._house
        act = plan.act
        expires = self._expires(plan.terms.purpose, act, expires_in, now)
        recipient = plan.recipient.card
        parties = Parties(house.network, transfer, house.member, recipient.member)
        token = new_token(
            transfer_id=transfer,
            sender=house.member,
            recipient=recipient.member,
            not_before=max(act.valid_from, now - _BACKDATE),
            expires=min(ActLimits.of(house.roster.roster.policy).end_of(act), expires + _TOKEN_GRACE),
            commitment=Digest(commitment(plan.terms.act, plan.terms.nonce)),
            random=house.random,
        )
        signed = statements.offer(
            parties=parties,
            token=token,
            sealed_summary=seal_summary(plan.preview.summary, parties=parties, to=recipient.sealing_key),
            recipient_card=recipient.number,
            size_bound=plan.preview.size_bound,
            expires=expires,
            checkpoint=house.tree_head(),
            now=now,
            key=house.keys.identity,
        )
        # By the same code as everybody else: what the broker would refuse does not leave.
        statements.Offer.parse(signed, house.roster.roster, now=now, tree=house.roster.root_at, fresh=True)
        data_key = records.data_key_of(tx, house.vault, case_id)
        transfer_store.insert_transfer(
            tx,
            Transfer(
                id=transfer,
                outgoing=True,
                peer=recipient.member,
                state=State.OFFERED,
                case_id=case_id,
                token_id=token.id,
                act_id=act_id,
                opened_at=now,
                updated_at=now,
                expires_at=expires,
                hands_over=plan.terms.kind == "transfer",
                sealed_terms=plan.terms.sealed(data_key, transfer),
                sealed_reason=None,
                sealed_content_key=None,
                sealed_one_time_seed=None,
                ciphertext_header=None,
                manifest_digest=None,
                job=None,
                total_bytes=plan.preview.size_bound,
                erasure=None,
            ),
        )
        transfer_store.add_statement(tx, transfer, Kind.OFFER, signed, ours=True, now=now)
        facts = {"peer": recipient.member.hex(), "act": act_id, "rule": str(plan.preview.rule)}
        journal.append(
            tx, now=now, actor=handler.account_id, action="transfer.offered", subject=transfer.hex(), facts=facts
        )

    # ---- withdrawing ----

    def _after_withdrawal(self, withdrawn: Collection[TransferId]) -> None:
        self._house.crashpoints.reach(WITHDRAWAL_AFTER)
        for transfer in withdrawn:
            self._house.drop_spool(transfer)
            self._house.changes.tell(transfer)


def write_withdrawal(house: House, tx: Connection, transfer: Transfer, *, actor: str, now: datetime) -> None:
    """The durable part of a withdrawal: the statement, the end state, and what is erased with it.

    Raises: NotInThisState, AnotherStatement.
    """
    chain = Chain.read(house, tx, transfer.id)
    then = next_state(transfer.state, Kind.WITHDRAWAL, Party.SENDER, taken=chain.kinds)
    signed = statements.withdraw(chain.offer, now=now, key=house.keys.identity)
    transfer_store.give_up_sending(tx, transfer.id, Kind.SHIPMENT)
    transfer_store.add_statement(tx, transfer.id, Kind.WITHDRAWAL, signed, ours=True, now=now)
    if then is State.RECEIVED:
        transfer_store.set_fields(tx, transfer.id, now=now, erasure="asked")
    else:
        end_sent(house, tx, transfer, then, now=now)
    journal.append(tx, now=now, actor=actor, action="transfer.withdrawn", subject=transfer.id.hex())


def _refused_by(house: House, tx: Connection, refusal: Act, *, now: datetime) -> Iterator[Transfer]:
    """What is under way under an agreement that this act outweighs; nothing where it is no refusal."""
    if refusal.status != "refused":
        return
    for each in transfer_store.of_case(tx, refusal.case_id):
        if not each.outgoing or each.over or each.act_id is None:
            continue
        terms = Terms.unsealed(each.sealed_terms, records.data_key_of(tx, house.vault, refusal.case_id), each.id)
        act = acts.read_act(tx, house.vault, each.act_id)
        try:
            recipient = recipient_facts(house, each.peer, house.roster.last_card(each.peer).profile)
        except CardExpired:  # removed: what it was called is erased, and nothing goes there any more
            continue
        if outweighs(refusal, act, purpose=terms.purpose, recipient=recipient, now=now):
            yield each


def end_sent(
    house: House, tx: Connection, transfer: Transfer, state: State, *, now: datetime, **fields: object
) -> None:
    """Enter an end state on the sender's side: content key and package go in the same transaction (protocol §6)."""
    try:
        key = records.data_key_of(tx, house.vault, transfer.case_id or "")
    except NotFound:
        pass  # the case was erased since it was over, its key with it: nobody can open the terms any more
    else:
        terms = Terms.unsealed(transfer.sealed_terms, key, transfer.id)
        fields["sealed_terms"] = terms.emptied().sealed(key, transfer.id)
    transfer_store.end(tx, transfer.id, state, now=now, **fields)


def recipient_facts(house: House, member: MemberId, profile: Profile) -> RecipientFacts:
    """What the decision table asks about a recipient, from the verified roster and its card."""
    found = house.roster.roster.members[member]
    return RecipientFacts(
        org_id=profile.org_id,
        active=str(found.state) == "active",
        card_valid=True,  # its card was parsed and is in force, or there would be no profile here
        bound_by_secrecy=found.bound_by_secrecy,
        categories=profile.categories,
        departement=profile.departement,
    )


def _require_kind(kind: str, purpose: str) -> None:
    if purpose not in PURPOSES:
        raise InvalidInput(field="purpose", problem=N_("it must be one of {options}"), options=", ".join(PURPOSES))
    if kind not in ("transfer", "referral"):
        raise InvalidInput(field="kind", problem=N_("“transfer” hands the case over, “referral” shares it"))
    if not PURPOSES[purpose].needs_act:
        # Such a purpose is a projection that names nobody. Whatever is offered rests on an act, which the token commits
        # to and the recipient checks.
        raise InvalidInput(field="purpose", problem=N_("“{purpose}” sends no case to anybody"), purpose=purpose)
    if kind == "transfer" and not PURPOSES[purpose].moves_responsibility:
        # Who shares for care or for a lawyer keeps the case: two people would otherwise each believe it is the other's.
        raise InvalidInput(
            field="kind", problem=N_("“{purpose}” does not hand a case over; make it a referral"), purpose=purpose
        )
