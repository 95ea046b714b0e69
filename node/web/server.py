"""The pages, served in the node's own event loop, beside its gRPC API."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

from starlette.types import ASGIApp

from cordee.runtime.doorkeeper import DoorCounts
from cordee.web import serving as served
from cordee.web.serving import Listening
from node.web.app import application

if TYPE_CHECKING:
    from node.app import Node

__all__ = ["Listening", "serving"]


def serving(
    node: Node, where: Listening, *, site: Callable[..., ASGIApp] = application, grace: int = served.GRACE
) -> AbstractAsyncContextManager[str]:
    """Serve until the block ends; the address to open is given. `site` makes the pages; at the end, requests under way
    have `grace` seconds. Raises InvalidInput.
    """

    def opened(door: DoorCounts) -> None:
        node.doors["pages"] = door

    return served.serving(
        where, lambda hosts, secure: site(node, hosts=hosts, secure=secure), opened=opened, grace=grace
    )
