"""The images that the engine's tests train on."""

import pytest
from mmengine.registry import init_default_scope

from tests.engine.tiny_runs import write_images


@pytest.fixture(scope="session")
def images(tmp_path_factory):
    """A folder of 20 training, 9 validation and 9 test images of random pixels, in 3 classes."""
    root = tmp_path_factory.mktemp("images")
    write_images(root, train=20, val=9, test=9)
    return root


@pytest.fixture(scope="module", autouse=True)
def _classification_scope():
    init_default_scope("mmpretrain")
