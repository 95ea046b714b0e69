"""An act on the record of a node in the tests' own process."""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from cordee.act import parse_act
from node import acts
from node.demo import cases as synthetic

__all__ = ["recorded_act"]


async def recorded_act(
    node: Any,
    record: dict[str, Any],
    organisations: Iterable[str],
    *,
    now: datetime,
    purpose: str = "relocation",
    attachments: list[str] | None = None,
    **changes: Any,
) -> str:
    """Record an act of this case for these organisations; `node` has its database and its vault. Returns its id."""
    document = synthetic.act(
        record,
        purpose=purpose,
        recipients=list(organisations),
        attachments=attachments or [],
        now=now,
        random=os.urandom,
    )
    act = parse_act(document | changes)
    await node.db.write(lambda tx: acts.record_act(tx, node.vault, act, by="camille", now=now))
    return act.act_id
