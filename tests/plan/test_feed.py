"""How many iterations some samples pay for."""

from hypothesis import given
from hypothesis import strategies as st

from mmrbdc.plan import Feed


@given(st.integers(1, 300), st.integers(1, 50), st.booleans(), st.floats(0, 5000))
def test_the_most_iterations_within_some_samples(samples, batch_size, drop_last, paid):
    """The twin takes one more."""
    feed = Feed(samples, min(batch_size, samples), drop_last)
    found = feed.iters_within(paid)
    assert feed.samples_in(found) <= paid < feed.samples_in(found + 1)


def test_less_than_nothing_pays_for_nothing():
    assert Feed(10, 4).iters_within(-3.0) == 0


def test_batches_beyond_an_epoch_are_the_epoch():
    assert [Feed(10, 4).samples_of(n) for n in (1, 2, 3)] == [4, 8, 10]
