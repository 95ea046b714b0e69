"""What bytes from outside reach, and what must hold of each parser, whatever the bytes.

A target is a function of bytes. It may refuse them with an error of ours and nothing else; what it takes it must take
for good: written again it is the same bytes, or the same value. Statements and entries are *signed again* after the
fuzzer has changed their bodies, so that the checks behind the signatures are reached.

`seeds()` gives what a target begins with; those whose names begin with "good" are taken, which a test asks for. ML-DSA
signs with chance of its own, so what holds signatures is another one in each process: it is made there, beside the
corpus that is kept.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from google.protobuf import message_factory
from google.protobuf.message import DecodeError, Message
from starlette.datastructures import FormData, QueryParams

from cordee.act.form import parse_act
from cordee.card import Card
from cordee.case import SECTIONS, case_of, parse_case
from cordee.checkpoint import Checkpoint, open_checkpoint, peek_checkpoint, sign_checkpoint
from cordee.content import ContentReader, ContentWriter
from cordee.errors import CordeeError
from cordee.evidence import judge_journal, judge_views
from cordee.excerpt import make_excerpt
from cordee.ids import Digest
from cordee.invitation import Invitation
from cordee.journal import first_line
from cordee.jsonform import load_json
from cordee.keyfile import public_file, read_public_file
from cordee.layout import ManifestRead, encode_manifest, padme
from cordee.log import verify_consistency, verify_inclusion
from cordee.members import registration_digest
from cordee.profile.entry import Profile
from cordee.proof import export, verify
from cordee.roster import apply
from cordee.runtime import bounds, contract
from cordee.shares import combine, read_sheet, split, words_in
from cordee.signing import Signed, SigningKey
from cordee.statements import peek
from cordee.summary import (
    DECLINE_REASONS,
    open_reason,
    open_report,
    open_sections,
    open_summary,
)
from cordee.v1 import directory_pb2, mailbox_pb2, node_pb2
from cordee.v1 import statements_pb2 as v1
from cordee.views import export_views, make_view
from node import media
from node.backup import read_head
from node.rpc import bounds as _node_bounds
from node.vault_file import VaultFile
from node.web.criteria import Criteria
from node.web.forms import section_from
from node.web.uploads import Upload, safe_name
from tests import samples
from tests.builders import FOUNDED, Network, seeded_random
from tests.transfers import SUMMARY, Story

__all__ = ["TARGETS", "Target", "Wrong"]

_REGISTERED = (contract, _node_bounds)  # importing them sets the bounds of every request


class Wrong(AssertionError):
    """A parser took what it must not take, or took it for something else."""


@dataclass(frozen=True)
class Target:
    """A parser with what must hold of it."""

    run: Callable[[bytes], object]
    seeds: Callable[[], Mapping[str, bytes]]
    refuses: tuple[type[Exception], ...] = (CordeeError,)
    longest: int = 4096  # bytes that the fuzzer tries
    kept: bool = True  # its seeds hold no signature, so that they are the same in every process

    def take(self, data: bytes) -> bool:
        """Whether the bytes were taken. Raises whatever is neither that nor a refusal."""
        try:
            self.run(data)
        except self.refuses:
            return False
        return True


def _require(condition: bool, what: str) -> None:
    if not condition:
        raise Wrong(what)


# ---- statements: the body is the fuzzer's, the signatures are right ----


def _resigned(kind: str, body: bytes, key: SigningKey) -> Signed:
    signature = key.sign_entry(kind, body)
    return Signed(kind, body, key.public.key_id, signature.ed25519_signature, signature.mldsa65_signature)


@dataclass(frozen=True)
class _Reader:
    name: str
    kind: str
    body: bytes
    key: SigningKey
    read: Callable[..., Any]
    now: datetime


@cache
def _story() -> Story:
    network = Network.found(administrators=3)
    network.admit("Lille")
    return Story.between(network, "Paris", "Marseille")


@cache
def _readers() -> tuple[_Reader, ...]:
    """Every statement of a transfer, at the moment when it is due."""
    story, found = _story(), list[_Reader]()

    def add(name: str, signed: Signed, key: SigningKey, read: Callable[..., Any]) -> None:
        found.append(_Reader(name, signed.type, signed.body, key, read, story.now))

    ours, theirs = story.sender.identity, story.recipient.identity
    add("offer", story.make_offer(), ours, story.read_offer)
    story.offer()
    add("acceptance", story.make_acceptance(), theirs, story.read_answer)
    add("refusal", story.make_refusal(), theirs, story.read_answer)
    add("withdrawal", story.make_withdrawal(), ours, story.read_withdrawal)
    story.accept()
    add("shipment", story.make_shipment(), ours, story.read_shipment)
    story.ship()
    add("taken", story.make_receipt(), theirs, story.read_receipt)
    add("refused receipt", story.make_refused_receipt(), theirs, story.read_receipt)
    story.receive()
    add("return", story.make_return(), theirs, story.read_return)
    story.withdraw()
    add("erasure", story.make_erasure(), theirs, story.read_erasure)
    add("refused erasure", story.make_refused_erasure(), theirs, story.read_erasure)
    return tuple(found)


def _statement(data: bytes) -> None:
    readers = _readers()
    if not data:
        return
    reader = readers[data[0] % len(readers)]
    signed = _resigned(reader.kind, data[1:], reader.key)
    taken = None
    for mode in ({"fresh": True}, {"fresh": False}, {"fresh": False, "history": True}):
        try:
            taken = reader.read(signed, now=reader.now, **mode)
        except CordeeError:
            _require(taken is None, f"{reader.name}: a milder reader refused what a stricter one took")
    if taken is None:
        return
    _require(taken.signed.body == data[1:], "another body than was signed")
    seen = peek(signed)
    _require(seen.parties == taken.parties, "the first look told other parties")
    _require(Signed.from_bytes(signed.to_bytes()) == signed, "written again it is another statement")


def _statement_seeds() -> dict[str, bytes]:
    return {f"good-{each.name}".replace(" ", "-"): bytes([at]) + each.body for at, each in enumerate(_readers())}


def _signed(data: bytes) -> None:
    signed = Signed.from_bytes(data)
    _require(signed.to_bytes() == data, "one statement has two forms")
    peek(signed)


def _signed_seeds() -> dict[str, bytes]:
    return {
        f"good-{each.name}".replace(" ", "-"): _resigned(each.kind, each.body, each.key).to_bytes()
        for each in _readers()[:3]
    }


# ---- the roster ----


@cache
def _log() -> tuple[tuple[v1.Entry, Any, tuple[SigningKey, ...]], ...]:
    """Each kind of entry, the roster before it, and who signed it."""
    network = Network.found(administrators=3)
    keys = {key.public.key_id: key for key in network.administrators}
    lille, lyon = network.admit("Lille"), network.admit("Lyon")
    keys |= {each.identity.public.key_id: each.identity for each in (lille, lyon)}
    network.suspend(lille)
    network.reinstate(lille)
    network.rotate(lille)
    keys[lille.identity.public.key_id] = lille.identity
    network.restore(lille)
    network.correct(lyon, "Lyon et Villeurbanne")
    network.announce_recovery(lyon)
    network.object(lyon)
    network.revoke(lyon)
    network.recover(lyon)
    network.remove(lyon)
    added = network.add_administrator()
    keys[added.public.key_id] = added
    network.remove_administrator(network.administrators[0])
    network.change_policy(offer_life_limit=timedelta(days=7))
    network.rotate_directory_key()
    network.rotate_authority(b"another certificate")
    found, roster = {}, None
    for entry in network.entries:
        found.setdefault(entry.type, (entry, roster, tuple(keys[each.signer] for each in entry.signatures)))
        roster = apply(roster, entry)
    return tuple(found.values())


def _entry(data: bytes) -> None:
    if not data:
        return
    entry, roster, signers = _log()[data[0] % len(_log())]
    fuzzed = v1.Entry(type=entry.type, body=data[1:])
    for key in signers:
        fuzzed.signatures.append(key.sign_entry(fuzzed.type, fuzzed.body))
    before = None if roster is None else (roster.network, len(roster.members), dict(roster.members))
    try:
        after = apply(roster, fuzzed)
    finally:
        now = None if roster is None else (roster.network, len(roster.members), dict(roster.members))
        _require(now == before, "the roster before it has changed")
    if roster is not None:
        _require(after.network == roster.network, "it moved to another network")
        gone = set(roster.members) - set(after.members)
        _require(not gone, "a member vanished from the roster")


def _entry_seeds() -> dict[str, bytes]:
    return {
        f"good-{entry.type.rpartition('.')[2]}": bytes([at]) + entry.body for at, (entry, _, _) in enumerate(_log())
    }


def _raw_entry(data: bytes) -> None:
    entry = v1.Entry.FromString(data)
    bounds.check(directory_pb2.AppendEntryRequest(entry=entry))
    apply(_story().network.roster, entry)


def _raw_entry_seeds() -> dict[str, bytes]:
    return {"genesis": _log()[0][0].SerializeToString()}


def _card(data: bytes) -> None:
    network = _story().network
    lille = network.members["Lille"]
    signed = _resigned("cordee.v1.Card", data, lille.identity)
    Card.parse(signed, network.roster, now=network.now, profile=lille.profile)


def _checkpoint(data: bytes) -> None:
    network = _story().network
    text = data.decode("utf-8")
    opened: Checkpoint | None = None
    try:
        opened = open_checkpoint(text, network.directory.public, network.roster.origin)
    except CordeeError:
        peek_checkpoint(text)
        return
    _require(text.startswith(opened.text + "\n"), "one checkpoint has two texts")


def _checkpoint_text(data: bytes) -> None:
    """The text is the fuzzer's; it is signed by the directory all the same."""
    network = _story().network
    good = sign_checkpoint(Checkpoint(network.roster.origin, 1, Digest(bytes(32)), FOUNDED), network.directory)
    text = data.decode("utf-8")
    found = peek_checkpoint(text + good[good.index("\n\n") + 1 :])
    _require(found.text == text, "one checkpoint has two texts")


def _checkpoint_seeds() -> dict[str, bytes]:
    return {"good-whole": _story().network.checkpoint().encode()}


def _text_seeds() -> dict[str, bytes]:
    note = _story().network.checkpoint()
    return {"good-text": note[: note.index("\n\n") + 1].encode()}


def _merkle(data: bytes) -> None:
    """A proof made of the fuzzer's bytes shows nothing that is not so."""
    numbers, hashes = data[:4], [data[at : at + 32] for at in range(4, len(data), 32)]
    if len(numbers) < 4 or not hashes or len(hashes[-1]) != 32:
        return
    tree, proof = _story().network.tree, hashes[:-1]
    index, size, old, new = (each % (tree.size + 2) for each in numbers)
    if 0 < size <= tree.size:
        try:
            verify_inclusion(leaf=hashes[-1], index=index, size=size, root=tree.root(size), proof=proof)
        except CordeeError:
            pass
        else:
            genuine = tree.inclusion_proof(index, size)
            _require(proof == genuine, "a leaf was shown that is not there")
    verify_consistency(old=old, new=new, old_root=hashes[-1], new_root=tree.root(min(new, tree.size)), proof=proof)
    _require(new > tree.size or hashes[-1] == tree.root(old), "another past was shown")


def _merkle_seeds() -> dict[str, bytes]:
    tree = _story().network.tree
    proof = b"".join(tree.consistency_proof(2, 3))
    return {"good-consistency": bytes([0, 0, 2, 3]) + proof + tree.root(2)}


# ---- evidence ----


@cache
def _proof_of_story() -> bytes:
    story = _story()
    _readers()
    network = story.network
    return export(
        network.entries,
        tree=network.tree,
        note=network.checkpoint(story.now),
        size=network.tree.size,
        statements=story.statements,
    )


def _proof(data: bytes) -> None:
    """No byte of a proof can be another one: what is taken has the statements that were signed, all or the first."""
    report = verify(data, network=_story().network.roster.network)
    made = [each.digest for each in _story().statements]
    found = [step.digest for step in report.steps]
    _require(bool(found) and found == made[: len(found)], "other steps were proven than were taken")


def _views(data: bytes) -> None:
    judge_views([data], network=_story().network.roster.network)


def _views_seeds() -> dict[str, bytes]:
    network = _story().network
    size = network.tree.size
    view = make_view(network.entries, note=network.checkpoint(), size=size)
    later = make_view(network.entries, note=network.checkpoint(FOUNDED + timedelta(days=1)), size=size)
    return {"good-two-views": export_views([view, later])}


def _journal(data: bytes) -> None:
    judge_journal(io.BytesIO(data), network=_story().network.roster.network)


def _journal_seeds() -> dict[str, bytes]:
    network = _story().network
    member = network.members["Lille"].id
    size = network.tree.size
    excerpt = make_excerpt(network.entries, tree=network.tree, note=network.checkpoint(), size=size, members={member})
    return {"first line": first_line(member, network.roster.network, excerpt)}


# ---- sealed texts and content ----


def _sealed(data: bytes) -> None:
    """Ciphertext of the fuzzer's: nothing of it opens."""
    story = _story()
    _readers()
    key, parties, about = story.recipient.sealing, story.parties, story.offered.digest
    for opens in (
        lambda: open_summary(data, parties=parties, key=key),
        lambda: open_sections(data, parties=parties, offer=about, key=key, offered=["needs"]),
        lambda: open_reason(data, codes=DECLINE_REASONS, parties=parties, about=about, key=key),
        lambda: open_report(data, parties=parties, about=about, key=key),
    ):
        try:
            opens()
        except CordeeError as found:
            refused = found
            continue
        raise Wrong("what nobody sealed was opened")
    raise refused


_KEY, _CONTEXT = bytes(range(32)), b"a transfer"


def _read(ciphertext: bytes, step: int) -> list[Any]:
    reader = ContentReader(_KEY, _CONTEXT, expected_size=len(ciphertext))
    released = list[Any]()
    for at in range(0, len(ciphertext), step):
        released += reader.feed(ciphertext[at : at + step])
    reader.finish()
    return released


def _plaintext(data: bytes) -> None:
    """The plaintext is the fuzzer's, encrypted rightly: a member that cheats."""
    padded = data + bytes(padme(len(data)) - len(data))
    writer = ContentWriter(_KEY, _CONTEXT)
    ciphertext = writer.update(padded) + writer.finish()
    whole = _read(ciphertext, len(ciphertext))
    kinds = {type(each) for each in _read(ciphertext, 997)}
    _require(kinds == {type(each) for each in whole}, "in small pieces it is another content")
    read = whole[0]
    _require(isinstance(read, ManifestRead) and read.raw == padded[4 : 4 + len(read.raw)], "another manifest")


def _plaintext_seeds() -> dict[str, bytes]:
    section = b'{"needs": "a bed tonight"}'
    manifest = v1.Manifest(
        case_id="c",
        sections=[v1.ManifestSection(name="needs", size=len(section), sha256=hashlib.sha256(section).digest())],
    )
    raw = encode_manifest(manifest)
    return {"good-one-section": len(raw).to_bytes(4, "big") + raw + section}


def _ciphertext(data: bytes) -> None:
    _read(data, max(1, len(data)))
    _require(False, "what nobody encrypted was read")


def _ciphertext_seeds() -> dict[str, bytes]:
    plain = _plaintext_seeds()["good-one-section"]
    writer = ContentWriter(_KEY, b"another transfer")
    return {"another context": writer.update(plain + bytes(padme(len(plain)) - len(plain))) + writer.finish()}


# ---- records ----


def _json(data: bytes) -> None:
    load_json(data, limit=64 * 1024, what="the file")


def _case(data: bytes) -> None:
    case = parse_case(data)
    again = parse_case(case.to_bytes())
    _require(again == case and again.to_bytes() == case.to_bytes(), "written again it is another case")
    for name in case.sections():
        case.section(name)
    _require(case.birth_date is None or case.birth_date.year > 0, "a birth date that is none")


def _case_seeds() -> dict[str, bytes]:
    cases = sorted((each.to_bytes() for each in samples.cases()), key=len)
    return {f"good-{at}": each for at, each in enumerate(cases[:3])}


def _act(data: bytes) -> None:
    act = parse_act(data)
    again = parse_act(act.to_dict())
    _require(again.to_dict() == act.to_dict(), "written again it is another act")
    _require(act.valid_from < act.valid_until, "it ends before it begins")
    _ = (act.path, act.deciders, act.recipients, act.review_due_at, act.decided_at, act.for_travel())


def _act_seeds() -> dict[str, bytes]:
    acts = sorted((act.to_bytes() for case in samples.cases() for act in samples.acts_in(case)), key=len)
    return {f"good-{at}": each for at, each in enumerate(acts[:3])}


@cache
def _registrations() -> tuple[Digest, ...]:
    every = samples.associations()
    numbers = ((each["legal_name"], each.get(key)) for each in every for key in ("siret", "rna", "finess_et"))
    return tuple(registration_digest(name, number) for name, number in numbers if number)


def _profile(data: bytes) -> None:
    profile = Profile.parse(data, *_registrations())
    _require(profile.to_bytes() == data, "written again it is another profile")
    _ = (profile.departement_name, profile.specialities, profile.categories)


def _profile_seeds() -> dict[str, bytes]:
    named = sorted(
        (
            json.dumps(samples.profile_of(each["org_id"]), ensure_ascii=False).encode()
            for each in samples.associations()
        ),
        key=len,
    )
    return {f"good-{at}": each for at, each in enumerate(named[:2])}


# ---- files and links that people hand on ----


def _invitation(data: bytes) -> None:
    found = Invitation.parse(data)
    _require(Invitation.parse(found.to_bytes()) == found, "written again it is another invitation")
    _require(Invitation.parse(found.to_link().encode()) == found, "its link is another invitation")
    _require(found.expires.tzinfo is not None, "its end is in no time zone")
    _ = found.expires <= FOUNDED


@cache
def _an_invitation() -> Invitation:
    random = seeded_random("invitation")
    return Invitation(
        network=_story().network.roster.network,
        members="annuaire.example:4433",
        front="annuaire.example:4434",
        ca_certificate=random(300),
        invitation=random(16),
        secret=random(32),
        legal_name="Rive d'Aurore",
        registration_number="123 456 789 00012",
        bound_by_secrecy=True,
        expires=FOUNDED,
    )


def _invitation_seeds() -> dict[str, bytes]:
    made = _an_invitation()
    naive = made.to_bytes().replace(b"+00:00", b"")
    return {"good-file": made.to_bytes(), "good-link": made.to_link().encode(), "no zone": naive, "deep": b"[" * 4000}


def _words(data: bytes) -> None:
    typed = data.decode("utf-8", "replace").split("\n")
    sheets = [read_sheet(words_in(each), sheet=at, length=33) for at, each in enumerate(typed, start=1)]
    secret = combine(sheets)
    _require(secret in (_SECRET, _OTHER), "words were taken for another secret")


_SECRET, _OTHER = bytes(range(32)), bytes(32)


def _words_seeds() -> dict[str, bytes]:
    sheets = split(_SECRET, needed=2, count=3)
    return {"good-two": "\n".join(" ".join(each.words) for each in sheets[:2]).encode()}


def _vault(data: bytes) -> None:
    found = VaultFile.parse(data)
    _require(VaultFile.parse(found.to_bytes()) == found, "written again it is another file")


def _vault_seeds() -> dict[str, bytes]:
    file = VaultFile.seal(bytes(32), b"une phrase", random=seeded_random("vault"), opslimit=1, memlimit=8192)
    return {
        "deep": b"[" * 4000,
        "good-plain": file.to_bytes(),
        "good-kit": file.with_kit(bytes(32), "kit", bytes(32), random=seeded_random("kit")).to_bytes(),
    }


def _backup(data: bytes) -> None:
    head = read_head(io.BytesIO(data))
    _require(head.created.tzinfo is not None, "its time is in no time zone")


def _backup_seeds() -> dict[str, bytes]:
    plain = {
        "created": FOUNDED.isoformat(),
        "schema": 1,
        "vault": json.loads(_vault_seeds()["good-plain"]),
        "sealed_key": base64.b64encode(bytes(72)).decode(),
    }
    head = json.dumps(plain, separators=(",", ":")).encode()
    naive, deep = head.replace(b"+00:00", b""), b"[" * 4000
    return {"no zone": _headed(naive), "deep": _headed(deep), "good-head": _headed(head)}


def _headed(head: bytes) -> bytes:
    return b"cordee backup 1\n" + len(head).to_bytes(4, "big") + head


def _key_file(data: bytes) -> None:
    key = read_public_file(data)
    _require(read_public_file(public_file(key)) == key, "written again it is another key")


def _key_file_seeds() -> dict[str, bytes]:
    return {"good-key": public_file(_story().sender.identity.public), "deep": b"[" * 4000}


# ---- what servers and pages are asked ----


@cache
def _requests() -> tuple[type[Message], ...]:
    kinds = [
        message_factory.GetMessageClass(method.input_type)
        for module in (directory_pb2, mailbox_pb2, node_pb2)
        for service in module.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    ]
    return tuple({each.DESCRIPTOR.full_name: each for each in kinds}.values())


def _request(data: bytes) -> None:
    if not data:
        return
    kind = _requests()[data[0] % len(_requests())]
    request = kind.FromString(data[1:])
    if bounds.is_registered(kind.DESCRIPTOR):
        bounds.check(request)
        for field, value in request.ListFields():
            if field.message_type is not None and field.message_type.full_name == "cordee.v1.Signed":
                Signed.from_message(value)


def _request_seeds() -> dict[str, bytes]:
    signed = _resigned("cordee.v1.Offer", b"x", _story().sender.identity).to_message()
    at = [each.DESCRIPTOR.name for each in _requests()].index("SubmitRequest")
    return {"good-submit": bytes([at]) + directory_pb2.SubmitRequest(statement=signed).SerializeToString()}


def _upload(data: bytes) -> None:
    at = data.find(b"\n")
    if at < 0:
        return
    content_type, body = data[:at].decode("latin-1"), data[at + 1 :]

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 700):
            yield body[start : start + 700]

    async def read() -> tuple[dict[str, str], int]:
        upload = Upload(content_type, pieces())
        fields, size = await upload.fields(), 0
        if upload.file_name is not None:
            safe_name(upload.file_name)
        async for piece in upload.file():
            size += len(piece)
        return fields, size

    fields, size = _run(read())
    _require(len(fields) <= 20 and sum(map(len, fields.values())) <= 20 * 4096, "more fields than there may be")
    _require(size <= len(body), "more was read than came")


def _run(coroutine: Any) -> Any:
    """To its end: it waits for nothing but what is there."""
    try:
        coroutine.send(None)
    except StopIteration as ended:
        return ended.value
    raise Wrong("it waits for what does not come")


def _upload_seeds() -> dict[str, bytes]:
    body = (
        b'--B\r\nContent-Disposition: form-data; name="title"\r\n\r\nun titre\r\n'
        b'--B\r\nContent-Disposition: form-data; name="file"; filename="a.pdf"\r\n'
        b"Content-Type: application/pdf\r\n\r\n%PDF-1.4\r\n--B--\r\n"
    )
    return {"good-form": b"multipart/form-data; boundary=B\n" + body}


def _file_name(data: bytes) -> None:
    name = safe_name(data.decode("utf-8", "surrogateescape"))
    _require(0 < len(name) <= 200, "a name without length, or too long")
    _require(not set(name) & set('/\\<>:"|?*\x00\n\r'), "a name that is a path, or holds what no name may hold")
    _require(name not in (".", "..") and safe_name(name) == name, f"safe once and not twice: {name!r}")
    name.encode("utf-8")


def _form(data: bytes) -> None:
    """A section's form, with fields of any name."""
    text = data.decode("utf-8", "replace")
    section, _, rest = text.partition("\n")
    sections = sorted(set(SECTIONS) - {"meta", "attachments"})
    name = sections[len(section) % len(sections)]
    fields = [tuple(line.partition("=")[::2]) for line in rest.split("\n")[:60]]
    case = samples.cases()[0]
    found = section_from(
        name, case.section(name), FormData(fields), now=FOUNDED, random=seeded_random("form"), author="a"
    )
    document = case.to_dict()
    document[name] = found
    if found is None:
        del document[name]
    case_of(document)


def _form_seeds() -> dict[str, bytes]:
    return {
        "good-identity": b"\nidentity.first_name=Capucine\nidentity.birth_date=2011-02-03\nidentity.gender=f",
        "good-risk": b"x\nrisk.level=high\nrisk.assessed_on=2026-03-02\nrisk.reassess_on=2026-03-09",
    }


def _query(data: bytes) -> None:
    criteria = Criteria.read(QueryParams(data.decode("utf-8", "replace")))
    criteria.query()


def _media(data: bytes) -> None:
    kind = media.media_type_of(data[: media.BEGINNING])
    _require("/" in kind and kind.isascii(), "a type that is none")
    for section in ("identity", "health"):
        media.may_stand_in(section, data[: media.BEGINNING])


TARGETS: dict[str, Target] = {
    "statement": Target(_statement, _statement_seeds),
    "signed": Target(_signed, _signed_seeds, longest=8192, kept=False),
    "entry": Target(_entry, _entry_seeds, longest=16384),
    "raw_entry": Target(_raw_entry, _raw_entry_seeds, (CordeeError, DecodeError), kept=False),
    "card": Target(_card, lambda: {"good-card": _story().network.members["Lille"].card.body}),
    "checkpoint": Target(_checkpoint, _checkpoint_seeds, (CordeeError, UnicodeDecodeError), longest=8192, kept=False),
    "checkpoint_text": Target(_checkpoint_text, _text_seeds, (CordeeError, UnicodeDecodeError), kept=False),
    "merkle": Target(_merkle, _merkle_seeds, kept=False),
    "proof": Target(_proof, lambda: {"good-proof": _proof_of_story()}, longest=131072, kept=False),
    "views": Target(_views, _views_seeds, longest=16384, kept=False),
    "journal": Target(_journal, _journal_seeds, longest=65536, kept=False),
    "sealed": Target(_sealed, lambda: {"summary": SUMMARY.SerializeToString()}),
    "plaintext": Target(_plaintext, _plaintext_seeds),
    "ciphertext": Target(_ciphertext, _ciphertext_seeds),
    "json": Target(_json, lambda: {"good-json": b'{"a": [1, 2.5, "\\u00e9", null, true]}'}),
    "case": Target(_case, _case_seeds, longest=16384),
    "act": Target(_act, _act_seeds, longest=8192),
    "profile": Target(_profile, _profile_seeds, longest=16384),
    "invitation": Target(
        _invitation,
        _invitation_seeds,
    ),
    "words": Target(_words, _words_seeds),
    "vault_file": Target(_vault, _vault_seeds),
    "backup": Target(_backup, _backup_seeds),
    "key_file": Target(_key_file, _key_file_seeds, longest=8192),
    "request": Target(_request, _request_seeds, (CordeeError, DecodeError), longest=8192, kept=False),
    "upload": Target(_upload, _upload_seeds),
    "file_name": Target(_file_name, lambda: {"good-name": b"../a/photo.jpg"}),
    "form": Target(_form, _form_seeds),
    "query": Target(_query, lambda: {"good-query": b"q=1&need=emergency_shelter&dep=13&age=15&tonight=on"}),
    "media": Target(_media, lambda: {"good-pdf": b"%PDF-1.7\n", "good-jpeg": b"\xff\xd8\xff\xe0\x00\x10JFIF"}),
}
"""Name → target. A new parser of what comes from outside gets a line here."""
