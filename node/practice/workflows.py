"""The ten workflows (domain §4): what one learns, and each step in plain words beside the check that ticks it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from cordee.case import missing_for
from cordee.errors import N_
from cordee.transfer import State
from node.practice.facts import Attempt, Facts

__all__ = ["BY_ID", "WORKFLOWS", "Step", "Workflow"]

Check = Callable[[Facts, Attempt], bool]

_ENDED: Final = frozenset({State.EXPIRED, State.WITHDRAWN, State.DECLINED})


@dataclass(frozen=True)
class Step:
    """What is told, the check that ticks it, and where to go for it. Both texts may name facts (`guide.py`)."""

    told: str
    done: Check
    where: str = ""


@dataclass(frozen=True)
class Workflow:
    """One of the ten."""

    id: str
    title: str
    learns: str
    steps: tuple[Step, ...]


# ---- checks that several share ----


def _act(*purposes: str) -> Check:
    return lambda facts, attempt: facts.covered(facts.mine(attempt), *purposes)


def _offered(to: str, purpose: str, kind: str = "") -> Check:
    return lambda facts, attempt: bool(facts.sent(facts.mine(attempt), getattr(facts, to), purpose, kind=kind))


def _arrived(to: str, purpose: str, kind: str = "") -> Check:
    return lambda facts, attempt: facts.arrived(facts.mine(attempt), getattr(facts, to), purpose, kind=kind)


def _came_to_nothing(to: str, purpose: str, *states: State) -> Check:
    return lambda facts, attempt: bool(
        facts.sent(facts.mine(attempt), getattr(facts, to), purpose, where=lambda each: each.state in states)
    )


def _section(facts: Facts, case_id: str, name: str) -> Any:
    stored = facts.cases.get(case_id)
    return stored.case.section(name) if stored is not None else None


# ---- checks of one workflow ----


def _is_filled(facts: Facts, attempt: Attempt) -> bool:
    stored = facts.cases.get(facts.mine(attempt))
    needed = ("identity", "situation", "risk")
    return stored is not None and not missing_for(stored.case, "transfer", sections=needed)


def _their_update(facts: Facts, attempt: Attempt) -> bool:
    case_id = facts.mine(attempt)
    return any(
        each.direction == "in" and each.kind == "update" and each.case_id == case_id and each.state is State.RECEIVED
        for each in facts.transfers
    )


def _looked_beside(facts: Facts, attempt: Attempt) -> bool:
    read = facts.done("case.read", attempt, subject=facts.mine(attempt), section="versions")
    return _their_update(facts, attempt) and bool(read)


def _shared_and_there(facts: Facts, attempt: Attempt) -> bool:
    return _arrived("relay", "legal_support", "referral")(facts, attempt)


def _withdrawn(facts: Facts, attempt: Attempt) -> bool:
    return any(each.status == "withdrawn" for each in facts.acts.get(facts.mine(attempt), ()))


def _erased_there(facts: Facts, attempt: Attempt) -> bool:
    return any(each.case_id == facts.mine(attempt) and each.erasure == "done" for each in facts.transfers)


def _has_left(facts: Facts, attempt: Attempt) -> bool:
    account = facts.accounts.get(attempt.account)
    return account is not None and account.disabled


def _all_have_a_referent(facts: Facts, attempt: Attempt) -> bool:
    active = {each.account_id for each in facts.accounts.values() if not each.disabled}
    owners = [facts.cases[each].case.value("meta.owner_user_id") for each in attempt.cases if each in facts.cases]
    return bool(owners) and _has_left(facts, attempt) and all(each in active for each in owners)


def _read_again(facts: Facts, attempt: Attempt) -> bool:
    return all(
        facts.done("case.read", attempt, subject=case_id, section=section)
        for case_id in attempt.cases
        for section in ("risk", "safety_plan")
    )


def _offer_came(facts: Facts, attempt: Attempt) -> bool:
    return facts.came(attempt) is not None


def _case_came(facts: Facts, attempt: Attempt) -> bool:
    line = facts.came(attempt)
    return line is not None and line.state is State.RECEIVED


def _given_back(facts: Facts, attempt: Attempt) -> bool:
    line = facts.came(attempt)
    return line is not None and line.erasure == "returned"


def _heard(facts: Facts, attempt: Attempt) -> bool:
    line = facts.came(attempt)
    return _given_back(facts, attempt) and line is not None and not line.waits


def _linked(facts: Facts, attempt: Attempt) -> bool:
    if len(attempt.cases) < 2:
        return False
    one, other = attempt.cases
    return any(
        each.get("linked_case_id") == other and each.get("may_be_mentioned") is False
        for each in _section(facts, one, "links") or ()
    )


def _other_stayed(facts: Facts, attempt: Attempt) -> bool:
    arrived = _arrived("relay", "specialised_support")(facts, attempt)
    return arrived and not any(each.case_id == attempt.cases[1] for each in facts.transfers)


def _alert_written(facts: Facts, attempt: Attempt) -> bool:
    alerts = (_section(facts, facts.mine(attempt), "judicial") or {}).get("alerts") or ()
    kinds = ("information_preoccupante", "signalement_procureur")
    return any(each.get("kind") in kinds and each.get("sent_on") and each.get("recipient") for each in alerts)


def _sending_noted(facts: Facts, attempt: Attempt) -> bool:
    stored = facts.cases.get(facts.mine(attempt))
    actions = _section(facts, facts.mine(attempt), "actions") or ()
    sent = any(each.get("kind") in ("ip_sent", "signalement_sent") for each in actions)
    return sent and stored is not None and stored.state == "open"


_CASE = "/cases/{case}"
_SEND = "/cases/{case}/send"
_ACT = "/cases/{case}/acts/new"

WORKFLOWS: Final[tuple[Workflow, ...]] = (
    Workflow(
        "w1",
        N_("A call, and a relay to a specialised association"),
        N_("To open a case in one minute under a pseudonym, and to hand it over once everybody has agreed."),
        (
            Step(
                N_("A mother calls. Open a new case under a pseudonym; four answers are enough."),
                lambda facts, attempt: bool(facts.mine(attempt)),
                "/cases/new",
            ),
            Step(
                N_(
                    "Fill in “Identity of the minor”, “Situation and request” and “Risk assessment”, as far as "
                    "a transfer needs it."
                ),
                _is_filled,
                _CASE,
            ),
            Step(
                N_(
                    "Record the agreement: specialised support, by {relay}. If the minor was not reached, choose "
                    "how else."
                ),
                _act("specialised_support"),
                _ACT + "?kind=consent&purpose=specialised_support&to={relay_id}",
            ),
            Step(
                N_("Send: find {relay}, look at exactly what leaves, and confirm."),
                _offered("relay", "specialised_support"),
                _SEND,
            ),
            Step(
                N_("Wait: {relay} reads the summary, accepts, and their node confirms. The case is theirs then."),
                _arrived("relay", "specialised_support"),
                "/",
            ),
        ),
    ),
    Workflow(
        "w2",
        N_("Far away: a move to another département"),
        N_("To choose a shelter by what fits, and to see when the responsibility moves, and not before."),
        (
            Step(
                N_("{case_name} has to leave. Record the agreement: relocation, by {shelter}, in Lille."),
                _act("relocation"),
                _ACT + "?kind=consent&purpose=relocation&to={shelter_id}",
            ),
            Step(
                N_("Send: look for a shelter far from Marseille, choose {shelter}, retype its département to confirm."),
                _offered("shelter", "relocation"),
                _SEND,
            ),
            Step(
                N_(
                    "Wait until their node has confirmed: only now are you no longer responsible. See the case: "
                    "read only."
                ),
                _arrived("shelter", "relocation"),
                _CASE,
            ),
        ),
    ),
    Workflow(
        "w3",
        N_("Tonight: shelter in an emergency"),
        N_("To send in under two minutes, and not to wait for who does not answer."),
        (
            Step(
                N_(
                    "{case_name} needs a bed tonight. Record the agreement: emergency shelter, to any emergency "
                    "shelter "
                    "rather than to one association, so that you may go on to the next."
                ),
                _act("emergency_shelter"),
                _ACT + "?kind=consent&purpose=emergency_shelter&category=emergency_shelter",
            ),
            Step(
                N_("Call first, in life. Then offer it to {shelter}. Nobody is there tonight."),
                _offered("shelter", "emergency_shelter"),
                _SEND,
            ),
            Step(
                N_(
                    "No answer: do not wait. Withdraw the offer, or let its time run out (ten minutes here, two "
                    "hours in life)."
                ),
                _came_to_nothing("shelter", "emergency_shelter", *_ENDED),
                "/",
            ),
            Step(
                N_("Offer it to {relay}, which has a place."),
                _offered("relay", "emergency_shelter"),
                _SEND,
            ),
            Step(
                N_("They accept, and their node confirms."),
                _arrived("relay", "emergency_shelter"),
                "/",
            ),
        ),
    ),
    Workflow(
        "w4",
        N_("Following a case together"),
        N_("To share some sections without giving the case away, and to read what the other one adds."),
        (
            Step(
                N_("Record the agreement for {case_name}: joint follow-up with {relay}, for 180 days."),
                _act("joint_followup"),
                _ACT + "?kind=consent&purpose=joint_followup&to={relay_id}",
            ),
            Step(
                N_("Send it to {relay} as shared, not as handed over: you go on following it too."),
                _offered("relay", "joint_followup", "referral"),
                _SEND,
            ),
            Step(
                N_("Wait until they have it. Your case stays open here."),
                _arrived("relay", "joint_followup", "referral"),
                _CASE,
            ),
            Step(
                N_("They write something and send it as an update. Wait for it: it comes by itself."),
                _their_update,
                "/transfers",
            ),
            Step(
                N_("Look at both versions side by side: what is marked differs."),
                _looked_beside,
                "/cases/{case}/versions",
            ),
            Step(
                N_(
                    "Write something yourself (in “Situation and request”, say), then send an update from the "
                    "transfer’s page."
                ),
                _arrived("relay", "joint_followup", "update"),
                "/transfers/{transfer}/update",
            ),
        ),
    ),
    Workflow(
        "w5",
        N_("No place there: the next one"),
        N_("To read why somebody declined, and to offer to the next without asking everybody at once."),
        (
            Step(
                N_(
                    "Record the agreement for {case_name}: relocation, to any secure shelter, so that more than one "
                    "may be asked."
                ),
                _act("relocation"),
                _ACT + "?kind=consent&purpose=relocation&category=secure_relocation_shelter",
            ),
            Step(
                N_("Offer it to {relay} first."),
                _offered("relay", "relocation"),
                _SEND,
            ),
            Step(
                N_(
                    "They decline: no place. Read their reason on the transfer’s page; nothing but the summary has "
                    "left."
                ),
                _came_to_nothing("relay", "relocation", State.DECLINED),
                "/transfers",
            ),
            Step(
                N_("Offer it to {shelter}. One open offer at a time; tell the minor how it stands."),
                _offered("shelter", "relocation"),
                _SEND,
            ),
            Step(
                N_("They accept, and their node confirms."),
                _arrived("shelter", "relocation"),
                "/",
            ),
        ),
    ),
    Workflow(
        "w6",
        N_("“I don’t want this any more”: the agreement is withdrawn"),
        N_("To take an agreement back within a minute, and what that does and does not undo."),
        (
            Step(
                N_("{case_name} is shared with {relay}, under an agreement. Wait until they have it (a few seconds)."),
                _shared_and_there,
                _CASE,
            ),
            Step(
                N_("The minor says no. On the case, find the agreement and withdraw it; read what that undoes."),
                _withdrawn,
                "/cases/{case}/acts",
            ),
            Step(
                N_("{relay} is asked to erase it, and must answer. Wait for the answer, and read it."),
                _erased_there,
                "/transfers",
            ),
        ),
    ),
    Workflow(
        "w7",
        N_("A colleague leaves"),
        N_("That no case stays without a referent, and that whoever takes one over reads it anew."),
        (
            Step(
                N_("{colleague} leaves today. Under “Association”, “People”, disable the account."),
                _has_left,
                "/people/{account}",
            ),
            Step(
                N_(
                    "Two cases were {colleague}’s: {case_name} and {other}. Give each another referent "
                    "(“Who may open it” on the case)."
                ),
                _all_have_a_referent,
                "/cases/{case}/team",
            ),
            Step(
                N_(
                    "As their new referent, read “Risk assessment” and “Safety plan” of both. Then tell the "
                    "minors, in life."
                ),
                _read_again,
                "/cases/{case}/sections/risk",
            ),
        ),
    ),
    Workflow(
        "w8",
        N_("It was not for us: the wrong recipient"),
        N_("What to do when a case comes that was meant for others, and how it is taken back with a proof."),
        (
            Step(
                N_("{relay} offers you a case. Wait for it (a few seconds) and read the summary."),
                _offer_came,
                "/",
            ),
            Step(
                N_("Answer the questions, and accept. The case comes, with its checks."),
                _case_came,
                "/transfers/{transfer}",
            ),
            Step(
                N_(
                    "You see that it was not meant for you. Choose “This is not for us” and say why: your node "
                    "destroys the key and signs that it did. In life, you call them too."
                ),
                _given_back,
                "/transfers/{transfer}/return",
            ),
            Step(
                N_("They hear of it by themselves (a few seconds): the case is theirs again."),
                _heard,
                "/transfers/{transfer}",
            ),
        ),
    ),
    Workflow(
        "w9",
        N_("Two sisters"),
        N_("That one case never tells of the other, and that each child is asked for herself."),
        (
            Step(
                N_(
                    "In {case_name}, section “Linked cases”, add {other} as a sister: case {other_id}, association "
                    "{own_id}. "
                    "Answer “no” to whether it may be mentioned."
                ),
                _linked,
                "/cases/{case}/sections/links",
            ),
            Step(
                N_("Record the agreement for {case_name} alone: specialised support, by {relay}."),
                _act("specialised_support"),
                _ACT + "?kind=consent&purpose=specialised_support&to={relay_id}",
            ),
            Step(
                N_("Send {case_name} to {relay}. See that “Linked cases” stays here."),
                _offered("relay", "specialised_support"),
                _SEND,
            ),
            Step(
                N_("{case_name} has arrived, and nothing of {other} has left."),
                _other_stayed,
                "/transfers",
            ),
        ),
    ),
    Workflow(
        "w10",
        N_("To the département or the prosecutor"),
        N_("To keep on record an alert that leaves by its own official way, while the case stays open here."),
        (
            Step(
                N_(
                    "For {case_name} an “information préoccupante” is to be made. Record on what ground: agreement, "
                    "information only, or without agreement; it says who was told."
                ),
                _act("crip_ip", "prosecutor_report"),
                _ACT + "?kind=override&purpose=crip_ip&category=crip",
            ),
            Step(
                N_(
                    "It is sent by the département’s own way, never from here. Then write it down in “Measures "
                    "and proceedings”: "
                    "kind, day, to whom, whether the parents were told."
                ),
                _alert_written,
                "/cases/{case}/sections/judicial",
            ),
            Step(
                N_("Note the sending among the actions, with the day to ask for an answer. The case stays open."),
                _sending_noted,
                "/cases/{case}/sections/actions",
            ),
        ),
    ),
)

BY_ID: Final[Mapping[str, Workflow]] = {each.id: each for each in WORKFLOWS}
