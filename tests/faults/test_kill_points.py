"""Kill one process at each named point, bring it back in each order: the same end, imported exactly once.

What a transfer and a return pass; what is passed more seldom is killed in another file, so that two workers share them.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence

import pytest

from node.demo.stage import Stage
from tests.faults.kill_scenes import (
    KILLED,
    NAMED,
    POINTS,
    RETURNING,
    SCENES,
    SENSELESS,
    arriving,
    killed_in_each_order,
    play,
    returning,
    servers_of,
)
from tests.faults.killing import Order, Point

pytestmark = [pytest.mark.fault, pytest.mark.timeout(900)]


@killed_in_each_order(POINTS, parts=SCENES)
def test_a_case_arrives_once_whoever_is_killed_on_its_way(stage: Stage, points: Sequence[Point], order: Order) -> None:
    play(stage, order, points, arriving)


@killed_in_each_order(RETURNING, parts=2)
def test_a_case_that_is_returned_has_one_holder(stage: Stage, points: Sequence[Point], order: Order) -> None:
    play(stage, order, points, returning)


def test_each_point_that_the_code_names_is_killed_in_each_order() -> None:
    importlib.import_module("tests.faults.test_kill_points_seldom")  # which adds its own
    assert len(NAMED) >= 90, "the modules are imported"
    wanted = {(server, name, order) for name in NAMED for server in servers_of(name) for order in Order}
    done = {(server, name, order) for (server, name), orders in KILLED.items() for order in orders}
    assert wanted - done == SENSELESS.keys(), "each point is killed in each order, or it is said why not"
    assert done <= wanted, "each point that is killed is in the code"
