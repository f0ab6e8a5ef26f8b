"""tools/misc/check_coco_dataset.py, as a user calls it."""

import json
import runpy
from pathlib import Path

import pytest

from mmrbdc.datasets.errors import DataError
from mmrbdc.datasets.made.scenes import make_scenes
from mmrbdc.ops import has_ops

ROOT = Path(__file__).parents[2]
TOOL = ROOT / "tools" / "misc" / "check_coco_dataset.py"


@pytest.fixture(scope="module")
def check():
    """The tool's main, by its path: tools/ is no package."""
    return runpy.run_path(str(TOOL))["main"]


@pytest.fixture
def scenes(tmp_path):
    make_scenes(tmp_path, counts=dict(train=6, val=3, test=3))
    return tmp_path


def config_of(root, classes="None"):
    """A config as a user has it: three loaders, two of them equal."""
    text = f"""
classes = {classes}
def loader(split):
    return dict(dataset=dict(
        type='CocoDataset', data_root='{root}', ann_file=f'annotations/instances_{{split}}.json',
        data_prefix=dict(img=f'{{split}}/'), metainfo=dict(classes=classes or tuple('0123456789'))))
train_dataloader, val_dataloader = loader('train'), loader('val')
test_dataloader = val_dataloader
"""
    path = root / "config.py"
    path.write_text(text)
    return str(path)


def test_a_clean_set_is_counted(check, scenes, capsys):
    check([config_of(scenes)])
    printed = capsys.readouterr().out
    content = json.loads((scenes / "annotations" / "instances_train.json").read_text())
    (total,) = (line.split() for line in printed.splitlines() if line.strip().startswith("all"))
    assert total[1:3] == ["6", str(len(content["annotations"]))]
    assert "val, test" in printed and "no errors found" in printed


needs_ops = pytest.mark.skipif(not has_ops(), reason="needs mmcv's compiled ops: make env OPS=1")


@pytest.mark.parametrize(
    ("evaluator", "words"),
    [
        pytest.param("metric='masks'", "metric should be one of", marks=needs_ops),
        pytest.param("max_dets=0", "max_dets=0", marks=needs_ops),
        pytest.param("max_dets='many'", "max_dets='many'", marks=needs_ops),
        pytest.param("proposal_nums=(1, 10)", "does not have that number", marks=needs_ops),
        ("ann_file=None", "--cfg-options val_evaluator.ann_file={root}/annotations/instances_val"),
    ],
)
def test_what_an_evaluator_refuses_is_said(check, scenes, capsys, evaluator, words):
    """And without it the same config has nothing to mend (the twin)."""
    path = Path(config_of(scenes))
    plain = path.read_text() + (
        "default_scope = 'mmdet'\n"
        f"truth = dict(ann_file='{scenes}/annotations/instances_val.json')\n"
    )
    path.write_text(f"{plain}val_evaluator = dict(type='CocoMetric', **truth)\n")
    check([str(path)])
    changed = f"val_evaluator = dict(type='CocoMetric', **{{**truth, **dict({evaluator})}})\n"
    path.write_text(plain + changed)
    capsys.readouterr()
    with pytest.raises(SystemExit) as exited:
        check([str(path)])
    printed = capsys.readouterr().out
    assert exited.value.code == 1 and words.format(root=scenes) in printed
    assert "error: val_evaluator" in printed
    assert "1 error to correct" in printed


def test_without_ops_what_was_not_tried_is_said(check, scenes, capsys, monkeypatch):
    path = Path(config_of(scenes))
    truth = f"ann_file='{scenes}/annotations/instances_val.json'"
    path.write_text(
        f"{path.read_text()}val_evaluator = dict(type='CocoMetric', {truth}, max_dets=0)"
    )
    monkeypatch.setattr("mmrbdc.ops.has_ops", lambda: False)
    check([str(path)])
    printed = capsys.readouterr().out
    assert "note: the evaluators were not tried: detectors need mmcv's compiled ops" in printed
    assert "make env OPS=1" in printed and "no errors found" in printed


def test_what_is_wrong_is_said_and_ends_with_1(check, scenes, capsys):
    file = scenes / "annotations" / "instances_val.json"
    content = json.loads(file.read_text())
    content["annotations"][0]["bbox"] = [120, 120, 20, 20]
    file.write_text(json.dumps(content))
    (scenes / "train" / "copy.png").write_bytes(next((scenes / "val").iterdir()).read_bytes())
    with pytest.raises(SystemExit) as exited:
        check([config_of(scenes)])
    assert exited.value.code == 1
    printed = capsys.readouterr().out
    assert (
        "error: val, test: '" in printed and "[120, 120, 20, 20], outside of the image" in printed
    )
    assert "no errors found" not in printed


def test_classes_that_are_not_the_files(check, scenes, capsys):
    with pytest.raises(SystemExit):
        check([config_of(scenes, classes="('0', 'one')")])
    assert "has no category 'one'" in capsys.readouterr().out


def test_annotation_files_print_the_line_of_the_config(check, scenes, capsys):
    """What is printed, put into a config, is that config's classes."""
    files = [str(scenes / "annotations" / f"instances_{name}.json") for name in ("train", "val")]
    check(files)
    printed = capsys.readouterr().out
    assert "no image was looked at" in printed
    line = printed[printed.index("classes = (") : printed.index(")\n") + 1]
    check([config_of(scenes, classes=line.partition("=")[2])])
    assert "no errors found" in capsys.readouterr().out
    check([*files, "--images", str(scenes / "train"), str(scenes / "val")])
    assert "no image was looked at" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a.json", "b.json", "--images", "a", "b", "c"], "3 folders for 2 annotation files"),
        (["a.json", "b.json", "a.json"], "a.json is given twice"),
        (
            ["a.json", "b.json", "--images", "configs", "no where"],
            "--images no where is not a folder",
        ),
        (["a.json", "--renumber", "/dev/null/x.json"], "--renumber: nothing can be written into"),
        (["configs/mask-rcnn_rbdc-r50_coco.py", "a.json"], "one config"),
    ],
)
def test_a_wrong_call_is_explained(check, arguments, message):
    with pytest.raises(ValueError, match=message):
        check(arguments)


@pytest.mark.parametrize("objects, told", [(30, False), (105, True), (240, True)])
def test_more_objects_than_can_be_found_are_told(check, scenes, capsys, objects, told):
    """With the options that make room; in a file by itself COCO's own limit alone."""
    file = scenes / "annotations" / "instances_val.json"
    content = json.loads(file.read_text())
    first = content["images"][1]["id"]
    content["annotations"] = [
        dict(
            id=number,
            image_id=first,
            category_id=content["categories"][3]["id"],
            bbox=[number % 100, number % 90, 8, 9],
            area=72,
            iscrowd=0,
        )
        for number in range(1, objects + 1)
    ]
    file.write_text(json.dumps(content))
    more = f"""
val_evaluator = dict(type='CocoMetric', ann_file='{file}')
test_evaluator = dict(type='mmrbdc.CocoMetric', ann_file='{file}', max_dets=100)
train_cfg = optim_wrapper = val_cfg = test_cfg = dict(type="one")
model = dict(
    train_cfg=dict(rpn_proposal=dict(max_per_img=1)),
    test_cfg=dict(rpn=dict(max_per_img=200), rcnn=dict(max_per_img=100)))
"""
    path = Path(config_of(scenes))
    path.write_text(path.read_text() + more)
    check([str(path)])
    printed = [line for line in capsys.readouterr().out.splitlines() if "makes room" in line]
    room = 200 if objects < 200 else 300
    assert any(f"model.test_cfg.rcnn.max_per_img={room}" in line for line in printed) == told
    both = f"val_evaluator.max_dets={room} test_evaluator.max_dets={room}"
    assert any(both in line for line in printed) == told
    assert any("test_cfg.rpn.max_per_img" in line for line in printed) == (objects > 200)
    assert any("rpn_proposal.max_per_img" in line and "note: train: " in line for line in printed)
    check([str(file)])
    assert ("objects of one class than the 100" in capsys.readouterr().out) == told


@pytest.mark.parametrize(
    "size, more, fails",
    [
        (7, "drop_last=True", True),
        (6, "drop_last=True", False),
        (7, "", False),
        (9, "batch_sampler=dict(type='AspectRatioBatchSampler', drop_last=True)", True),
        (9, "drop_last=True, sampler=dict(type='InfiniteSampler')", False),
    ],
)
def test_a_loader_that_makes_no_batch_is_an_error(check, scenes, capsys, size, more, fails):
    path = Path(config_of(scenes))
    path.write_text(path.read_text() + f"train_dataloader.update(batch_size={size}, {more})\n")
    if not fails:
        check([str(path)])
        return
    with pytest.raises(SystemExit):
        check([str(path)])
    printed = capsys.readouterr().out
    assert f"has 6 images after its filter; a batch has {size}" in printed


def test_a_file_that_is_not_there_is_one_thing_to_mend(check, scenes, capsys):
    other = scenes / "annotations" / "instances_val.json"
    with pytest.raises(SystemExit) as end:
        check([str(other), "no where.json"])
    printed = " ".join(capsys.readouterr().out.split())
    assert end.value.code == 1 and "no where.json is missing" in printed
    assert "1 error to correct" in printed


def test_renumbering_mends_the_id_0(check, scenes, capsys):
    file = scenes / "annotations" / "instances_train.json"
    content = json.loads(file.read_text())
    for number, annotation in enumerate(content["annotations"]):
        annotation["id"] = number
    file.write_text(json.dumps(content))
    with pytest.raises(SystemExit):
        check([str(file)])
    assert "--renumber NEW_FILE" in capsys.readouterr().out
    new = scenes / "new.json"
    check([str(file), "--renumber", str(new)])
    assert "no errors found" in capsys.readouterr().out
    assert [a["id"] for a in json.loads(new.read_text())["annotations"]][:2] == [1, 2]
    with pytest.raises(DataError, match="there already"):
        check([str(file), "--renumber", str(new)])
    with pytest.raises(DataError, match="takes one annotation file, got 2"):
        check([str(file), str(new), "--renumber", "other.json"])


def test_the_evaluators_of_a_config_are_looked_at(check, scenes, capsys):
    """What the start of a training refuses, the check has said before."""
    config = Path(config_of(scenes))
    text = config.read_text()
    score = "\nval_evaluator = dict(type='CocoMetric', ann_file='{}/annotations/instances_{}.json')"
    config.write_text(text + score.format(scenes, "val"))
    check([str(config)])
    capsys.readouterr()
    config.write_text(text + score.format(scenes, "train"))
    with pytest.raises(SystemExit) as exited:
        check([str(config)])
    assert exited.value.code == 1
    printed = capsys.readouterr().out
    assert "error: val_evaluator.ann_file: " in printed and "that are tested" in printed
