"""docs/tools.md, row by row: the tools of MMPretrain and MMDetection on work dirs of ours."""

import re
from importlib import metadata
from pathlib import Path

import cv2
import mmdet
import mmpretrain
import pytest
import torch
from mmengine.config import Config
from mmpretrain import ImageClassificationInferencer, get_model
from packaging.requirements import Requirement

from mmrbdc.datasets.made.scenes import make_scenes
from mmrbdc.weights import read_checkpoint

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "tools.md").read_text()
PACKAGES = {"MMPretrain": mmpretrain, "MMDetection": mmdet}
DETECTOR = ROOT / "configs" / "mask-rcnn_random-deit-micro_scenes.py"
STAGE = "stage1_2x48"

pytestmark = pytest.mark.filterwarnings("ignore")


def rows(library):
    """Tool, arguments and verdict of every row of a library's table."""
    table = PAGE.partition(f"| {library}'s tool |")[2].partition("\n\n")[0]
    return re.findall(r"^\| `(.+?)` \| `(.+?)` \| (.+?) \|$", table, flags=re.MULTILINE)


def should_work(verdict):
    """Whether what a row asks for is installed."""
    needs = re.match(r"works with `(.+?)`", verdict)
    if needs is None:
        assert verdict.startswith("works")
        return True
    requirement = Requirement(needs[1])
    try:
        return metadata.version(requirement.name) in requirement.specifier
    except metadata.PackageNotFoundError:
        return False


class Tools:
    """Runs rows of the tables."""

    def __init__(self, tiny, out, **places):
        self.tiny, self.places = tiny, {"OUT": out, **places}

    def run(self, library, tool, arguments):
        words = []
        for word in arguments.split():
            for name, place in self.places.items():
                word = re.sub(rf"\b{name}\b", str(place), word)
            found = sorted(Path("/").glob(word[1:])) if "*" in word else [word]
            words += [str(path) for path in found[:1]]
        script = Path(PACKAGES[library].__path__[0]) / ".mim" / "tools" / tool
        return self.tiny.fork(script, *words, code=None)

    def check(self, library):
        """Every row works, or fails where its package is not there."""
        wrong = []
        for tool, arguments, verdict in rows(library):
            code = self.run(library, tool, arguments)
            if (code == 0) != should_work(verdict):
                log = (self.tiny.place / "fork.log").read_text()[-600:]
                wrong.append(f"{tool} {arguments}: code {code}, {verdict!r}\n{log}")
        assert not wrong, "\n\n".join(wrong)


@pytest.fixture
def out(tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


@pytest.fixture
def classifiers(tiny, finished, out):
    image = next((tiny.place / "data" / "digits" / "test").glob("*/*.png"))
    return Tools(tiny, out, STAGE=finished / STAGE, IMAGE=image)


@pytest.fixture
def detectors(tiny, tmp_path, out):
    """A Mask R-CNN of one epoch on a few scenes."""
    make_scenes(tmp_path / "scenes", counts=dict(train=2, val=2, test=2))
    options = {"train_cfg.max_epochs": 1, "train_dataloader.batch_size": 2}
    for split in ("train", "val", "test"):
        options |= {
            f"{split}_dataloader.num_workers": 0,
            f"{split}_dataloader.persistent_workers": False,
            f"{split}_dataloader.dataset.data_root": tmp_path / "scenes",
        }
        if split != "train":
            annotations = tmp_path / "scenes" / "annotations" / f"instances_{split}.json"
            options[f"{split}_evaluator.ann_file"] = annotations
    pairs = [f"{key}={value}" for key, value in options.items()]
    where = ["--work-dir", tmp_path / "det", "--cfg-options", *pairs]
    tiny.fork(ROOT / "tools" / "train.py", DETECTOR, *where)
    return Tools(tiny, out, DET=tmp_path / "det", CONFIG=DETECTOR.name)


def test_the_tables_are_read():
    assert len(rows("MMPretrain")) == 17 and len(rows("MMDetection")) == 12
    assert should_work("works with `torch`") and not should_work("works with `torch<1`")
    assert not should_work("works with `no-such-package`")


@pytest.mark.slow
@pytest.mark.parametrize("library", ["MMPretrain", "MMDetection"])
def test_every_row(request, library):
    tools = request.getfixturevalue(
        dict(MMPretrain="classifiers", MMDetection="detectors")[library]
    )
    tools.check(library)


def test_a_row_that_works_does(classifiers):
    """And the twin does not: a stage's own config is no single model."""
    tool = "analysis_tools/get_flops.py"
    assert classifiers.run("MMPretrain", tool, "STAGE/model.py --shape 32") == 0
    assert classifiers.run("MMPretrain", tool, "STAGE/config.py --shape 32") != 0


@pytest.mark.parametrize("place", [f"{STAGE}/members/1.pth", "deit-micro_2step_digits.pth"])
def test_get_model_and_the_inferencer_take_a_member(tiny, finished, place, monkeypatch):
    """Unpatched, with the weights of the file and the preprocessing of the stage."""
    monkeypatch.chdir(tiny.place)
    weights = finished / place
    config = (weights.parent.parent if "members" in place else finished) / "model.py"
    model = get_model(str(config), pretrained=str(weights))
    state = read_checkpoint(weights).state_dict
    own = {k: v for k, v in model.state_dict().items() if not k.startswith("data_preprocessor")}
    assert own.keys() == state.keys() and all(torch.equal(own[k], state[k]) for k in own)
    image = next((tiny.place / "data" / "digits" / "test").glob("*/*.png"))
    inferencer = ImageClassificationInferencer(str(config), pretrained=str(weights), device="cpu")
    result = inferencer(str(image), return_datasamples=True)[0]
    pixels = torch.from_numpy(cv2.imread(str(image))).permute(2, 0, 1)
    mean, std = model.data_preprocessor.mean, model.data_preprocessor.std
    with torch.no_grad():
        logits = model(((pixels.flip(0) - mean) / std)[None])
    assert torch.allclose(torch.softmax(logits, 1)[0], result.pred_score, rtol=1e-4, atol=1e-6)


def test_model_py_is_plain(finished):
    """No type of ours, no folder of the run, the stage's own length, and the recipe's data."""
    for stage in finished.glob("stage*"):
        text = (stage / "model.py").read_text()
        code = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
        assert "mmrbdc" not in code and str(finished) not in code
        plain, run = (Config.fromfile(stage / name) for name in ("model.py", "config.py"))
        assert plain.train_cfg.max_iters == run.train_cfg.max_iters
        assert plain.model.backbone == run.model.member.backbone
        ours, theirs = run.train_dataloader.dataset.dataset, plain.train_dataloader.dataset
        assert theirs.data_prefix == ours.data_prefix
        assert [step.type for step in theirs.pipeline] == [
            step.type.removeprefix("mmrbdc.") for step in ours.pipeline
        ]
    last = max(finished.glob("stage*"))
    assert (finished / "model.py").read_text() == (last / "model.py").read_text()


def test_a_stage_logs_its_long_tables_in_a_line_each(finished):
    """The rest is in files: config, environment, hooks, how each parameter began."""
    kept = {
        "config: ": "embed_dims",
        "environment: ": "PyTorch: ",
        "hooks: ": "(VERY_LOW    ) MemberExportHook",
        "initialisation of each parameter: ": "backbone.cls_token - torch.Size",
    }
    for stage in finished.glob("stage*"):
        (log,) = stage.glob("2*/*.log")
        lines = log.read_text().splitlines()
        told = [line.rpartition(" - INFO - ")[2] for line in lines]
        for words, content in kept.items():
            (path,) = [line.removeprefix(words) for line in told if line.startswith(words)]
            assert content in Path(path).read_text()
            assert not any(content in line for line in lines)
            assert Path(path).parent == log.parent or Path(path).samefile(stage / "config.py")
        assert not any("init_weights` of" in line for line in lines)
        members = len(list(stage.glob("members/*.pth")))
        assert Path(path).read_text().count("backbone.cls_token - torch.Size") == members
