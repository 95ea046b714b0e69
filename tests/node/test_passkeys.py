"""Passkeys, with a device made of a key: what it signs is what a browser would send."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable

import cbor2
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from cordee.errors import NotSignedIn, PasskeyRefused
from cordee.runtime.database import Database
from node import passkeys, people
from node.passkeys import Place
from node.people import Role, Stage
from node.vault import Vault

from .conftest import NOW

PASSWORD = "mot de passe très long"
PLACE = Place("localhost", "http://localhost:8480")
PRESENT, VERIFIED, ATTESTED = 0x01, 0x04, 0x40
Chance = Callable[[int], bytes]


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Device:
    """A key that signs for one host."""

    def __init__(self, *, flags: int = PRESENT | VERIFIED, host: str = "localhost") -> None:
        self.key, self.flags, self.host, self.count = ec.generate_private_key(ec.SECP256R1()), flags, host, 0
        self.id = b"credential-of-a-test"

    def _authenticator(self, more: bytes = b"", flags: int = 0) -> bytes:
        self.count += 1
        head = hashlib.sha256(self.host.encode()).digest() + bytes([self.flags | flags])
        return head + self.count.to_bytes(4, "big") + more

    def make(self, options: str, *, origin: str = PLACE.origin) -> str:
        numbers = self.key.public_key().public_numbers()
        public = cbor2.dumps({1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")})
        attested = bytes(16) + len(self.id).to_bytes(2, "big") + self.id + public
        statement = {"fmt": "none", "attStmt": {}, "authData": self._authenticator(attested, ATTESTED)}
        return self._answer(options, "webauthn.create", origin, attestationObject=_text(cbor2.dumps(statement)))

    def show(self, options: str, *, origin: str = PLACE.origin) -> str:
        data, client = self._authenticator(), self._client(options, "webauthn.get", origin)
        signature = self.key.sign(data + hashlib.sha256(client).digest(), ec.ECDSA(hashes.SHA256()))
        return self._answer(options, "webauthn.get", origin, authenticatorData=_text(data), signature=_text(signature))

    def _client(self, options: str, kind: str, origin: str) -> bytes:
        return json.dumps({"type": kind, "challenge": json.loads(options)["challenge"], "origin": origin}).encode()

    def _answer(self, options: str, kind: str, origin: str, **response: str) -> str:
        response["clientDataJSON"] = _text(self._client(options, kind, origin))
        return json.dumps({"id": _text(self.id), "rawId": _text(self.id), "type": "public-key", "response": response})


class Person:
    """Somebody with an account, who signs in on the pages."""

    def __init__(self, db: Database, vault: Vault, chance: Chance) -> None:
        self.db, self.vault, self.chance = db, vault, chance

    async def session(self, stage: Stage) -> str:
        attempt = await self.db.write(
            lambda tx: people.sign_in(tx, self.vault, "Claire", PASSWORD, now=NOW, random=self.chance, stage=stage)
        )
        return attempt.token

    async def register(self, device: Device, **how: str) -> None:
        token = await self.session(Stage.FULL)
        options = await self.db.write(
            lambda tx: passkeys.offer(tx, self.vault, token, PLACE, now=NOW, random=self.chance)
        )
        made = device.make(options, **how)
        await self.db.write(
            lambda tx: passkeys.register(tx, self.vault, token, PLACE, name="clé", credential=made, now=NOW)
        )

    async def ask(self, token: str, place: Place = PLACE) -> str | None:
        return await self.db.write(lambda tx: passkeys.ask(tx, self.vault, token, place, now=NOW, random=self.chance))

    async def answer(self, token: str, credential: str) -> str:
        outcome = await self.db.write(
            lambda tx: passkeys.answer(tx, self.vault, token, PLACE, credential=credential, now=NOW, random=self.chance)
        )
        return outcome.token


@pytest.fixture
async def claire(db: Database, vault: Vault, chance: Chance) -> Person:
    await db.write(lambda tx: people.add_account(tx, vault, "Claire", PASSWORD, {Role.HANDLER}, True, NOW, chance))
    return Person(db, vault, chance)


async def _half(claire: Person) -> tuple[str, str]:
    token = await claire.session(Stage.HALF)
    options = await claire.ask(token)
    assert options is not None
    return token, options


async def test_a_passkey_is_registered_and_opens_the_second_step(claire: Person) -> None:
    device = Device()
    await claire.register(device)
    token, options = await _half(claire)
    whole = await claire.answer(token, device.show(options))
    handler, _ = claire.db.look(lambda tx: people.look_up(tx, claire.vault, whole, now=NOW, stage=Stage.FULL))
    assert handler.name == "Claire"
    with pytest.raises(NotSignedIn):
        await claire.answer(token, device.show(options))


@pytest.mark.parametrize(
    ("device", "origin"),
    [
        (Device(flags=PRESENT), PLACE.origin),  # nobody's finger, face or PIN
        (Device(host="elsewhere.example"), PLACE.origin),
        (Device(), "http://elsewhere.example"),
    ],
)
async def test_none_is_registered_without_the_person_or_from_elsewhere(
    claire: Person, device: Device, origin: str
) -> None:
    with pytest.raises(PasskeyRefused):
        await claire.register(device, origin=origin)


async def test_what_another_site_got_signed_opens_nothing(claire: Person) -> None:
    device = Device()
    await claire.register(device)
    token, options = await _half(claire)
    with pytest.raises(PasskeyRefused):
        await claire.answer(token, device.show(options, origin="http://elsewhere.example"))


async def test_a_challenge_is_answered_once_and_only_in_its_own_session(claire: Person) -> None:
    device = Device()
    await claire.register(device)
    (first, options), (second, _) = await _half(claire), await _half(claire)
    with pytest.raises(PasskeyRefused):
        await claire.answer(second, device.show(options))
    wrong = device.show(options, origin="http://elsewhere.example")
    for answer in (wrong, device.show(options)):  # the second is right, but the challenge is used up
        with pytest.raises(PasskeyRefused):
            await claire.answer(first, answer)


async def test_a_device_that_counts_backwards_is_a_copy(claire: Person) -> None:
    device = Device()
    await claire.register(device)
    token, options = await _half(claire)
    await claire.answer(token, device.show(options))
    device.count = 0
    token, options = await _half(claire)
    with pytest.raises(PasskeyRefused):
        await claire.answer(token, device.show(options))


async def test_a_passkey_of_another_host_is_not_asked_for(claire: Person) -> None:
    await claire.register(Device())
    token = await claire.session(Stage.HALF)
    assert await claire.ask(token, Place("node.example", "https://node.example")) is None
