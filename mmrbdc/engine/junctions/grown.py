"""The initialiser that gives a child the weights that it was grown into."""

from typing import Any

from mmengine.model import BaseModule
from torch import nn

from mmrbdc.registry import WEIGHT_INITIALIZERS
from mmrbdc.shipped import command
from mmrbdc.weights import WeightsError, load_strict, read_checkpoint


@WEIGHT_INITIALIZERS.register_module()
class Grown:
    """Initialise a classifier with a grown child: the strict load of its file.

    A protocol's runner and ``tools/grow.py`` write such files. Use it on the classifier,
    ``init_cfg=dict(type='mmrbdc.Grown', file='child.pth')``, never on a backbone or a wrapper:
    MMEngine runs it before the children's own initialisation, which it suppresses by marking every
    module below as initialised.

    Args:
        file: the child's.

    Raises:
        WeightsError: no file is named, or, when it is loaded, it cannot be read or does not fit;
            the model is left as it was then.
    """

    def __init__(self, file: str | None = None, **growing: Any) -> None:
        if file is None or growing:
            told = f"got {', '.join(growing)}" if growing else "none is named"
            files = ("--parents", "A.pth", "B.pth", "--out", "child.pth")
            grow = command("grow", "--config", "CONFIG", *files)
            raise WeightsError(
                f"mmrbdc.Grown takes the file of a child that is grown already, {told}; grow it "
                f"with `{grow}` and write init_cfg=dict(type='mmrbdc.Grown', file='child.pth')"
            )
        self.file = file

    def __call__(self, module: nn.Module) -> None:
        """Load strictly, and keep MMEngine from initialising what is below."""
        load_strict(module, read_checkpoint(self.file).state_dict, source=self.file)
        for child in module.modules():
            if isinstance(child, BaseModule):
                child.is_init = True
