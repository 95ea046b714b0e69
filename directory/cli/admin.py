"""`cordee admin`: found a network, and admit, suspend and remove its members."""

from __future__ import annotations

import click

from directory.cli.admin_console import console
from directory.cli.admin_evidence import evidence
from directory.cli.admin_founding import attach, found, key, sign_genesis
from directory.cli.admin_key_kit import kit as key_kit
from directory.cli.admin_key_kit import restore as key_restore
from directory.cli.admin_keys import recover, revoke, rotate_ca, rotate_key
from directory.cli.admin_log import administrators, log, pending, sign
from directory.cli.admin_members import (
    admit,
    correct,
    invite,
    members,
    refuse,
    reinstate,
    remove,
    requests,
    suspend,
    words,
)
from directory.cli.admin_policy import policy
from directory.cli.admin_profiles import profile
from directory.cli.admin_report import report
from directory.cli.admin_status import status

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
    correct,
    profile,
    remove,
    recover,
    revoke,
    rotate_key,
    rotate_ca,
    members,
    status,
    words,
    administrators,
    policy,
    log,
    pending,
    sign,
    evidence,
    console,
    report,
):
    group.add_command(command)

for command in (key_kit, key_restore):
    key.add_command(command)
