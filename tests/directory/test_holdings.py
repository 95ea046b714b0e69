"""The directory's own keys as they come and go: none is used before the log names it, none is kept after that."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cordee.checkpoint import open_checkpoint
from cordee.errors import CordeeError
from cordee.members import authority_digest
from cordee.v1 import statements_pb2 as v1
from directory.app import opened
from directory.holdings import LogKeys
from directory.maintenance import next_log_key
from tests.directory.town import Town, refused


async def rotate_log_key(town: Town) -> Any:
    public = next_log_key(town.folder, town.network.random)
    await town.append(town.network._govern(v1.DirectoryKeyRotated, key=public.to_message()))
    return public


async def test_a_key_of_the_log_that_the_directory_does_not_have_is_not_even_signed_for(town: Town) -> None:
    entry = town.network.signed_entry(
        v1.DirectoryKeyRotated(
            **town.network.roster.head(None, town.clock.now()),
            key=town.network.new_member("somebody").identity.public.to_message(),
        )
    )
    with refused("INVALID_INPUT"):
        await town.sign(entry)
    lost = v1.AuthorityRotated(
        **town.network.roster.head(None, town.clock.now()), certificate_digest=bytes(32), old_end_time=entry_time(town)
    )
    with refused("INVALID_INPUT"):
        await town.sign(town.network.signed_entry(lost))


def entry_time(town: Town) -> Any:
    return town.network.roster.head(None, town.clock.now())["time"]


async def test_the_next_key_of_the_log_is_made_once(town: Town) -> None:
    first = next_log_key(town.folder, town.network.random)
    assert next_log_key(town.folder, town.network.random) == first
    await rotate_log_key(town)
    assert next_log_key(town.folder, town.network.random) != first


async def test_a_directory_cut_off_between_the_entry_and_its_signature_signs_with_the_new_key_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    town = Town.make(tmp_path / "directory")
    async with town.open():
        await town.found()
        public = next_log_key(town.folder, town.network.random)
        entry = town.network._govern(v1.DirectoryKeyRotated, key=public.to_message())
        town.move(town.network.now - town.clock.now())

        async def cut_off() -> None:
            raise OSError("no power")

        with monkeypatch.context() as patch:
            patch.setattr(town.directory.rosters, "sign", cut_off)
            with pytest.raises(CordeeError):
                await town.sign(entry)
        assert len(LogKeys(town.folder).held()) == 2, "both keys are here until the new one has signed"
    async with opened(town.folder, clock=town.clock) as directory:
        open_checkpoint(directory.rosters.checkpoint, public, directory.rosters.roster.origin)
        assert set(LogKeys(town.folder).held()) == {public}


def test_the_old_ca_keeps_no_key_once_it_is_trusted_no_more(tmp_path: Path) -> None:
    from cordee.runtime.clock import ManualClock
    from directory.holdings import Authorities

    town = Town.make(tmp_path / "directory")
    clock = ManualClock(town.clock.now())
    authorities = Authorities(town.folder, town.ca)
    old = authority_digest(town.ca)
    authorities.forget((old,))
    certificate = authorities.make(clock.now(), (old,))
    new = authority_digest(certificate)
    assert authorities.make(clock.now(), (old,)) == certificate, "made once"
    authorities.forget((old,))
    assert authorities.of(new).certificate == certificate, "the next one waits, and is not taken for a former one"
    authorities.forget((new, old))
    authorities.of(old)
    authorities.forget((new,))
    assert not (town.folder / "ca.key").exists()
    assert authorities.of(new).certificate == certificate
    assert authorities.make(clock.now(), (new,)) not in (certificate, town.ca)
