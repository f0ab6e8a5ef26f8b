"""What a junction may do beside the paper's plain rule, from the config to the final model."""

import pytest

from mmrbdc.plan import PlanError
from mmrbdc.registry import RUNNERS
from tests.engine.tiny_runs import staged, train_protocol

pytestmark = pytest.mark.numeric

PROTOCOL = dict(method="rbdc", family="deit", reference_epochs=10)


def protocol(images, work_dir, family="deit", **choices):
    settings = dict(PROTOCOL, family=family, **choices)
    cfg = staged(images, work_dir, family, protocol=settings)
    cfg.custom_hooks = [dict(type="EMAHook", momentum=0.02)]
    return cfg


@pytest.fixture(scope="module")
def plain(images, tmp_path_factory):
    work_dir = tmp_path_factory.mktemp("plain") / "tiny"
    train_protocol(protocol(images, work_dir))
    return work_dir


@pytest.mark.parametrize("choices", [dict(parents="ema"), dict(warmup=1)])
def test_a_run_is_not_resumed_with_another_choice(images, tmp_path, plain, choices):
    cfg = protocol(images, plain, **choices)
    with pytest.raises(PlanError, match="holds another protocol; it differs in"):
        train_protocol(cfg, resume=True)


def test_a_run_is_not_resumed_on_other_images(images, tmp_path, plain):
    image = next((images / "train").rglob("*.png"))
    image.rename(tmp_path / "elsewhere.png")
    (image.parent / "new.png").write_bytes((tmp_path / "elsewhere.png").read_bytes())
    try:
        with pytest.raises(PlanError, match="its images have other names now"):
            train_protocol(protocol(images, plain), resume=True)
    finally:
        (image.parent / "new.png").rename(image)


def test_the_warm_up_after_a_junction_is_as_long_as_it_says(images, tmp_path):
    run = RUNNERS.build(protocol(images, tmp_path, warmup=1)).protocol_run
    first, second = (setup.content["param_scheduler"] for setup in run.stages)
    plain = RUNNERS.build(protocol(images, tmp_path)).protocol_run
    assert first == plain.stages[0].content["param_scheduler"]
    assert (second[0]["begin"], second[0]["end"]) == (0, run.plan.feed.iters_per_epoch)


def test_a_warm_up_that_cannot_be_is_refused(images, tmp_path):
    with pytest.raises(PlanError, match="protocol.warmup is 'long'"):
        train_protocol(protocol(images, tmp_path / "tiny", warmup="long"))
