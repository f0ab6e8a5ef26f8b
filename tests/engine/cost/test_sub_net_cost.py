"""Training FLOPs of an image, of the shipped DeiTs at depths and image sizes of AutoProg's grid.

Facts counted once by torch's counter on models of that depth that see images of that size, beside
the same models at 12 blocks and 224 px; a multiply-add is 2 FLOPs.
"""

from fractions import Fraction
from functools import cache
from pathlib import Path

import pytest
from mmengine.config import Config

from mmrbdc.engine.configs.stage_view import stage_config, stage_image_size
from mmrbdc.engine.cost.model_cost import stage_model
from mmrbdc.engine.cost.plan_inputs import plan_inputs
from mmrbdc.methods import parse_protocol, settled
from mmrbdc.plan import Outcome, Stage, Train, make_plan
from mmrbdc.search import SubNet

CONFIGS = Path(__file__).parents[3] / "configs" / "autoprog"
FLOPS = {  # (blocks, pixels) -> training FLOPs of an image
    "deit-s": {
        (5, 96): 2061660672, (5, 160): 5775782400, (5, 224): 11700859392,
        (6, 128): 4372927488, (6, 192): 10075051008,
        (7, 96): 2859922944, (7, 160): 8014394880, (7, 224): 16241554944,
        (8, 128): 5792053248, (8, 192): 13347698688,
        (10, 96): 4057316352, (10, 160): 11372313600, (10, 224): 23052598272,
        (12, 128): 8630304768, (12, 192): 19892994048, (12, 224): 27593293824,
    },
    "deit-b": {
        (6, 128): 17026983936, (6, 192): 38623389696,
        (8, 128): 22625611776, (8, 192): 51326447616,
        (10, 128): 28224239616, (10, 192): 64029505536,
        (12, 128): 33822867456, (12, 192): 76732563456, (12, 224): 105382969344,
    },
}  # fmt: skip

pytestmark = pytest.mark.filterwarnings("ignore:pkg_resources")


@cache
def read(name):
    return Config.fromfile(CONFIGS / f"{name}_in1k.py")


@pytest.mark.parametrize(
    ("name", "net"), [(name, SubNet(*net)) for name in FLOPS for net in FLOPS[name]], ids=str
)
def test_a_stage_of_the_grid(name, net):
    """The table of positions stays that of the target, and its resizing is not counted."""
    stage = Stage(
        members=1,
        width=Fraction(1),
        epochs=1,
        depth=Fraction(net.depth, 12),
        img_size=net.img_size,
        resize="preprocessor",
    )
    config = stage_config(read(name), stage)
    assert config.model.backbone.img_size == 224
    found = stage_model(config.model, stage_image_size(config, stage))
    assert found.train_flops_per_sample == FLOPS[name][net.depth, net.img_size]


@pytest.mark.parametrize("name", FLOPS)
def test_what_a_plan_charges_for_candidates(name):
    """Those of both searches that are listed above. Twin: of the other model."""
    cfg = read(name)
    chosen = {Train(0, (0,)): SubNet(6, 128), Train(2, (0,)): SubNet(8, 128)}
    outcomes = {step: Outcome(chosen=net) for step, net in chosen.items()}
    protocol = settled(parse_protocol(cfg), outcomes)
    rows = make_plan(protocol, **plan_inputs(cfg, protocol)).rows
    other = FLOPS["deit-b" if name == "deit-s" else "deit-s"]
    compared = []
    for row, stage in zip(rows, protocol.stages, strict=True):
        for net, flops in zip(
            stage.search.candidates if stage.search else (), row.candidate_flops, strict=True
        ):
            key = (net.depth, net.img_size)
            if key in FLOPS[name]:
                assert flops == FLOPS[name][key] != other.get(key)
                compared.append(key)
    assert {*compared} >= {(6, 128), (12, 128), (6, 192), (12, 192), (12, 224), (8, 128)}
    assert rows[1].train_flops_per_sample == FLOPS[name][6, 128]
