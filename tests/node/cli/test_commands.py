from __future__ import annotations

import base64
import hashlib
import json
import stat
from pathlib import Path

import pytest
from sqlalchemy import select

from cordee.words import six_words
from node.app import Node
from node.store import table_of
from node.store.roster import EntryRow

from ..association import PASSWORD, act_body, case_body, profiles
from .conftest import Cordee


@pytest.fixture
def written(tmp_path: Path):
    """Writes a JSON document into a file and gives its path."""

    def write(document: object, name: str = "document.json") -> str:
        path = tmp_path / name
        path.write_text(json.dumps(document, ensure_ascii=False))
        return str(path)

    return write


@pytest.fixture
async def case_id(signed_in: Cordee, written) -> str:
    result = await signed_in("case", "new", written(case_body()))
    assert result.code == 0, result.err
    return result.json["case_id"]


async def test_without_a_node_every_command_says_how_to_start_one(cordee: Cordee):
    result = await cordee("case", "list")
    assert (result.code, result.error["reason"]) == (7, "NODE_NOT_RUNNING")
    assert "cordee node serve" in result.error["remedy"]
    assert result.out == ""


async def test_without_a_session_one_is_told_to_sign_in(socket: Path, cordee: Cordee):
    result = await cordee("case", "list")
    assert (result.code, result.error["reason"]) == (5, "NOT_SIGNED_IN")
    assert "cordee node login" in result.error["remedy"]


async def test_signing_in_and_out(socket: Path, cordee: Cordee, tmp_path: Path):
    wrong = await cordee("node", "login", "Hélène", "--password-file", "-", stdin="not the password")
    assert (wrong.code, wrong.error["reason"]) == (5, "WRONG_PASSWORD")
    right = await cordee("node", "login", "Hélène", "--password-file", "-", stdin=PASSWORD)
    assert (right.json["name"], right.json["roles"]) == ("Hélène", ["handler"])
    assert PASSWORD not in right.out + right.err
    kept = tmp_path / "state" / "session.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert (await cordee("node", "whoami")).json == right.json
    assert (await cordee("node", "logout")).json == {"signed_out": True}
    assert (await cordee("node", "whoami")).error["reason"] == "NOT_SIGNED_IN"
    assert (await cordee("node", "logout")).code == 0


async def test_a_password_is_never_an_argument(socket: Path, cordee: Cordee):
    result = await cordee("node", "login", "Hélène")
    assert result.code == 2
    assert "--password-file" in result.err


async def test_an_administrator_looks_after_accounts_and_a_handler_does_not(socket: Path, cordee: Cordee):
    add = ("node", "user", "add", "Nadia", "--role", "handler", "--bound-by-secrecy", "--password-file", "-")
    await cordee("node", "login", "Hélène", "--password-file", "-", stdin=PASSWORD)
    refused = await cordee(*add, stdin=PASSWORD)
    assert (refused.code, refused.error["reason"]) == (5, "ROLE_MISSING")
    await cordee("node", "login", "Adrien", "--password-file", "-", stdin=PASSWORD)
    weak = await cordee(*add, stdin="short")
    assert (weak.code, weak.error["facts"]["field"]) == (4, "password")
    assert (await cordee(*add, stdin=PASSWORD)).json["bound_by_secrecy"] is True
    unasked = await cordee("node", "user", "disable", "Nadia")
    assert (unasked.code, "--yes" in unasked.err) == (2, True)
    assert (await cordee("--yes", "node", "user", "disable", "Nadia")).code == 0
    listed = (await cordee("node", "user", "list")).json
    assert {each["name"]: each["disabled"] for each in listed}["Nadia"] is True


async def test_an_administrator_gives_somebody_codes_for_the_pages(socket: Path, cordee: Cordee):
    await cordee("node", "login", "Adrien", "--password-file", "-", stdin=PASSWORD)
    given = (await cordee("--yes", "node", "user", "second-factor", "Hélène")).json
    assert given["name"] == "Hélène"
    assert given["otpauth_uri"].startswith("otpauth://totp/Notes:")
    # The command line goes on as before: it asks for the password alone.
    assert (await cordee("node", "login", "Hélène", "--password-file", "-", stdin=PASSWORD)).code == 0
    refused = await cordee("--yes", "node", "user", "second-factor", "Adrien")
    assert (refused.code, refused.error["reason"]) == (5, "ROLE_MISSING")


async def test_a_case_is_opened_shown_changed_and_listed(signed_in: Cordee, case_id: str, written):
    shown = (await signed_in("case", "show", case_id, "--section", "situation")).json
    assert (shown["version"], list(shown["case"])) == (1, ["situation"])
    change = written({"situation": {"minor_position": "accepts", "minor_words": None}}, "change.json")
    assert (await signed_in("case", "edit", case_id, change)).json == {"case_id": case_id, "version": 2}
    situation = (await signed_in("case", "show", case_id)).json["case"]["situation"]
    assert situation["minor_position"] == "accepts"
    assert "minor_words" not in situation
    line = (await signed_in("case", "list")).json[0]
    assert (line["case_id"], line["version"], line["pseudonym"]) == (case_id, 2, case_body()["meta"]["pseudonym"])
    table = (await signed_in("case", "list", output=None)).out
    assert table.splitlines()[0].split()[:2] == ["case_id", "pseudonym"]
    missing = await signed_in("case", "show", case_id, "--section", "nonsense")
    assert missing.code == 3


async def test_a_change_to_an_older_version_is_a_conflict(signed_in: Cordee, case_id: str, written):
    change = written({"situation": {"minor_position": "accepts"}}, "change.json")
    assert (await signed_in("case", "edit", case_id, change)).code == 0
    late = await signed_in("case", "edit", case_id, change, "--expected-version", "1")
    assert (late.code, late.error["reason"]) == (6, "STALE_RECORD")


async def test_bad_input_is_told_with_file_and_place_and_nothing_is_kept(signed_in: Cordee, written, tmp_path: Path):
    body = case_body()
    body["risk"]["level"] = "Sirine Valbrume"
    path = written(body, "bad.json")
    result = await signed_in("case", "new", path)
    assert (result.code, result.error["reason"]) == (4, "INVALID_RECORD")
    assert "bad.json: risk.level" in result.error["message"]
    assert "Sirine" not in result.err
    assert result.error["remedy"]

    (tmp_path / "broken.json").write_text('{"meta": ')
    assert (await signed_in("case", "new", str(tmp_path / "broken.json"))).code == 4
    gone = await signed_in("case", "new", str(tmp_path / "nowhere.json"))
    assert (gone.code, "nowhere.json" in gone.err) == (4, True)
    assert (await signed_in("case", "list")).json == []


async def test_an_import_with_one_bad_record_opens_none(signed_in: Cordee, tmp_path: Path):
    good, bad = case_body(0), case_body(1)
    path = tmp_path / "cases.jsonl"
    path.write_text("\n".join(json.dumps(each) for each in (good, bad | {"risk": {}})))
    result = await signed_in("case", "import", str(path))
    assert (result.code, "cases.jsonl:2" in result.err) == (4, True)
    assert (await signed_in("case", "list")).json == []
    path.write_text("\n".join(json.dumps(each) for each in (good, bad)))
    assert len((await signed_in("case", "import", str(path))).json) == 2


async def test_a_file_is_attached_and_exported_byte_for_byte(
    signed_in: Cordee, case_id: str, tmp_path: Path, association: Node
):
    data = association.random(3 * 262_144 + 5)
    source = tmp_path / "récit.pdf"
    source.write_bytes(data)
    attached = await signed_in("case", "attach", case_id, str(source), "--kind", "report", "--section", "situation")
    assert attached.code == 0, attached.err
    assert attached.json["sha256"] == hashlib.sha256(data).hexdigest()
    assert (attached.json["size"], attached.json["media_type"]) == (len(data), "application/pdf")

    folder = tmp_path / "export"
    exported = await signed_in("case", "export", case_id, str(folder))
    assert exported.code == 0, exported.err
    assert "in clear" in exported.err
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert (folder / f"{attached.json['attachment_id']}.pdf").read_bytes() == data
    assert json.loads((folder / "case.json").read_text())["meta"]["case_id"] == case_id
    again = await signed_in("case", "export", case_id, str(folder))
    assert (again.code, again.error["reason"]) == (6, "ALREADY_EXISTS")


async def test_erasing_asks_and_needs_a_lead(signed_in: Cordee, case_id: str):
    assert (await signed_in("case", "erase", case_id)).code == 2
    assert (await signed_in("--yes", "case", "erase", case_id)).code == 5
    await signed_in("node", "login", "Léa", "--password-file", "-", stdin=PASSWORD)
    assert (await signed_in("--yes", "case", "erase", case_id)).json == {"case_id": case_id, "erased": True}
    assert (await signed_in("case", "show", case_id)).code == 3


async def test_an_act_is_recorded_listed_and_withdrawn(signed_in: Cordee, case_id: str, written):
    recorded = await signed_in("consent", "record", case_id, written(act_body()))
    assert recorded.code == 0, recorded.err
    act_id = recorded.json["act_id"]
    assert (await signed_in("consent", "show", act_id)).json["act"]["kind"] == "consent"
    withdrawn = await signed_in("--yes", "consent", "withdraw", act_id, "--by-role", "minor")
    assert withdrawn.json == {"act_id": act_id, "transfers": []}
    assert [each["status"] for each in (await signed_in("consent", "list", case_id)).json] == ["withdrawn"]


async def test_an_act_with_two_faults_tells_both_places(signed_in: Cordee, case_id: str, written):
    act = act_body() | {"legal_basis": "because", "kind": "wish"}
    result = await signed_in("consent", "record", case_id, written(act, "act.json"))
    assert (result.code, result.error["reason"]) == (4, "INVALID_RECORD")
    assert "act.json" in result.error["message"]


async def test_the_journal_is_listed_verified_and_exported(signed_in: Cordee, case_id: str, tmp_path: Path):
    assert (await signed_in("audit", "verify")).code == 5
    await signed_in("node", "login", "Aude", "--password-file", "-", stdin=PASSWORD)
    lines = (await signed_in("audit", "list", "--about", case_id)).json
    assert [each["action"] for each in lines] == ["case.created"]
    assert (await signed_in("audit", "verify")).json["lines"] >= len(lines)
    target = tmp_path / "journal.ndjson"
    assert (await signed_in("audit", "export", "--file", str(target))).json["size"] == target.stat().st_size
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


async def test_a_journal_taken_along_is_judged_with_the_networks_id_alone(
    signed_in: Cordee, case_id: str, association: Node, tmp_path: Path
):
    await signed_in("node", "login", "Aude", "--password-file", "-", stdin=PASSWORD)
    target, network = tmp_path / "journal.ndjson", association.house.network.hex()
    await signed_in("audit", "export", "--file", str(target))
    found = (await signed_in("verify", str(target), "--network", network)).json
    assert (found["valid"], found["kind"], found["member"]) == (True, "journal", association.member.hex())
    assert found["signatures"] == 1
    told = await signed_in("--lang", "fr", "verify", str(target), "--network", network, output=None)
    assert "sans trou ni retouche" in told.out
    target.chmod(0o600)
    target.write_bytes(target.read_bytes().replace(b'"case.created"', b'"case.erased"'))
    broken = await signed_in("verify", str(target), "--network", network)
    assert (broken.code, broken.error["reason"]) == (8, "JOURNAL_BROKEN")


async def test_what_a_node_was_shown_is_written_and_judged_together_with_anothers(
    signed_in: Cordee, association: Node, tmp_path: Path
):
    assert (await signed_in("node", "evidence")).code == 5
    await signed_in("node", "login", "Aude", "--password-file", "-", stdin=PASSWORD)
    assert (await signed_in("node", "evidence")).json == []
    one, two, network = str(tmp_path / "one"), str(tmp_path / "two"), association.house.network.hex()
    assert (await signed_in("node", "evidence", "--file", one)).error["reason"] == "NOT_FOUND"
    assert (await signed_in("node", "evidence", "--number", "1")).code == 2
    for target in (one, two):
        written = (await signed_in("node", "evidence", "--present", "--file", target)).json
        assert (written["evidence"], written["file"]) == (0, target)
        assert written["size"] > 0
    found = (await signed_in("verify", one, two, "--network", network)).json
    assert (found["kind"], found["verdict"], len(found["views"])) == ("roster", "agree", 2)
    genesis = tmp_path / "genesis.json"
    genesis.write_text(json.dumps({"entry": _genesis(association)}))
    assert (await signed_in("verify", one, "--genesis", str(genesis))).json["network"] == network
    other = await signed_in("verify", one, "--network", "00" * 32)
    assert (other.code, other.error["reason"]) == (8, "PROOF_REFUSED")


def _genesis(node: Node) -> str:
    entries = node.db.look(lambda tx: tx.execute(select(table_of(EntryRow).c.entry).limit(1)).scalar_one())
    return base64.b64encode(entries).decode()


async def test_which_network_is_said_once(cordee: Cordee, tmp_path: Path):
    path = tmp_path / "proof"
    path.write_bytes(b"no proof")
    assert (await cordee("verify", str(path))).code == 2
    assert (await cordee("verify", str(path), "--network", "00" * 32, "--genesis", str(path))).code == 2
    assert (await cordee("verify", str(path), "--genesis", str(path))).code == 4
    assert (await cordee("verify", str(tmp_path / "none"), "--network", "00" * 32)).code == 4
    assert (await cordee("verify", str(tmp_path), "--network", "00" * 32)).code == 4
    assert (await cordee("verify", str(path), str(path), "--network", "00" * 32)).code == 2


async def test_a_proof_that_is_none_ends_in_the_code_for_integrity(cordee: Cordee, tmp_path: Path):
    path = tmp_path / "proof"
    path.write_bytes(b"no proof")
    result = await cordee("verify", str(path), "--network", "00" * 32)
    assert (result.code, result.error["reason"]) == (8, "PROOF_REFUSED")
    assert (await cordee("verify", str(path), "--network", "zz")).code == 4


async def test_every_command_has_a_help_text(cordee: Cordee):
    for group in ("node", "case", "consent", "members", "transfer", "audit", "verify"):
        result = await cordee(group, "--help", output=None)
        assert (result.code, "Traceback" in result.err) == (0, False)


async def _offered(cordee: Cordee, case_id: str, written, *more: str):
    act = act_body()
    assert (await cordee("consent", "record", case_id, written(act, "act.json"))).code == 0
    to = profiles()[1]["display_name"]
    arguments = (case_id, "--to", to, "--purpose", "specialised_support", "--act", act["act_id"], *more)
    return arguments, await cordee("transfer", "offer", *arguments)


async def test_a_transfer_is_previewed_offered_followed_and_withdrawn(signed_in: Cordee, case_id: str, written):
    arguments, offered = await _offered(signed_in, case_id, written, "--untick", "family")
    assert offered.code == 0, offered.err
    transfer = offered.json["transfer"]

    again = await signed_in("transfer", "offer", *arguments)
    assert (again.code, again.error["reason"]) == (6, "OFFER_ALREADY_OPEN")
    preview = (await signed_in("transfer", "preview", *arguments)).json
    dry = (await signed_in("--dry-run", "transfer", "offer", *arguments)).json
    assert preview == dry
    assert "family" not in preview["sections"]

    shown = (await signed_in("transfer", "show", transfer[:8])).json
    assert (shown["transfer"], shown["state"], shown["summary"], shown["reason"]) == (transfer, "offered", None, None)
    assert [each["transfer"] for each in (await signed_in("transfer", "list", "--direction", "out")).json] == [transfer]
    assert (await signed_in("transfer", "inbox")).json == []
    waited = await signed_in("transfer", "watch", transfer, "--until", "received", "--timeout", "1s", output="ndjson")
    assert (waited.code, json.loads(waited.out)["state"]) == (7, "offered")

    assert (await signed_in("--yes", "transfer", "withdraw", transfer)).json["state"] == "withdrawn"
    over = await signed_in("transfer", "watch", transfer, "--until", "received", output="ndjson")
    assert (over.code, over.error["reason"]) == (6, "TRANSFER_OVER")
    assert (await signed_in("transfer", "watch", transfer, output="ndjson")).code == 0


async def test_a_held_offer_waits_for_its_acceptance_to_be_shipped(signed_in: Cordee, case_id: str, written):
    _, offered = await _offered(signed_in, case_id, written, "--hold")
    assert offered.code == 0, offered.err
    early = await signed_in("transfer", "ship", offered.json["transfer"][:8])
    assert (early.code, early.error["reason"]) == (6, "NOT_IN_THIS_STATE")


async def test_an_offer_that_waits_has_no_updates_and_a_case_of_ones_own_no_other_version(
    signed_in: Cordee, case_id: str, written
):
    _, offered = await _offered(signed_in, case_id, written, "--kind", "referral")
    for more in ((), ("--dry-run",)):
        update = await signed_in(*more, "transfer", "update", offered.json["transfer"][:8], "--section", "risk")
        assert (update.code, update.error["reason"]) == (6, "NOT_IN_THIS_STATE")
    assert (await signed_in("case", "versions", case_id)).json == []
    assert (await signed_in("case", "versions", "11111111-1111-4111-8111-111111111111")).code == 3


async def test_a_transfer_without_its_act_is_refused_by_its_rule(signed_in: Cordee, case_id: str, written):
    arguments, _ = await _offered(signed_in, case_id, written)
    elsewhere = profiles()[2]["display_name"]
    refused = await signed_in("transfer", "preview", case_id, "--to", elsewhere, *arguments[3:])
    assert (refused.code, refused.error["reason"]) == (5, "NOT_COVERED")
    assert refused.error["facts"]["rule"]


async def test_an_unknown_recipient_or_transfer_is_not_found(signed_in: Cordee, case_id: str):
    unknown = ("--to", "Nobody", "--purpose", "specialised_support", "--act", "11111111-1111-4111-8111-111111111111")
    assert (await signed_in("transfer", "preview", case_id, *unknown)).code == 3
    assert (await signed_in("transfer", "show", "0" * 32)).code == 3
    assert (await signed_in("transfer", "show", "nonsense")).code == 4


async def test_members_are_listed_searched_and_shown_by_name_or_beginning(signed_in: Cordee):
    listed = (await signed_in("members", "list")).json
    assert len(listed) == 3
    found = await signed_in("members", "search", "--need", "sexual_exploitation_minors", "--far-from", "13")
    assert found.json
    assert {"service", "reasons", "stale", "capacity_age_seconds"} <= set(found.json[0])
    by_name = (await signed_in("members", "show", listed[0]["name"].upper())).json
    by_beginning = (await signed_in("members", "show", listed[0]["member"][:8])).json
    assert by_name == by_beginning
    assert len(by_name["words"]) == 6
    assert by_name["profile"]["display_name"] == listed[0]["name"]


async def test_the_node_tells_its_status_and_its_words_without_a_session(
    socket: Path, cordee: Cordee, association: Node
):
    status = await cordee("node", "status")
    assert (status.code, status.json["roster_size"], status.json["alarm"]) == (0, 4, None)
    words = (await cordee("--lang", "fr", "node", "words")).json["words"]
    assert words == six_words(association.identity_public, language="fr")
    large = (await cordee("--lang", "fr", "node", "words", output=None)).out
    assert all(word.upper() in large for word in words)
