"""``--cfg-options`` are checked before they are merged."""

import pytest
from mmengine.config import Config

from mmrbdc.engine.configs.cfg_options import merge_options


def config():
    return Config(
        dict(
            model=dict(type="ImageClassifier", backbone=dict(depth=18)),
            train_dataloader=dict(batch_size=64),
            stages=[dict(members=2, epochs=3), dict(members=1, epochs=2)],
        )
    )


def test_options_are_merged_and_remembered():
    cfg = config()
    options = {"train_dataloader.batch_size": 8, "stages.0.epochs": 1, "load_from": "x.pth"}
    merge_options(cfg, options)
    assert cfg.train_dataloader.batch_size == 8
    assert [stage["epochs"] for stage in cfg.stages] == [1, 2]
    assert cfg.load_from == "x.pth"  # the Runner knows it, though the config does not
    assert cfg.cfg_options == options


@pytest.mark.parametrize("options", [None, {}])
def test_without_options_nothing_changes(options):
    cfg = config()
    merge_options(cfg, options)
    assert cfg.to_dict() == config().to_dict()


def test_a_name_that_only_files_use_is_refused_and_its_places_are_named():
    cfg = config()
    cfg.max_epochs = 36
    cfg.train_cfg = dict(max_epochs=36)
    cfg.param_scheduler = [dict(end=1), dict(begin=1, end=36)]
    with pytest.raises(
        ValueError, match=r"is read \(train_cfg.max_epochs\). Set it there"
    ) as error:
        merge_options(cfg, {"max_epochs": 12})
    assert str(error.value).endswith("perhaps by chance, have param_scheduler.1.end")
    assert cfg.max_epochs == 36
    merge_options(cfg, {"train_cfg.max_epochs": 12, "sync_bn": "torch"})
    assert cfg.train_cfg.max_epochs == 12


@pytest.mark.parametrize(
    ("name", "value", "places"),
    [
        ("max_epochs", 2, {"train_cfg.max_epochs": 2}),
        ("num_classes", 7, {"model.head.num_classes": 7, "model.aux.1.num_classes": 7}),
        ("with_mask", True, {"model.with_mask": True}),
        ("base_lr", 0.5, {}),
    ],
)
def test_a_number_that_stands_elsewhere_may_be_chance(name, value, places):
    """What has another name is told apart; a user who sets it all would change the model."""
    cfg = config()
    cfg.model.update(aux=[{}, {}], head=dict(depth=2, convs=7, pre=True, momentum=0.5))
    for key, copied in places.items():
        cfg.merge_from_dict({key: copied})
    cfg[name] = value
    with pytest.raises(ValueError) as error:
        merge_options(cfg, {name: value})
    first, chance = str(error.value).split(". The same value, perhaps by chance, have ")
    assert all(place in first for place in places) and "model.head." in chance
    assert not set(places) & set(chance.split(", "))


@pytest.mark.parametrize(
    "value", ["data/cells", ("hex nut", "bolt"), [dict(type="LoadImageFromFile")]]
)
def test_a_value_that_tells_is_its_places_own(value):
    cfg = config()
    cfg.shared = value
    cfg.train_dataloader.update(dataset=dict(other=value))
    with pytest.raises(ValueError, match=r"\(train_dataloader.dataset.other\)") as error:
        merge_options(cfg, {"shared": 1})
    assert "chance" not in str(error.value)


def test_a_key_may_be_new_below_a_known_one():
    cfg = config()
    merge_options(cfg, {"model.backbone.drop_path_rate": 0.1})
    assert cfg.model.backbone == dict(depth=18, drop_path_rate=0.1)


@pytest.mark.parametrize(
    "key, message",
    [
        ("train_dataloder.batch_size", "did you mean 'train_dataloader'?"),
        ("modle.backbone.depth", "did you mean 'model'?"),
        ("zzz", "known: model, stages, train_dataloader"),
        ("stages.2.epochs", "a list of 2 at stages; the parts of each are set by its number"),
        ("stages.first.epochs", "the first by stages.0.PART=VALUE"),
        ("stages.epochs", "the first by stages.0.PART=VALUE"),
        ("stages.1", "the first by stages.0.PART=VALUE"),
        ("model.backbone.depth.a.b", "holds 18 at model.backbone.depth, which has no parts"),
        ("model..backbone", "one of its parts is empty"),
        ("train_dataloader.batch_size.", "one of its parts is empty"),
        ("model.backbone.out.0", "a list at model.backbone.out, which is set as a whole"),
        ("model.backbone.sizes.1", "a tuple at model.backbone.sizes, which is set as a whole"),
        ("model.backbone.norm.type", "holds None at model.backbone.norm, which has no parts"),
    ],
)
def test_an_unknown_option_is_refused_and_nothing_is_merged(key, message):
    cfg = config()
    cfg.model.backbone.update(out=[0, 1], sizes=(8, 16), norm=None)
    before = cfg.to_dict()
    with pytest.raises(ValueError) as error:
        merge_options(cfg, {key: 1})
    assert message in str(error.value) and "\n" not in str(error.value)
    assert cfg.to_dict() == before


def test_parts_of_lists_in_lists_are_reached():
    cfg = config()
    cfg.model.steps = [[dict(type="A"), dict(type="B")], dict(type="C")]
    merge_options(cfg, {"model.steps.0.1.scale": 2, "model.steps.1.scale": 3})
    assert cfg.model.steps[0][1] == dict(type="B", scale=2)
    assert cfg.model.steps[1] == dict(type="C", scale=3)
