"""Whether each loop of a config has its loader, its settings and what scores or optimizes it.

MMEngine asks the same when it builds the runner, with the whole loader in its message.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from mmrbdc.engine.configs.staged_keys import is_staged

_PARTS = {
    "train": ("train_dataloader", "train_cfg", "optim_wrapper"),
    "val": ("val_dataloader", "val_cfg", "val_evaluator"),
    "test": ("test_dataloader", "test_cfg", "test_evaluator"),
}
_WITHOUT = {
    "train": "a run that trains needs all three",
    "val": "or train without validation: --no-validate",
    "test": "or leave the test out: set all three to None",
}


def check_loops(
    cfg: Mapping[str, Any], *needed: str, splits: Sequence[str] = tuple(_PARTS)
) -> None:
    """Check that each loop has all of its parts or none.

    Args:
        cfg: of a run.
        needed: loops that must be there.
        splits: loops to look at, of ``'train'``, ``'val'``, ``'test'``. A protocol sets up its
            training and its test itself.

    Raises:
        ValueError: names the part that is missing.
    """
    for split in splits:
        parts = _PARTS[split]
        there = [part for part in parts if cfg.get(part) is not None]
        lost = [part for part in parts if part not in there]
        if lost and (there or split in needed):
            has = f", and has {' and '.join(there)}" if there else ""
            raise ValueError(
                f"the config has no {' and no '.join(lost)}{has}; add what is missing, "
                f"{_from_val(split, lost, cfg) if split in needed else _WITHOUT[split]}"
            )


def loop_errors(cfg: Mapping[str, Any]) -> list[str]:
    """What the start of a run would say of a config's loops; nothing of a config without a model,
    which is only a part of one.
    """
    if not cfg.get("model"):
        return []
    try:
        check_loops(cfg, splits=("val",) if is_staged(cfg) else tuple(_PARTS))
    except ValueError as error:
        return [str(error)]
    return []


def _from_val(split: str, lost: list[str], cfg: Mapping[str, Any]) -> str:
    others = {part: part.replace(split, "val", 1) for part in lost}
    if split == "test" and all(cfg.get(other) is not None for other in others.values()):
        told = ", ".join(f"{part} = {other}" for part, other in others.items())
        return f"or test on the validation data: {told}"
    return f"the {split} loop needs all three"
