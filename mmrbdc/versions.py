"""The versions of the libraries that make a file."""

import mmengine
import mmpretrain
import torch

import mmrbdc


def versions() -> dict[str, str]:
    """The libraries that made a file."""
    return dict(
        mmrbdc=mmrbdc.__version__,
        torch=str(torch.__version__),
        mmengine=mmengine.__version__,
        mmpretrain=mmpretrain.__version__,
    )
