"""mmcv without its compiled ops: what works and what does not (``make env OPS=0``).

Everything of mmrbdc and MMPretrain that pretrains, grows, plans and converts does without them.
All of MMDetection imports them.
"""

import warnings
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

EXTENSION = "mmcv._ext"
NO_OPS = (
    "detectors need mmcv's compiled ops, which this environment's mmcv was installed without; add "
    "them: make env OPS=1 (outside of `make env`: python -m mmrbdc.check_env says how)"
)


def hush_mmcv_lite() -> None:
    """Leave out the warning that mmcv without ops prints at every start, before it is imported.

    What needs the ops says so itself: :data:`NO_OPS`.
    """
    warnings.filterwarnings("ignore", message="Fail to import ``MultiScaleDeformableAttention``")


def has_ops() -> bool:
    """Whether mmcv has compiled ops here; whether they run says ``mmrbdc.check_env``."""
    try:
        return find_spec(EXTENSION) is not None
    except ImportError:  # no mmcv at all
        return False


def check_ops(cfg: Mapping[str, Any]) -> None:
    """Refuse a detector's config where mmcv has no ops.

    Raises:
        ValueError: it asks for something of MMDetection.
    """
    if not has_ops() and (cfg.get("default_scope") == "mmdet" or _names_mmdet(cfg)):
        raise ValueError(NO_OPS)


def _names_mmdet(value: Any) -> bool:
    if isinstance(value, Mapping):
        return str(value.get("type", "")).startswith("mmdet.") or any(
            map(_names_mmdet, value.values())
        )
    return isinstance(value, (list, tuple)) and any(map(_names_mmdet, value))


def lacks_ops(error: BaseException) -> bool:
    """Whether an error came of mmcv's missing ops, also where it was raised anew on the way."""
    link: BaseException | None = error
    while link is not None:
        if isinstance(link, ModuleNotFoundError) and link.name == EXTENSION:
            return True
        link = link.__cause__ or link.__context__
    return False
