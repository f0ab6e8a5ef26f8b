"""LayerNorm statistics by block: exact at a junction, plain LayerNorm at the ramp's end."""

import copy

import pytest
import torch
from mmengine.hooks import EMAHook
from mmengine.registry import MODELS
from mmpretrain.models.utils import LayerNorm2d
from numerics import assert_float32
from tiny_runs import ITERS_PER_EPOCH, differing, stage_run, staged, train
from torch import nn
from torch._dynamo.testing import CompileCounter
from torch.nn.functional import layer_norm

from mmrbdc.engine.joint_norm import BlockLayerNorm, JointNormRampHook, set_norm_blend
from mmrbdc.families import architecture_from_config
from mmrbdc.growth import grow

pytestmark = pytest.mark.numeric

POOLED = dict(out_type="avg_featmap", head="LinearClsHead")
VARIANTS = {
    "plain": dict(),
    "pre_norm": dict(pre_norm=True),
    "no_final_norm": dict(final_norm=False),
    "layer_scale": dict(layer_scale_init_value=0.1),
    "pooled": POOLED,
    "distilled": dict(backbone="DistilledVisionTransformer", head="DeiTClsHead"),
}


def config(backbone="VisionTransformer", head="VisionTransformerClsHead", **options):
    arch = dict(embed_dims=32, num_layers=2, num_heads=4, feedforward_channels=64)
    return dict(
        type="ImageClassifier",
        backbone=dict(type=backbone, arch=arch, img_size=16, patch_size=8, **options),
        head=dict(type=head, num_classes=5, in_channels=32),
    )


def classifier(cfg, seed=None):
    model = MODELS.build(copy.deepcopy(cfg)).double().eval()
    if seed is not None:
        draw = torch.Generator().manual_seed(seed)
        for name, tensor in model.state_dict().items():
            mean = 1.0 if tensor.ndim == 1 and name.endswith("weight") else 0.2
            tensor.normal_(mean, 0.3, generator=draw)
    return model


class Coupled:
    """A child of ``count`` random parents, and how far it is from their ensemble."""

    def __init__(self, count, **options):
        cfg = config(**options)
        architecture = architecture_from_config(cfg)
        narrow = architecture.scaled(1 / count).classifier_config(cfg)
        self.parents = [classifier(narrow, seed) for seed in range(count)]
        self.child = classifier(cfg)
        states = [parent.state_dict() for parent in self.parents]
        self.child.load_state_dict(grow(states, architecture.layout()).state_dict)
        draw = torch.Generator().manual_seed(9)
        self.images = torch.randn(3, 3, 16, 16, generator=draw, dtype=torch.float64)

    def logits(self, dtype=torch.float64):
        """The child's."""
        with torch.no_grad():
            logits = copy.deepcopy(self.child).to(dtype)(self.images.to(dtype))
        return logits

    def gap(self):
        """Largest difference of a logit, relative."""
        with torch.no_grad():
            mean = torch.stack([parent(self.images) for parent in self.parents]).mean(0)
        logits = self.logits()
        return float((logits - mean).abs().max() / mean.abs().max())


@pytest.mark.parametrize("count", [2, 4])
@pytest.mark.parametrize("options", VARIANTS.values(), ids=VARIANTS)
def test_with_statistics_by_block_the_child_is_its_parents_ensemble(count, options):
    coupled = Coupled(count, **options)
    assert coupled.gap() > 1e-3  # the twin: the plain rule
    set_norm_blend(coupled.child, count, 0)
    assert coupled.gap() < 1e-10
    assert_float32(coupled.logits, [coupled.logits(torch.float32)])


def test_twin_blocks_of_two_parents_each():
    coupled = Coupled(4)
    set_norm_blend(coupled.child, 2, 0)
    assert coupled.gap() > 1e-3


def test_twin_one_norm_left_joint():
    coupled = Coupled(2)
    set_norm_blend(coupled.child, 2, 0)
    set_norm_blend(coupled.child.backbone.layers[1], 2, 1)
    assert coupled.gap() > 1e-3


def test_the_gap_to_the_plain_rule_closes_along_the_ramp():
    coupled = Coupled(2)
    with torch.no_grad():
        joint = coupled.child(coupled.images)
        distances = []
        for a in (0, 0.25, 0.5, 0.75, 0.999):
            set_norm_blend(coupled.child, 2, a)
            distances.append(float((coupled.child(coupled.images) - joint).abs().max()))
    assert distances == sorted(distances, reverse=True)
    assert distances[-1] < 0.01 * distances[0]


@pytest.mark.parametrize("a", [1, 1.0, 7.5])
def test_at_the_end_every_norm_is_pytorchs_own_again(a):
    child = Coupled(2).child
    images = torch.randn(2, 3, 16, 16, dtype=torch.float64)
    with torch.no_grad():
        before = child(images)
        attributes = {name: set(vars(module)) for name, module in child.named_modules()}
        set_norm_blend(child, 2, 0.5)
        assert not torch.equal(child(images), before)
        set_norm_blend(child, 2, a)
        assert torch.equal(child(images), before)
    assert attributes == {name: set(vars(module)) for name, module in child.named_modules()}
    assert not any(isinstance(module, BlockLayerNorm) for module in child.modules())


def test_tensors_and_their_names_are_not_touched():
    child = Coupled(2).child
    before = child.state_dict(keep_vars=True)
    for a in (0, 0.5, 1):
        set_norm_blend(child, 2, a)
        after = child.state_dict(keep_vars=True)
        assert list(after) == list(before)
        assert all(after[name] is before[name] for name in before)


def test_a_copy_is_blended_as_its_original_and_apart_from_it():
    coupled = Coupled(2)
    set_norm_blend(coupled.child, 2, 0)
    original, coupled.child = coupled.child, copy.deepcopy(coupled.child)
    assert coupled.gap() < 1e-10
    set_norm_blend(coupled.child, 2, 1)
    assert coupled.gap() > 1e-3
    coupled.child = original
    assert coupled.gap() < 1e-10


def random_norm(channels=12):
    torch.manual_seed(0)
    norm = nn.LayerNorm(channels, eps=1e-3).double()
    nn.init.normal_(norm.weight), nn.init.normal_(norm.bias)
    return norm


def shifted(*shape, blocks=3):
    """Numbers whose blocks of channels have means and spreads of their own."""
    draw = torch.Generator().manual_seed(2)
    x = torch.randn(*shape, generator=draw, dtype=torch.float64).unflatten(-1, (blocks, -1))
    own = torch.arange(1, blocks + 1, dtype=torch.float64)[:, None]
    return (x * own + 2 * own).flatten(-2).requires_grad_()


@pytest.mark.parametrize("a", [0.0, 0.3])
def test_mean_and_variance_are_both_interpolated(a):
    norm, x = random_norm(), shifted(2, 5, 12)
    set_norm_blend(norm, 3, a)
    expected = torch.empty_like(x)
    joint_mean, joint_var = x.mean(-1), x.var(-1, correction=0)
    for block in range(3):
        own = slice(4 * block, 4 * block + 4)
        mean = (1 - a) * x[..., own].mean(-1) + a * joint_mean
        var = (1 - a) * x[..., own].var(-1, correction=0) + a * joint_var
        normal = (x[..., own] - mean[..., None]) / (var[..., None] + 1e-3).sqrt()
        expected[..., own] = normal * norm.weight[own] + norm.bias[own]
    assert torch.allclose(norm(x), expected, rtol=1e-12)


def test_values_and_gradients_run_into_pytorchs():
    norm, x = random_norm(), shifted(2, 5, 12)
    weights = torch.randn(2, 5, 12, dtype=torch.float64)
    expected = layer_norm(x, (12,), norm.weight, norm.bias, norm.eps)
    gradients = torch.autograd.grad((expected * weights).sum(), [x, *norm.parameters()])
    set_norm_blend(norm, 3, 1 - 1e-13)
    out = norm(x)
    assert torch.allclose(out, expected, rtol=1e-10)
    ours = torch.autograd.grad((out * weights).sum(), [x, *norm.parameters()])
    assert all(torch.allclose(*pair, rtol=1e-8) for pair in zip(ours, gradients, strict=True))


def test_half_precision_is_normalised_in_float32():
    norm, x = random_norm().float(), shifted(2, 5, 12).float()
    set_norm_blend(norm, 3, 0.5)
    exact = norm(x.bfloat16().float())
    assert norm(x.bfloat16()).dtype == torch.bfloat16
    assert torch.equal(norm(x.bfloat16()), exact.bfloat16())


@pytest.mark.parametrize(
    "model, groups, a, message",
    [
        (nn.LayerNorm(8), 1, 0, "at least 2"),
        (nn.LayerNorm(8), 2, -0.1, "a=-0.1"),
        (nn.LayerNorm(8), 2, float("nan"), "a=nan"),
        (nn.BatchNorm2d(8), 2, 0, "BatchNorm2d has no LayerNorm"),
        (nn.Sequential(LayerNorm2d(8)), 2, 0, "'0' is a LayerNorm2d"),
        (nn.Sequential(nn.LayerNorm(8), nn.LayerNorm(9)), 2, 0, r"'1' normalises over \(9,\)"),
        (nn.Sequential(nn.LayerNorm((8, 8))), 2, 0, r"\(8, 8\), which is not 2 equal blocks"),
    ],
)
def test_what_cannot_be_blended_is_refused_and_left_as_it_was(model, groups, a, message):
    with pytest.raises(ValueError, match=message):
        set_norm_blend(model, groups, a)
    assert not any(isinstance(module, BlockLayerNorm) for module in model.modules())


def test_under_vmap_over_members():
    """As ``lockstep.compute='stacked'`` runs them: the first member's modules, all parameters."""
    norms, x = [random_norm(), random_norm()], shifted(2, 5, 12)
    nn.init.zeros_(norms[1].bias)
    for norm in norms:
        set_norm_blend(norm, 3, 0.3)
    stacked = {
        n: torch.stack([norm.get_parameter(n) for norm in norms]) for n in ("weight", "bias")
    }
    out = torch.func.vmap(lambda p, one: torch.func.functional_call(norms[0], p, (one,)))(
        stacked, x
    )
    assert torch.allclose(out, torch.stack([norm(x[i]) for i, norm in enumerate(norms)]))


def test_compiled_it_is_not_compiled_anew_for_every_blend():
    norm, x, counter = random_norm(), shifted(2, 5, 12), CompileCounter()
    compiled = torch.compile(norm, backend=counter)
    for step in range(11):
        set_norm_blend(norm, 3, step / 10)
        assert torch.equal(compiled(x), norm(x))
    assert counter.frame_count <= 4


def test_under_distributed_data_parallel():
    coupled = Coupled(2)
    store = torch.distributed.HashStore()
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        coupled.child = nn.parallel.DistributedDataParallel(coupled.child)
        set_norm_blend(coupled.child, 2, 0)
        assert coupled.gap() < 1e-10
    finally:
        torch.distributed.destroy_process_group()


def ramped(images, folder, iters):
    """The run of a wide stage of two epochs whose norms ramp."""
    cfg = staged(images, folder)
    cfg.stages[1].epochs = 2
    run = stage_run(cfg, stage=1)
    run.custom_hooks = [
        dict(type="mmrbdc.JointNormRampHook", groups=2, iters=iters),
        dict(type="EMAHook", momentum=0.1),
    ]
    return run


def blends(model):
    """What the norms of a model are set to; 1 where they are PyTorch's own."""
    norms = [module for module in model.modules() if isinstance(module, nn.LayerNorm)]
    assert len(norms) == 5
    return {getattr(norm, "blend", 1) for norm in norms}


def test_a_run_ramps_by_its_iterations_and_so_does_the_average(images, tmp_path):
    seen = []

    def watch(point, runner):
        (ema,) = (hook for hook in runner.hooks if isinstance(hook, EMAHook))
        assert blends(runner.model) == blends(ema.ema_model)
        seen.append((point, runner.iter, *blends(runner.model)))

    train(ramped(images, tmp_path, iters=4), watch)
    steps = [entry for entry in seen if entry[0] == "iter"]
    assert steps == [("iter", i, min(1, i / 4)) for i in range(2 * ITERS_PER_EPOCH)]
    validations = [entry for entry in seen if entry[0] == "val"]
    assert validations == [("val", 3, 0.75), ("val", 6, 1)]


def final_state(run):
    state = train(run).model.state_dict()
    return {name: value.clone() for name, value in state.items()}


def test_a_run_resumed_within_its_ramp_ends_as_an_unbroken_one(images, tmp_path):
    unbroken = ramped(images, tmp_path, iters=5)
    expected = final_state(copy.deepcopy(unbroken))
    ends = []
    for iters in (5, 2):  # the second ramp, over at the checkpoint already, is the twin
        resumed = ramped(images, tmp_path, iters)
        resumed.load_from, resumed.resume = f"{unbroken.work_dir}/epoch_1.pth", True
        ends.append(final_state(resumed))
    assert not differing(ends[0], expected)
    assert differing(ends[1], expected)


def test_a_ramp_as_long_as_its_stage_is_refused(images, tmp_path):
    with pytest.raises(ValueError, match="takes 6 iterations and the stage has only 6"):
        train(ramped(images, tmp_path, iters=6))
    with pytest.raises(ValueError, match="iters is 0"):
        JointNormRampHook(groups=2, iters=0)
