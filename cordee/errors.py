"""Every refusal, with its reason code. The text for people is made at the edge, in their language.

A class is a reason: its name in SCREAMING_SNAKE_CASE stands in the gRPC `ErrorInfo`, in `--output json` and in the
exit code table. Its keyword arguments are the facts: ids, names of sections, limits; never personal data.

A fact that is a text for people is a marked text too, and constant: what changes goes into facts of its own, which it
names between braces (`problem=N_("it has more than {limit} bytes"), limit=limit`). So it travels, and is translated
where it is read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from enum import IntEnum
from typing import ClassVar, NamedTuple

__all__ = ["N_", "CordeeError", "ExitCode", "Problem", "by_reason", "filled"]

_PLACEHOLDER = re.compile(r"\{([a-z][a-z0-9_]*)\}")
_LEVELS = 2  # a problem may tell another problem, which has facts
_SECONDS = re.compile(r"[0-9]{1,6}(\.[0-9]{1,3})?")
_LONGEST_WAIT = 3600.0  # seconds that another machine may ask us to wait
_LONGEST = 1000  # characters of a fact with its facts: they may come from elsewhere, and name one another


class ExitCode(IntEnum):
    """How the command ends (documented in `cordee --help`)."""

    DONE = 0
    UNEXPECTED = 1
    USAGE = 2
    NOT_FOUND = 3
    INVALID = 4
    REFUSED = 5
    CONFLICT = 6
    UNREACHABLE = 7
    INTEGRITY = 8


_REASONS: dict[str, type[CordeeError]] = {}


def by_reason(reason: str) -> type[CordeeError] | None:
    """The class of a reason code, or None for one that this version does not know."""
    return _REASONS.get(reason)


def N_(message: str) -> str:
    """Mark a text for translation."""
    return message


class CordeeError(Exception):
    """Something was refused or failed, for a reason that has a code.

    `message` says what is wrong and where; `remedy` says what to do next. Both are format strings over the facts.
    """

    reason: ClassVar[str] = "CORDEE_ERROR"
    status: ClassVar[str] = "UNKNOWN"  # name of the gRPC status code
    exit_code: ClassVar[ExitCode] = ExitCode.UNEXPECTED
    message: ClassVar[str] = N_("Something failed.")
    remedy: ClassVar[str] = ""

    def __init_subclass__(cls) -> None:
        cls.reason = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", cls.__name__).upper()
        _REASONS[cls.reason] = cls

    def __init__(self, **facts: object) -> None:
        self.facts: dict[str, str] = {key: str(value) for key, value in facts.items()}
        super().__init__(self.reason)

    def __str__(self) -> str:
        return f"{self.reason}: {filled(self.message, self.facts)}"


def filled(template: str, facts: Mapping[str, str], translated: Callable[[str], str] = str) -> str:
    """A text with its facts put in, each of them `translated` and filled as well.

    Facts may come from another machine, so this is no `str.format`: a name between braces is a fact and nothing else.
    One that was not given shows as its name, for an error about an error helps nobody.
    """
    plain = {name: translated(value) for name, value in facts.items()}
    known = plain
    for _ in range(_LEVELS):
        known = {name: _put_in(value, known)[:_LONGEST] for name, value in plain.items()}
    return _put_in(translated(template), known)


def _put_in(template: str, facts: Mapping[str, str]) -> str:
    return _PLACEHOLDER.sub(lambda found: facts.get(found[1], found[0]), template)


# ---- Kinds of refusal: they carry the gRPC status and the exit code ----


class InvalidInput(CordeeError):
    """What was given cannot be used."""

    status = "INVALID_ARGUMENT"
    exit_code = ExitCode.INVALID
    message = N_("{field}: {problem}.")
    remedy = N_("Correct it and try again; nothing was saved.")


class NotFound(CordeeError):
    """There is no such thing, or the caller may not know of it."""

    status = "NOT_FOUND"
    exit_code = ExitCode.NOT_FOUND
    message = N_("There is no such {what}.")
    remedy = N_("Check the identifier; the list command shows what there is.")


class Refused(CordeeError):
    """A rule, a role or a consent act forbids it."""

    status = "PERMISSION_DENIED"
    exit_code = ExitCode.REFUSED
    message = N_("This is not allowed.")


class Conflict(CordeeError):
    """Another step was taken first."""

    status = "ABORTED"
    exit_code = ExitCode.CONFLICT
    message = N_("Something else was done in the meantime.")
    remedy = N_("Look at the present state, then decide again.")


class Unreachable(CordeeError):
    """The other end did not answer; trying again later is safe."""

    status = "UNAVAILABLE"
    exit_code = ExitCode.UNREACHABLE
    message = N_("{peer} cannot be reached.")
    remedy = N_("Nothing is lost. Check the connection; what waits is sent by itself when it comes back.")


class RemoteFailure(CordeeError):
    """The other end failed, or refused, without a reason that this version knows."""

    status = "INTERNAL"
    message = N_("{peer} answered with the error {code}.")
    remedy = N_("Try again; if it stays, tell whoever runs that server.")


class IntegrityFailure(CordeeError):
    """A signature, a hash or a proof does not hold."""

    status = "DATA_LOSS"
    exit_code = ExitCode.INTEGRITY
    message = N_("A check of authenticity failed.")
    remedy = N_("Do not go on. Tell the network's administrators.")


# ---- Storage ----


class StorageFull(Unreachable):
    """The disk has no room left; what was asked for was not done."""

    status = "RESOURCE_EXHAUSTED"
    message = N_("There is no room left on the disk of {what}.")
    remedy = N_("Nothing is lost. Make room on that disk; what waits goes on by itself.")


class DiskFailed(Unreachable):
    """The disk refused a write or a read: no room within a quota, or the disk itself fails. It was not done."""

    status = "UNAVAILABLE"
    message = N_("The disk of {what} refused what was asked of it.")
    remedy = N_(
        "Nothing is lost. See whether that disk or its quota is full, and whether the system reports errors on it."
    )


class NothingLeft(Unreachable):
    """The process has no file descriptors or no memory left; what was asked for was not done."""

    status = "RESOURCE_EXHAUSTED"
    message = N_("This computer has nothing left to work with ({what}).")
    remedy = N_("Nothing is lost. Try again; if it stays, raise the service’s limits or give the computer more memory.")


class SystemRefused(InvalidInput):
    """A command met a file, a folder or an address that the system keeps from it.

    `what` is its path, or the address; `problem` and `advice` are marked texts. It is raised by no server.
    """

    status = "FAILED_PRECONDITION"
    message = N_("{what}: {problem}.")
    remedy = N_("Nothing was changed there. {advice}")


class DatabaseDamaged(IntegrityFailure):
    """The database's file is not what was written: a failing disk, or somebody changed it."""

    message = N_("The file of {what} is damaged.")
    remedy = N_("Stop, keep the file as it is, and bring everything back from the last backup on another disk.")


class DatabaseTooNew(InvalidInput):
    """A newer version of the software has already changed this database."""

    status = "FAILED_PRECONDITION"
    message = N_("The database has schema version {found}; this software knows up to {known}.")
    remedy = N_("Install the newer software again, or restore a backup made before the upgrade.")


class TombstonesDamaged(IntegrityFailure):
    """The file of erasures does not verify; an erased case could come back unnoticed."""

    message = N_("The file of erasures is damaged at line {line}.")
    remedy = N_("Put the file back from its own copy, then start the node again.")


# ---- Statements and keys ----


class MalformedStatement(InvalidInput):
    """Bytes that are no such statement."""

    message = N_("{what} is malformed: {problem}.")
    remedy = N_("The other side's software is at fault; nothing was saved.")


class MalformedKey(InvalidInput):
    """Bytes that are no such key."""

    message = N_("This is not a valid {what}.")


class BadSignature(IntegrityFailure):
    """One of the two signatures does not verify, or the signer is another."""

    message = N_("The signature on {what} does not verify.")


class CannotOpen(IntegrityFailure):
    """A sealed text cannot be opened with this key: it is damaged, or meant for someone else."""

    message = N_("{what} cannot be opened: it was damaged, or sealed to another key.")
    remedy = N_("Ask the sender to send it again.")


class ContentDamaged(IntegrityFailure):
    """The encrypted content is truncated, altered or does not match its manifest."""

    message = N_("The content of the transfer is damaged ({problem}).")
    remedy = N_("Nothing was imported. The sender is told and can send again.")


class WrongNetwork(Refused):
    """A statement of another network."""

    message = N_("{what} belongs to another network.")


class BrokenChain(IntegrityFailure):
    """A statement does not follow the one before it: it names another digest, token or manifest."""

    message = N_("{what} does not belong to the {before} that it claims to follow.")


class StatementRefused(Refused):
    """A well-formed, signed statement breaks a rule of the protocol or of the network's policy."""

    message = N_("{what} is refused: {problem}.")


class WrongParty(Refused):
    """A statement by, or for, someone else."""

    message = N_("{what} names another party.")


class ClockSkew(Refused):
    """A statement's time is more than five minutes from ours."""

    message = N_("{what} carries the time {time}, too far from this machine's clock.")
    remedy = N_("Set the clock of both machines (network time), then try again.")


# ---- The roster log ----


class PracticeNetwork(IntegrityFailure):
    """A real node was shown a network that is for practice."""

    message = N_("This network is for practice: nothing real may join it.")
    remedy = N_("Ask your network's administrators for an invitation to the real one. Nothing was sent.")


class RealNetwork(IntegrityFailure):
    """A node for practice was shown a network that is real."""

    message = N_("This network is real: practice may not join it.")
    remedy = N_("Practice needs no invitation: “cordee practice serve” opens a network of its own.")


class EntryRefused(IntegrityFailure):
    """An entry of the roster log breaks a rule; `rule` names it."""

    message = N_("Entry {index} of the roster is refused: {rule}.")
    remedy = N_("Transfers stop until this is mended. Tell the network's administrators; the evidence is kept.")


class CheckpointRefused(IntegrityFailure):
    """A checkpoint is malformed or not signed by the directory."""

    message = N_("The directory's checkpoint is refused: {problem}.")
    remedy = N_("Transfers stop until this is mended. Tell the network's administrators; the evidence is kept.")


class ProofRefused(IntegrityFailure):
    """A proof of inclusion or of consistency does not hold."""

    message = N_("A proof of the roster log does not hold: {problem}.")


class EvidenceInconclusive(IntegrityFailure):
    """Files of evidence hold, but nothing follows from them."""

    message = N_("The files hold, but they do not show that the directory signed two rosters: they cannot be compared.")
    remedy = N_("Judge them together with the file of another association or of an administrator.")


class RosterRolledBack(IntegrityFailure):
    """The directory showed an older roster than before."""

    message = N_("The directory shows a roster of {shown} entries; this node has already verified {known}.")
    remedy = N_(
        "Transfers stop until this is mended. Bring the evidence to the network's administrators, by another way than"
        " the network: the page “Evidence”, cordee node evidence, or cordee admin evidence."
    )


class RosterForked(IntegrityFailure):
    """Two rosters of the same size, or a longer one that does not continue ours."""

    message = N_("The directory shows another roster than the one verified before (size {size}).")
    remedy = N_(
        "Transfers stop until this is mended. Bring the evidence to the network's administrators, by another way than"
        " the network: the page “Evidence”, cordee node evidence, or cordee admin evidence."
    )


class SplitView(IntegrityFailure):
    """The other party was shown another roster than we were."""

    message = N_("The other association was shown another roster than this node (size {size}).")
    remedy = N_(
        "Transfers stop until this is mended. Bring the evidence to the network's administrators, by another way than"
        " the network: the page “Evidence”, cordee node evidence, or cordee admin evidence."
    )


class RosterBehind(Refused):
    """The other party knows a longer roster than we do: synchronise, then look again."""

    status = "FAILED_PRECONDITION"
    message = N_("The other association knows a roster of {size} entries; here only {known} are verified.")
    remedy = N_("The roster is fetched by itself; try again in a moment.")


class RosterStale(Refused):
    """The newest checkpoint is older than the freshness limit."""

    status = "FAILED_PRECONDITION"
    message = N_("The newest roster is {age} old; the limit is {limit}.")
    remedy = N_("Check that the directory can be reached; transfers go on by themselves afterwards.")


class NotAMember(Refused):
    """The caller, or the other party, is not a member in good standing."""

    message = N_("This association is not an active member of the network.")
    remedy = N_("Ask the network's administrators.")


class MemberIsSuspended(NotAMember):
    """The caller, or the other party, is suspended."""

    message = N_("This association is suspended from the network.")


class JoinRefused(Refused):
    """The administrators refused the request to join; `words` are theirs."""

    message = N_("The network's administrators refused the request: {words}.")
    remedy = N_("Put right what they say and ask again with the same invitation, or call them.")


class CardExpired(Refused):
    """The member's card has run out, or none was published."""

    status = "FAILED_PRECONDITION"
    message = N_("This association has no valid card; its node has not been heard of lately.")
    remedy = N_("Call the association: its node must be running to receive.")


class CardRefused(IntegrityFailure):
    """A card that does not verify, or one with a lower number than before."""

    message = N_("The card of member {member} is refused: {problem}.")


# ---- Joining and governing the network ----


class NotFounded(Refused):
    """The directory has no genesis yet."""

    status = "FAILED_PRECONDITION"
    message = N_("The network is not founded yet.")
    remedy = N_("Its administrators found it: cordee admin found --help.")


class YearNotClosed(Refused):
    """A year's figures are told once, when nothing of it can change any more: two reports can then not be compared."""

    status = "FAILED_PRECONDITION"
    message = N_("The figures of {year} are told from {day} on.")
    remedy = N_("Ask then, or ask for an earlier year.")


class AlreadyFounded(Conflict):
    """The directory has a genesis, and it is another."""

    message = N_("The network was founded already, by another genesis.")


class GenesisRefused(Refused):
    """The genesis names a key, a certificate or an origin that are not this directory's."""

    message = N_("The genesis is not for this directory: its {field} is another.")
    remedy = N_("Use the founding.json that this directory wrote (cordee directory init).")


class NotAnAdministrator(Refused):
    """A command that no administrator in force has signed."""

    message = N_("This is signed by no administrator of the network.")


class Replayed(Refused):
    """A signed command that was used before."""

    message = N_("This command was carried out already.")
    remedy = N_("Run it again: it is signed anew.")


class InvitationRefused(Refused):
    """No such invitation, a wrong secret, one that was used or ran out; only the last two are told apart."""

    message = N_("The invitation is not valid: {problem}.")
    remedy = N_("Ask an administrator of the network for a new one.")


class WordsDiffer(Refused):
    """The six words that were given are not those of the key."""

    message = N_("These are not the six words of the key that asks to join.")
    remedy = N_("Do not sign. Ask for the words again by telephone, at a number that you already had.")


class KeyLocked(Refused):
    """The passphrase does not open the administrator's key."""

    message = N_("This passphrase does not open the administrator's key.")
    remedy = N_("Type it again. Nothing else opens it: a lost key is replaced by the other administrators.")


class NameTaken(Conflict):
    """Another member shows this name, or one that differs in case and accents only, or this identifier."""

    message = N_("Another member already has this {what} in the directory.")
    remedy = N_("Choose one that tells the two associations apart.")


class KeyTaken(Conflict):
    """Another member calls with this transport key."""

    message = N_("Another member already uses this transport key.")
    remedy = N_("Make a new one.")


class LogBehind(IntegrityFailure):
    """The directory's database holds less, or something else, than what it last signed."""

    message = N_("The roster log has {size} entries; {signed} were signed, or they were others.")
    remedy = N_(
        "Nothing is signed. Bring the entries back from a member or an administrator: cordee directory recover."
    )


class DirectoryBehind(Unreachable):
    """The directory came back from a backup and has not all of its log yet. It serves nothing until it has."""

    message = N_("The directory came back from a backup: its log has {size} entries, {signed} were signed.")
    remedy = N_(
        "Nothing is lost. Its members give it back what is missing as soon as they are connected; an administrator can "
        "too: cordee directory recover."
    )


class StreamReplaced(Conflict):
    """The member opened a newer stream of events."""

    message = N_("A newer connection of this member receives its events now.")
    remedy = N_("Check that only one node runs with these keys.")


# ---- Transfers ----


class NotInThisState(Conflict):
    """The transfer table has no such step from this state."""

    message = N_("The transfer is {state}; {statement} is not possible any more.")


class AnotherStatement(Conflict):
    """Another statement was already taken for this step."""

    message = N_("Another {statement} was already taken for this transfer.")


class TransferOver(Conflict):
    """Withdrawn or expired before this step."""

    message = N_("The transfer is over: {state}.")


class OfferAlreadyOpen(Conflict):
    """One open offer for each case and recipient."""

    message = N_("This case is already offered to this association (transfer {transfer}).")
    remedy = N_("Follow that transfer, or withdraw it first.")


class TooLarge(Refused):
    """Over a limit that was known beforehand."""

    status = "RESOURCE_EXHAUSTED"
    message = N_("{what} has {size} bytes; the limit is {limit}.")
    remedy = N_("Leave out the largest attachments, or send them in a second transfer.")


class QuotaExceeded(Refused):
    """The member's mailbox quota is used up."""

    status = "RESOURCE_EXHAUSTED"
    message = N_("The mailbox is full: {used} of {limit} bytes wait.")
    remedy = N_("Wait until earlier transfers have arrived, or withdraw one.")


class OffsetBeyondEnd(Conflict):
    """Bytes can be put or read only up to where the mailbox ends; `held` says where that is."""

    message = N_("The mailbox holds {held} bytes; the offset {offset} lies beyond.")
    remedy = N_("Go on from the bytes that it holds.")


class TooManyOpenTransfers(QuotaExceeded):
    """A member's transfers that have not ended: in all, or those to one recipient that it has not answered."""

    message = N_("{open} transfers are open; the limit is {limit}.")
    remedy = N_("Wait until they are answered, or withdraw some of them.")


class TooManyRequests(Refused):
    """The caller's rate limit is used up for now. `seconds` says when to try again."""

    status = "RESOURCE_EXHAUSTED"
    message = N_("Too many requests at once.")
    remedy = N_("Wait a moment and try again.")

    @property
    def retry_after(self) -> float:
        """Seconds after which there is room again; 0 where nobody said."""
        told = self.facts.get("seconds", "")
        return min(float(told), _LONGEST_WAIT) if _SECONDS.fullmatch(told) else 0.0


class TooManyCallsOpen(TooManyRequests):
    """As many calls of the caller are under way as one may have, streams included."""

    message = N_("{limit} calls are under way already.")
    remedy = N_("Wait until one of them has ended.")


class TooManyRefusals(TooManyRequests):
    """The caller's last calls were refused, one after another: it is not listened to for a moment."""

    message = N_("Too many of the last requests were refused.")
    remedy = N_("Wait a moment. If it happens again, tell the network's administrators.")


class TooManyOffers(TooManyRequests):
    """More transfers were begun than one member may, those included that were taken back: each is kept for years."""

    message = N_("Too many transfers were offered.")
    remedy = N_("Nothing is lost: what waits is offered by itself, a few each minute.")


class TooManyCards(TooManyRequests):
    """The card was replaced too often: every other member fetches each."""

    message = N_("The card was changed too often.")
    remedy = N_("Wait a few minutes, then publish it again; nothing else has to wait.")


class TooManyEntries(TooManyRequests):
    """The member wrote too much about itself into the log: every association keeps each entry for ever."""

    message = N_("Too many entries about this association were added to the log.")
    remedy = N_("Wait some hours; what is still to be done then goes on by itself. Tell the network's administrators.")


class TooManyBytes(TooManyRequests):
    """More was uploaded in a day than a member may, counting what was sent again."""

    message = N_("Too much was sent to the mailbox in one day.")
    remedy = N_("Nothing is lost: it goes on by itself. If it happens again, look at the line.")


class CertificateExpired(Refused):
    """The caller's transport certificate has run out."""

    status = "UNAUTHENTICATED"
    message = N_("The calling machine's certificate ran out on {expired}.")
    remedy = N_("Restart the node: it asks for a new certificate by itself. Else ask the network's administrators.")


class WeakConnection(Refused):
    """The connection is not TLS 1.3 with the hybrid key exchange."""

    status = "UNAUTHENTICATED"
    message = N_("The connection is not TLS 1.3 with X25519MLKEM768.")
    remedy = N_("Update the software of the calling machine.")


# ---- Acts and cases ----


class NotCovered(Refused):
    """No act covers what should leave; `rule` is the row of the decision table (domain §2.6), `missing` the item."""

    message = N_("This cannot be sent: {missing} (rule {rule}).")
    remedy = N_("Record what is missing in an act, or choose another purpose or recipient.")


class OutOfScope(Refused):
    """Something lies outside the act's scope."""

    message = N_("{item} lies outside what the act covers.")
    remedy = N_("Nothing was imported. The sender is told.")


class ActRefused(Refused):
    """The act that came with a case does not open its commitment, or names other parties, purpose or times."""

    message = N_("The act behind this transfer is not valid: {problem}.")
    remedy = N_("Nothing was imported. The sender is told.")


class Problem(NamedTuple):
    """One place that breaks a schema, and how; never the value that stands there.

    `problem` is a marked text, and `path` may be one; `facts` are what they name between braces.
    """

    path: str
    problem: str
    facts: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, path: str, problem: str, **facts: object) -> Problem:
        """A problem with its facts."""
        return cls(path, problem, tuple(sorted((name, str(value)) for name, value in facts.items())))


class InvalidRecord(InvalidInput):
    """A case, an act or a profile breaks its schema; `path` says where, `problem` what.

    The facts tell the first problem; `problems` holds all that were found.
    """

    message = N_("{path}: {problem}.")
    remedy = N_("Correct it and try again; nothing was saved.")

    def __init__(self, *, problems: Iterable[Problem] = (), **facts: object) -> None:
        found = tuple(problems)
        if found:
            facts = {"path": found[0].path, "problem": found[0].problem, **dict(found[0].facts)} | facts
        super().__init__(**facts)
        own = {name: value for name, value in self.facts.items() if name not in ("path", "problem")}
        self.problems = found or (Problem.of(self.facts.get("path", ""), self.facts.get("problem", ""), **own),)


class RecordClosed(Conflict):
    """The case was closed or handed over; the copy is read-only."""

    message = N_("This case was closed or handed over; the copy here is read-only.")


class CaseWasOurs(Conflict):
    """The case had been ours before it came: returning it would erase our own record of it too."""

    message = N_("This case was yours before it came back; to return it would erase your own record too.")
    remedy = N_("Offer it to them anew, or keep it.")


class StaleRecord(Conflict):
    """The record was changed by someone else since it was read."""

    message = N_("This case was changed in the meantime (version {present}, yours is {given}).")


class CaseExists(Conflict):
    """There is a case of this id already, and it is not erased."""

    message = N_("There is a case {case} already.")
    remedy = N_("Open that case; erase it first if it is to be replaced.")


class AlreadyImported(Conflict):
    """The case of this transfer was imported before; it is imported once only."""

    message = N_("The case of transfer {transfer} was imported already.")


# ---- Accounts ----


class NotSignedIn(Refused):
    """No session, or one that has ended."""

    status = "UNAUTHENTICATED"
    message = N_("You are not signed in, or your session has ended.")
    remedy = N_("Sign in: cordee node login.")


class SecondFactorNeeded(NotSignedIn):
    """The password was right; the second factor is still to be shown."""

    message = N_("The second step of signing in is missing.")
    remedy = N_("Sign in on the node's pages, with the code from your telephone.")


class SessionLocked(NotSignedIn):
    """The screen was locked."""

    message = N_("The screen is locked.")
    remedy = N_("Unlock it with your password or a code.")


class WrongCode(Refused):
    """Not a code of this moment, one that was used already, or no recovery code."""

    status = "UNAUTHENTICATED"
    message = N_("The code is wrong, or was used already.")
    remedy = N_("Wait for the next one on your telephone, or take a recovery code.")


class PasskeyRefused(Refused):
    """What the browser sent of a passkey does not verify."""

    status = "UNAUTHENTICATED"
    message = N_("The passkey was not accepted.")
    remedy = N_("Try again, or take a code.")


class NeedToKnow(Refused):
    """The case is kept to named people, and the caller is none of them."""

    message = N_("This case is kept to the people named in it.")
    remedy = N_("If you must open it, say why: your reason is kept and looked at.")


class WrongPassword(Refused):
    """The name or the password is wrong; it does not say which."""

    status = "UNAUTHENTICATED"
    message = N_("The name or the password is wrong.")


class AccountExists(Conflict):
    """There is an account of this name already."""

    message = N_("There is an account of this name already.")
    remedy = N_("Choose another name.")


class TeamExists(Conflict):
    """There is a team of this name already."""

    message = N_("There is a team of this name already.")
    remedy = N_("Choose another name.")


class CasesLeftAlone(Conflict):
    """Closing the account would leave cases that nobody may open."""

    message = N_("Nobody else may open {count} of the cases of this account.")
    remedy = N_("Say to which team or person they go, or that they wait for somebody.")


class TeamInUse(Conflict):
    """A team that has people or cases is not dissolved."""

    message = N_("There are people or cases in this team.")
    remedy = N_("Put the people into another team and give the cases to another first.")


class SignInPaused(Refused):
    """Too many wrong passwords for one name; known and unknown names alike."""

    status = "RESOURCE_EXHAUSTED"
    message = N_("Too many wrong passwords: signing in under this name pauses until {until}.")
    remedy = N_("Wait until then. If it was not you, tell an administrator of the association.")


class LastAdministrator(Conflict):
    """Without it nobody could manage the accounts."""

    message = N_("This is the last account with the role “administrator”.")
    remedy = N_("Give the role to somebody else first.")


class RoleMissing(Refused):
    """The account has no role that may do this."""

    message = N_("This needs the role “{role}”.")
    remedy = N_("Ask an administrator of the association.")


class VaultLocked(Refused):
    """The passphrase does not open the vault."""

    message = N_("This passphrase does not open the vault.")
    remedy = N_("Type it again. Where it is lost, the sheets of the recovery kit and a backup open the node.")


class BackupDamaged(IntegrityFailure):
    """A backup is cut off, altered or no backup at all; nothing of it was used."""

    message = N_("This backup cannot be used: {problem}.")
    remedy = N_("Nothing was restored. Take another copy of it, or an earlier backup.")


class WordsRefused(Refused):
    """A sheet of recovery words was not typed as it is printed."""

    message = N_("Sheet {sheet}, word {word}: {problem}.")
    remedy = N_("Look at the sheet again, and type that word anew.")


class SheetRefused(Refused):
    """A sheet of recovery words does not go with the others, or there are too few of them."""

    message = N_("Sheet {sheet}: {problem}.")
    remedy = N_("Take the sheets of one kit: the same kit number and date stand on each.")


class KitUnknown(Refused):
    """These sheets are of another node, or of a kit that a later one has replaced."""

    message = N_("The kit {kit} does not open this vault.")
    remedy = N_("Take the newest kit of this association; for a backup, the one that was newest when it was made.")


class AlreadyExists(Conflict):
    """A file or a folder is there already; nothing is written over."""

    message = N_("{what} exists already.")
    remedy = N_("Choose another place, or remove it first.")


class NodeNotRunning(Unreachable):
    """No node answers on its socket."""

    message = N_("No node answers at {socket}.")
    remedy = N_("Start it (cordee node serve), or name its socket with --socket or CORDEE_NODE_SOCKET.")


class JournalBroken(IntegrityFailure):
    """The audit journal's chain or signature does not hold."""

    message = N_("The audit journal does not verify at line {line}: {problem}.")
