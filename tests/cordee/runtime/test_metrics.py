from __future__ import annotations

from types import SimpleNamespace

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


def test_refusals_are_counted_by_reason_and_a_reason_that_nobody_knows_makes_no_label(
    registry: CollectorRegistry, metrics: Metrics
) -> None:
    metrics.finished(Finished(SUBMIT, "OK", "", 0.001, None))
    metrics.finished(Finished(SUBMIT, "PERMISSION_DENIED", "MEMBER_IS_SUSPENDED", 0.001, MemberId(b"\xab" * 16)))
    metrics.finished(Finished(SUBMIT, "UNKNOWN", "what an attacker wrote", 0.001, None))
    for until_now in (1, 1, 3):
        metrics.count_refusals({"WRONG_PASSWORD": until_now, "MEMBER_IS_SUSPENDED": 0})
    lines = [each for each in render(registry).decode().splitlines() if each.startswith("cordee_refusals_total")]
    assert sorted(lines) == [
        'cordee_refusals_total{reason="MEMBER_IS_SUSPENDED"} 1.0',
        'cordee_refusals_total{reason="OTHER"} 1.0',
        'cordee_refusals_total{reason="WRONG_PASSWORD"} 3.0',
    ]


def test_what_a_door_knows_is_told_by_listener_and_only_grows(registry: CollectorRegistry, metrics: Metrics) -> None:
    door = SimpleNamespace(begun=0, lost=0, shut=0)
    for door.begun, door.lost, door.shut in ((2, 0, 0), (9, 3, 1), (9, 3, 1)):
        metrics.count_doors({"members": door})
    told = {
        name: registry.get_sample_value(f"cordee_{name}_total", {"listener": "members"})
        for name in ("tls_handshakes", "tls_handshakes_refused", "connections_shut")
    }
    assert told == {"tls_handshakes": 9, "tls_handshakes_refused": 3, "connections_shut": 1}


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
