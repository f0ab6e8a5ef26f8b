"""What AutoProg's progression refuses, before anything is trained."""

import pytest

from mmrbdc.plan import PlanError
from tests.engine.tiny_autoprog import protocol, run
from tests.engine.tiny_runs import staged, train_protocol


@pytest.mark.parametrize(
    "changes, words",
    [
        (dict(budget=None), "lengths='budget' and no budget; give budget"),
        (dict(lengths="epochs"), "lengths='epochs' and budget=1.0"),
        (dict(budget=0.01), "raise the budget, or lower progression.search_epochs"),
        (dict(budget=None, lengths="epochs", search_epochs=8), "24 iterations is not shorter than"),
        (dict(scale=0.25), "depth would grow from 1 to 4 blocks"),
        (dict(depths=[2, 3]), "one whole number for each of 3 stages"),
        (dict(depths=[3, 4, 5]), "ends with 5 blocks, but the target has 4"),
        (dict(img_sizes=[8, 16, 32]), "the last stage has img_size=32"),
        (dict(multiple=32), "image sizes are multiples of 32"),
        (dict(mogrow="old"), "mogrow is 'old'; it must be one of 'all', 'new', 'off'"),
        (dict(cost="money"), "cost is 'money'"),
        (dict(magnitude=2), "magnitude is 2; it is the share"),
        (dict(stages=1), "at least two stages|two or more"),
        (dict(bugdet=1), "budget"),
    ],
)
def test_a_progression_that_is_wrong(images, tmp_path, changes, words):
    with pytest.raises(ValueError, match=words):
        run(images, tmp_path / "tiny", **changes)
    assert not list(tmp_path.rglob("*.pth"))


@pytest.mark.parametrize(
    "key, value, words",
    [
        ("stages", [dict(members=1, width=1, epochs=1)], "makes its own from protocol.progression"),
        (
            "protocol.warmup",
            1,
            "protocol.warmup is set, .* the run has one",
        ),
        ("protocol.parents", "ema", "progression.mogrow"),
        ("protocol.schedule", "stage", "by flops"),
        ("protocol.depth_operator", "stack", "its depth grows by 'adjacent-last'"),
        ("protocol.resize", "pipeline", "does not leave that open"),
        ("compile", True, "a supernet is another network in every iteration"),
        ("param_scheduler.1.type", "OneCycleLR", "cannot be fitted to the length of a stage"),
    ],
)
def test_a_config_that_contradicts_it(images, tmp_path, key, value, words):
    cfg = protocol(images, tmp_path / "tiny")
    cfg.merge_from_dict({key: value})
    with pytest.raises(ValueError, match=words):
        train_protocol(cfg)
    assert not list(tmp_path.rglob("*.pth"))


def test_a_progression_where_stages_are_listed(images, tmp_path):
    cfg = staged(images, tmp_path / "tiny")
    cfg.protocol.progression = dict(budget=1.0)
    with pytest.raises(PlanError, match="the stages of method 'rbdc' are those that the config"):
        train_protocol(cfg)
