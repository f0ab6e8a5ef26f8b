"""What each phase of Deep Incubation trains and how, against numbers of the released code.

Facts from running parts of github.com/LeapLabTHU/Deep-Incubation at 9a7061b: ``VisionTransformer``
for drop-path, ``CosineLRScheduler`` stepped as main.py does, lines 298 to 306 of main.py and
``add_weight_decay`` on a net of width 8, K = 4, 3 blocks a module.

Ours differs on purpose, and the tests say by how much:

- the released schedule is one epoch late (its epochs 0 and 1 are equal, the last is above the
  minimum) and constant within an epoch; ours is on time and counts iterations;
- its cosine begins at epoch 0, under the warm-up, and is jumped into behind it; ours takes the
  epochs that remain, from the full rate, as with every method here;
- it computes gradients of what lies behind a module and drops them; ours computes none;
- while it trains modules, class token and position table of the first have weight decay; ours
  never have.
"""

import math
from pathlib import Path

import pytest
import torch
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS

from mmrbdc.engine.configs.cfg_options import merge_options
from mmrbdc.engine.configs.loading import load_config
from mmrbdc.engine.configs.run_config import run_config
from mmrbdc.engine.configs.stage_view import stage_configs
from mmrbdc.engine.cost.plan_inputs import plan_inputs
from mmrbdc.methods import parse_protocol
from mmrbdc.plan import make_plan
from tests.engine.configs.test_schedule import curve

pytestmark = pytest.mark.numeric

CONFIGS = Path(__file__).parents[3] / "configs" / "incubation"
META, MODULES, TARGET = range(3)
PER_EPOCH = 10
"""Iterations."""

MODULE_RATES = [0, 0.02, 0.04, 0.06, 0.08, 0.1]
WHOLE_RATES = [0, 0.0090909, 0.0181818, 0.0272727, 0.0363636, 0.0454545, 0.0545455, 0.0636364,
               0.0727273, 0.0818182, 0.0909091, 0.1]  # fmt: skip
HUGE_RATES = {0: 0, 1: 0.0193548, 8: 0.1548387, 16: 0.3096774, 24: 0.4645161, 31: 0.6}
"""Of some of the 32 blocks of ViT-H."""

BASE, LOWEST, FIRST = 2e-3, 1e-5, 1e-6
LATE = 1
"""Epochs that the released schedule is late: rates below are those of the released epochs."""
WARMING_UP = {0: 1e-6, 1: 1e-6, 2: 1.0095e-4, 3: 2.009e-4, 11: 1.0005e-3, 20: 1.90005e-3}
PRETRAINING = {  # 300 epochs, 20 of warm-up
    21: 1.9782568627301367e-3, 31: 1.9513012337136779e-3, 46: 1.891551491567426e-3,
    61: 1.8099719094030727e-3, 121: 1.3124719094030728e-3, 151: 1.005e-3,
    181: 6.975280905969274e-4, 241: 2.0002809059692738e-4, 271: 5.869876628632224e-5,
    286: 2.225010110783803e-5, 299: 1.021821994252873e-5,
}  # fmt: skip
FINE_TUNING = {  # without warm-up: rates by the length in epochs
    100: {0: 2e-3, 1: 2e-3, 2: 1.999509027563903e-3, 21: 1.8099719094030727e-3, 51: 1.005e-3,
          76: 3.014287527193853e-4, 91: 5.869876628632224e-5, 99: 1.19634052138698e-5},
    25: {0: 2e-3, 1: 2e-3, 2: 1.9921541278079056e-3, 6: 1.8099719094030727e-3,
         13: 1.067476566931667e-3, 20: 2.7967621571569576e-4, 24: 4.1259754677012186e-5},
}  # fmt: skip

BACK = ("backbone.ln1.", "head.")
PATCHES = {"backbone.patch_embed.projection.weight", "backbone.patch_embed.projection.bias"}
TOKENS = {"backbone.cls_token", "backbone.pos_embed"}
TRAINED = {0: (range(3), PATCHES | TOKENS), 2: (range(2, 5), set())}
"""Blocks of the hybrid, and what else, by the number of the module."""
IN_VAIN = {0: 3 * 12 + 4, 2: 12 + 4}
"""How many tensors behind a module the released code computes gradients of."""
DECAY = {"backbone.patch_embed.projection.weight", "head.layers.head.weight"}
"""What has weight decay outside of the blocks, in the first and the last phase."""
NO_DECAY = {"backbone.patch_embed.projection.bias", "head.layers.head.bias", "backbone.ln1.weight",
            "backbone.ln1.bias", *TOKENS}  # fmt: skip
RELEASED_DECAYS = TOKENS
"""Of the first module, in the modular phase of the released code alone."""


def phases(name="deit-b_in1k", layers=None, **options):
    """The configs of a shipped config's three runs, as they are built.

    Args:
        name: of the config.
        layers: for a target of width 8 and as many blocks instead of its own.
        options: ``--cfg-options``.
    """
    cfg = load_config(str(CONFIGS / f"{name}.py"))
    if layers:
        arch = dict(embed_dims=8, num_layers=layers, num_heads=2, feedforward_channels=32)
        cfg.model.backbone.arch, cfg.model.head.in_channels = arch, 8
    batch = cfg.get("auto_scale_lr", {}).get("base_batch_size", cfg.train_dataloader.batch_size)
    merge_options(cfg, {"protocol.train_samples": PER_EPOCH * batch, **options})
    protocol = parse_protocol(cfg, name=name)
    plan = make_plan(protocol, **plan_inputs(cfg, protocol, options=cfg.get("cfg_options")))
    configs = stage_configs(cfg, protocol, cfg.get("cfg_options"))
    return [
        run_config(
            config,
            stage_index=i,
            row=row,
            iters_per_epoch=plan.feed.iters_per_epoch,
            warmup=protocol.warmup_of(i),
            seed=0,
            indices=range(row.members),
            grown=[None] * row.members,
            frozen=protocol.stages[i].frozen,
        )
        for i, (config, row) in enumerate(zip(configs, plan.rows, strict=True))
    ]


def published(length=100):
    """The phases with lengths and warm-ups as published, of a model of 12 small blocks."""
    lengths = {f"stages.{i}.epochs": n for i, n in enumerate((300, 100, length))}
    warmups = {f"stages.{i}.warmup": n for i, n in enumerate((20, 20, 0))}
    return phases(layers=12, **lengths, **warmups)


def drop_path(run):
    """The rates of the blocks of each member."""
    with torch.device("meta"):
        members = MODELS.build(run.model).members
    found = []
    for member in members:
        blocks = member.backbone.layers
        both = [[drop.drop_prob for drop in (b.attn.out_drop, b.ffn.dropout_layer)] for b in blocks]
        assert all(one == other for one, other in both)
        found.append([one for one, _ in both])
    return found


def rates(run, epochs):
    """At the first iteration of every epoch."""
    return curve(run.param_scheduler, epochs * PER_EPOCH, lr=BASE)[::PER_EPOCH]


def cosine(epoch, length):
    """What the released code's cosine is at an epoch, were it not late."""
    return LOWEST + (BASE - LOWEST) / 2 * (1 + math.cos(math.pi * epoch / length))


def test_drop_path_of_the_models_that_are_built():
    """Spread over a phase's own depth: a hybrid's rates are not a part of the target's."""
    meta, modules, target = phases()
    assert drop_path(meta) == [[0.0] * 4]
    assert drop_path(modules) == [pytest.approx(MODULE_RATES, abs=1e-7)] * 4
    assert drop_path(target) == [pytest.approx(WHOLE_RATES, abs=1e-7)]
    assert drop_path(modules)[0] != pytest.approx(WHOLE_RATES[:6], abs=1e-2)


def test_drop_path_of_the_largest():
    options = {f"stages.{i}.depth": f"{n}/32" for i, n in enumerate((4, 11))}
    options["model.backbone.drop_path_rate"] = 0.6
    (found,) = drop_path(phases(layers=32, **options)[TARGET])
    assert len(found) == 32
    assert {i: found[i] for i in HUGE_RATES} == pytest.approx(HUGE_RATES, abs=1e-7)


@pytest.mark.parametrize("length", FINE_TUNING)
def test_the_assembled_model_has_the_released_rates_an_epoch_earlier(length):
    found = rates(published(length)[TARGET], length)
    theirs = FINE_TUNING[length]
    on_time = {e - LATE: rate for e, rate in theirs.items() if e}
    assert {e: found[e] for e in on_time} == pytest.approx(on_time, rel=1e-6)
    # The twin: at the same epoch they are not the same.
    assert {e: found[e] for e in theirs} != pytest.approx(theirs, rel=1e-3)


@pytest.mark.parametrize("phase, length", [(META, 300), (MODULES, 100)])
def test_warm_ups_are_the_released_ones_an_epoch_earlier(phase, length):
    """Within one iteration's rise of 200, and the first rate, a thousandth of the base here."""
    found = rates(published()[phase], length)
    on_time = {e - LATE: rate for e, rate in WARMING_UP.items() if e}
    close = BASE / (20 * PER_EPOCH) + abs(1e-3 * BASE - FIRST)
    assert {e: found[e] for e in on_time} == pytest.approx(on_time, abs=close)
    assert {e: found[e] for e in WARMING_UP} != pytest.approx(WARMING_UP, abs=2 * close)


def test_behind_its_warm_up_the_meta_model_has_the_whole_cosine():
    """Its epoch 20 + 14 k has what the released one, of 300 epochs, has at 15 k."""
    found = rates(published()[META], 300)
    assert found[20] == pytest.approx(BASE, rel=1e-6)
    theirs = {e - LATE: rate for e, rate in PRETRAINING.items()}
    at = {e: 20 + round(e * 280 / 300) for e in theirs if e % 15 == 0}
    assert len(at) == 9
    for e, ours in at.items():
        assert found[ours] == pytest.approx(theirs[e], rel=1e-6)
    # How far the two are apart for it, at the same epoch on time, of the base.
    apart = [abs(found[e] - rate) / BASE for e, rate in theirs.items()]
    assert 0.05 < max(apart) < 0.07
    assert all(cosine(e, 300) == pytest.approx(rate, rel=1e-9) for e, rate in theirs.items())


def test_behind_their_warm_up_modules_have_the_whole_cosine():
    """The form just found, of 100 epochs: it is the released one's at 1.25 (e - 20)."""
    found = rates(published()[MODULES], 100)
    for e in range(20, 100):
        assert found[e] == pytest.approx(cosine(1.25 * (e - 20), 100), rel=1e-6)


def weight_decay(member, run):
    """Names of what a member trains, by whether it has weight decay."""
    groups = build_optim_wrapper(member, run.optim_wrapper).optimizer.param_groups
    decay = {id(p): group["weight_decay"] for group in groups for p in group["params"]}
    found = {True: set(), False: set()}
    for name, parameter in member.named_parameters():
        if parameter.requires_grad:
            found[decay[id(parameter)] > 0].add(name)
    return found


def block_of(name):
    """Number of a tensor's block, ``None`` outside of all."""
    return int(name.split(".")[2]) if name.startswith("backbone.layers.") else None


@pytest.mark.parametrize("module", TRAINED)
def test_a_module_is_trained_and_nothing_else(module):
    """What the released code optimises; what it computes in vain has no gradient here."""
    run = published()[MODULES]
    member = MODELS.build(run.model).train().members[module]
    member(torch.rand(2, 3, 224, 224), mode="tensor").sum().backward()
    optimised = {name for name, p in member.named_parameters() if p.grad is not None}
    blocks, outside = TRAINED[module]
    assert {block_of(name) for name in optimised} - {None} == set(blocks)
    assert {name for name in optimised if block_of(name) is None} == outside
    whole = [name for name in dict(member.named_parameters()) if block_of(name) in blocks]
    assert set(whole) <= optimised
    in_vain = [name for name in dict(member.named_parameters()) if behind(name, module)]
    assert len(in_vain) == IN_VAIN[module] and not optimised & set(in_vain)


def behind(name, module):
    """Whether a tensor of a hybrid of 6 blocks lies behind its module of 3."""
    block = block_of(name)
    return name.startswith(BACK) if block is None else block > module + 2


@pytest.mark.parametrize("module, reaches", [(0, True), (2, False)])
def test_no_gradient_goes_in_front_of_a_module(module, reaches):
    """The twin: the first module, whose patches are its own, needs it there."""
    member = MODELS.build(published()[MODULES].model).train().members[module]
    seen = []
    member.backbone.layers[0].register_forward_hook(lambda *seen_: seen.append(seen_[2]))
    member(torch.rand(2, 3, 224, 224), mode="tensor")
    assert seen[0].requires_grad is reaches


def test_weight_decay_of_each_phase():
    """Vectors, tokens and positions have none, in the modular phase too, other than released."""
    meta, modules, target = published()
    for run in (meta, target):
        (member,) = MODELS.build(run.model).members
        found = weight_decay(member, run)
        assert {name for name in found[False] if block_of(name) is None} == NO_DECAY
        assert {name for name in found[True] if block_of(name) is None} == DECAY
        shapes = {
            name: p.ndim for name, p in member.named_parameters() if block_of(name) is not None
        }
        assert all((name in found[True]) == (ndim > 1) for name, ndim in shapes.items())
    first, last = (MODELS.build(modules.model).members[i] for i in (0, 3))
    front = {name for name in NO_DECAY | DECAY if not name.startswith(BACK)}
    for member, outside in ((first, front), (last, (NO_DECAY | DECAY) - front)):
        found = weight_decay(member, modules)
        for decays, known in ((False, NO_DECAY), (True, DECAY)):
            assert {n for n in found[decays] if block_of(n) is None} == known & outside
    assert weight_decay(first, modules)[False] >= RELEASED_DECAYS
