"""The node's own secrets at rest: identity seed, sealing seeds, transport key. Sealed by the vault."""

from __future__ import annotations

from sqlalchemy import Connection, bindparam, delete, select
from sqlalchemy.dialects.sqlite import insert as upsert

from cordee.runtime.prepared import prepared
from node.store import table_of
from node.store.secrets import SecretRow
from node.vault import Vault

__all__ = ["delete_secret", "get_secret", "put_secret", "secret_names"]

_SECRET = table_of(SecretRow)
_PLACE = "secret.sealed_value"
_GET = prepared(select(_SECRET.c.sealed_value).where(_SECRET.c.name == bindparam("secret")))


def put_secret(tx: Connection, vault: Vault, name: str, value: bytes) -> None:
    """Keep a secret under a name, in the place of an earlier one."""
    sealed = vault.seal(value, place=_PLACE, row=name)
    row = upsert(_SECRET).values(name=name, sealed_value=sealed)
    tx.execute(row.on_conflict_do_update(index_elements=["name"], set_={"sealed_value": sealed}))


def get_secret(tx: Connection, vault: Vault, name: str) -> bytes | None:
    """A secret, or None where there is none of that name. Raises CannotOpen."""
    sealed = tx.execute(_GET, {"secret": name}).scalar()
    return None if sealed is None else vault.unseal(sealed, place=_PLACE, row=name)


def secret_names(tx: Connection, *, prefix: str) -> list[str]:
    """The names that begin so."""
    names = tx.execute(select(_SECRET.c.name).where(_SECRET.c.name.startswith(prefix, autoescape=True))).scalars()
    return sorted(names)


def delete_secret(tx: Connection, name: str) -> None:
    """Forget a secret; SQLite overwrites the bytes. Nothing happens where there is none."""
    tx.execute(delete(_SECRET).where(_SECRET.c.name == name))
