"""Variances of residual streams, and parents that couple exactly once they are matched."""

import copy

import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmengine.registry import DATASETS, MODELS
from mmpretrain.models import ClsDataPreprocessor
from tiny_runs import BATCH, stage_run, staged

from mmrbdc.engine.calibrate import calibrate_streams, calibration_loader, stream_variances
from mmrbdc.engine.model_cost import stage_model
from mmrbdc.families import architecture_from_config
from mmrbdc.growth import GrowthError, centre_stream, grow, scale_stream, stream_norms
from mmrbdc.plan import PlanError

pytestmark = pytest.mark.numeric


@MODELS.register_module()
class DoubleInputs(ClsDataPreprocessor):
    """Images in float64."""

    def forward(self, data, training=False):
        data = super().forward(data, training)
        return dict(data, inputs=data["inputs"].double())


@pytest.fixture(scope="module", autouse=True)
def _float64():
    """Models are built in it."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


class Place:
    """A narrow DeiT of the tiny protocol, random weights of it, and its data."""

    def __init__(self, images, folder, family="deit"):
        self.cfg = staged(images, folder, family)
        self.model_cfg = stage_run(self.cfg).model.member
        self.model_cfg.data_preprocessor = dict(self.cfg.data_preprocessor, type="DoubleInputs")
        if family == "deit":
            self.model_cfg.backbone.norm_cfg = dict(type="LN", eps=0.0)  # else exact up to eps
        self.architecture = architecture_from_config(self.model_cfg)
        self.layout = self.architecture.layout()

    def classifier(self, seed=None, wider=1):
        cfg = self.architecture.scaled(wider).classifier_config(self.model_cfg)
        model = MODELS.build(copy.deepcopy(cfg)).eval()
        if seed is not None:
            draw = torch.Generator().manual_seed(seed)
            for name, tensor in model.state_dict().items():
                mean = 1.0 if tensor.ndim == 1 and name.endswith("weight") else 0.0
                tensor.normal_(mean, 0.3, generator=draw)
        return model

    def loader(self):
        return calibration_loader(self.cfg, seed=1)


@pytest.fixture(scope="module")
def place(images, tmp_path_factory):
    return Place(images, tmp_path_factory.mktemp("calibrate"))


def inputs(count, seed=0):
    return torch.randn(count, 3, 16, 16, generator=torch.Generator().manual_seed(seed))


def by_hand(model, layout, batch):
    """(L,) from the norms' own inputs, all tokens of all images at once."""
    seen, hooks = [], []
    for name in stream_norms(layout):
        norm = model.get_submodule(name)
        hooks.append(norm.register_forward_pre_hook(lambda _, args: seen.append(args[0])))
    with torch.no_grad():
        model(batch)
    for hook in hooks:
        hook.remove()
    return torch.stack([x.double().flatten(0, -2).var(1, correction=0).mean() for x in seen])


def test_variances_are_means_over_all_tokens_and_images(place):
    model, batch = place.classifier(1), inputs(5)
    expected = by_hand(model, place.layout, batch)
    uneven = stream_variances(model, place.layout, batch.split(3))
    assert torch.allclose(uneven, expected, rtol=1e-10) and uneven.dtype == torch.float64
    parts = [by_hand(model, place.layout, part) for part in batch.split(3)]
    twin = torch.stack(parts).mean(0)
    assert not torch.allclose(twin, expected, rtol=1e-5)


def test_the_model_is_measured_in_eval_mode_and_left_in_its_own(place):
    model, batch = place.classifier(1), inputs(8)
    expected = by_hand(model, place.layout, batch)
    model.train()
    assert torch.allclose(stream_variances(model, place.layout, [batch]), expected, rtol=1e-10)
    assert model.training and not any(m._forward_pre_hooks for m in model.modules())
    twin = by_hand(model, place.layout, batch)  # drop-path at work
    assert not torch.allclose(twin, expected, rtol=1e-3)


def shifted_and_scaled(place, state, factor, shift):
    """The same function with another stream: scaled, and every token's mean moved."""
    state = scale_stream(state, place.layout, factor)
    name = "backbone.pos_embed"
    return {**state, name: state[name] + shift}


@pytest.fixture(scope="module")
def kin(place):
    """One function under three streams: as it is, three times as large, half as large."""
    state = place.classifier(1).state_dict()
    return [
        state,
        shifted_and_scaled(place, state, 3.0, 2.0),
        shifted_and_scaled(place, state, 0.5, -1.0),
    ]


def test_factors_undo_what_parents_differ_by(place, kin):
    found = calibrate_streams(kin, place.model_cfg, place.loader(), 2)
    expected = torch.tensor([1, 1 / 3, 2], dtype=torch.float64) * 1.5 ** (1 / 3)
    assert torch.allclose(found.factors, expected, rtol=1e-10)
    assert found.variances.shape == (3, len(stream_norms(place.layout)))


@pytest.mark.parametrize("batches, seen", [(1, BATCH), (2, 2 * BATCH), (99, 20)])
def test_every_forward_pass_is_charged(place, kin, batches, seen):
    """A loader that is shorter than what was asked for is used up."""
    found = calibrate_streams(kin, place.model_cfg, place.loader(), batches)
    forward = stage_model(place.model_cfg, (16, 16)).forward_flops
    assert found.images == seen
    assert found.flops == forward * seen * 3


def gap(place, parents):
    """How far the coupled child's logits are from its parents' mean, relative."""
    wide = place.architecture.scaled(len(parents))
    child = place.classifier(wider=len(parents))
    child.load_state_dict(grow(parents, wide.layout()).state_dict)
    model, batch, logits = place.classifier(), inputs(6), []
    with torch.no_grad():
        for parent in parents:
            model.load_state_dict(parent)
            logits.append(model(batch))
        mean = torch.stack(logits).mean(0)
        return float((child(batch) - mean).abs().max() / mean.abs().max())


def test_matched_parents_of_one_function_couple_exactly(place, kin):
    """As they come, without factors or without centring they do not."""
    factors = calibrate_streams(kin, place.model_cfg, place.loader(), 2).factors.tolist()
    centred = [centre_stream(state, place.layout) for state in kin]
    pairs = zip(centred, factors, strict=True)
    assert gap(place, [scale_stream(s, place.layout, f) for s, f in pairs]) < 1e-10
    uncentred = zip(kin, factors, strict=True)
    twins = [kin, centred, [scale_stream(s, place.layout, f) for s, f in uncentred]]
    assert all(gap(place, twin) > 1e-2 for twin in twins)


def test_the_loader_gives_train_images_without_augmentation(place):
    dataset = copy.deepcopy(place.cfg.train_dataloader.dataset)
    dataset.pipeline = place.cfg.val_dataloader.dataset.pipeline
    built = DATASETS.build(dataset)
    plain = pseudo_collate([built[i] for i in range(len(built))])["inputs"]
    batches = [batch["inputs"] for batch in place.loader()]
    again = [batch["inputs"] for batch in place.loader()]
    found = torch.cat(batches)
    assert all(torch.equal(a, b) for a, b in zip(batches, again, strict=True))
    assert sorted(image.sum().item() for image in found) == sorted(i.sum().item() for i in plain)
    assert not torch.equal(found, torch.stack(plain))
    other = torch.cat([batch["inputs"] for batch in calibration_loader(place.cfg, seed=2)])
    assert not torch.equal(found, other)


def test_the_pipeline_is_found_inside_wrappers(place):
    cfg = copy.deepcopy(place.cfg)
    inner = cfg.train_dataloader.dataset
    cfg.train_dataloader.dataset = dict(type="RepeatDataset", times=2, dataset=inner)
    assert sum(len(batch["inputs"]) for batch in calibration_loader(cfg, seed=1)) == 40


def test_without_validation_the_test_split_says_how_an_image_is_prepared(place):
    cfg = copy.deepcopy(place.cfg)
    cfg.val_dataloader = None
    batches = [batch["inputs"] for batch in calibration_loader(cfg, seed=1)]
    pairs = zip(batches, place.loader(), strict=True)
    assert all(torch.equal(ours, theirs["inputs"]) for ours, theirs in pairs)
    cfg.test_dataloader = None
    with pytest.raises(PlanError, match="neither val_dataloader nor test_dataloader"):
        calibration_loader(cfg, seed=1)


def test_nothing_to_calibrate_on_is_refused(place, kin):
    with pytest.raises(PlanError, match=r"no batch .*\(0 asked for\)"):
        calibrate_streams(kin, place.model_cfg, place.loader(), 0)


def test_batchnorm_is_refused_before_anything_is_decoded(images, tmp_path):
    resnet = Place(images, tmp_path, "resnet")
    states = [resnet.classifier().state_dict() for _ in range(2)]
    with pytest.raises(GrowthError, match="BatchNorm works channel by channel"):
        calibrate_streams(states, resnet.model_cfg, iter(()), 2)
