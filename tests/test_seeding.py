"""Seeds are functions of their keys: of every part, and of nothing else."""

import itertools
import random

import numpy as np
import torch

from mmrbdc.seeding import derive_seed, seed_all


def draws():
    return random.random(), float(np.random.rand()), float(torch.rand(1))


def test_a_seed_is_the_same_in_every_process_and_version():
    """Changing these changes what every published seed means."""
    assert derive_seed("member", 0, 0, 0) == 7373237824222572142
    assert derive_seed("data", 0, 0) == 875815767211817315


def test_every_part_of_a_key_counts():
    keys = itertools.product(["mixup", "forward"], range(5), range(5), range(3))
    seeds = [derive_seed(*key) for key in keys]
    assert len(set(seeds)) == len(seeds)


def test_parts_do_not_run_together():
    """('a', 12) is not ('a', 1, 2), and 1 is not '1'."""
    seeds = {derive_seed(*key) for key in [("a", 12), ("a", 1, 2), ("a1", 2), ("a", "12")]}
    assert len(seeds) == 4


def test_seeds_fit_every_generator():
    for number in range(200):
        seed = derive_seed("range", number)
        assert 0 <= seed < 2**63
        torch.Generator().manual_seed(seed)


def test_all_three_generators_are_seeded():
    seed_all("key", 1)
    first = draws()
    random.random(), np.random.rand(3), torch.rand(7)
    seed_all("key", 1)
    assert draws() == first
    seed_all("key", 2)
    assert all(a != b for a, b in zip(draws(), first, strict=True))
