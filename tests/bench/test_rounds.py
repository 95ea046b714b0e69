from __future__ import annotations

import pytest

from bench.rounds import Spread, interleaved, ratios, slope


def test_every_contender_runs_once_a_round_in_an_order_that_turns():
    order: list[str] = []

    def contender(name: str):
        return lambda: order.append(name) or float(len(order))

    measured = interleaved({name: contender(name) for name in "abc"}, 3, settle=lambda: order.append("-"))

    assert "".join(order) == "-a-b-c-b-c-a-c-a-b"
    assert all(len(each) == 3 for each in measured.values())


def test_the_ratio_is_taken_round_by_round_before_the_median():
    spread = ratios(peer=[10, 2, 9], ours=[5, 4, 3])
    assert spread == Spread(median=2, least=0.5, greatest=3, each=(2, 0.5, 3))


def test_rounds_of_different_number_are_not_compared():
    with pytest.raises(ValueError, match="shorter"):
        ratios(peer=[1, 2], ours=[1])


@pytest.mark.parametrize(("exponent", "fixed"), [(1.0, 0.0), (2.0, 0.0)])
def test_the_slope_is_the_exponent_of_the_growth(exponent, fixed):
    assert slope({size: fixed + 3 * size**exponent for size in (10, 100, 1000)}) == pytest.approx(exponent)


def test_a_fixed_cost_makes_the_slope_less_than_linear():
    assert 0 < slope({size: 100 + size for size in (10, 100, 1000)}) < 1


def test_one_size_has_no_slope():
    with pytest.raises(ValueError, match="two sizes"):
        slope({10: 1.0})
