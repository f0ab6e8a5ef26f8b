"""The loss that operators see: the recipe's on unmixed images."""

import pytest
import torch
from torch.nn import functional as F

from mmrbdc.engine.junctions.growth_context import TrainingContext
from tests.engine.data_operator_case import KINDS, Case, config_of

pytestmark = pytest.mark.numeric

MIXUP = dict(type="Mixup", alpha=0.8)


@pytest.mark.parametrize("place", ["train_cfg", "data_preprocessor"])
@pytest.mark.parametrize("loss", [dict(use_soft=True), dict(use_sigmoid=True)], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_a_loss_of_soft_labels_gets_one_hot_ones(images, kind, loss, place):
    cfg = config_of(images, kind)
    cfg.model.head.loss = dict(type="CrossEntropyLoss", loss_weight=1.0, **loss)
    cfg.model.pop("train_cfg", None)
    classes = cfg.model.head.num_classes
    preprocessor = dict(cfg.model.get("data_preprocessor") or {}, num_classes=classes)
    if place == "train_cfg":
        cfg.model.train_cfg = dict(augments=[MIXUP])
    else:
        preprocessor["batch_augments"] = dict(augments=[MIXUP])
    cfg.model.data_preprocessor = preprocessor
    context = TrainingContext(cfg, seed=1)
    state = {n: t.double() if t.is_floating_point() else t for n, t in context.initial().items()}
    batch = next(context.batches(4))
    samples = batch["data_samples"]
    context._classifier.double().load_state_dict(state)
    with torch.no_grad():
        logits = context._classifier(batch["inputs"].double(), mode="tensor")
        labels = torch.cat([sample.gt_label for sample in samples])
        if "use_soft" in loss:
            expected = F.cross_entropy(logits, labels)
            rounding = 1e-10
        else:
            one_hot = F.one_hot(labels, classes).double()
            expected = classes * F.binary_cross_entropy_with_logits(logits, one_hot)
            # MMPretrain's is of float32: a mean of positive terms, so nothing cancels.
            rounding = (logits.numel() + 16) * 2**-24
        assert context.loss(state, batch) == pytest.approx(float(expected), rel=rounding)


@pytest.mark.parametrize("kind", KINDS)
def test_gradmax_searches_with_the_batch_s_statistics_where_there_are_some(images, kind):
    """A ResNet is trained by them; its running ones are of the narrower parent."""
    case = Case(images, kind)
    given = []
    loss = case.context.loss

    def spy(state, batch, *, training=False):
        given.append(training)
        return loss(state, batch, training=training)

    case.context.loss = spy
    case.grow("gradmax")
    assert set(given) == {kind == "resnet"}


def test_the_batch_s_statistics_change_the_loss_and_not_the_state(images):
    case = Case(images, "resnet")
    state = case.grow("gradmax")
    before = {name: tensor.clone() for name, tensor in state.items()}
    losses = [float(case.context.loss(state, case.batch(), training=t)) for t in (False, True)]
    assert losses[0] != pytest.approx(losses[1], rel=1e-3)
    assert all(torch.equal(tensor, before[name]) for name, tensor in state.items())
