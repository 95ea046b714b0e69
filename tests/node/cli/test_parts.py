from __future__ import annotations

import json
import stat
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cordee.errors import AlreadyExists, InvalidInput
from cordee.runtime.output import clean, to_json
from cordee.runtime.spans import span
from cordee.summary import DECLINE_REASONS, KEEPING_REASONS, RETURN_REASONS
from node.cli import files
from node.cli.documents import documents, merge_patch
from node.cli.session import Sessions
from node.cli.transfer_answer import DECLINING, KEEPING, RETURNING

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


# The examples of RFC 7396, appendix A.
@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_a_merge_patch_does_as_the_rfc_says(target, patch, result):
    assert merge_patch(target, patch) == result


@given(JSON, JSON)
def test_a_merge_patch_twice_is_once_and_leaves_its_target_alone(target, patch):
    before = json.dumps(target)
    once = merge_patch(target, patch)
    assert merge_patch(once, patch) == once
    assert json.dumps(target) == before


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90s", timedelta(seconds=90)),
        ("15m", timedelta(minutes=15)),
        ("36h", timedelta(hours=36)),
        ("7d", timedelta(7)),
    ],
)
def test_a_span_is_a_number_and_a_unit(text: str, expected: timedelta):
    assert span(text, field="--expires-in") == expected


@pytest.mark.parametrize("text", ["", "7", "d", "-7d", "7 d", "1_0d", "٣d", "0d", "7dd", "1e3s", "99999999d"])
def test_anything_else_is_no_span(text: str):
    with pytest.raises(InvalidInput, match="--expires-in"):
        span(text, field="--expires-in")


def test_the_commands_know_every_reason():
    assert list(DECLINE_REASONS) == DECLINING
    assert list(KEEPING_REASONS) == KEEPING
    assert set(RETURN_REASONS) == set(RETURNING)


def test_what_comes_from_elsewhere_cannot_steer_the_terminal():
    hostile = "Association\x1b[2J\x9b31m \u202egnol\u2066 é"
    assert clean(hostile) == "Association�[2J�31m �gnol� é"
    assert "\x9b" not in to_json({"name": hostile})
    assert json.loads(to_json({"name": hostile})) == {"name": hostile}


def test_tokens_are_kept_for_each_node_and_for_their_owner_alone(tmp_path: Path):
    path = tmp_path / "state" / "session.json"
    sessions = Sessions(path)
    sessions.keep(tmp_path / "a", "token a")
    sessions.keep(tmp_path / "b", "token b")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    sessions.forget(tmp_path / "a")
    sessions.forget(tmp_path / "a")
    assert (sessions.token(tmp_path / "a"), sessions.token(tmp_path / "b")) == (None, "token b")
    assert [each.name for each in path.parent.iterdir()] == ["session.json"]


@pytest.mark.parametrize("content", ["not json", "[]", '{"a": 1}'])
def test_a_damaged_session_file_is_named(tmp_path: Path, content: str):
    path = tmp_path / "session.json"
    path.write_text(content)
    with pytest.raises(InvalidInput, match=r"session\.json"):
        Sessions(path).token(tmp_path)


def test_a_file_is_whole_or_not_there(tmp_path: Path):
    target = tmp_path / "proof"
    with pytest.raises(ZeroDivisionError), files.private_file(target) as file:
        file.write(b"half" * (1 // 0))
    assert list(tmp_path.iterdir()) == []
    with files.private_file(target) as file:
        file.write(b"whole")
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    with pytest.raises(AlreadyExists), files.private_file(target) as file:
        file.write(b"another")
    assert target.read_bytes() == b"whole"


def test_what_somebody_laid_out_beforehand_is_not_written_into(tmp_path: Path):
    """In a folder where others may write, a file of theirs under the draft's name would stay theirs."""
    target, planted = tmp_path / "backup", tmp_path / ".backup.part"
    planted.write_bytes(b"theirs")
    planted.chmod(0o666)
    (tmp_path / "another name").hardlink_to(planted)
    with planted.open("rb") as theirs:
        with files.private_file(target) as file:
            file.write(b"ours")
        assert theirs.read() == b"theirs"
    assert (target.read_bytes(), stat.S_IMODE(target.stat().st_mode)) == (b"ours", 0o600)
    assert (tmp_path / "another name").read_bytes() == b"theirs"


def test_a_secret_is_the_first_line_and_cannot_be_empty(tmp_path: Path):
    path = tmp_path / "secret"
    path.write_bytes(b"mot de passe \r\nsecond line")
    assert files.read_secret(str(path)) == "mot de passe "
    path.write_text("\nsecond line")
    with pytest.raises(InvalidInput, match="empty"):
        files.read_secret(str(path))


def test_a_fault_in_json_is_told_by_its_place_and_without_its_content(tmp_path: Path):
    path = tmp_path / "case.json"
    path.write_text('{\n  "name": "Sirine" oops}')
    with pytest.raises(InvalidInput) as refused:
        files.read_json(str(path))
    assert "line 2" in str(refused.value)
    assert "Sirine" not in str(refused.value)


def test_a_file_that_is_missing_is_named(tmp_path: Path):
    with pytest.raises(InvalidInput, match="nowhere"):
        files.read_bytes(str(tmp_path / "nowhere"))


def test_records_come_as_one_object_an_array_or_lines(tmp_path: Path):
    path = tmp_path / "cases"
    for content, places in (
        ('{"a": 1}', [""]),
        ('[{"a": 1}, {"a": 2}]', ["[0]", "[1]"]),
        ('{"a": 1}\n\n{"a": 2}\n', [":1", ":3"]),
    ):
        path.write_text(content)
        found = documents(path)
        assert [where.removeprefix(str(path)) for where, _ in found] == places
        assert [json.loads(body)["a"] for _, body in found] == list(range(1, len(places) + 1))


@pytest.mark.parametrize("content", ["", "[]", "[1]", '{"a": 1}\n{"a": ', "3"])
def test_a_file_without_records_or_with_a_broken_one_is_refused(tmp_path: Path, content: str):
    path = tmp_path / "cases"
    path.write_text(content)
    with pytest.raises(InvalidInput, match="cases"):
        documents(path)
