"""Random state derived from what happens, not from what happened before.

Nothing in a run depends on a generator's history: every consumer of randomness seeds itself from a
key such as (seed, stage, iteration, rank). An epoch can therefore be replayed from its first
batch, with any number of data workers, by a process that never saw the epochs before it.
"""

import hashlib
import random

import numpy as np
import torch


def derive_seed(*key: int | str) -> int:
    """A 63-bit seed that depends on every part of ``key`` and on nothing else.

    Args:
        key: what the draw belongs to, for example ``('mixup', seed, stage, iteration, rank)``.
    """
    digest = hashlib.blake2b(repr(key).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def seed_all(*key: int | str) -> None:
    """Seed Python's, numpy's and torch's global generators (CPU, and CUDA once it is in use)."""
    seed = derive_seed(*key)
    random.seed(seed)
    np.random.seed(seed % 2**32)
    # torch.manual_seed formats a stack trace for every kind of device not in use: 0.7 ms.
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(seed)
