"""`cordee verify`: check a proof of transfer. It asks nobody: no node, no directory, no network."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from cordee.proof import ProofReport

__all__ = ["command"]


@click.command("verify")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--network", required=True, metavar="HEX", help="The network's id: the digest of its genesis.")
@click.pass_context
def command(ctx: click.Context, file: Path, network: str) -> None:
    """Check the proof of a transfer in FILE, offline. A proof that does not hold ends in exit code 8.

    JSON: {valid: true, network, transfer, sender, recipient, outcome, steps: [{kind, by, time, digest}], erased,
    checkpoint: {size, time}, checks: []}; `erased` is null where nobody was asked, or nobody has answered
    """
    from cordee.errors import N_, CordeeError, IntegrityFailure, InvalidInput, ProofRefused
    from cordee.ids import NetworkId
    from cordee.proof import MAX_PROOF, verify
    from cordee.runtime.output import Output
    from node.cli.files import read_bytes

    if not re.fullmatch(r"[0-9a-fA-F]{64}", network):
        raise InvalidInput(field="--network", problem=N_("must have 64 hexadecimal digits"))
    proof = read_bytes(str(file), limit=MAX_PROOF)
    try:
        report = verify(proof, network=NetworkId(bytes.fromhex(network)))
    except IntegrityFailure:
        raise
    except CordeeError as refused:  # whatever rule it breaks, to who asks it is one thing: the proof does not hold
        raise ProofRefused(problem=refused.reason) from refused
    Output(ctx).record({"valid": True} | _shape(report))


def _shape(report: ProofReport) -> dict[str, Any]:
    return {
        "network": report.network.hex(),
        "transfer": report.transfer_id.hex(),
        "sender": report.sender.hex(),
        "recipient": report.recipient.hex(),
        "outcome": str(report.outcome),
        "steps": [
            {"kind": str(each.kind), "by": str(each.by), "time": each.time.isoformat(), "digest": each.digest.hex()}
            for each in report.steps
        ],
        "erased": report.erased,
        "checkpoint": {"size": report.checkpoint.size, "time": report.checkpoint.time.isoformat()},
        "checks": list(report.checks),
    }
