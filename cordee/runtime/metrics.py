"""What is counted, under the names that dashboards know.

No label tells of a case, a person or a pair of associations: counts by pair would already be traffic analysis.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.openmetrics.exposition import generate_latest

from cordee.runtime.interceptors import Finished

__all__ = ["Metrics", "render"]

_UNAUTHENTICATED = frozenset({"UNAUTHENTICATED", "NOT_A_MEMBER", "MEMBER_IS_SUSPENDED", "WRONG_PASSWORD"})
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """The counters of one process, in a registry of its own. It is an observer of calls.

    With `transfers` it has a directory's counters as well.
    """

    def __init__(self, registry: CollectorRegistry, *, version: str, transfers: bool = True) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library has no annotation there
        self.registry = registry
        rpc = ("grpc_service", "grpc_method")
        self._started = Counter("grpc_server_started", "Calls begun.", rpc, registry=registry)
        self._handled = Counter("grpc_server_handled", "Calls answered.", (*rpc, "grpc_code"), registry=registry)
        self._seconds = Histogram(
            "grpc_server_handling_seconds", "How long calls took.", rpc, buckets=_SECONDS, registry=registry
        )
        self._refused = Counter("cordee_auth_failures", "Callers refused.", ("method",), registry=registry)
        of_directory = registry if transfers else CollectorRegistry()
        self.transfers = Counter(
            "cordee_transfers", "Steps of transfers, by the state reached.", ("state",), registry=of_directory
        )
        self.mailbox_pending = Gauge(
            "cordee_mailbox_pending", "Transfers whose ciphertext waits.", registry=of_directory
        )
        self.relay_bytes = Gauge("cordee_relay_bytes", "Bytes of ciphertext that wait.", registry=of_directory)
        self.certificate_expiry = Gauge(
            "cordee_certificate_expiry_timestamp_seconds",
            "When this server's certificate runs out.",
            registry=of_directory,
        )
        Gauge("cordee_build_info", "Always 1; the version is the label.", ("version",), registry=registry).labels(
            version
        ).set(1)
        self._names: dict[str, tuple[str, str]] = {}

    def started(self, method: str) -> None:
        """A call has come in."""
        self._started.labels(*self._split(method)).inc()

    def finished(self, call: Finished) -> None:
        """It has been answered."""
        service, name = self._split(call.method)
        self._handled.labels(service, name, call.code).inc()
        self._seconds.labels(service, name).observe(call.seconds)
        if call.code == "UNAUTHENTICATED" or call.reason in _UNAUTHENTICATED:
            self._refused.labels(name).inc()

    def _split(self, method: str) -> tuple[str, str]:
        found = self._names.get(method)
        if found is None:  # only methods that exist come here, so there are few
            service, _, name = method.removeprefix("/").partition("/")
            found = self._names[method] = (service, name)
        return found


def render(registry: CollectorRegistry) -> bytes:
    """The metrics as OpenMetrics text."""
    text: bytes = generate_latest(registry)  # type: ignore[no-untyped-call]  # the library has no annotation there
    return text
