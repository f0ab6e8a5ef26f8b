"""What parents, their ensemble and their child answer before the child's first step."""

import copy

import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmengine.registry import DATASETS, MODELS

from mmrbdc.engine.evaluation.scoring import member_scores, score
from mmrbdc.engine.junctions.scores import score_junction
from mmrbdc.models import Siblings
from mmrbdc.weights import save_member
from tests.engine.tiny_runs import grown_file, stage_run, staged, stages_of

pytestmark = pytest.mark.numeric


class Junction:
    """Four parents of random weights and the two stages around their junction."""

    def __init__(self, images, folder, family="resnet", copies=False):
        stages = [
            dict(members=4, width="1/4", epochs=1),
            dict(members=2, width="1/2", epochs=1),
            dict(members=1, width=1, epochs=1),
        ]
        self.cfg = staged(images, folder, family, stages=stages)
        _, setups = stages_of(self.cfg)
        architecture = setups[0].architecture
        self.parent_run = stage_run(self.cfg)
        self.parent_cfg = self.parent_run.model.member
        self.models, paths = [], []
        for i in range(4):
            model = MODELS.build(copy.deepcopy(self.parent_cfg))
            randomise(model, seed=i // 2 if copies else i)
            self.models.append(model.eval())
            self.centre(model)
            paths.append(folder / f"{i}.pth")
            meta = dict(family=architecture.family, architecture=architecture.to_dict())
            save_member(paths[-1], model.state_dict(), meta)
        self.parents = [paths[:2], paths[2:]]
        grown = [
            grown_file(folder, group, setups[1].architecture, allow_equal=copies)
            for group in self.parents
        ]
        self.run = stage_run(self.cfg, stage=1, grown=grown)
        self.result = score_junction(self.run, [self.parent_run] * 2, self.parents)

    def centre(self, model):
        """Make the answers of random weights depend on the image, by the last layer's bias."""
        (linear,) = (m for m in model.head.modules() if isinstance(m, torch.nn.Linear))
        linear.bias.data -= self.logits([model])[0][0].mean(0)

    def logits(self, models):
        """(models, N, classes), by hand, and the labels (N)."""
        dataset = DATASETS.build(self.cfg.val_dataloader.dataset)
        batch = pseudo_collate([dataset[i] for i in range(len(dataset))])
        data = models[0].data_preprocessor(batch)
        labels = torch.cat([sample.gt_label for sample in data["data_samples"]])
        with torch.no_grad():
            return torch.stack([model(data["inputs"]) for model in models]), labels


def randomise(model, seed):
    draw = torch.Generator().manual_seed(seed)
    for name, tensor in model.state_dict().items():
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 2, generator=draw)
        elif tensor.is_floating_point():
            tensor.normal_(0, 0.3, generator=draw)


def top1(logits, labels):
    return 100 * (logits.argmax(-1) == labels).float().mean().item()


@pytest.fixture(scope="module")
def junction(images, tmp_path_factory):
    return Junction(images, tmp_path_factory.mktemp("junction"))


def test_parents_and_ensembles_score_what_they_score_by_hand(junction):
    logits, labels = junction.logits(junction.models)
    for child, group in zip(junction.result, logits.split(2), strict=True):
        assert list(child.parents) == pytest.approx([top1(one, labels) for one in group], abs=1e-3)
        assert child.ensemble == pytest.approx(top1(group.mean(0), labels), abs=1e-3)


def test_a_coupled_resnet_scores_what_its_parents_ensemble_scores(junction):
    for child in junction.result:
        assert child.child == child.ensemble
        assert len({*child.parents, child.ensemble}) > 1


def test_a_coupled_deit_of_copies_scores_what_its_parent_scores(images, tmp_path):
    result = Junction(images, tmp_path, "deit", copies=True).result
    for child in result:
        assert list(child.parents) == [child.child] * 2 == [child.ensemble] * 2


def test_twin_a_child_of_other_parents_scores_otherwise(junction):
    """The children are scored in their own order."""
    run = copy.deepcopy(junction.run)
    run.model.init_cfgs = run.model.init_cfgs[::-1]
    swapped = score_junction(run, [junction.parent_run] * 2, junction.parents)
    children = [child.child for child in junction.result]
    assert children[0] != children[1]
    assert [child.child for child in swapped] == children[::-1]


@pytest.mark.parametrize("split", ["val", "test"])
def test_scores_are_of_the_split_that_is_asked_for(junction, split):
    cfg = copy.deepcopy(junction.run)
    other = "test" if split == "val" else "val"
    cfg.pop(f"{other}_dataloader"), cfg.pop(f"{other}_evaluator")
    model = Siblings(junction.parent_cfg, seeds=[1, 2], indices=[7, 3])
    metrics = score(model, cfg, split)
    assert member_scores(metrics, model) == [metrics["member7/top1"], metrics["member3/top1"]]
    assert 0 <= metrics["accuracy/top1"] <= 100 and not model.training
