"""Data loading whose augmentation can be replayed, whatever the number of workers.

MMEngine seeds data workers when they start, so a sample's augmentation depends on how many samples
its worker drew before. Here the sampler sends a key with every index and the data set seeds itself
from it: a sample's augmentation depends on (seed, epoch, rank, position in the epoch) alone.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from mmengine.dist import get_dist_info
from torch.utils.data import Dataset, Sampler

from mmrbdc.datasets.loading.rules import build_dataset, read_by_rules
from mmrbdc.registry import DATA_SAMPLERS, DATASETS
from mmrbdc.seeding import seed_all


class Draw(NamedTuple):
    """One sample to fetch and the key of its random augmentation."""

    sample: int
    key: tuple[int | str, ...]


@DATA_SAMPLERS.register_module()
class ReplayableSampler(Sampler):
    """Wrap any sampler so that it yields :class:`Draw` instead of bare indices.

    Args:
        dataset: the data set to sample; must be a :class:`ReplayableDataset`.
        sampler: config of the wrapped sampler. Its ``seed`` is set to ``seed``, so the order of an
            epoch is a function of (seed, epoch).
        seed: the seed of order and augmentation.
    """

    def __init__(self, dataset: "ReplayableDataset", sampler: dict, seed: int) -> None:
        if not isinstance(dataset, ReplayableDataset):
            raise ValueError(
                f"mmrbdc.ReplayableSampler needs an mmrbdc.ReplayableDataset, got "
                f"{type(dataset).__name__}: wrap the data set in "
                f"dict(type='mmrbdc.ReplayableDataset', "
                "dataset=...)"
            )
        self.sampler = DATA_SAMPLERS.build(
            dict(sampler, seed=seed), default_args=dict(dataset=dataset)
        )
        self.seed = seed
        self.rank = get_dist_info()[0]
        self.epoch = 0
        self.offset = 0

    def __iter__(self) -> Iterator[Draw]:
        for position, index in enumerate(self.sampler):
            if position >= self.offset:
                yield Draw(index, (self.seed, self.epoch, self.rank, position))

    def __len__(self) -> int:
        return len(self.sampler)

    def skip(self, samples: int) -> None:
        """Leave out this rank's first samples of the epoch that comes next.

        None of them is loaded; those that follow are drawn as if it had been.
        """
        self.offset = samples

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order and augmentations come next, from its first sample."""
        self.epoch = epoch
        self.offset = 0
        if hasattr(self.sampler, "set_epoch"):
            self.sampler.set_epoch(epoch)


@DATASETS.register_module()
class ReplayableDataset(Dataset):
    """Seed Python, numpy and torch from a sample's key, then fetch it from the wrapped data set.

    Args:
        dataset: config of the data set; its pipeline may draw from any of the three global
            generators.
    """

    def __init__(self, dataset: dict) -> None:
        self.dataset = build_dataset(dataset)
        read_by_rules(self)

    @property
    def metainfo(self) -> dict:
        """The wrapped data set's meta information (class names)."""
        return self.dataset.metainfo

    def full_init(self) -> None:
        """Read the wrapped data set's annotations, if it has not done so."""
        if hasattr(self.dataset, "full_init"):
            self.dataset.full_init()

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, draw: Draw) -> Any:
        seed_all("sample", *draw.key)
        return self.dataset[draw.sample]
