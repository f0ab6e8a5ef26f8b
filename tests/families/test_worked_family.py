"""docs/add_a_family.md's family, read from the page: nothing is touched but ``FAMILIES``.

Its backbone is made up, and stands below.
"""

import importlib.util
import json
import re
import sys
from pathlib import Path

import pytest
import torch
from mmpretrain.models.backbones.base_backbone import BaseBackbone
from mmpretrain.registry import MODELS
from torch import nn

from mmrbdc.commands.plan import main as plan
from mmrbdc.engine.junctions.grow_child import Growth, grow_child, identify
from mmrbdc.families import (
    FAMILIES,
    architecture_from_backbone,
    architecture_from_config,
    architecture_from_dict,
)
from mmrbdc.weights import Checkpoint, WeightsError, read_checkpoint, save_member
from mmrbdc.weights.libraries import (
    check_complete,
    convert_file,
    from_mmpretrain,
    recognise,
    release_backbone,
)

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "add_a_family.md").read_text().partition("## The checks")[0]

PROTOCOL = """
train_dataloader = dict(batch_size=16, dataset=dict(pipeline=[]))
input_size = 16
protocol = dict(method='rbdc', family='mlp', reference_epochs=30, train_samples=1000)
stages = [dict(members=2, width='1/2', epochs=3), dict(members=1, width=1, epochs=2)]
"""


class MlpBackbone(BaseBackbone):
    """What the page's family is of."""

    def __init__(self, depth, channels, hidden, patch_size=4, init_cfg=None):
        super().__init__(init_cfg)
        self.stem = nn.Conv2d(3, channels, patch_size, stride=patch_size)
        self.layers = nn.ModuleList(
            nn.ModuleDict(dict(up=nn.Linear(channels, hidden), down=nn.Linear(hidden, channels)))
            for _ in range(depth)
        )

    def forward(self, images):
        x = self.stem(images).mean((2, 3))
        for layer in self.layers:
            x = x + layer["down"](layer["up"](x).relu())
        return (x,)


@pytest.fixture(autouse=True)
def mlp(tmp_path, monkeypatch):
    """The page's module; its family is in ``FAMILIES``, the backbone in MMPretrain's registry."""
    path = tmp_path / "mlp.py"
    path.write_text("\n\n".join(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)))
    spec = importlib.util.spec_from_file_location("mlp_of_the_page", path)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    monkeypatch.setitem(FAMILIES, module.FAMILY.name, module.FAMILY)
    monkeypatch.setitem(MODELS.module_dict, "MlpBackbone", MlpBackbone)
    return module


def classifier(channels=8, hidden=12):
    backbone = dict(type="MlpBackbone", depth=2, channels=channels, hidden=hidden)
    head = dict(type="LinearClsHead", num_classes=5, in_channels=channels)
    return dict(type="ImageClassifier", backbone=backbone, head=head)


def member(zoo, path, seed):
    """A file of ours; returns its model too, in float64."""
    model = zoo.build(classifier(), seed=seed).double()
    architecture = architecture_from_config(classifier())
    meta = dict(family=architecture.family, architecture=architecture.to_dict(), weights="raw")
    save_member(path, model.state_dict(), meta)
    return model


def theirs(zoo):
    """Tensors in the names that the page says are timm's."""
    model = zoo.build(classifier(), seed=0)
    return from_mmpretrain(model.state_dict(), "timm", "mlp")[0]


def test_the_layout_is_the_models(zoo):
    architecture = architecture_from_config(classifier())
    shapes = {name: tuple(t.shape) for name, t in zoo.build(classifier()).state_dict().items()}
    layout = architecture.layout()
    assert {name: tuple(layout.shape(name)) for name in layout.entries} == shapes
    assert architecture_from_dict(json.loads(json.dumps(architecture.to_dict()))) == architecture


def test_a_protocol_is_planned(tmp_path, capsys):
    config = tmp_path / "mlp_1step.py"
    config.write_text(f"model = {classifier()!r}\n{PROTOCOL}")
    plan([str(config), "--json"])
    found = json.loads(capsys.readouterr().out)
    assert [stage["label"] for stage in found["stages"]] == ["mlp 2x4", "mlp 2x8"]


def test_parents_of_files_become_a_child(zoo, tmp_path):
    """Without a norm the child's logits are the mean of the parents'."""
    models = [member(zoo, tmp_path / f"{seed}.pth", seed) for seed in (0, 1)]
    target = architecture_from_config(classifier(16, 24))
    parents = [identify(tmp_path / f"{seed}.pth") for seed in (0, 1)]
    grown = grow_child(target, parents, Growth())
    child = zoo.build(classifier(16, 24)).double()
    child.load_state_dict(grown.result.state_dict)
    images = torch.randn(4, 3, 16, 16, dtype=torch.float64)
    assert zoo.mean_error(child, models, images) < 1e-10
    assert zoo.mean_error(child, models[:1], images) > 1e-3  # the twin


def test_files_are_recognised_and_converted_there_and_back(zoo, tmp_path):
    torch.save(theirs(zoo), tmp_path / "theirs.pth")
    found = recognise(read_checkpoint(tmp_path / "theirs.pth"))
    check_complete(found)
    assert (found.family, found.library) == ("mlp", "timm")
    assert found.shapes.architecture == architecture_from_config(classifier())
    convert_file(tmp_path / "theirs.pth", tmp_path / "ours.pth", "mmpretrain")
    assert read_checkpoint(tmp_path / "ours.pth").meta["family"] == "mlp"
    convert_file(tmp_path / "ours.pth", tmp_path / "back.pth", "timm")
    back = torch.load(tmp_path / "back.pth", weights_only=True)
    assert back.keys() == theirs(zoo).keys()
    assert all(torch.equal(tensor, back[name]) for name, tensor in theirs(zoo).items())
    release = release_backbone(tmp_path / "ours.pth", tmp_path / "published")
    assert json.loads(release.paths["json"].read_text())["family"] == "mlp"


def test_what_cannot_be_is_said(zoo, tmp_path):
    tensors = theirs(zoo)
    torch.save(tensors, tmp_path / "theirs.pth")
    with pytest.raises(WeightsError, match="no names are known that torchvision gives .* a mlp"):
        convert_file(tmp_path / "theirs.pth", tmp_path / "b.pth", "torchvision")
    for change, message in (
        ({"blocks.0.gate.weight": torch.ones(1)}, r"looks like a mlp in timm's .*gate\.weight"),
        ({"blocks.0.fc1.weight": torch.ones(4)}, r"up\.weight .*has the shape \(4,\)"),
    ):
        with pytest.raises(WeightsError, match=message):
            recognise(Checkpoint(Path("a.pth"), {**tensors, **change}, {}, "raw", ""))
    with pytest.raises(WeightsError, match="no DeiT, ViT, ResNet or MLP of MMPretrain"):
        recognise(Checkpoint(Path("a.pth"), {"x": torch.ones(1)}, {}, "raw", ""))


def test_every_parameter_of_a_backbone_has_a_layer():
    architecture = architecture_from_backbone(classifier()["backbone"])
    backbone = MlpBackbone(depth=2, channels=8, hidden=12)
    layers = {name: architecture.layer_of(name) for name, _ in backbone.named_parameters()}
    assert set(layers.values()) == {0, 1, 2} and architecture.num_layers == 2
    assert layers["stem.weight"] == 0 and layers["layers.1.down.bias"] == 2


def test_without_its_line_it_is_not_known(zoo, monkeypatch):
    """The twin of all of these."""
    tensors = theirs(zoo)
    monkeypatch.delitem(FAMILIES, "mlp")
    with pytest.raises(ValueError, match="MlpBackbone belongs to no family"):
        architecture_from_config(classifier())
    with pytest.raises(WeightsError, match="has the names of no DeiT"):
        recognise(Checkpoint(Path("a.pth"), tensors, {}, "raw", ""))
