"""What is counted, under the names that dashboards know.

No label tells of a case, a person or a pair of associations: counts by pair would already be traffic analysis.
"""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.openmetrics.exposition import generate_latest

from cordee.errors import by_reason
from cordee.runtime.doorkeeper import DoorCounts
from cordee.runtime.interceptors import Finished

__all__ = ["Metrics", "render"]

_UNAUTHENTICATED = frozenset({"UNAUTHENTICATED", "NOT_A_MEMBER", "MEMBER_IS_SUSPENDED", "WRONG_PASSWORD"})
_OTHER = "OTHER"
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
        self._refusals = Counter(
            "cordee_refusals", "What was refused, by the reason that was given.", ("reason",), registry=registry
        )
        self._handshakes, self._lost, self._shut = (
            Counter(f"cordee_{name}", told, ("listener",), registry=registry)
            for name, told in (
                ("tls_handshakes", "TLS handshakes begun."),
                (
                    "tls_handshakes_refused",
                    "Of these, ended before a first call: refused, broken off, or nothing was asked.",
                ),
                ("connections_shut", "Connections ended because there were too many."),
            )
        )
        self._counted: dict[Counter, int] = {}
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
        if call.reason:
            self._refusals.labels(_known(call.reason)).inc()

    def count_refusals(self, refused: Mapping[str, int]) -> None:
        """So many there were until now, by reason, of what is no call: pages."""
        for reason, number in refused.items():
            self._grow(self._refusals.labels(_known(reason)), number)

    def count_doors(self, doors: Mapping[str, DoorCounts]) -> None:
        """What each listener, by its name, knows until now."""
        for name, door in doors.items():
            self._grow(self._handshakes.labels(name), door.begun)
            self._grow(self._lost.labels(name), door.lost)
            self._grow(self._shut.labels(name), door.shut)

    def _grow(self, counter: Counter, until_now: int) -> None:
        counter.inc(max(0, until_now - self._counted.get(counter, 0)))
        self._counted[counter] = until_now

    def _split(self, method: str) -> tuple[str, str]:
        found = self._names.get(method)
        if found is None:  # only methods that exist come here, so there are few
            service, _, name = method.removeprefix("/").partition("/")
            found = self._names[method] = (service, name)
        return found


def _known(reason: str) -> str:
    """A reason of ours, so that there are only as many labels as there are reasons (docs/errors.md)."""
    return reason if by_reason(reason) is not None else _OTHER


def render(registry: CollectorRegistry) -> bytes:
    """The metrics as OpenMetrics text."""
    text: bytes = generate_latest(registry)  # type: ignore[no-untyped-call]  # the library has no annotation there
    return text
