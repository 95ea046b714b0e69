from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from cordee.ids import MemberId
from cordee.runtime.interceptors import Finished
from cordee.runtime.metrics import Metrics, render

SUBMIT = "/cordee.v1.Broker/Submit"


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def metrics(registry: CollectorRegistry) -> Metrics:
    return Metrics(registry, version="1.2.3")


def test_calls_are_counted_by_method_and_code(registry: CollectorRegistry, metrics: Metrics) -> None:
    for code in ("OK", "OK", "ABORTED"):
        metrics.started(SUBMIT)
        metrics.finished(Finished(SUBMIT, code, "", 0.004, MemberId(b"\xab" * 16)))
    text = render(registry).decode()
    labels = 'grpc_method="Submit",grpc_service="cordee.v1.Broker"'
    assert f"grpc_server_started_total{{{labels}}} 3.0" in text
    assert f'grpc_server_handled_total{{grpc_code="OK",{labels}}} 2.0' in text
    assert f'grpc_server_handling_seconds_bucket{{{labels},le="0.005"}} 3.0' in text
    assert "ab" * 4 not in text


def test_refused_callers_are_counted_without_saying_who(registry: CollectorRegistry, metrics: Metrics) -> None:
    metrics.finished(Finished(SUBMIT, "PERMISSION_DENIED", "MEMBER_IS_SUSPENDED", 0.001, None))
    metrics.finished(Finished(SUBMIT, "UNAUTHENTICATED", "WEAK_CONNECTION", 0.001, None))
    metrics.finished(Finished(SUBMIT, "PERMISSION_DENIED", "OUT_OF_SCOPE", 0.001, None))
    assert 'cordee_auth_failures_total{method="Submit"} 2.0' in render(registry).decode()


def test_the_names_are_those_that_are_documented(registry: CollectorRegistry, metrics: Metrics) -> None:
    metrics.transfers.labels("received").inc()
    text = render(registry).decode()
    for name in (
        "cordee_transfers_total",
        "cordee_mailbox_pending",
        "cordee_relay_bytes",
        "cordee_certificate_expiry_timestamp_seconds",
        'cordee_build_info{version="1.2.3"}',
    ):
        assert name in text
    assert "_created" not in text
    assert text.endswith("# EOF\n")
