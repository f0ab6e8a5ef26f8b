"""Parents that do not fit, and files that are none; more are in tools/grow/test_mistakes.py."""

import os
from dataclasses import replace

import pytest
import torch
from mmengine.config import Config

from mmrbdc.families import architecture_from_config
from mmrbdc.weights import save_member
from tests.bad_input.shipped import STAGED


class Parents:
    """Members of half the width of the staged config's target, of random weights."""

    def __init__(self, folder):
        self.folder = folder
        self.arch = architecture_from_config(Config.fromfile(STAGED).model).scaled(0.5)

    def write(self, name, seed, drop=None, add=None, **change):
        arch = replace(self.arch, **change)
        layout, generator = arch.layout(), torch.Generator().manual_seed(seed)
        state = {
            key: torch.randn(layout.shape(key), generator=generator)
            for key in layout.entries
            if key != drop
        }
        if add:
            state[add] = torch.zeros(1)
        path = self.folder / name
        save_member(path, state, {"family": arch.family, "architecture": arch.to_dict()})
        return path


@pytest.fixture
def parents(tmp_path):
    return Parents(tmp_path)


@pytest.fixture
def grow_mistake(mistake, tmp_path):
    """A mistake in tools/grow.py."""

    def run(*paths, config=STAGED):
        out = tmp_path / "grown.pth"
        return mistake("grow", "--config", config, "--parents", *paths, "--out", out)

    return run


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (dict(depth=3), "depth is 3 instead of 4"),
        (dict(patch_size=(16, 16)), "patch_size is (16, 16) instead of (8, 8)"),
        (dict(num_classes=7), "num_classes is 7 instead of 10"),
        (dict(num_heads=1), "head size is 48 instead of 24"),
        (dict(embed_dims=72, num_heads=3), "48 + 72 = 120"),
        (dict(drop="backbone.ln1.bias"), "backbone.ln1.bias"),
        (dict(add="backbone.ln9.bias"), "backbone.ln9.bias"),
    ],
    ids=["depth", "patch size", "classes", "head size", "width", "missing key", "extra key"],
)
def test_parents_that_do_not_fit(grow_mistake, parents, change, words):
    good, bad = parents.write("a.pth", 1), parents.write("b.pth", 2, **change)
    message = grow_mistake(good, bad)
    assert words in message and ("b.pth" in message or "embed_dims" in change)


def test_the_same_parent_twice(grow_mistake, parents):
    good = parents.write("a.pth", 1)
    assert "--allow-equal-parents" in grow_mistake(good, good)


class Foreign:
    """Pickles as a call that makes a folder."""

    def __reduce__(self):
        return (os.mkdir, ("executed",))


def test_a_truncated_file(grow_mistake, parents):
    good, bad = parents.write("a.pth", 1), parents.write("b.pth", 2)
    os.truncate(bad, bad.stat().st_size // 2)
    assert "b.pth is truncated" in grow_mistake(good, bad)


def test_a_file_that_is_no_checkpoint(grow_mistake, parents, tmp_path):
    bad = tmp_path / "b.pth"
    bad.write_text("weights, honestly")
    assert "b.pth is not a checkpoint" in grow_mistake(parents.write("a.pth", 1), bad)


@pytest.mark.parametrize("tool", ["grow", "test"])
def test_a_pickle_with_foreign_code(mistake, grow_mistake, parents, tmp_path, tool):
    """It is refused wherever a file enters, and does not run."""
    bad = tmp_path / "b.pth"
    torch.save({"state_dict": {"weight": Foreign()}}, bad)
    if tool == "grow":
        message = grow_mistake(parents.write("a.pth", 1), bad)
    else:
        message = mistake("test", STAGED, bad, "--work-dir", tmp_path / "run")
    assert "b.pth was refused" in message and "was not run" in message
