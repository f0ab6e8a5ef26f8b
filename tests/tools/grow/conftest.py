"""tools/grow.py, and configs and parents for it."""

import runpy
from pathlib import Path

import pytest
import torch

from mmrbdc.families import architecture_from_config
from mmrbdc.weights import save_member
from tests.tools.grow.calls import TOOL

DEIT = """
model = dict(
    type='ImageClassifier',
    backbone=dict(
        type='VisionTransformer',
        arch=dict(embed_dims={width}, num_layers={depth}, num_heads={heads},
                  feedforward_channels={hidden}),
        img_size={size},
        patch_size={patch}),
    head=dict(type='VisionTransformerClsHead', num_classes={classes}, in_channels={width}))
"""


@pytest.fixture(scope="module")
def main():
    """The tool's main function."""
    return runpy.run_path(str(TOOL))["main"]


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A folder to work in, with configs and parents of several kinds; it is the current folder."""
    monkeypatch.chdir(tmp_path)
    return Files(tmp_path)


class Files:
    """Writes configs and parents into a folder."""

    def __init__(self, root: Path):
        self.root = root
        self.child = self.config("child.py")

    def config(self, name, width=32, depth=2, heads=4, patch=8, classes=5, size=32, more=""):
        text = DEIT.format(
            width=width,
            depth=depth,
            heads=heads,
            patch=patch,
            classes=classes,
            size=size,
            hidden=2 * width,
        )
        (self.root / name).write_text(text + more)
        return name

    def architecture(self, config):
        return architecture_from_config(runpy.run_path(str(self.root / config))["model"])

    def state(self, seed, **options):
        """Random weights of a half-width model, or of another one."""
        config = self.config("narrow.py", **{"width": 16, "heads": 2, **options})
        return self.random_state(self.architecture(config), seed), self.architecture(config)

    def parent(self, name, seed, **options):
        """A plain state dict."""
        state, _ = self.state(seed, **options)
        torch.save(state, self.root / name)
        return name

    def member(self, name, seed, **options):
        """A file that says what it holds."""
        state, arch = self.state(seed, **options)
        save_member(
            self.root / name, state, {"family": arch.family, "architecture": arch.to_dict()}
        )
        return name

    def two(self):
        return [self.parent("a.pth", 1), self.parent("b.pth", 2)]

    @staticmethod
    def random_state(arch, seed):
        generator = torch.Generator().manual_seed(seed)
        layout = arch.layout()
        return {
            name: torch.tensor(seed)
            if entry.role == "counter"
            else torch.rand(layout.shape(name), generator=generator) + 0.1
            for name, entry in layout.entries.items()
        }
