"""One decoding, k augmentations: a view depends on its own seed and the sample's key alone."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from mmengine.registry import DATASETS, DefaultScope
from mmengine.runner import Runner

from mmrbdc.datasets import DataError, Draw, ReplayableDataset
from mmrbdc.datasets.views import Views

PIPELINE = [
    dict(type="LoadImageFromFile"),
    dict(type="RandomResizedCrop", scale=12),
    dict(type="RandomFlip", prob=0.5),
    dict(type="RandomErasing", erase_prob=1.0, mode="rand"),
    dict(type="PackInputs"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("views")
    draw = np.random.default_rng(0)
    for number in range(6):
        path = root / "train" / f"class{number % 2}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), draw.integers(0, 256, (16, 16, 3), dtype=np.uint8))
    return root


def config(folder, pipeline=PIPELINE):
    return dict(type="CustomDataset", data_root=str(folder), data_prefix="train", pipeline=pipeline)


def data_set(folder, views, pipeline=PIPELINE):
    with DefaultScope.overwrite_default_scope("mmpretrain"):
        return ReplayableDataset(config(folder, pipeline), views=views)


def images(data, sample=3, key=(7, 0, 0, 3)):
    return data[Draw(sample, key)]["inputs"]


def test_a_view_is_the_same_alone_and_among_others(folder):
    together = images(data_set(folder, [11, 22, 33]))
    assert len(together) == 3
    assert torch.equal(together[1], images(data_set(folder, [22]))[0])
    assert torch.equal(together[2], images(data_set(folder, [33, 11]))[0])
    assert not torch.equal(together[0], together[1])


def test_a_view_is_drawn_from_the_samples_key(folder):
    data = data_set(folder, [11, 22])
    first = images(data)
    torch.rand(1)
    assert torch.equal(first[0], images(data)[0])
    assert not torch.equal(first[0], images(data, key=(7, 1, 0, 3))[0])


def test_an_image_is_decoded_once(folder):
    data = data_set(folder, [11, 22, 33])
    load = data.dataset.pipeline.transforms[-1]
    assert [type(t).__name__ for t in data.dataset.pipeline.transforms] == ["LoadImageFromFile"]
    calls = []
    read = load.transform
    load.transform = lambda results: calls.append(1) or read(results)
    images(data)
    assert len(calls) == 1


def test_twin_without_a_copy_one_view_spoils_the_next(folder, monkeypatch):
    """RandomErasing writes into the decoded image itself where no crop made a copy."""
    pipeline = [PIPELINE[0], *PIPELINE[3:]]
    right = images(data_set(folder, [11, 22], pipeline))
    assert torch.equal(right[1], images(data_set(folder, [22], pipeline))[0])
    data = data_set(folder, [11, 22], pipeline)
    monkeypatch.setattr("mmrbdc.datasets.views.copy", SimpleNamespace(deepcopy=dict))
    spoiled = images(data)
    assert not torch.equal(spoiled[1], right[1])


def test_without_a_loading_transform_every_view_has_the_whole_pipeline(folder):
    data = data_set(folder, [1, 2], PIPELINE[1:]).views
    assert len(data.augment.transforms) == len(PIPELINE) - 1


@pytest.mark.parametrize("workers", [0, 1])
def test_a_batch_has_one_batch_a_view(folder, workers):
    loader = dict(
        batch_size=4,
        num_workers=workers,
        collate_fn=dict(type="default_collate"),
        dataset=dict(type="mmrbdc.ReplayableDataset", dataset=config(folder), views=[11, 22, 33]),
        sampler=dict(
            type="mmrbdc.ReplayableSampler",
            sampler=dict(type="DefaultSampler", shuffle=True),
            seed=7,
        ),
    )
    with DefaultScope.overwrite_default_scope("mmpretrain"):
        batch = next(iter(Runner.build_dataloader(loader, seed=0)))
    assert [tuple(own.shape) for own in batch["inputs"]] == [(4, 3, 12, 12)] * 3
    labels = [[int(sample.gt_label) for sample in own] for own in batch["data_samples"]]
    assert len(labels[0]) == 4 and labels[0] == labels[1] == labels[2]


def test_what_cannot_be_split_is_refused(folder):
    with DefaultScope.overwrite_default_scope("mmpretrain"):
        wrapped = DATASETS.build(dict(type="RepeatDataset", dataset=config(folder), times=2))
    with pytest.raises(DataError, match=r"RepeatDataset has no pipeline .*'shared'"):
        Views(wrapped, [1, 2])
    with pytest.raises(DataError, match=r"\[4, 4\]"):
        data_set(folder, [4, 4])


def test_a_view_that_fails_names_its_image(folder):
    data = data_set(folder, [1, 2])
    data.views.augment = lambda results: None
    with pytest.raises(DataError, match=r"nothing for .*\.png"):
        images(data)
