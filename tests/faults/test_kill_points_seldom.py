"""The points that other outcomes, changes of keys, slow lines and restores pass: killed as in `test_kill_points`."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from node.demo.stage import Stage
from tests.faults.kill_scenes import (
    ALONG,
    DECLINING,
    EXPIRING,
    HOSTING,
    IDENTITY,
    LOG_KEY,
    REFUSING,
    RESTORING,
    SLOW,
    TRANSPORT,
    WITHDRAWING,
    along,
    declining,
    expiring,
    hosting,
    identity,
    killed_in_each_order,
    log_key,
    play,
    refusing,
    restoring,
    spooling,
    transport,
    withdrawing,
)
from tests.faults.killing import Order, Point

pytestmark = [pytest.mark.fault, pytest.mark.timeout(900)]


@killed_in_each_order(WITHDRAWING)
def test_a_withdrawal_comes_once(stage: Stage, points: Sequence[Point], order: Order) -> None:
    play(stage, order, points, withdrawing)


@killed_in_each_order(DECLINING)
def test_a_refusal_comes_once(stage: Stage, points: Sequence[Point], order: Order) -> None:
    play(stage, order, points, declining)


@killed_in_each_order(REFUSING)
def test_what_was_refused_on_arrival_is_refused_once(stage: Stage, points: Sequence[Point], order: Order) -> None:
    play(stage, order, points, refusing)


@killed_in_each_order(EXPIRING)
def test_an_offer_that_time_ended_is_over_on_both_sides(stage: Stage, points: Sequence[Point], order: Order) -> None:
    play(stage, order, points, expiring)


@killed_in_each_order(IDENTITY)
def test_an_identity_key_that_is_being_replaced_is_the_new_one_in_the_end(
    stage: Stage, points: Sequence[Point], order: Order
) -> None:
    play(stage, order, points, identity)


@killed_in_each_order(TRANSPORT)
def test_a_transport_key_that_is_being_replaced_is_the_new_one_in_the_end(
    stage: Stage, points: Sequence[Point], order: Order
) -> None:
    play(stage, order, points, transport)


@killed_in_each_order(ALONG, parts=len(ALONG))
def test_a_recipient_killed_while_it_reads_along_ends_the_same(
    stage: Stage, points: Sequence[Point], order: Order
) -> None:
    play(stage, order, points, along)


@killed_in_each_order([SLOW])
def test_a_sender_killed_once_it_has_spooled_ends_the_same(stage: Stage, points: Sequence[Point], order: Order) -> None:
    play(stage, order, points, spooling)


@killed_in_each_order(HOSTING)
def test_a_node_killed_while_it_hosts_what_comes_has_it_once(
    stage: Stage, points: Sequence[Point], order: Order
) -> None:
    play(stage, order, points, hosting)


@killed_in_each_order(LOG_KEY, parts=2)
def test_a_log_key_that_is_being_replaced_is_the_only_one_in_the_end(
    stage: Stage, points: Sequence[Point], order: Order
) -> None:
    play(stage, order, points, log_key)


# Last: what was restored waits for its members before time ends anything.
@killed_in_each_order(RESTORING)
def test_a_log_that_is_being_given_back_is_whole_in_the_end(
    stage: Stage, points: Sequence[Point], order: Order
) -> None:
    play(stage, order, points, restoring)
