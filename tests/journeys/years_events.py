"""What happens to a network in three years, week by week, and what must be true after it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cordee.checkpoint import open_checkpoint
from cordee.entries import add_signature, entry_leaf, network_id, propose
from cordee.errors import CordeeError
from cordee.log import MerkleTree
from cordee.members import authority_digest
from cordee.policy import Policy
from cordee.roster import Roster, replay
from cordee.signing import SigningKey
from cordee.times import timestamp_of
from cordee.v1 import statements_pb2 as v1
from directory.holdings import LogKeys
from directory.maintenance import next_authority, next_log_key
from tests.journeys.years_parts import Association, Country

WEEK = timedelta(days=7)
MEMBERS = 30

Event = Callable[[], Awaitable[None]]


class Years:
    """The story. `plan` has what must happen, by its week; the rest is chance."""

    def __init__(self, country: Country) -> None:
        self.country = country
        self.weeks = 0
        self.happened: Counter[str] = Counter()
        self.backups: dict[str, Path] = {}
        self.plan: dict[int, list[Event]] = {}
        self._write_plan()

    def at(self, week: int, event: Event) -> None:
        self.plan.setdefault(week, []).append(event)

    def _write_plan(self) -> None:
        for number in range(MEMBERS):
            self.at(number // 3 if number < 12 else 4 + (number - 12) * 6, self._somebody_joins)
        # Administrators: Anne and Bea found it; four more come and go.
        for week, name in ((10, "Chloé"), (32, "Dina"), (70, "Esra"), (110, "Fanny")):
            self.at(week, lambda name=name: self._administrator_comes(name))  # type: ignore[misc]
        for week, name in ((28, "Bea"), (66, "Chloé"), (106, "Dina"), (140, "Esra")):
            self.at(week, lambda name=name: self._administrator_goes(name))  # type: ignore[misc]
        self.at(88, self._an_administrators_key_is_stolen)
        for week in (20, 95, 130):
            self.at(week, self._the_policy_changes)
        for week in range(6, 156, 2):
            self.at(week, self._a_key_is_rotated)
        for week in (12, 40, 64, 90, 115, 135):
            self.at(week, self._somebody_is_suspended)
            self.at(week + 3, self._somebody_is_reinstated)
        for week in (25, 48, 72, 98, 112, 133, 145):
            self.at(week, self._somebody_leaves)
        for lost, found in ((58, 60), (119, 123)):
            self.at(lost, self._a_key_is_lost)
            self.at(found, self._keys_are_recovered)
        self.at(80, self._a_key_is_stolen)
        self.at(82, self._keys_are_recovered)
        self.at(44, self._a_false_alarm)
        for week, name in ((38, "one"), (104, "two")):
            self.at(week, lambda name=name: self._backup(name))  # type: ignore[misc]
        for week, name in ((50, "one"), (121, "two")):
            self.at(week, lambda name=name: self._the_directory_is_restored(name))  # type: ignore[misc]
        self.at(75, self._the_directory_restarts)
        for week in (22, 45, 83, 113, 137):  # also between a backup and the restore
            self.at(week, self._the_log_key_rotates)
        for week in (41, 108, 148):
            self.at(week, self._the_ca_rotates)

    # ---- time ----

    async def begin(self) -> None:
        await self.country.found("Anne", "Bea", "Bea's deputy", threshold=2)
        self.country.tell("founded")

    async def week(self) -> None:
        """What is planned, some chance, what is due, and most nodes look at the roster."""
        country = self.country
        await self._keep_the_directory()
        for event in self.plan.get(self.weeks, []):
            await self._do(event)
        for _ in range(country.dice.randrange(3)):
            await self._do(country.dice.choice(self._chances))
        await self._renew_what_is_due()
        await self._all_look()
        self.weeks += 1
        country.clock.advance(WEEK)

    async def _do(self, event: Event) -> None:
        await event()
        self.country.clock.advance(timedelta(minutes=country_pause(self.country)))

    async def _keep_the_directory(self) -> None:
        await self.country.directory.rosters.sign_if_due()

    async def _renew_what_is_due(self) -> None:
        """Cards at two thirds of their life, or signed by a former key."""
        for each in self.country.present:
            if each.card_is_old:
                if self.weeks % 3 == 0:
                    each.profile["services"][0]["waiting_days"] = self.country.dice.randrange(60)
                await each.publish()
                self.happened["card"] += 1

    async def _all_look(self) -> None:
        """Each node in its turn, every second week; in a week some restart."""
        for index, each in enumerate(self.country.present):
            if (index + self.weeks) % 2:
                continue
            if self.country.dice.random() < 0.02:
                await each.start()
            assert await each.follow() == "", f"{each.name}: {each.roster.alarm}"
            assert each.roster.alarm is None

    # ---- chance ----

    @property
    def _chances(self) -> list[Event]:
        return [
            self._somebody_is_suspended,
            self._somebody_is_reinstated,
            self._somebody_leaves,
            self._a_key_is_rotated,
            self._a_node_is_restored,
            self._a_profile_changes,
        ]

    def _one(self, state: str = "active") -> Association | None:
        """By chance; nobody whose key is lost or stolen."""
        members = self.country.model.members
        there = [each for each in self.country.associations if members[each.id].state == state and not each.outside]
        there = [each for each in there if each.announced is None]
        return self.country.dice.choice(there) if there else None

    async def _somebody_joins(self) -> None:
        made = await self.country.join(f"Maison {len(self.country.associations) + 1}")
        self._note("joined", made.name)

    async def _somebody_leaves(self) -> None:
        who = self._one()
        if who is None or len(self.country.present) < 6 or self.happened["left"] >= 10:
            return
        assert await self.country.about(v1.MemberRemoved, who)
        self.country.model.removed(who.id)
        assert await who.follow() == "NOT_A_MEMBER"
        self._note("left", who.name)

    async def _somebody_is_suspended(self) -> None:
        who = self._one()
        if who is None or len(self.country.model.present("suspended")) >= 3:
            return
        assert await self.country.about(v1.MemberSuspended, who)
        self.country.model.moved(who.id, to="suspended", before="active")
        assert await who.follow() == "MEMBER_IS_SUSPENDED"
        self._note("suspended", who.name)

    async def _somebody_is_reinstated(self) -> None:
        who = self._one("suspended")
        if who is None:
            return
        assert await self.country.about(v1.MemberReinstated, who)
        self.country.model.moved(who.id, to="active", before="suspended")
        self._note("reinstated", who.name)
        await self._renew_what_is_due()
        assert await who.follow() == ""

    async def _a_key_is_rotated(self) -> None:
        there = [each for each in self.country.present if each.announced is None]
        if there:
            who = min(there, key=lambda each: (each.rotations, self.country.dice.random()))
            await who.rotate_identity()
            self._note("rotated", who.name)
            if self.country.dice.random() < 0.7:  # else its card stays signed by the former key until it is renewed
                await who.publish()

    async def _a_node_is_restored(self) -> None:
        who = self._one()
        if who is not None:
            await who.restore()
            self._note("node restored", who.name)

    async def _a_profile_changes(self) -> None:
        who = self._one()
        if who is not None:
            who.profile["services"][0]["waiting_days"] = self.country.dice.randrange(60)
            await who.publish()
            self._note("profile", who.name)

    # ---- keys that are lost or stolen ----

    async def _a_key_is_lost(self) -> None:
        """A new one is announced; nobody can put it in force before its day."""
        who = self._needed()
        who.outside = True
        await self._announce(who, v1.RECOVERY_REASON_LOST)
        assert who.announced is not None
        with refusal("ENTRY_REFUSED"):
            await self._recover(who, who.announced)
        self._note("key lost", who.name)

    async def _a_false_alarm(self) -> None:
        """Somebody told the office that a key is lost, and it is not: its node says so."""
        who = self._needed()
        await self._announce(who, v1.RECOVERY_REASON_LOST)
        announced = who.announced
        assert announced is not None
        assert await who.follow() == ""
        await who.object()
        self.country.clock.advance(timedelta(days=8))
        await self._keep_the_directory()
        with refusal("ENTRY_REFUSED"):
            await self._recover(who, announced)
        self._note("false alarm", who.name)

    async def _a_key_is_stolen(self) -> None:
        """Whoever stole identity and transport key changes nothing and keeps nothing from being mended."""
        country, who = self.country, self._needed()
        who.outside = True
        assert await country.about(v1.IdentityRevoked, who)
        country.model.revoked(who.id)
        thief = SigningKey.generate(country.bytes)
        rosters, before = country.directory.rosters, country.directory.rosters.roster
        taking = v1.IdentityRotated(**who.head(), member=who.id, identity_key=thief.public.to_message())
        taken = add_signature(add_signature(propose(taking), who.identity), thief)
        with refusal("MEMBER_IS_SUSPENDED"):
            await who.line.append(taken)
        with refusal("ENTRY_REFUSED"):  # not even a directory that helps
            await rosters.append(taken)
        with refusal("MEMBER_IS_SUSPENDED"):
            await who.line.publish_card(who.card(who.number), who.profile_bytes)
        with refusal("ENTRY_REFUSED"):
            await country.about(v1.MemberReinstated, who)
        assert rosters.roster == before
        await self._announce(who, v1.RECOVERY_REASON_STOLEN)
        objection = add_signature(propose(v1.RecoveryObjected(**who.head(), member=who.id)), who.identity)
        with refusal("MEMBER_IS_SUSPENDED"):
            await who.line.append(objection)
        with refusal("ENTRY_REFUSED"):
            await rosters.append(objection)
        self._note("key stolen", who.name)

    async def _keys_are_recovered(self) -> None:
        """Those that were announced, and no other."""
        for who in [each for each in self.country.associations if each.outside and each.announced is not None]:
            announced = who.announced
            assert announced is not None
            with refusal("ENTRY_REFUSED"):
                await self._recover(who, SigningKey.generate(self.country.bytes))
            assert await self._recover(who, announced)
            self.country.model.recovered(who.id)
            with refusal("NOT_A_MEMBER"):  # the transport key went with the card
                await who.line.checkpoint()
            who.keys.identity, who.announced = announced, None
            await who.come_in()
            who.outside = False
            assert await who.follow() == ""
            self._note("key recovered", who.name)

    def _needed(self) -> Association:
        found = self._one()
        assert found is not None
        return found

    async def _announce(self, who: Association, reason: Any) -> None:
        who.announced = SigningKey.generate(self.country.bytes)
        key = who.announced.public
        assert await self.country.about(v1.RecoveryAnnounced, who, identity_key=key.to_message(), reason=reason)
        self.country.model.recovery_announced(who.id, key.key_id)

    async def _recover(self, who: Association, key: SigningKey) -> bool:
        return await self.country.about(v1.MemberRecovered, who, identity_key=key.public.to_message())

    # ---- the office ----

    async def _administrator_comes(self, name: str) -> None:
        key = SigningKey.generate(self.country.bytes)
        assert await self.country.govern(v1.AdministratorAdded, key=key.public.to_message())
        self.country.administrators[name] = key
        self.country.model.administrator_came(key.public.key_id)
        self._note("administrator came", name)

    async def _administrator_goes(self, name: str) -> None:
        key_id = self.country.administrators[name].public.key_id
        assert await self.country.govern(v1.AdministratorRemoved, administrator=key_id)
        gone = self.country.administrators.pop(name)
        self.country.model.administrator_went(key_id)
        with refusal("NOT_AN_ADMINISTRATOR"):
            await self._signed_by(gone, v1.MemberSuspended, self.country.present[0])
        self._note("administrator went", name)

    async def _an_administrators_key_is_stolen(self) -> None:
        """A thief signs with it: alone it moves nothing, and soon it is nobody's."""
        country = self.country
        stolen = country.administrators["Dina"]
        victim = country.present[0]
        before = country.directory.rosters.roster
        gathered = await self._signed_by(stolen, v1.MemberRemoved, victim)
        assert not gathered.appended
        mine = SigningKey.generate(country.bytes).public.to_message()
        added = propose(v1.AdministratorAdded(**country.head(None), key=mine))
        assert not (await country.directory.governance.sign(add_signature(added, stolen))).appended
        assert country.directory.rosters.roster == before
        honest = [name for name in sorted(country.administrators) if name != "Dina"]
        removal = v1.AdministratorRemoved(**country.head(None), administrator=stolen.public.key_id)
        assert await country.sign(removal, by=honest[: country.model.threshold])
        country.model.administrator_went(stolen.public.key_id)
        with refusal("NOT_AN_ADMINISTRATOR"):
            await self._signed_by(stolen, v1.MemberRemoved, victim)
        fresh = SigningKey.generate(country.bytes)
        await country.sign(v1.AdministratorAdded(**country.head(None), key=fresh.public.to_message()), by=honest)
        country.administrators["Dina"] = fresh
        country.model.administrator_came(fresh.public.key_id)
        self._note("administrator's key stolen", "Dina")

    async def _signed_by(self, key: SigningKey, kind: Any, about: Association) -> Any:
        entry = propose(kind(**self.country.head(about.id), member=about.id))
        return await self.country.directory.governance.sign(add_signature(entry, key))

    async def _the_policy_changes(self) -> None:
        threshold, hours = self.country.dice.choice((2, 3)), self.country.dice.choice((12, 24, 48))
        threshold = min(threshold, len(self.country.administrators) - 1)
        policy = Policy(threshold=threshold, freshness_limit=timedelta(hours=hours))
        assert await self.country.govern(v1.PolicyChanged, policy=policy.to_message())
        self.country.model.policy(threshold=threshold, freshness_hours=hours)
        self._note("policy", f"{threshold} of {len(self.country.administrators)}, {hours} h")

    # ---- the directory ----

    async def _the_log_key_rotates(self) -> None:
        """Made beside the directory, named by an entry, used from then on; the former is erased."""
        country = self.country
        following = next_log_key(country.house.folder, country.bytes)
        former = country.directory.rosters.roster.directory_key
        assert await country.govern(v1.DirectoryKeyRotated, key=following.to_message())
        country.model.log_key_rotated(following.key_id)
        assert former not in LogKeys(country.house.folder).held()
        self._note("log key rotated", "")

    async def _the_ca_rotates(self) -> None:
        """Both are trusted for four months, in which everybody gets a certificate of the new one."""
        country, now = self.country, self.country.clock.now()
        digest = authority_digest(next_authority(country.house.folder, now))
        end = timestamp_of(now + timedelta(days=120))
        assert await country.govern(v1.AuthorityRotated, certificate_digest=digest, old_end_time=end)
        country.model.ca_rotated(digest)
        country.directory.authority.root()  # as at each handshake: what is trusted no more is erased
        self._note("CA rotated", "")

    async def _backup(self, name: str) -> None:
        self.backups[name] = self.country.back_up(f"backup-{name}")
        self._note("backup", name)

    async def _the_directory_restarts(self) -> None:
        await self.country.restart()
        self._note("restart", "")

    async def _the_directory_is_restored(self, name: str) -> None:
        """Nothing is signed before a member has given back what is missing; then everybody is served again, also who
        came, or took another transport key, after the backup.
        """
        country = self.country
        before = country.directory.rosters.roster
        for each in country.dice.sample(country.present, 2):
            assert await each.follow() == ""  # somebody is always connected, and hears of each entry at once
        await country.restore(self.backups[name])
        rosters = country.directory.rosters
        assert rosters.behind
        assert rosters.size < country.model.entries
        there = country.present
        country.dice.shuffle(there)
        there.sort(key=lambda each: each.roster.tree.size < before.size)  # not all have looked lately
        for each in there:
            await each.follow()
            if not rosters.behind:
                break
        assert rosters.roster == before
        for each in there:
            first = await each.follow()
            if first:  # its card is newer than what the first giver knew
                assert (first, await each.follow()) == ("NOT_A_MEMBER", ""), f"{each.name}: {each.roster.alarm}"
            assert each.roster.alarm is None
        self._note("directory restored", name)

    def _note(self, what: str, who: str) -> None:
        self.happened[what] += 1
        self.country.tell(f"{what}: {who}")

    # ---- the end ----

    async def end(self) -> None:
        """Every node looks once more; then they are asked, and so are their files."""
        country = self.country
        await self._keep_the_directory()
        for each in country.present:
            assert await each.follow() == "", each.name
        expected = country.model.told()
        assert said(country.directory.rosters.roster) == expected
        cards = {each.id: country.model.members[each.id].card for each in country.present}
        logs = set()
        for each in country.present:
            await each.start()  # from its own disk
            assert said(each.roster.roster) == expected, each.name
            numbers = await numbers_of(each)
            assert {member: numbers.get(member) for member in cards} == cards, each.name
            entries = await each.roster.entries(0, each.roster.tree.size)
            logs.add((each.roster.note, tuple(entry.SerializeToString(deterministic=True) for entry in entries)))
        assert len({log for _, log in logs}) == 1, "everybody holds the same bytes"
        for note, log in logs:
            self._verifies(note, log, expected)

    def _verifies(self, note: str, log: tuple[bytes, ...], expected: dict[str, Any]) -> None:
        """From the genesis, with nothing but the network's id."""
        entries = [v1.Entry.FromString(each) for each in log]
        assert network_id(entries[0]) == self.country.network
        roster = replay(entries)
        assert said(roster) == expected
        checkpoint = open_checkpoint(note, roster.directory_key, roster.origin)
        assert (checkpoint.size, checkpoint.root) == (len(log), MerkleTree(map(entry_leaf, entries)).root())

    def went_through_all_of_it(self) -> None:
        """So that a change of the plan, or of chance, cannot empty the test."""
        done = self.happened
        assert done["joined"] == MEMBERS
        assert done["left"] >= 5
        assert done["suspended"] >= 5
        assert done["reinstated"] >= 5
        assert done["administrator came"] == done["administrator went"] == 4
        assert done["administrator's key stolen"] == 1
        assert done["directory restored"] == 2
        assert (done["key lost"], done["key stolen"], done["key recovered"]) == (2, 1, 3)
        assert done["false alarm"] == 1
        assert (done["log key rotated"], done["CA rotated"]) == (5, 3)
        assert done["rotated"] >= 2 * MEMBERS
        assert done["card"] >= 5 * MEMBERS
        long = [each for each in self.country.present if each.number >= 10]
        assert long
        assert all(each.rotations >= 2 and each.transports >= 2 for each in long)


@contextmanager
def refusal(reason: str) -> Iterator[None]:
    """What is inside is refused for this reason."""
    with pytest.raises(CordeeError) as caught:
        yield
    assert caught.value.reason == reason, str(caught.value)


def said(roster: Roster) -> dict[str, Any]:
    """A roster in the model's words."""
    return {
        "entries": roster.size,
        "administrators": sorted(map(bytes, roster.administrators)),
        "threshold": roster.policy.threshold,
        "freshness_hours": roster.policy.freshness_limit / timedelta(hours=1),
        "log_key": roster.directory_key.key_id,
        "ca": roster.authorities[0].digest,
        "members": {
            bytes(member.id): (
                member.state.value,
                bytes(member.identity.key_id),
                [bytes(key.key_id) for _, key in member.former_identities],
                member.bound_by_secrecy,
                member.incarnation,
                bytes(member.recovery.identity.key_id) if member.recovery else None,
                member.revoked,
            )
            for member in sorted(roster.members.values(), key=lambda each: bytes(each.id))
        },
    }


async def numbers_of(association: Association) -> dict[bytes, int]:
    """The number of each member's newest card that this node knows."""
    kept = await association.roster.kept_cards()
    return {card.member: card.number for card in (v1.Card.FromString(signed.body) for signed, _ in kept)}


def country_pause(country: Country) -> int:
    """Minutes between two things that happen."""
    return country.dice.randrange(1, 240)
