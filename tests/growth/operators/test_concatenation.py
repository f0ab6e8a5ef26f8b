"""Parents behind each other in depth: the child runs the blocks of one after the other's."""

from dataclasses import replace

import pytest
import torch
from mmpretrain.registry import MODELS

from mmrbdc.families import architecture_from_config
from mmrbdc.growth import GrowthError, grow
from mmrbdc.growth.layout import Layout
from tests.engine.tiny_runs import MODELS as TINY

pytestmark = pytest.mark.numeric


def build(layers: int, seed: int, family: str = "deit"):
    """A classifier of so many layers, in evaluation mode and double precision."""
    torch.manual_seed(seed)
    cfg = TINY[family] | dict(backbone=dict(TINY[family]["backbone"]))
    if family == "deit":
        cfg["backbone"]["arch"] = dict(cfg["backbone"]["arch"], num_layers=layers)
    model = MODELS.build(cfg)
    model.init_weights()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    return model.double().eval(), architecture_from_config(cfg).layout()


@pytest.fixture(scope="module")
def models():
    return build(1, 1)[0], build(2, 2)[0]


def child_of(parents, layers: int):
    model, layout = build(layers, 0)
    grown = grow([p.state_dict() for p in parents], layout, operator="concatenation")
    model.load_state_dict(grown.state_dict)
    return model, grown


def one_after_the_other(front, back, images):
    """What the two make together, computed by MMPretrain's own modules."""
    first, last = front.backbone, back.backbone
    tokens, _ = first.patch_embed(images)
    tokens = torch.cat([first.cls_token.expand(len(images), -1, -1), tokens], dim=1)
    tokens = tokens + first.pos_embed
    for layer in [*first.layers, *last.layers]:
        tokens = layer(tokens)
    return back.head((last.ln1(tokens)[:, 0],))


def test_the_child_computes_one_after_the_other(models):
    images = torch.rand(4, 3, 16, 16, dtype=torch.float64)
    child, grown = child_of(models, 3)
    with torch.no_grad():
        logits, expected = child(images), one_after_the_other(*models, images)
        turned = one_after_the_other(*reversed(models), images)
    assert torch.allclose(logits, expected, rtol=1e-10, atol=1e-12)
    assert not torch.allclose(logits, turned, rtol=1e-3)  # the twin: the other order
    assert grown.report.between_parents == 0
    assert "0:16, 0:16" in "\n".join(grown.report.summary_lines())


def test_its_tensors_are_its_own(models):
    before = models[0].state_dict()["backbone.pos_embed"].clone()
    _, grown = child_of(models, 3)
    grown.state_dict["backbone.pos_embed"].zero_()
    assert torch.equal(models[0].state_dict()["backbone.pos_embed"], before)


def refused(parents, layout: Layout) -> str:
    with pytest.raises(GrowthError) as error:
        grow([p.state_dict() for p in parents], layout, operator="concatenation")
    return str(error.value)


def test_what_does_not_fit_is_refused(models):
    assert "1 + 2 = 3 blocks and the child has 4" in refused(models, build(4, 0)[1])
    assert "1 + 2 = 3 blocks and the child has 2" in refused(models, build(2, 0)[1])
    assert "parent 1 has a block 1, but the child's number of blocks is 1" in refused(
        models, build(1, 0)[1]
    )
    assert "got 1 parent; it lays two or more" in refused(models[:1], build(1, 0)[1])
    wide = build(3, 0)[1]
    wide = wide.resized({name: 2 * size for name, size in wide.sizes.items()})
    assert "'stream' is 16 wide in parent 0 and 32" in refused(models, wide)


def test_a_parent_that_lacks_a_tensor_is_named(models):
    states = [dict(m.state_dict()) for m in models]
    del states[1]["backbone.layers.0.ln1.weight"]
    with pytest.raises(GrowthError, match=r"parent 1: names differ.*layers.0.ln1.weight"):
        grow(states, build(3, 0)[1], operator="concatenation")


@pytest.mark.parametrize("family, back", [("deit", {"backbone.ln1", "head"}), ("resnet", {"head"})])
def test_layouts_tell_front_from_back(family, back):
    layout = build(2, 0, family)[1]
    outside = [name for name, entry in layout.entries.items() if entry.block is None]
    ends = {name: layout.is_back(name) for name in outside}
    assert all(ends[n] == any(n.startswith(f"{b}.") for b in back) for n in outside)
    assert len(set(ends.values())) == 2
    inside = next(name for name, entry in layout.entries.items() if entry.block is not None)
    with pytest.raises(GrowthError, match="to neither end"):
        layout.is_back(inside)
    assert replace(layout, back=()).resized(layout.sizes).back == ()
