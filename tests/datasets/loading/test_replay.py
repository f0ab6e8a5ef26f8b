"""An epoch can be replayed from its first sample, whatever was drawn before and by how many."""

import itertools
import pickle

import cv2
import numpy as np
import pytest
import torch
from mmengine.dataset import Compose
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from torch.utils.data import BatchSampler

from mmrbdc.datasets import ReplayableDataset, ReplayableSampler
from mmrbdc.datasets.loading.replay import is_replayable, replayable
from mmrbdc.seeding import seed_all

IMAGES = 13
WRAPPED = dict(type="DefaultSampler", shuffle=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("replay")
    draw = np.random.default_rng(0)
    for number in range(IMAGES):
        path = root / "train" / f"class{number % 2}" / f"{number:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), draw.integers(0, 256, (16, 16, 3), dtype=np.uint8))
    return root


def data_set(folder):
    """Augmentations that draw from Python's, numpy's and torch's generators."""
    return dict(
        type="CustomDataset",
        data_root=str(folder),
        data_prefix="train",
        pipeline=[
            dict(type="LoadImageFromFile"),
            dict(type="RandomResizedCrop", scale=12),
            dict(type="RandomFlip", prob=0.5),
            dict(type="ColorJitter", brightness=0.4, contrast=0.4),
            dict(type="PackInputs"),
        ],
    )


def loader(folder, workers=0, seed=7, wrapped=WRAPPED):
    config = dict(
        batch_size=4,
        num_workers=workers,
        persistent_workers=workers > 0,
        collate_fn=dict(type="default_collate"),
        dataset=dict(type="mmrbdc.ReplayableDataset", dataset=data_set(folder)),
        sampler=dict(type="mmrbdc.ReplayableSampler", sampler=wrapped, seed=seed),
    )
    with DefaultScope.overwrite_default_scope("mmpretrain"):
        return Runner.build_dataloader(config, seed=0)


def plain_loader(folder, workers=0):
    """MMEngine's own, seeded as its runner seeds it."""
    config = dict(
        batch_size=4,
        num_workers=workers,
        persistent_workers=workers > 0,
        collate_fn=dict(type="default_collate"),
        dataset=data_set(folder),
        sampler=WRAPPED,
    )
    with DefaultScope.overwrite_default_scope("mmpretrain"):
        return Runner.build_dataloader(config, seed=7)


def epoch(loader, number):
    """Images and labels of one epoch, in order."""
    loader.sampler.set_epoch(number)
    batches = list(loader)
    images = torch.cat([batch["inputs"] for batch in batches])
    labels = [sample.gt_label for batch in batches for sample in batch["data_samples"]]
    return images, torch.cat(labels)


def same(left, right):
    return all(torch.equal(a, b) for a, b in zip(left, right, strict=True))


@pytest.fixture(scope="module")
def epochs(folder):
    """Epochs 0 to 3 as a process without workers sees them."""
    run = loader(folder)
    return [epoch(run, number) for number in range(4)]


def test_epochs_differ_in_order_and_in_augmentation(epochs):
    assert len(epochs[0][0]) == IMAGES
    assert not any(same(a, b) for a, b in itertools.combinations(epochs, 2))
    assert not torch.equal(epochs[0][0].sort(0).values, epochs[1][0].sort(0).values)


@pytest.mark.parametrize("workers", [1, 2])
def test_the_number_of_workers_changes_nothing(folder, epochs, workers):
    run = loader(folder, workers)
    for number in (0, 1, 2):
        assert same(epoch(run, number), epochs[number])


@pytest.mark.parametrize("workers", [0, 1])
def test_an_epoch_can_be_the_first_of_a_process(folder, epochs, workers):
    seed_all("whatever was drawn before")
    assert same(epoch(loader(folder, workers), 3), epochs[3])


def test_an_epoch_does_not_depend_on_how_far_the_one_before_came(folder, epochs):
    run = loader(folder, workers=1)
    next(iter(run))
    assert same(epoch(run, 2), epochs[2])


@pytest.mark.parametrize("workers", [0, 1])
def test_twin_a_plain_loader_depends_on_its_history(folder, workers):
    early, late = plain_loader(folder, workers), plain_loader(folder, workers)
    seed_all("start")
    first = epoch(early, 3)
    seed_all("start")
    epoch(late, 2)
    assert not same(epoch(late, 3), first)


def test_twin_a_plain_loader_depends_on_its_workers(folder):
    assert not same(epoch(plain_loader(folder, 1), 0), epoch(plain_loader(folder, 2), 0))


def test_the_seed_decides(folder, epochs):
    assert not same(epoch(loader(folder, seed=8), 0), epochs[0])


def test_repeated_samples_are_augmented_each_by_its_own_key(folder):
    """DeiT's repeated augmentation: one image several times an epoch, never the same pixels."""
    run = loader(folder, wrapped=dict(type="RepeatAugSampler", shuffle=True, num_repeats=3))
    sampler, data = run.sampler, run.dataset
    draws = list(sampler)
    images = {}
    for draw in draws:
        images.setdefault(draw.sample, []).append(data[draw]["inputs"])
    repeated = [group for group in images.values() if len(group) > 1]
    assert repeated and len(draws) == len(sampler)
    assert not any(torch.equal(*pair) for g in repeated for pair in itertools.combinations(g, 2))


def in_pairs(folder, workers):
    """Images of one class batched together, as MMDetection batches those of one aspect ratio."""
    config = dict(
        batch_size=2,
        num_workers=workers,
        persistent_workers=workers > 0,
        collate_fn=dict(type="default_collate"),
        dataset=data_set(folder),
        sampler=WRAPPED,
        batch_sampler=dict(type=ByClass),
    )
    with DefaultScope.overwrite_default_scope("mmpretrain"):
        made = replayable(config, seed=7)
        assert made == replayable(made, seed=8) and is_replayable(made)
        return Runner.build_dataloader(made, seed=7)


class ByClass(BatchSampler):
    """Asks the data set, as such samplers do, and keeps what is left of an epoch that is cut."""

    def __init__(self, sampler, batch_size):
        super().__init__(sampler, batch_size, drop_last=True)
        self.groups = {0: [], 1: []}

    def __iter__(self):
        for index in self.sampler:
            group = self.groups[self.sampler.dataset.get_data_info(index)["gt_label"]]
            group.append(index)
            if len(group) == self.batch_size:
                yield group[:]
                group.clear()
        self.groups = {0: [], 1: []}


@pytest.mark.parametrize("workers", [0, 1])
def test_batches_of_another_sampler_can_be_replayed_from_any_of_them(folder, workers):
    whole = in_pairs(folder, 0)
    for number in (0, 1):
        whole.batch_sampler.sampler.set_epoch(number)
        expected = [batch["inputs"] for batch in whole]
    later = in_pairs(folder, workers)
    later.batch_sampler.sampler.set_epoch(1)
    later.batch_sampler.skip(2 * 2)
    found = [batch["inputs"] for batch in later]
    assert len(found) == len(expected) - 2 > 1 and same(found, expected[2:])
    assert same([batch["inputs"] for batch in later], expected)  # the epoch after has all


def test_ranks_see_different_augmentation(folder):
    run = loader(folder)
    first = next(iter(run.sampler))
    run.sampler.rank = 1
    other = next(iter(run.sampler))
    assert first.sample == other.sample and first.key != other.key
    assert not torch.equal(run.dataset[first]["inputs"], run.dataset[other]["inputs"])


def test_the_wrapper_hides_nothing_that_a_run_needs(folder):
    data = loader(folder).dataset
    assert isinstance(data, ReplayableDataset)
    assert len(data) == IMAGES
    assert data.metainfo["classes"] == ("class0", "class1")


def test_a_pipeline_that_a_hook_exchanges_is_the_one_that_is_used(folder):
    """As MMDetection's PipelineSwitchHook does, in this process and for workers to come."""
    for workers in (0, 1):
        batches = loader(folder, workers)
        data = batches.dataset
        data.pipeline = Compose([data.pipeline.transforms[0], Marked()])
        assert data.dataset.pipeline is data.pipeline
        batch = next(iter(batches))
        assert batch["marked"].tolist() == [True] * 4
        assert pickle.loads(pickle.dumps(data)).metainfo == data.metainfo


class Marked:
    def __call__(self, results):
        return dict(marked=True)


def test_a_data_set_that_cannot_be_replayed_is_refused(folder):
    data = plain_loader(folder).dataset
    with pytest.raises(ValueError, match="got CustomDataset.*mmrbdc.ReplayableDataset"):
        ReplayableSampler(data, WRAPPED, seed=0)


def test_repeated_augmentation_on_one_process(folder):
    """MMPretrain's sampler: an epoch as long as the data set, a third of it different images."""
    batches = loader(folder, wrapped=dict(type="RepeatAugSampler", num_repeats=3))
    draws = list(batches.sampler)
    counts = {draw.sample: 0 for draw in draws}
    for draw in draws:
        counts[draw.sample] += 1
    assert len(draws) == IMAGES and sorted(counts.values(), reverse=True) == [3, 3, 3, 3, 1]
    first, second = (batches.dataset[draw]["inputs"] for draw in draws[:2])
    assert draws[0].sample == draws[1].sample and not torch.equal(first, second)


@pytest.mark.parametrize("workers", [0, 2])
def test_an_epoch_can_be_begun_in_its_middle(folder, epochs, workers):
    run = loader(folder, workers)
    run.sampler.set_epoch(3)
    run.sampler.skip(8)
    images = torch.cat([batch["inputs"] for batch in run])
    assert torch.equal(images, epochs[3][0][8:])
    assert same(epoch(run, 3), epochs[3])
