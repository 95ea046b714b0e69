"""Every service of the node with its servicer, ready to be mounted."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from cordee.v1 import node_pb2, node_pb2_grpc
from node.rpc import bounds as _bounds  # registers the bounds of node.proto's requests
from node.rpc.accounts import Accounts
from node.rpc.audit import Audit
from node.rpc.cases import Cases
from node.rpc.consents import Consents
from node.rpc.info import NodeInfo
from node.rpc.members import Members
from node.rpc.sessions import Sessions
from node.rpc.teams import Teams
from node.rpc.transfers import Transfers

if TYPE_CHECKING:
    from node.app import Node

__all__ = ["servicers"]

_SERVICERS: tuple[tuple[str, Callable[[Any, Any], None], type[Any]], ...] = (
    ("Sessions", node_pb2_grpc.add_SessionsServicer_to_server, Sessions),
    ("Accounts", node_pb2_grpc.add_AccountsServicer_to_server, Accounts),
    ("Teams", node_pb2_grpc.add_TeamsServicer_to_server, Teams),
    ("Cases", node_pb2_grpc.add_CasesServicer_to_server, Cases),
    ("Consents", node_pb2_grpc.add_ConsentsServicer_to_server, Consents),
    ("Members", node_pb2_grpc.add_MembersServicer_to_server, Members),
    ("Transfers", node_pb2_grpc.add_TransfersServicer_to_server, Transfers),
    ("Audit", node_pb2_grpc.add_AuditServicer_to_server, Audit),
    ("NodeInfo", node_pb2_grpc.add_NodeInfoServicer_to_server, NodeInfo),
)


def servicers(node: Node) -> list[tuple[Any, Callable[[Any, Any], None], object]]:
    """For `cordee.runtime.server.Server.add`: descriptor, generated function, servicer of each service."""
    services = node_pb2.DESCRIPTOR.services_by_name
    return [(services[name], add, servicer(node)) for name, add, servicer in _SERVICERS]


_ = _bounds
