"""A child begins as the operator made it: no tensor of it is initialised again."""

import pytest
import torch
from mmengine.registry import MODELS, WEIGHT_INITIALIZERS

from mmrbdc.engine import Grown
from mmrbdc.families import FamilyError
from mmrbdc.growth import GrowthError, grow
from mmrbdc.weights import WeightsError, save_member
from tests.engine.tiny_runs import differing, grown, grown_file, stage_run, staged, stages_of, train

FAMILIES = ["deit", "resnet"]


class Halves:
    """An initialiser that fills every tensor with 0.5, and says so to nobody."""

    def __call__(self, module):
        with torch.no_grad():
            for tensor in module.state_dict().values():
                tensor.fill_(0.5 if tensor.is_floating_point() else 1)


@pytest.fixture(autouse=True, scope="module")
def _halves():
    WEIGHT_INITIALIZERS.register_module(name="Halves", module=Halves, force=True)
    yield
    WEIGHT_INITIALIZERS.module_dict.pop("Halves")


def random_state(layout, seed):
    """Every tensor of a layout, BatchNorm's statistics included, away from any initial value."""
    draw = torch.Generator().manual_seed(seed)
    return {
        name: torch.tensor(7 + seed)
        if entry.role == "counter"
        else torch.rand(layout.shape(name), generator=draw) + 0.5
        for name, entry in layout.entries.items()
    }


class Parents:
    """Two files of random parents, and the protocol whose second stage is their child."""

    def __init__(self, images, folder, family):
        self.cfg = staged(images, folder, family)
        self.cfg.param_scheduler = []
        _, setups = stages_of(self.cfg)
        narrow, wide = (setup.architecture for setup in setups)
        self.architecture = wide
        self.states = [random_state(narrow.layout(), seed) for seed in (1, 2)]
        self.paths = []
        self.folder = folder
        for i, state in enumerate(self.states):
            path = folder / f"{i}.pth"
            meta = dict(family=narrow.family, architecture=narrow.to_dict(), weights="raw")
            save_member(path, state, meta)
            self.paths.append(str(path))

    @property
    def init_cfg(self):
        return grown_file(self.folder, self.paths, self.architecture)

    def grow(self, paths, **how):
        return grown(paths, self.architecture, **how).result.state_dict

    def run(self):
        return stage_run(self.cfg, stage=1, grown=[self.init_cfg])

    @property
    def expected(self):
        return grow(self.states, self.architecture.layout()).state_dict


@pytest.fixture(scope="module", params=FAMILIES)
def parents(request, images, tmp_path_factory):
    return Parents(images, tmp_path_factory.mktemp(request.param), request.param)


@pytest.mark.parametrize("ema", [False, True])
def test_after_the_runners_initialisation_every_tensor_is_the_operators(parents, ema):
    """Looked at where training begins, after everything that MMEngine does before it."""
    found = []

    def watch(point, runner):
        if point == "before_train":
            found.append(runner.model.member_state_dict(0))
            found[0] = {name: value.clone() for name, value in found[0].items()}

    run = parents.run()
    run.train_cfg.max_iters = 1
    run.custom_hooks = [dict(type="EMAHook", momentum=0.1)] if ema else []
    train(run, watch)
    assert not differing(found[0], parents.expected)


def test_twin_the_same_initialiser_on_the_backbone_is_overwritten(parents):
    """MMPretrain's own initialisation comes after any that is not ``Pretrained``."""
    member = parents.run().model.member
    member.backbone.init_cfg = dict(type="Halves")
    model = MODELS.build(member)
    model.init_weights()
    backbone = model.backbone.state_dict()
    overwritten = {name for name, value in backbone.items() if not value.float().eq(0.5).all()}
    if "pos_embed" in backbone:
        assert "pos_embed" in overwritten
        assert {"layers.0.ffn.layers.0.0.weight", "layers.1.ffn.layers.1.weight"} <= overwritten
    else:
        assert "layer1.0.bn2.weight" in overwritten


def test_twin_a_classifiers_initialiser_that_marks_nothing_is_overwritten(parents):
    member = parents.run().model.member
    member.init_cfg = dict(type="Halves")
    model = MODELS.build(member)
    model.init_weights()
    assert not all(value.float().eq(0.5).all() for value in model.state_dict().values())


def test_a_second_initialisation_changes_nothing(parents):
    """``init_weights`` may be called again by whoever wraps the model."""
    model = MODELS.build(parents.run().model)
    model.init_weights()
    model.init_weights()
    assert not differing(model.member_state_dict(0), parents.expected)


def test_the_order_of_the_parents_is_the_order_of_the_blocks(parents):
    state = parents.grow(parents.paths[::-1])
    other = grow(parents.states[::-1], parents.architecture.layout()).state_dict
    assert not differing(state, other)
    assert differing(state, parents.expected)


def test_the_same_parent_twice_is_refused_unless_it_is_meant(parents):
    twice = [parents.paths[0]] * 2
    with pytest.raises(GrowthError):
        parents.grow(twice)
    parents.grow(twice, allow_equal=True)


def test_parents_that_do_not_sum_to_the_child_are_refused(parents):
    with pytest.raises(FamilyError, match="width|sum"):
        parents.grow(parents.paths[:1], allow_equal=True)


def test_a_missing_parent_is_named(parents):
    with pytest.raises(WeightsError, match="nowhere.pth does not exist"):
        parents.grow([parents.paths[0], "nowhere.pth"])


def test_bare_files_are_grown_by_their_tensors(parents, tmp_path):
    paths = []
    for i, state in enumerate(parents.states):
        torch.save(state, tmp_path / f"{i}.pth")
        paths.append(str(tmp_path / f"{i}.pth"))
    assert not differing(parents.grow(paths), parents.expected)


@pytest.mark.parametrize(
    "arguments", [{}, dict(parents=["a.pth", "b.pth"]), dict(file="c.pth", operator="tiling")]
)
def test_an_initialiser_that_would_grow_is_told_how_to_grow(arguments):
    """As one was written when it grew its parents by itself."""
    with pytest.raises(WeightsError, match=r"tools/grow.py .*Grown', file='child.pth'\)"):
        Grown(**arguments)


def test_a_model_of_another_width_is_refused_and_left_as_it_was(parents):
    member = parents.run().model.member
    narrow = MODELS.build(parents.architecture.scaled(0.5).classifier_config(member))
    before = {name: value.clone() for name, value in narrow.state_dict().items()}
    with pytest.raises(WeightsError, match="nothing was loaded"):
        Grown(parents.init_cfg["file"])(narrow)
    assert not differing(before, narrow.state_dict())
