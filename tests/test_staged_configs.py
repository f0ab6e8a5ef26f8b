"""Every shipped protocol and baseline: what it states, what it will cost, and who is compared."""

import ast
import itertools
from functools import cache
from pathlib import Path

import pytest
from mmengine.config import Config

from mmrbdc.engine.cost.plan_inputs import plan_inputs
from mmrbdc.methods import parse_protocol
from mmrbdc.plan import make_plan

CONFIGS = Path(__file__).parent.parent / "configs"
BASELINES = {
    "rbdc/deit-b_1step_in1k.py": "baselines/deit-b_scratch_in1k.py",
    "rbdc/deit-b_2step_in1k.py": "baselines/deit-b_scratch_in1k.py",
    "rbdc/deit-micro_2step-lowres_digits.py": "baselines/deit-micro_scratch_digits.py",
    "rbdc/deit-micro_2step_digits.py": "baselines/deit-micro_scratch_digits.py",
    "rbdc/deit-mini_1step_cifar10.py": "baselines/deit-mini_scratch_cifar10.py",
    "rbdc/deit-mini_2step_cifar10.py": "baselines/deit-mini_scratch_cifar10.py",
    "rbdc/deit-s_1step_imagenette.py": "baselines/deit-s_scratch_imagenette.py",
    "rbdc/deit-s_1step_in1k.py": "baselines/deit-s_scratch_in1k.py",
    "rbdc/resnet-micro_2step_digits.py": "baselines/resnet-micro_scratch_digits.py",
    "rbdc/resnet-mini_2step_cifar10.py": "baselines/resnet-mini_scratch_cifar10.py",
    "rbdc/resnet50_1step_in1k.py": "baselines/resnet50_scratch_in1k.py",
    "rbdc/resnet50_2step_in1k.py": "baselines/resnet50_scratch_in1k.py",
}
STAGED = [*BASELINES, *sorted(set(BASELINES.values()))]

pytestmark = pytest.mark.filterwarnings("ignore:pkg_resources")


@cache
def plan_of(name):
    cfg = Config.fromfile(CONFIGS / name)
    protocol = parse_protocol(cfg, name=Path(name).stem)
    return make_plan(protocol, **plan_inputs(cfg, protocol))


def test_the_promised_configs_are_there():
    found = [*(CONFIGS / "rbdc").glob("*.py"), *(CONFIGS / "baselines").glob("*.py")]
    assert {str(path.relative_to(CONFIGS)) for path in found} == {*STAGED}


@pytest.mark.parametrize("name", STAGED)
def test_docstring(name):
    """What it trains, what to expect, on what, and the command."""
    text = ast.get_docstring(ast.parse((CONFIGS / name).read_text()))
    assert text is not None
    for part in ("Expected: ", "Hardware: ", f" configs/{name}"):
        assert part in text
    assert "tools/dist_train.sh configs/" in text or "tools/train.py configs/" in text
    others = [word.strip("().,:") for word in text.split() if "configs/" in word]
    assert all((CONFIGS.parent / other).exists() for other in others)


@pytest.mark.parametrize("name", BASELINES)
def test_one_recipe_for_a_comparison(name):
    """A protocol and its baseline differ in their stages alone."""
    ours, theirs = (Config.fromfile(CONFIGS / n).to_dict() for n in (name, BASELINES[name]))
    assert [cfg["protocol"].pop("method") for cfg in (ours, theirs)] == ["rbdc", "scratch"]
    assert len(ours.pop("stages")) > len(theirs.pop("stages")) == 1
    assert ours == theirs


@pytest.mark.parametrize("name", BASELINES)
def test_what_it_costs(name):
    """70 % of the baseline on ImageNet-1k, as much as the baseline on smaller data."""
    plan, baseline = plan_of(name), plan_of(BASELINES[name])
    assert plan.reference == baseline.reference and baseline.share == 1
    assert len(plan.rows) == 1 + int(name.partition("step")[0][-1])
    assert plan.rows[-1].label == baseline.rows[-1].label
    share = plan.total_flops / baseline.total_flops
    if "_in1k" in name:
        assert share == pytest.approx(0.7, rel=1e-3)
        epochs = [row.epochs for row in plan.rows]
        ratios = [narrow / wide for narrow, wide in itertools.pairwise(epochs)]
        assert ratios == pytest.approx([1.5] * len(ratios), rel=1e-3)
    else:
        assert 0.99 < share <= 1
