"""`cordee admin`: found a network, and admit, suspend and remove its members."""

from __future__ import annotations

import click

from directory.cli.admin_founding import attach, found, key, sign_genesis
from directory.cli.admin_keys import recover, revoke, rotate_ca, rotate_key
from directory.cli.admin_log import administrators, log, pending, sign
from directory.cli.admin_members import (
    admit,
    invite,
    members,
    refuse,
    reinstate,
    remove,
    requests,
    suspend,
    words,
)

__all__ = ["group"]


@click.group(name="admin")
def group() -> None:
    """Found a network; admit, suspend and remove its members.

    Each administrator does this on a machine of their own, with a key of their own. What is signed is shown first, in
    words; what takes several signatures is begun by one and finished by the others with the same command, or with
    "cordee admin pending" and "cordee admin sign".

    \b
    Founding, once:
      each administrator   cordee admin key new --out me.key      and hands me.key.pub to the first
      the first            cordee admin found --founding founding.json --administrator a.pub
                               --administrator b.pub --threshold 2 --genesis genesis.json --key me.key
      the others, in turn  cordee admin sign-genesis genesis.json --key me.key
      anyone of them       cordee admin found --submit --genesis genesis.json
    """


for command in (
    key,
    found,
    sign_genesis,
    attach,
    invite,
    requests,
    admit,
    refuse,
    suspend,
    reinstate,
    remove,
    recover,
    revoke,
    rotate_key,
    rotate_ca,
    members,
    words,
    administrators,
    log,
    pending,
    sign,
):
    group.add_command(command)
