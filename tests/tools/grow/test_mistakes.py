"""tools/grow.py: one readable line for every mistake, and nothing written."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mmrbdc.weights import save_member
from tests.tools.grow.calls import TOOL, command, error_of

RESNET = """
model = dict(
    type='ImageClassifier',
    backbone=dict(type='ResNet', depth=18, base_channels=8, stem_channels=8),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', num_classes=5, in_channels=64))
"""


@pytest.mark.parametrize("make", ["parent", "member"])
@pytest.mark.parametrize(
    ("options", "stated", "seen"),
    [
        (dict(depth=1), "depth is 1 instead of 2", "no tensor of block 1 is there"),
        (dict(depth=3), "depth is 3 instead of 2", "'backbone.layers.2.ln1.weight'"),
        (dict(patch=16), "patch_size is (16, 16) instead of (8, 8)", "the number of tokens"),
        (dict(classes=7), "num_classes is 7 instead of 5", "the number of classes is 7 here"),
        (dict(width=20, heads=5), "head size is 4 instead of 8", "not a multiple of 3 x 8"),
        (dict(width=24, heads=3), "16 + 24 = 40", "16 + 24 = 40"),
    ],
    ids=["less deep", "deeper", "patch size", "classes", "head size", "width"],
)
def test_parents_that_do_not_fit(files, main, capsys, make, options, stated, seen):
    first = files.parent("a.pth", 1)
    other = getattr(files, make)("b.pth", 2, **options)
    message = error_of(main, capsys, command(files.child, [first, other]))
    assert (stated if make == "member" else seen) in message
    assert "b.pth" in message or options.get("width") == 24


def test_a_head_size_that_only_a_config_can_tell(files, main, capsys):
    """One head of 16 instead of two of 8 has the same tensors: only who says so can refuse it."""
    one_head = files.config("one_head.py", width=16, heads=1)
    argv = command(files.child, files.two(), "--parent-config", one_head)
    assert "head size is 16 instead of 8" in error_of(main, capsys, argv)


def test_a_parent_config_of_another_width(files, main, capsys):
    thin = files.config("thin.py", width=8, heads=1)
    argv = command(files.child, files.two(), "--parent-config", thin)
    message = error_of(main, capsys, argv)
    assert "'stream' 16 wide, but deit 2x8, 1 head, 16 hidden (from thin.py)" in message


def test_a_parent_config_against_the_files_own_word(files, main, capsys):
    parents = [files.member("a.pth", 1), files.member("b.pth", 2)]
    one_head = files.config("one_head.py", width=16, heads=1)
    argv = command(files.child, parents, "--parent-config", one_head)
    message = error_of(main, capsys, argv)
    assert "a.pth says that it is deit 2x16, 2 heads" in message and "one_head.py" in message


def test_the_wrong_number_of_parent_configs(files, main, capsys):
    parents = [*files.two(), files.parent("c.pth", 3)]
    argv = command(files.child, parents, "--parent-config", "x.py", "y.py")
    assert "2 parent configs for 3 parents" in error_of(main, capsys, argv)


def test_another_family(files, main, capsys):
    (files.root / "resnet.py").write_text(RESNET)
    message = error_of(main, capsys, command("resnet.py", files.two()))
    assert "is it another family" in message
    message = error_of(main, capsys, command("resnet.py", [files.member("m.pth", 1), "a.pth"]))
    assert "family is deit instead of resnet" in message


def test_the_same_parent_twice(files, main, capsys):
    parent = files.parent("a.pth", 1)
    message = error_of(main, capsys, command(files.child, [parent, parent]))
    assert "hold the same weights" in message and "--allow-equal-parents" in message
    main(command(files.child, [parent, parent], "--allow-equal-parents"))


def test_one_parent(files, main, capsys):
    assert "two or more" in error_of(main, capsys, command(files.child, files.two()[:1]))


@pytest.mark.parametrize("change", ["missing", "extra"])
def test_missing_and_extra_keys(files, main, capsys, change):
    parents = files.two()
    state = torch.load("b.pth")
    if change == "missing":
        del state["backbone.ln1.bias"]
    else:
        state["backbone.ln9.bias"] = torch.ones(1)
    torch.save(state, "b.pth")
    message = error_of(main, capsys, command(files.child, parents))
    assert "b.pth" in message and ("ln1.bias" if change == "missing" else "ln9.bias") in message


class Foreign:
    """Pickles as a call that writes a file."""

    def __reduce__(self):
        return (Path.touch, (Path("executed"),))


def damage(path, how):
    if how == "missing":
        path.unlink()
    elif how == "truncated":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    elif how == "no checkpoint":
        path.write_text("weights, honestly")
    elif how == "foreign code":
        torch.save({"state_dict": {"weight": Foreign()}}, path)


@pytest.mark.parametrize("how", ["missing", "truncated", "no checkpoint", "foreign code"])
def test_files_that_are_no_parents(files, main, capsys, how):
    parents = files.two()
    damage(files.root / "b.pth", how)
    assert "b.pth" in error_of(main, capsys, command(files.child, parents))
    assert not Path("executed").exists()


def test_raw_and_averaged_parents_do_not_mix(files, main, capsys):
    parents = files.two()
    save_member("c.pth", torch.load("b.pth"), {"weights": "ema"})
    message = error_of(main, capsys, command(files.child, [parents[0], "c.pth"]))
    assert "a.pth holds raw weights and c.pth averaged ones" in message


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("nowhere.py", "nowhere.py"),
        ("mmpretrain::deit/deit-huge.py", "there is no config 'mmpretrain::deit/deit-huge.py'"),
        ("broken.py", "config broken.py: SyntaxError: "),
        ("empty.py", "has no 'model'"),
        ("mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py", "the model is a MaskRCNN"),
    ],
)
def test_configs_that_are_no_classifiers(files, main, capsys, config, words):
    (files.root / "broken.py").write_text("model = dict(")
    (files.root / "empty.py").write_text("epochs = 3\n")
    assert words in error_of(main, capsys, command(config, files.two()))


def test_existing_files_are_kept_unless_forced(files, main, capsys):
    parents = files.two()
    main(command(files.child, parents))
    first = Path("out.pth").read_bytes()
    assert "exists already" in error_of(main, capsys, command(files.child, parents))
    assert "exists already" in error_of(
        main, capsys, command(files.child, parents, "--report", "out.pth", out="2.pth")
    )
    main(command(files.child, parents[::-1], "--force"))
    assert Path("out.pth").read_bytes() != first


@pytest.mark.parametrize(("out", "words"), [("a.pth", "is the parent a.pth"), (".", "is a folder")])
def test_targets_that_are_never_written(files, main, capsys, out, words):
    argv = command(files.child, files.two(), "--force", out=out)
    assert words in error_of(main, capsys, argv)


def test_child_and_report_in_one_file(files, main, capsys):
    argv = command(files.child, files.two(), "--report", "out.pth")
    assert "is named twice" in error_of(main, capsys, argv)


def test_an_unknown_option(files, main, capsys):
    with pytest.raises(SystemExit) as ended:
        main(command(files.child, files.two(), "--faster"))
    assert ended.value.code == 2
    assert "error: " in capsys.readouterr().err


def test_a_mistake_at_the_shell(files):
    """No traceback, no warnings: one line and a code."""
    argv = [sys.executable, str(TOOL), *command(files.child, ["nowhere.pth", "b.pth"])]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and not done.stdout
    assert done.stderr == "error: checkpoint nowhere.pth does not exist\n"
