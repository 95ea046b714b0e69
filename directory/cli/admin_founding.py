"""`cordee admin key`, `found`, `sign-genesis`, `attach`: from keys to a network."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace as replaced
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from cordee.drawn import DrawnSecret
from cordee.errors import N_, InvalidInput
from cordee.ids import NetworkId
from cordee.policy import Policy
from cordee.runtime.clock import SystemClock
from cordee.runtime.output import Output
from cordee.runtime.texts import text
from cordee.signing import SigningKey
from cordee.times import span_text
from cordee.words import Language, six_words
from directory.administrator import keyfile
from directory.administrator.client import submit_genesis
from directory.administrator.genesis import Draft, draft
from directory.administrator.home import Home
from directory.cli.session import home_option, key_options, language_of, read_passphrase
from directory.files import read_whole, replace, write_new
from directory.house import Founding

__all__ = ["attach", "found", "key", "sign_genesis"]

_FILE = click.Path(path_type=Path, dir_okay=False)
_GENESIS_BYTES = 2 << 20


@click.group("key")
def key() -> None:
    """This administrator's own key."""


@key.command("new")
@click.option("--out", type=_FILE, required=True, help="File to make; its public half goes to FILE.pub.")
@click.option(
    "--passphrase-file",
    envvar="CORDEE_ADMIN_PASSPHRASE_FILE",
    help="File whose first line is the passphrase; - for standard input [default: asked for].",
)
@click.option(
    "--draw-passphrase",
    type=_FILE,
    hidden=True,
    help="Draw the passphrase too, into this new file: for a network in which nothing is real.",
)
@click.pass_context
def new(ctx: click.Context, out: Path, passphrase_file: str | None, draw_passphrase: Path | None) -> None:
    """Make a key: a file sealed with a passphrase, and its public half for the other administrators.

    JSON: {key, public, key_id, words: []}
    """
    Output(ctx).for_real()
    output = Output(ctx)
    passphrase = read_passphrase(passphrase_file, new=True) if draw_passphrase is None else DrawnSecret(os.urandom)
    if draw_passphrase is not None:
        write_new(draw_passphrase, passphrase + b"\n")
    made = keyfile.create(out, passphrase, random=os.urandom)
    output.say(N_("Keep a copy of this file, and the passphrase apart from it: nobody can make it again."))
    output.record(
        {
            "key": str(out),
            "public": str(keyfile.public_path(out)),
            "key_id": made.public.key_id.hex(),
            "words": six_words(made.public),
        }
    )


@key.command("show")
@click.argument("file", type=_FILE)
@click.pass_context
def show(ctx: click.Context, file: Path) -> None:
    """The six words of a key's public half, to be compared by telephone.

    JSON: {key_id, words: []}
    """
    output = Output(ctx)
    public = keyfile.load_public(file)
    output.record({"key_id": public.key_id.hex(), "words": six_words(public)})


@click.command("found")
@click.option("--founding", type=_FILE, help="founding.json of the directory (cordee directory init).")
@click.option("--administrator", "administrators", type=_FILE, multiple=True, help="A public key; once for each.")
@click.option("--threshold", type=int, help="How many must sign an entry [default: 2, or 1 for one administrator].")
@click.option(
    "--offer-minutes",
    type=click.IntRange(1, 14 * 24 * 60),
    help="How long an offer may wait for an answer at most [default: 14 days].",
)
@click.option(
    "--genesis", type=_FILE, default=Path("genesis.json"), show_default=True, help="The file that goes round."
)
@click.option("--submit", is_flag=True, help="Hand the genesis to the directory, once all have signed.")
@click.option("--key", "key_file", type=_FILE, envvar="CORDEE_ADMIN_KEY", help="File with the administrator's key.")
@click.option("--passphrase-file", envvar="CORDEE_ADMIN_PASSPHRASE_FILE", help="File whose first line opens the key.")
@home_option
@click.pass_context
def found(
    ctx: click.Context,
    founding: Path | None,
    administrators: tuple[Path, ...],
    threshold: int | None,
    offer_minutes: int | None,
    genesis: Path,
    submit: bool,
    key_file: Path | None,
    passphrase_file: str | None,
    home: Path,
) -> None:
    """Begin the network's genesis and sign it first; or, with --submit, found the network with it.

    The file that it makes goes from administrator to administrator, each of whom signs it with "sign-genesis". All of
    them must; with --submit it is then handed to the directory. Where there is one administrator only, one command with
    --submit does it all.

    JSON: {genesis, network, administrators, threshold, signed, missing, founded}
    """
    Output(ctx).for_real()
    output = Output(ctx)
    if founding is not None:
        if key_file is None or not administrators:
            raise click.UsageError("Beginning a genesis takes --founding, --key and each --administrator.")
        begun = _begin(founding, administrators, threshold, offer_minutes)
        made = _signed(output, begun, key_file, passphrase_file)
        write_new(genesis, made.to_bytes())
        Home(home).create(made.network, made.founding)
    elif submit:
        made = Draft.parse(read_whole(genesis, limit=_GENESIS_BYTES))
    else:
        raise click.UsageError("Give --founding to begin a genesis, or --submit to found the network with it.")
    if submit:
        if made.missing:
            raise InvalidInput(
                field="genesis", problem=N_("{count} administrator(s) have not signed yet"), count=len(made.missing)
            )
        asyncio.run(
            submit_genesis(
                made.founding.front, root=made.founding.ca_certificate, genesis=made.entry, network=made.network
            )
        )
    output.record(_facts(genesis, made) | {"founded": submit})


@click.command("sign-genesis")
@click.argument("genesis", type=_FILE)
@key_options
@home_option
@click.pass_context
def sign_genesis(ctx: click.Context, genesis: Path, key_file: Path, passphrase_file: str | None, home: Path) -> None:
    """Look at a GENESIS file and sign it. Compare the words of every key by telephone first.

    JSON: {genesis, network, administrators, threshold, signed, missing, founded}
    """
    Output(ctx).for_real()
    output = Output(ctx)
    made = _signed(output, Draft.parse(read_whole(genesis, limit=_GENESIS_BYTES)), key_file, passphrase_file)
    replace(genesis, made.to_bytes())
    Home(home).create(made.network, made.founding)
    output.record(_facts(genesis, made) | {"founded": False})


@click.command("attach")
@click.option("--founding", type=_FILE, required=True, help="founding.json of the directory.")
@click.option("--network", required=True, help="The network's id, as another administrator reads it out.")
@home_option
@click.pass_context
def attach(ctx: click.Context, founding: Path, network: str, home: Path) -> None:
    """Make this machine's folder for a network that others founded, before the first command.

    JSON: {home, network}
    """
    Output(ctx).for_real()
    try:
        identity = NetworkId(bytes.fromhex(network))
    except ValueError:
        raise InvalidInput(field="--network", problem=N_("64 hexadecimal digits are asked for")) from None
    Home(home).create(identity, Founding.parse(read_whole(founding)))
    Output(ctx).record({"home": str(home), "network": identity.hex()})


def _begin(founding: Path, administrators: tuple[Path, ...], threshold: int | None, offer_minutes: int | None) -> Draft:
    keys = [keyfile.load_public(path) for path in administrators]
    policy = Policy(threshold=threshold if threshold is not None else min(2, len(keys)))
    if offer_minutes is not None:
        policy = replaced(policy, offer_life_limit=timedelta(minutes=offer_minutes))
    return draft(
        Founding.parse(read_whole(founding)),
        keys,
        policy=policy,
        random=os.urandom,
        now=SystemClock().now(),
    )


def _signed(output: Output, made: Draft, key_file: Path, passphrase_file: str | None) -> Draft:
    opened: SigningKey = keyfile.open_key(key_file, read_passphrase(passphrase_file))
    signed = made.sign(opened)  # raises for a key that is not named, before anything is shown
    for line in _in_words(made, language_of(output)):
        output.say("{line}", line=line)
    output.confirm(N_("Sign this?"))
    return signed


def _in_words(made: Draft, language: Language) -> list[str]:
    policy = Policy.from_message(made.genesis.policy)
    lines = [
        text(N_("Found a network with the log {origin}, at the directory {front}."), language).format(
            origin=made.founding.origin, front=made.founding.front
        ),
        text(N_("  key of the directory's log: {words}"), language).format(
            words=" ".join(six_words(made.founding.directory_key))
        ),
        text(N_("  an offer waits {span} at most for its answer"), language).format(
            span=span_text(policy.offer_life_limit)
        ),
        text(
            N_("  a lost identity key is replaced {days} days after it was announced, at the earliest"), language
        ).format(days=policy.recovery_delay.days if policy.recovery_delay else 0),
        text(N_("  {threshold} of these administrators must sign:"), language).format(threshold=policy.threshold),
    ]
    for each in made.administrators:
        words = " ".join(six_words(each))
        lines.append(f"    {each.key_id.short}  {words}" + ("  ✓" if each.key_id in made.signed_by else ""))
    return lines


def _facts(path: Path, made: Draft) -> dict[str, Any]:
    return {
        "genesis": str(path),
        "network": made.network.hex(),
        "administrators": [each.key_id.hex() for each in made.administrators],
        "threshold": made.genesis.policy.threshold,
        "signed": sorted(each.hex() for each in made.signed_by),
        "missing": [each.key_id.hex() for each in made.missing],
    }
