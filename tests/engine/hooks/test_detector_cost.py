"""What a fine-tuning costs is counted on its real steps, and counting changes none of them."""

import json
import random

import numpy as np
import pytest
import torch
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import nn
from torch.nn import functional as F

from mmrbdc.engine import DetectorCostHook
from mmrbdc.plan import training_flops_per_sample

IMAGES, BATCH, CHANNELS = 24, 2, 8


class Net(nn.Module):
    """Convolutions, attention over the pixels, dropout."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, CHANNELS, 3, padding=1)
        self.qkv = nn.Conv2d(CHANNELS, 3 * CHANNELS, 1)

    def forward(self, x):
        q, k, v = self.qkv(self.stem(x)).flatten(2).mT.unsqueeze(1).chunk(3, dim=-1)
        return F.dropout(F.scaled_dot_product_attention(q, k, v), 0.2, self.training)


class Detector(BaseModel):
    """The smallest model with a backbone that MMEngine trains."""

    def __init__(self, frozen=False):
        super().__init__()
        self.backbone = Net()
        self.head = nn.Linear(CHANNELS, 1)
        self.backbone.requires_grad_(not frozen)

    def forward(self, inputs, data_samples=None, mode="tensor"):
        return {"loss": self.head(self.backbone(inputs)).square().mean()}


class Whole(nn.Module):
    """The detector as a plain module, to be counted from outside."""

    def __init__(self, detector):
        super().__init__()
        self.detector = detector

    def forward(self, x):
        return self.detector.head(self.detector.backbone(x))


class SecondForward(Hook):
    """The twin: counting on a forward pass of its own."""

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        runner.model(data_batch["inputs"], mode="loss")


class Stop(Hook):
    """A kill in the second epoch, of which no checkpoint is left."""

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter == 15:
            raise KeyboardInterrupt


def images(sizes):
    generator = torch.Generator().manual_seed(3)
    return [
        dict(inputs=torch.rand(3, 8, sizes[i // BATCH % len(sizes)], generator=generator))
        for i in range(IMAGES)
    ]


def train(folder, *hooks, sizes=(8,), frozen=False, epochs=2, resume=None):
    random.seed(0), np.random.seed(0), torch.manual_seed(0)
    runner = Runner(
        model=Detector(frozen),
        work_dir=str(folder),
        train_dataloader=dict(
            dataset=images(sizes),
            batch_size=BATCH,
            sampler=dict(type="DefaultSampler", shuffle=False),
            collate_fn=dict(type="default_collate"),
        ),
        train_cfg=dict(by_epoch=True, max_epochs=epochs),
        optim_wrapper=dict(optimizer=dict(type="SGD", lr=0.1)),
        default_hooks=dict(checkpoint=dict(type="mmrbdc.CheckpointHook", interval=1)),
        custom_hooks=list(hooks),
        load_from=resume,
        resume=resume is not None,
        experiment_name=f"cost-{random.getrandbits(40)}-{folder.name}",
        log_level="WARNING",
        randomness=dict(seed=0),
    )
    runner.train()
    return runner.model


def cost(folder):
    return json.loads((folder / "cost.json").read_text())


def by_hand(model, width):
    return training_flops_per_sample(Whole(model), torch.zeros(1, 3, 8, width))


def test_it_is_the_ledgers_count_times_the_images(tmp_path):
    model = train(tmp_path, DetectorCostHook(samples=5))
    found = cost(tmp_path)
    assert found["images"] == 2 * IMAGES and found["iterations"] == 24
    assert found["counted_iterations"] == 5
    assert found["train_flops"] == pytest.approx(2 * IMAGES * by_hand(model, 8), rel=1e-12)
    parameters = sum(p.numel() for p in model.parameters())
    assert found["parameters"] == found["trainable_parameters"] == parameters
    assert found["parameters"] - found["backbone_parameters"] == CHANNELS + 1


def test_frozen_layers_cost_less(tmp_path):
    model = train(tmp_path, DetectorCostHook(), frozen=True)
    found = cost(tmp_path)
    assert found["train_flops"] == pytest.approx(2 * IMAGES * by_hand(model, 8), rel=1e-12)
    model.requires_grad_(True)
    assert found["train_flops"] < 0.5 * 2 * IMAGES * by_hand(model, 8)
    assert found["trainable_parameters"] == CHANNELS + 1


def test_a_few_iterations_stand_for_images_of_several_sizes(tmp_path):
    sizes = (7, 8, 9, 10, 12)
    model = train(tmp_path, DetectorCostHook(samples=6), sizes=sizes)
    widths = [image["inputs"].shape[2] for image in images(sizes)]
    exact = 2 * sum(by_hand(model, width) for width in widths)
    assert cost(tmp_path)["train_flops"] == pytest.approx(exact, rel=0.1)
    every = tmp_path / "every"
    train(every, DetectorCostHook(samples=100), sizes=sizes)
    assert cost(every)["counted_iterations"] == 24
    assert cost(every)["train_flops"] == pytest.approx(exact, rel=1e-12)


@pytest.mark.parametrize(
    ("hook", "neutral"), [(DetectorCostHook(), True), (SecondForward(), False)]
)
def test_the_training_is_the_same_to_the_last_bit(tmp_path, hook, neutral):
    """A count on a forward pass of its own draws other dropout, and is found."""
    plain = train(tmp_path / "plain").state_dict()
    drawn = torch.rand(4)
    counted = train(tmp_path / "counted", hook).state_dict()
    equal = [torch.equal(plain[name], counted[name]) for name in plain]
    assert all(equal) == neutral
    assert torch.equal(drawn, torch.rand(4)) == neutral


def test_the_model_is_left_as_it_was(tmp_path):
    model = train(tmp_path, DetectorCostHook())
    assert "forward" not in vars(model)


def test_a_resumed_run_counts_on_and_lost_work_is_not_counted(tmp_path):
    train(tmp_path / "unbroken", DetectorCostHook())
    broken = tmp_path / "broken"
    with pytest.raises(KeyboardInterrupt):
        train(broken, DetectorCostHook(), Stop())
    assert not (broken / "cost.json").exists()
    train(broken, DetectorCostHook(), resume=str(broken / "epoch_1.pth"))
    for key in ("train_flops", "images", "pixels", "iterations"):
        assert cost(broken)[key] == cost(tmp_path / "unbroken")[key]


def test_what_is_not_known_is_not_written(tmp_path):
    """A run that began without the hook has no cost that could be stated."""
    train(tmp_path, epochs=1)
    train(tmp_path, DetectorCostHook(), resume=str(tmp_path / "epoch_1.pth"))
    assert not (tmp_path / "cost.json").exists()


def test_no_samples_are_refused():
    with pytest.raises(ValueError, match="samples=0"):
        DetectorCostHook(samples=0)
