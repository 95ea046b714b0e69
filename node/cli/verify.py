"""`cordee verify`: judge evidence. It asks nobody: no node, no directory, no network."""

from __future__ import annotations

import base64
import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

if TYPE_CHECKING:
    from cordee.evidence import Finding
    from cordee.ids import NetworkId

__all__ = ["command"]

_MOST = 64  # files
_GENESIS_BYTES = 1 << 20


@click.command("verify")
@click.argument("files", metavar="FILE…", type=click.Path(path_type=Path, allow_dash=True), nargs=-1, required=True)
@click.option("--network", metavar="HEX", help="The network's id: the digest of its genesis.")
@click.option("--genesis", type=click.Path(path_type=Path, dir_okay=False), help="Instead: the network's genesis file.")
@click.pass_context
def command(ctx: click.Context, files: tuple[Path, ...], network: str | None, genesis: Path | None) -> None:
    """Judge a FILE of evidence, offline: the proof of a transfer, an erasure receipt, a journal, or what machines were
    shown of the roster; several of these last are judged together. What does not hold, or shows nothing, ends in exit
    code 8.

    \b
    JSON: {valid: true, kind, shows: [], shows_not: [], network, …}; kind is one of
      transfer, erasure  {transfer, sender, recipient, outcome, steps: [{kind, by, time, digest}], erased,
                         checkpoint: {size, time}, checks: []}; `erased` is null where nobody has said so
      roster             {verdict, views: [{size, time, root, key}], claims: [{member, kind, time, size, root, digest}],
                         between: [], claim, differs_at, same_key}; the verdict is
                         forged, fork, rollback, split_view or agree
      journal            {member, lines, signatures, head, begins, ends, checkpoint: {size, time}}
    """
    from cordee.runtime.findings import tell
    from cordee.runtime.output import Output

    wanted = _network(network, genesis)
    if len(files) > _MOST:
        raise click.UsageError(f"At most {_MOST} files.")
    tell(_judged(files, wanted), Output(ctx))


def _network(given: str | None, genesis: Path | None) -> NetworkId:
    """Raises: click.UsageError, InvalidInput."""
    from cordee.entries import network_id
    from cordee.errors import N_, CordeeError, InvalidInput
    from cordee.ids import NetworkId
    from cordee.signing import MAX_SIGNED, parse_message
    from cordee.v1 import statements_pb2
    from node.cli.files import read_bytes

    if (given is None) is (genesis is None):
        raise click.UsageError("Give the network's id with --network, or its genesis with --genesis.")
    if given is not None:
        if not re.fullmatch(r"[0-9a-fA-F]{64}", given):
            raise InvalidInput(field="--network", problem=N_("must have 64 hexadecimal digits"))
        return NetworkId(bytes.fromhex(given))
    try:
        plain = json.loads(read_bytes(str(genesis), limit=_GENESIS_BYTES))
        entry = base64.b64decode(plain["entry"], validate=True)
        return network_id(parse_message(entry, statements_pb2.Entry, max_size=MAX_SIGNED))
    except (ValueError, KeyError, TypeError, RecursionError) as malformed:
        raise InvalidInput(field="--genesis", problem=N_("it is no genesis file of Cordée")) from malformed
    except InvalidInput:
        raise
    except CordeeError as malformed:
        raise InvalidInput(field="--genesis", problem=N_("it is no genesis file of Cordée")) from malformed


def _judged(files: tuple[Path, ...], network: NetworkId) -> Finding:
    """By what the first file says of itself. Raises: IntegrityFailure of some kind, click.UsageError."""
    from cordee.evidence import judge_journal, judge_transfer, judge_views
    from cordee.journal import is_journal
    from cordee.proof import MAX_PROOF
    from cordee.views import MAX_EVIDENCE, is_evidence

    with _opened(files[0]) as first:
        begins = first.peek(64)  # type: ignore[attr-defined]  # files are opened with a buffer
        if is_evidence(begins):
            held = [_whole(first, files[0], limit=MAX_EVIDENCE)]
            for each in files[1:]:
                with _opened(each) as another:
                    held.append(_whole(another, each, limit=MAX_EVIDENCE))
            return judge_views(held, network=network)
        if len(files) > 1:
            raise click.UsageError("Only evidence about the roster is judged together; give one file.")
        if is_journal(begins):
            return judge_journal(_lines(first), network=network)
        return judge_transfer(_whole(first, files[0], limit=MAX_PROOF), network=network)


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """Raises: InvalidInput, naming the file."""
    from cordee.errors import N_, InvalidInput
    from cordee.runtime.texts import why

    if str(path) == "-":
        yield sys.stdin.buffer
        return
    try:
        file = path.open("rb")
    except OSError as error:
        raise InvalidInput(field=str(path), problem=why(error, N_("it cannot be read"))) from error
    with file:
        yield file


def _whole(file: BinaryIO, path: Path, *, limit: int) -> bytes:
    from cordee.errors import N_, InvalidInput
    from cordee.runtime.texts import why

    try:
        data = file.read(limit + 1)
    except OSError as error:  # a folder opens, and cannot be read
        raise InvalidInput(field=str(path), problem=why(error, N_("it cannot be read"))) from error
    if len(data) > limit:
        raise InvalidInput(field=str(path), problem=N_("it has more than {limit} bytes"), limit=limit)
    return data


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """Line by line, none longer than a journal's may be: a journal of years does not fit the memory."""
    from cordee.journal import MAX_LINE

    while line := file.readline(MAX_LINE + 1):
        yield line
