"""The policies of a ResNet: what trains, next to MMDetection's own, and in a detector's step."""

import copy
from pathlib import Path

import pytest
import torch
from mmdet.models.backbones import ResNet as MMDetResNet
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmengine.structures import InstanceData
from torch.nn import SyncBatchNorm
from torch.nn.modules.batchnorm import _BatchNorm

from mmrbdc.models.backbones import ResNet, ResNetV1c, ResNetV1d
from mmrbdc.models.backbones.resnet import POLICIES

pytestmark = pytest.mark.numeric

MODEL = Path(__file__).parents[2] / "configs" / "_base_" / "models" / "mask-rcnn_resnet-micro.py"
NARROW = dict(depth=50, base_channels=4, stem_channels=4, out_indices=(0, 1, 2, 3))
MMDETS = {
    "frozen": dict(frozen_stages=1, norm_eval=True),
    "free": dict(frozen_stages=-1, norm_eval=False),
}
"""MMDetection's own words for the policies, written by hand."""


def ours(policy, images):
    """A narrow ResNet-50 of random weights, whose BatchNorms have seen some images."""
    backbone = ResNet(**NARROW)
    backbone.init_weights()
    with torch.no_grad():
        backbone(images)
    with_policy = revert_sync_batchnorm(ResNet(**NARROW, policy=policy))
    with_policy.load_state_dict(backbone.state_dict())
    return with_policy


def trains(backbone):
    """What of a backbone moves in training: parameters, and the statistics of BatchNorms."""
    backbone.eval()
    backbone.train()
    return (
        {name for name, parameter in backbone.named_parameters() if parameter.requires_grad},
        {name for name, m in backbone.named_modules() if isinstance(m, _BatchNorm) and m.training},
    )


def worst(maps, others):
    return max(
        ((a - b).abs().max() / b.abs().max()).item() for a, b in zip(maps, others, strict=True)
    )


@pytest.mark.parametrize("policy", POLICIES)
@torch.no_grad()
def test_a_policy_is_what_mmdetection_does(policy):
    """The same weights: equal maps in training and evaluation; the same moves."""
    images = torch.randn(2, 3, 64, 64)
    backbone = ours(policy, images).double()
    theirs = MMDetResNet(**NARROW, **MMDETS[policy]).double()
    theirs.load_state_dict(backbone.state_dict())
    images = images.double()
    assert trains(backbone) == trains(theirs)
    backbone.eval(), theirs.eval()
    assert worst(backbone(images), theirs(images)) < 1e-10
    backbone.train(), theirs.train()
    assert worst(backbone(images), theirs(images)) < 1e-10
    for tensor, other in zip(backbone.buffers(), theirs.buffers(), strict=True):
        torch.testing.assert_close(tensor, other, rtol=1e-10, atol=1e-10)


@torch.no_grad()
def test_twin_the_other_policy_is_not():
    images = torch.randn(2, 3, 64, 64)
    backbone = ours("frozen", images)
    theirs = MMDetResNet(**NARROW, **MMDETS["free"])
    theirs.load_state_dict(backbone.state_dict())
    parameters, norms = trains(backbone)
    their_parameters, their_norms = trains(theirs)
    assert parameters < their_parameters and norms < their_norms
    assert worst(backbone(images), theirs(images)) > 1e-3


@pytest.mark.parametrize("kind", [ResNet, ResNetV1c, ResNetV1d])
def test_frozen_is_the_stem_the_first_stage_and_all_statistics(kind):
    backbone = kind(**NARROW, policy="frozen")
    parameters, norms = trains(backbone)
    first = ("conv1.", "bn1.", "stem.", "layer1.")
    assert parameters == {
        name for name, _ in backbone.named_parameters() if not name.startswith(first)
    }
    assert norms == set()
    assert backbone.training


@pytest.mark.parametrize("kind", [ResNet, ResNetV1c, ResNetV1d])
def test_free_is_everything(kind):
    backbone = kind(**NARROW, policy="free")
    parameters, norms = trains(backbone)
    assert parameters == dict(backbone.named_parameters()).keys()
    modules = dict(backbone.named_modules())
    assert norms == {name for name, m in modules.items() if isinstance(m, _BatchNorm)}
    assert norms and all(isinstance(modules[name], SyncBatchNorm) for name in norms)


def test_what_a_run_can_store():
    assert ResNet(**NARROW, policy="frozen").training_policy == dict(
        name="frozen", frozen_stages=1, norm_eval=True, norm="BN"
    )
    assert ResNet(**NARROW, frozen_stages=0).training_policy == dict(
        name=None, frozen_stages=0, norm_eval=False, norm="BN"
    )


@pytest.mark.parametrize(
    "options, message",
    [
        (dict(policy="caffe"), "policy of a ResNet is 'caffe': choose 'free' or 'frozen'"),
        (dict(policy="free", frozen_stages=1), "but frozen_stages=1 is given too"),
        (dict(policy="frozen", norm_cfg=dict(type="BN")), r"but norm_cfg=\{'type': 'BN'\} is"),
    ],
)
def test_a_policy_stands_alone(options, message):
    with pytest.raises(ValueError, match=message):
        ResNet(**NARROW, **options)


@pytest.fixture
def detector(tmp_path, request):
    """A micro Mask R-CNN as MMEngine's runner makes it on one CPU process."""
    init_default_scope("mmdet")
    config = copy.deepcopy(Config.fromfile(MODEL).model)
    config.backbone.update(policy=request.param, zero_init_residual=False)
    runner = Runner(
        model=config,
        work_dir=str(tmp_path),
        experiment_name=tmp_path.name,
        default_scope="mmdet",
        log_level="WARNING",
    )
    runner.model.init_weights()
    return runner.model


def batch():
    """Two images of noise with a square object each."""
    samples = []
    for _ in range(2):
        instances = InstanceData(
            bboxes=torch.tensor([[16.0, 16.0, 80.0, 80.0]]),
            labels=torch.tensor([1]),
            masks=BitmapMasks(torch.ones(1, 128, 128).numpy().astype("uint8"), 128, 128),
        )
        meta = dict(img_shape=(128, 128), ori_shape=(128, 128), scale_factor=(1.0, 1.0))
        sample = DetDataSample(gt_instances=instances, metainfo=meta)
        samples.append(sample)
    images = [torch.randint(0, 256, (3, 128, 128), dtype=torch.uint8) for _ in samples]
    return dict(inputs=images, data_samples=samples)


def one_step(detector):
    """Take a training step, weight decay included.

    Returns:
        Names of the backbone's parameters with a gradient, and of its tensors that moved.
    """
    before = {name: t.clone() for name, t in detector.backbone.state_dict().items()}
    optimizer = torch.optim.SGD(detector.parameters(), lr=0.1, weight_decay=0.1)
    detector.train()
    losses = detector(**detector.data_preprocessor(batch(), training=True), mode="loss")
    loss, _ = detector.parse_losses(losses)
    loss.backward()
    optimizer.step()
    assert loss.isfinite()
    after = detector.backbone.state_dict()
    return (
        {name for name, p in detector.backbone.named_parameters() if p.grad is not None},
        {name for name in before if not torch.equal(before[name], after[name])},
    )


@pytest.mark.parametrize("detector", ["frozen"], indirect=True)
def test_frozen_in_a_detector(detector):
    """Frozen parameters get no gradient and do not move, and no statistic does."""
    with_gradient, moved = one_step(detector)
    assert with_gradient == moved == trains(detector.backbone)[0]
    assert moved < dict(detector.backbone.named_parameters()).keys()


@pytest.mark.parametrize("detector", ["free"], indirect=True)
def test_free_in_a_detector_on_one_process(detector):
    """The twin of the above: SyncBN became BN, and every tensor moves, statistics included."""
    assert not any(isinstance(module, SyncBatchNorm) for module in detector.modules())
    with_gradient, moved = one_step(detector)
    assert with_gradient == dict(detector.backbone.named_parameters()).keys()
    assert moved == detector.backbone.state_dict().keys()
