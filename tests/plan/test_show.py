"""The plan as people see it."""

from dataclasses import replace
from fractions import Fraction

import pytest

from mmrbdc.methods import parse_protocol
from mmrbdc.plan import StageModel, make_plan, plan_lines
from mmrbdc.plan.show import quantity, stage_lines


@pytest.fixture
def plan():
    """DeiT-S to DeiT-B at the size of ImageNet."""
    config = {
        "protocol": {"method": "rbdc", "family": "deit"},
        "stages": [
            {"members": 2, "width": "1/2", "epochs": 176.419},
            {"members": 1, "width": 1, "epochs": 117.613, "optim_wrapper": {}},
        ],
        "optim_wrapper": {},
    }
    narrow = StageModel("deit 12x384, 6 heads", 384, 22_050_664, 9_203_000_000, 27_609_000_000)
    wide = StageModel("deit 12x768, 12 heads", 768, 86_567_656, 35_130_000_000, 105_390_000_000)
    return make_plan(
        parse_protocol(config),
        [narrow, wide],
        samples=1_281_167,
        batch_size=1024,
        reference_model=wide,
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0.00"),
        (9.994, "9.99"),
        (9.996, "10.0"),
        (999.4, "999"),
        (999.6, "1.00 k"),
        (2_507_000_000, "2.51 G"),
        (5e30, "5000000 Y"),
    ],
)
def test_quantity(value, text):
    assert quantity(value) == text


def test_lines_fit_a_terminal_and_name_every_stage_and_unit(plan):
    lines = plan_lines(plan)
    text = "\n".join(lines)
    assert max(map(len, lines)) <= 100
    for word in ("stage0_2x384", "stage1_1x768", "scratch", "9.20 G", "4.60 G", "MACs"):
        assert word in text
    assert f"{plan.share:.2%}" in text
    ends = [lines[0].index("FLOPs/") + len("FLOPs/"), lines[1].index("image") + len("image")]
    assert ends[0] == ends[1], "both lines of a heading stand above their column"


def test_stage_lines_are_a_configs_own_syntax(plan):
    pasted: dict = {}
    lines = stage_lines(plan.protocol)
    exec("\n".join(lines), pasted)
    assert [stage["epochs"] for stage in pasted["stages"]] == [176.419, 117.613]
    assert "keep: optim_wrapper" in lines[2]


def test_image_sizes_show_where_they_differ(plan):
    assert "px" not in "\n".join(plan_lines(plan))
    rows = [replace(plan.rows[0], img_size=(160, 160)), replace(plan.rows[1], img_size=(224, 224))]
    mixed = replace(plan, rows=tuple(rows), reference=replace(plan.reference, img_size=(224, 192)))
    lines = plan_lines(mixed)
    text = "\n".join(lines)
    assert "160px" in text and "224px" in text and "224x192px" in text
    assert max(map(len, lines)) <= 100


def test_pasted_stages_keep_depth_and_image_size(plan):
    first, last = plan.protocol.stages
    stages = (replace(first, depth=Fraction(1, 2), img_size=112), last)
    pasted: dict = {}
    exec("\n".join(stage_lines(replace(plan.protocol, stages=stages))), pasted)
    assert pasted["stages"][0]["depth"] == "1/2" and pasted["stages"][0]["img_size"] == 112
    assert pasted["stages"][1].keys() == {"members", "width", "epochs"}
