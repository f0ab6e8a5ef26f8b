"""One figure per member, from iteration to iteration."""

import pytest

from mmrbdc.plan import Feed, PlanError, Price

FEED = Feed(20, 8)  # iterations of 8, 8 and 4 samples


def test_a_constant_price_is_samples_times_figures():
    price = Price.constant([3, 5])
    assert price.spent(FEED, 4) == (3 * 28, 5 * 28)
    assert price.at(0) == price.at(99) == (3, 5) and price.members == 2


def test_a_change_holds_from_its_iteration_on():
    price = Price(((0, (1, 2)), (2, (10, 2)), (5, (0, 0))))
    assert [price.at(i)[0] for i in range(7)] == [1, 1, 10, 10, 10, 0, 0]
    one_by_one = [price.at(i)[0] * (FEED.samples_in(i + 1) - FEED.samples_in(i)) for i in range(7)]
    for iters in range(8):
        assert price.spent(FEED, iters)[0] == sum(one_by_one[:iters])
    assert price.spent(FEED, 3) == (16 + 40, 2 * 20)  # an epoch's last batch has 4


def test_the_price_of_some_members():
    price = Price(((0, (1, 2, 3)), (4, (5, 6, 7))))
    assert price.of_members([2, 0]) == Price(((0, (3, 1)), (4, (7, 5))))


@pytest.mark.parametrize(
    "changes, words",
    [
        ((), r"at the iterations \[\]"),
        (((1, (3,)),), r"iterations \[1\]; the first must be 0"),
        (((0, (3,)), (2, (3,)), (2, (4,))), "each after the one before"),
        (((0, (3,)), (2, (3, 4))), "figures for 1 and 2 members"),
        (((0, ()),), "figures for 0 members"),
    ],
)
def test_what_is_no_price(changes, words):
    with pytest.raises(PlanError, match=words):
        Price(changes)
