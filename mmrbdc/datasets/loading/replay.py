"""Data loading whose augmentation can be replayed, whatever the number of workers.

MMEngine seeds data workers when they start, so a sample's augmentation depends on how many samples
its worker drew before. Here the sampler sends a key with every index and the data set seeds itself
from it: a sample's augmentation depends on (seed, epoch, rank, position in the epoch) alone.
"""

import copy
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from mmengine.dist import get_dist_info
from torch.utils.data import BatchSampler, Dataset, IterableDataset, Sampler

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
        _check_replayable(dataset, "mmrbdc.ReplayableSampler")
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


@DATA_SAMPLERS.register_module()
class ReplayableBatchSampler(BatchSampler):
    """Wrap any batch sampler (of aspect ratios, say) so that it yields :class:`Draw` instead of
    bare indices.

    Args:
        sampler: the sampler of the wrapped one; its data set must be a :class:`ReplayableDataset`.
        batch_size: of the wrapped one.
        batch_sampler: config of the wrapped batch sampler. Its order is a function of the
            sampler's.
        seed: the seed of augmentation.
    """

    def __init__(self, sampler: Sampler, batch_size: int, batch_sampler: dict, seed: int) -> None:
        _check_replayable(getattr(sampler, "dataset", None), "mmrbdc.ReplayableBatchSampler")
        self.batches = DATA_SAMPLERS.build(
            dict(batch_sampler), default_args=dict(sampler=sampler, batch_size=batch_size)
        )
        self.sampler = sampler
        self.batch_size = batch_size
        self.drop_last = getattr(self.batches, "drop_last", False)
        self.seed = seed
        self.rank = get_dist_info()[0]
        self.offset = 0

    def __iter__(self) -> Iterator[list[Draw]]:  # type: ignore[override]
        epoch = getattr(self.sampler, "epoch", 0)
        offset, self.offset = self.offset, 0
        position = 0
        for batch in self.batches:
            first, position = position, position + len(batch)
            if first >= offset:
                yield [
                    Draw(index, (self.seed, epoch, self.rank, first + number))
                    for number, index in enumerate(batch)
                ]

    def __len__(self) -> int:
        return len(self.batches)

    def skip(self, samples: int) -> None:
        """Leave out the batches of this rank's first samples of the epoch that comes next."""
        self.offset = samples


def _check_replayable(dataset: Any, name: str) -> None:
    if not draws_by_key(dataset):
        raise ValueError(
            f"{name} needs an mmrbdc.ReplayableDataset, got {type(dataset).__name__}: wrap the "
            "data set in dict(type='mmrbdc.ReplayableDataset', dataset=...)"
        )


def replayable(loader: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """A training loader's config whose augmentation can be replayed; one of which it is known
    already, or whose data set has no indices, is given back as it is.

    Args:
        loader: left as it is.
        seed: of order and augmentation; the order's is the sampler's own where that names one.
    """
    made: dict[str, Any] = copy.deepcopy(dict(loader))
    dataset = made["dataset"]
    if issubclass(_kind(dataset), ReplayableDataset | IterableDataset):
        return made
    made["dataset"] = dict(type="mmrbdc.ReplayableDataset", dataset=dataset)
    sampler = made.get("sampler") or dict(type="DefaultSampler", shuffle=True)
    if made.get("batch_sampler"):
        made["sampler"] = sampler
        made["batch_sampler"] = dict(
            type="mmrbdc.ReplayableBatchSampler", batch_sampler=made["batch_sampler"], seed=seed
        )
    else:
        own = sampler.get("seed")
        made["sampler"] = dict(
            type="mmrbdc.ReplayableSampler", sampler=sampler, seed=seed if own is None else own
        )
    return made


def draws_by_key(dataset: Any) -> bool:
    """Whether a built data set's samples can be replayed."""
    # MMEngine's num_batch_per_epoch puts a slice around it.
    return isinstance(getattr(dataset, "_dataset", dataset), ReplayableDataset)


def is_replayable(loader: Mapping[str, Any]) -> bool:
    """Whether a loader's config is one that :func:`replayable` makes."""
    return issubclass(_kind(loader["dataset"]), ReplayableDataset)


def _kind(dataset: Any) -> type:
    """The class of a data set or its config; ``object`` where nobody knows it, which is an error
    when it is built.
    """
    kind = dataset.get("type") if isinstance(dataset, Mapping) else type(dataset)
    if isinstance(kind, str):
        with DATASETS.switch_scope_and_registry(None) as registry:
            kind = registry.get(kind)
    return kind if isinstance(kind, type) else object


@DATASETS.register_module()
class ReplayableDataset(Dataset):
    """Seed Python, numpy and torch from a sample's key, then fetch it from the wrapped data set.

    Whatever else is asked of it the wrapped data set answers, and what is set is set there:
    MMDetection's hooks exchange the pipeline of the data set that they find.

    Args:
        dataset: config of the data set; its pipeline may draw from any of the three global
            generators.
    """

    def __init__(self, dataset: dict) -> None:
        self.dataset = build_dataset(dataset)
        read_by_rules(self)

    def __getattr__(self, name: str) -> Any:
        if name == "dataset" or name.startswith("__"):  # while it is copied
            raise AttributeError(name)
        return getattr(self.dataset, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "dataset":
            object.__setattr__(self, name, value)
        else:
            setattr(self.dataset, name, value)

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, draw: Draw) -> Any:
        seed_all("sample", *draw.key)
        return self.dataset[draw.sample]
