"""`cordee node init`: the vault, the keys, and the first account, which may make others."""

from __future__ import annotations

import os
from pathlib import Path

from cordee.errors import AlreadyExists
from cordee.runtime.clock import SystemClock
from cordee.signing import SigningPublicKey
from node import joining, people
from node.store.migrations import node_database
from node.vault import Vault

__all__ = ["found"]


def found(data_dir: Path, *, passphrase: str, administrator: str, password: str) -> SigningPublicKey:
    """Make a node with one account that has the role administrator. The public identity key is returned.

    Cut off between the keys and the account, it goes on where it was when it is called again.

    Raises: AlreadyExists where a node with accounts is there; InvalidInput for a name or password that will not do.
    """
    clock = SystemClock()
    people.check_password(password)  # before anything is made
    try:
        joining.initialise(data_dir, passphrase=passphrase.encode(), random=os.urandom, clock=clock)
    except AlreadyExists:
        if not (data_dir / joining.DATABASE).exists():
            raise
    vault = Vault.open(data_dir / joining.VAULT, passphrase.encode())
    with node_database(data_dir / joining.DATABASE) as db:
        if db.read_sync(lambda tx: people.list_accounts(tx, vault)):
            raise AlreadyExists(what=str(data_dir))
        db.write_sync(
            lambda tx: people.add_account(
                tx, vault, administrator, password, {people.Role.ADMINISTRATOR}, False, clock.now(), os.urandom
            )
        )
        keys, _ = db.read_sync(lambda tx: joining.open_keys(tx, vault))
    return keys.identity.public
