"""Width scaling of architectures and configs, and what parents may differ in."""

import copy
from fractions import Fraction

import pytest
from mmengine.config import ConfigDict

from mmrbdc.families import FamilyError, architecture_from_config

CHILDREN = [
    ("deit", dict()),
    ("deit", dict(backbone="DistilledVisionTransformer", head="DeiTClsHead")),
    ("resnet", dict(depth=18)),
    ("resnet", dict(depth=50)),
    ("resnet", dict(backbone="ResNetV1d", depth=50)),
    ("resnet", dict(depth=18, num_stages=2, strides=(1, 2), dilations=(1, 1), out_indices=(1,))),
]


@pytest.mark.parametrize(("family", "options"), CHILDREN)
@pytest.mark.parametrize("fraction", [Fraction(1, 4), 0.5, 1])
def test_a_resized_config_builds_what_the_layout_says(zoo, family, options, fraction):
    config = getattr(zoo, family)(**options)
    arch = architecture_from_config(config).scaled(fraction)
    resized = arch.classifier_config(config)
    layout = arch.layout()
    shapes = {name: tuple(t.shape) for name, t in zoo.build(resized).state_dict().items()}
    assert shapes == {name: layout.shape(name) for name in layout.entries}
    assert architecture_from_config(resized) == arch


@pytest.mark.parametrize(
    ("name", "label", "half"),
    [
        ("deit/deit-base_16xb64_in1k.py", "deit 12x768, 12 heads", "deit 12x384, 6 heads"),
        ("resnet/resnet50_8xb32_in1k.py", "resnet-50, base 64", "resnet-50, base 32"),
        ("resnet/resnetv1d152_8xb32_in1k.py", "resnetv1d-152, base 64", "resnetv1d-152, base 32"),
    ],
)
def test_labels(zoo, name, label, half):
    arch = architecture_from_config(zoo.stock(name))
    assert arch.label == label
    assert arch.scaled(0.5).label == half
    assert arch.scaled(0.5).width * 2 == arch.width


def test_a_config_is_copied_and_keeps_its_kind(zoo):
    config = ConfigDict(zoo.deit())
    before = copy.deepcopy(config)
    resized = architecture_from_config(config).scaled(0.5).classifier_config(config)
    assert config == before
    assert isinstance(resized, ConfigDict) and resized.head.in_channels == 16
    assert resized.backbone.arch.num_heads == 2


@pytest.mark.parametrize(("family", "fraction"), [("deit", 1 / 3), ("resnet", Fraction(1, 7))])
def test_a_width_that_does_not_divide_is_refused(zoo, family, fraction):
    arch = architecture_from_config(getattr(zoo, family)())
    with pytest.raises(FamilyError, match="is not a positive integer"):
        arch.scaled(fraction)


@pytest.mark.parametrize("fraction", [0, -0.5])
def test_no_width_is_refused(zoo, fraction):
    with pytest.raises(FamilyError, match="is not a positive integer"):
        architecture_from_config(zoo.deit()).scaled(fraction)


def test_an_odd_deep_stem_is_refused(zoo):
    arch = architecture_from_config(zoo.resnet("ResNetV1c"))
    with pytest.raises(FamilyError, match="stem_channels=1 of a deep stem is odd"):
        arch.scaled(Fraction(1, 16))


def test_thirds_may_be_given_as_floats(zoo):
    config = zoo.resnet(base_channels=48, stem_channels=48)
    assert architecture_from_config(config).scaled(1 / 3).width == 16


def test_a_config_of_another_depth_is_not_resized(zoo):
    half = architecture_from_config(zoo.resnet(depth=18)).scaled(0.5)
    with pytest.raises(FamilyError, match="depth is 34 instead of 18"):
        half.classifier_config(zoo.resnet(depth=34))


def parents_of(zoo, family, child_options, parent_options, classes=5):
    child = architecture_from_config(getattr(zoo, family)(**child_options))
    config = getattr(zoo, family)(**{**child_options, **parent_options})
    config["head"]["num_classes"] = classes
    other = architecture_from_config(config)
    return child, [child.scaled(0.5), other.scaled(0.5)]


def test_parents_of_the_right_widths_fit(zoo):
    child = architecture_from_config(zoo.deit())
    child.check_parents([child.scaled(0.5), child.scaled(0.25), child.scaled(0.25)])


@pytest.mark.parametrize(
    ("family", "parent_options", "classes", "words"),
    [
        ("resnet", dict(depth=34), 5, "depth is 34 instead of 18"),
        ("resnet", dict(backbone="ResNetV1c"), 5, "deep_stem is True instead of False"),
        ("resnet", dict(), 7, "num_classes is 7 instead of 5"),
        (
            "deit",
            dict(
                arch=dict(embed_dims=32, num_layers=3, num_heads=4, feedforward_channels=64),
            ),
            5,
            "depth is 3 instead of 2",
        ),
        ("deit", dict(patch_size=4), 5, r"patch_size is \(4, 4\) instead of \(8, 8\)"),
        ("deit", dict(), 7, "num_classes is 7 instead of 5"),
        (
            "deit",
            dict(
                arch=dict(embed_dims=32, num_layers=2, num_heads=2, feedforward_channels=64),
            ),
            5,
            "head size is 16 instead of 8",
        ),
    ],
)
def test_parents_that_differ_in_more_than_width(zoo, family, parent_options, classes, words):
    child, parents = parents_of(zoo, family, dict(), parent_options, classes)
    with pytest.raises(FamilyError, match=rf"b\.pth .*{words}"):
        child.check_parents(parents, ["a.pth", "b.pth"])


def test_parents_of_another_family(zoo):
    child = architecture_from_config(zoo.deit())
    with pytest.raises(FamilyError, match="family is resnet instead of deit"):
        child.check_parents([child.scaled(0.5), architecture_from_config(zoo.resnet())])


def test_parents_whose_widths_do_not_sum(zoo):
    child = architecture_from_config(zoo.deit())
    with pytest.raises(FamilyError, match=r"embed_dims of the parents: 16 \+ 8 = 24, .* has 32"):
        child.check_parents([child.scaled(0.5), child.scaled(0.25)])
