"""Where practice keeps what it makes: apart from everything real, and gone afterwards."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from cordee.errors import InvalidInput
from node.practice.place import forget_settings, new_place, require_no_house
from node.practice.running import where_to_listen


def test_the_folder_is_for_this_account_alone_and_erased_at_the_end(tmp_path: Path) -> None:
    with new_place(tmp_path) as folder:
        assert folder.parent == tmp_path
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "deep").mkdir()
        (folder / "deep" / "vault.json").write_text("{}")
    assert not list(tmp_path.iterdir())


def test_it_is_erased_where_practice_fails_too(tmp_path: Path) -> None:
    def failing() -> None:
        with new_place(tmp_path):
            raise RuntimeError

    with pytest.raises(RuntimeError):
        failing()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kept", ["vault.json", "node.db", "membership.json", "directory.db", "founding.json"])
@pytest.mark.parametrize("below", [".", "spool", "a/b/c"])
def test_it_stays_away_from_the_folder_of_a_node_or_a_directory(tmp_path: Path, kept: str, below: str) -> None:
    (tmp_path / kept).write_text("real")
    inside = tmp_path / below
    inside.mkdir(parents=True, exist_ok=True)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InvalidInput), new_place(inside):
        pytest.fail("it was opened")
    assert sorted(tmp_path.rglob("*")) == before


def test_a_link_into_such_a_folder_is_seen_through(tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.mkdir()
    (real / "node.db").write_text("real")
    (tmp_path / "innocent").symlink_to(real)
    with pytest.raises(InvalidInput):
        require_no_house(tmp_path / "innocent")


def test_what_a_killed_practice_left_is_erased_by_the_next_one_and_what_runs_is_not(tmp_path: Path) -> None:
    dead, alive, another = (tmp_path / f"cordee-practice-{each}" for each in ("dead", "alive", "being-made"))
    for each in (dead, alive, another):
        each.mkdir()
    for each in (dead, alive):
        (each / "in-use").touch()
    (tmp_path / "something-else").mkdir()
    with (alive / "in-use").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with new_place(tmp_path):
            pass
    assert {each.name for each in tmp_path.iterdir()} == {alive.name, another.name, "something-else"}


def test_it_forgets_every_setting_of_a_node() -> None:
    environment = {
        "CORDEE_NODE_DATA_DIR": "/srv/cordee",
        "CORDEE_NODE_PASSPHRASE_FILE": "/srv/passphrase",
        "CORDEE_SMTP_HOST": "mail.example",
        "PATH": os.defpath,
    }
    forget_settings(environment)
    assert environment == {"PATH": os.defpath}


@pytest.mark.parametrize("pages", ["127.0.0.1:8490", "localhost:8490", "[::1]:8490"])
def test_it_is_served_under_no_name_that_a_node_of_this_machine_may_have(pages: str) -> None:
    """A browser sends the cookies of a name to every port of it."""
    with pytest.raises(InvalidInput):
        where_to_listen(pages, host=None, certificate=None, key=None)


def test_beyond_this_machine_it_needs_a_certificate_as_a_node_does() -> None:
    with pytest.raises(InvalidInput):
        where_to_listen("0.0.0.0:8490", host="exercice.example", certificate=None, key=None)
    assert where_to_listen("127.0.0.2:0", host=None, certificate=None, key=None).host == "127.0.0.2"
