"""A node that can be watched: what it measures, and whether it is well, told on this machine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from cordee.runtime.interceptors import Observer
from cordee.runtime.telling import Told, telling
from node.examining import examine
from node.measures import NodeMeasures

if TYPE_CHECKING:
    from node.app import Node

__all__ = ["alive", "watched"]


def alive(node: Node) -> bool:
    """Whether all of its parts still run."""
    return not any(each.done() for each in node.loops)


@asynccontextmanager
async def watched(node: Node, address: str) -> AsyncIterator[tuple[tuple[Observer, ...], str]]:
    """Tell until the block ends; who is to observe the node's calls, and the address. Raises InvalidInput, OSError."""
    measures = NodeMeasures(node)
    told = Told(alive=lambda: alive(node), examine=lambda: examine(node), metrics=measures.render)
    async with telling(address, told) as where:
        yield (measures.calls,), where
