"""The real batch of an optimizer step, and the learning rate that belongs to it."""

from mmengine.config import Config
from mmengine.dist import get_world_size

from mmrbdc.shipped import command


def real_batch(cfg: Config) -> int:
    """Samples behind one optimizer step: batch size x processes x accumulated batches."""
    return cfg.train_dataloader.batch_size * get_world_size() * _accumulated(cfg)


def batch_warnings(cfg: Config) -> list[str]:
    """What to tell a user whose batch is not the one that the learning rate was chosen for."""
    scaling = cfg.get("auto_scale_lr") or {}
    base, real = scaling.get("base_batch_size"), real_batch(cfg)
    if base is None or base == real or scaling.get("enable"):
        return []
    return [
        f"an optimizer step sees {real} samples ({cfg.train_dataloader.batch_size} x "
        f"{get_world_size()} process(es) x "
        f"{_accumulated(cfg)} accumulated), but the learning rate is meant for {base}, and scaling "
        "is off: add --auto-scale-lr, or change "
        "train_dataloader.batch_size or optim_wrapper.accumulative_counts"
    ]


def data_warnings(
    samples: int, declared: int | None, processes: int, config: str = "CONFIG"
) -> list[str]:
    """What to tell a user whose data set is not the one that the plan was made for.

    Args:
        samples: in an epoch, which may be rounded up to a multiple of ``processes``.
        declared: ``protocol.train_samples``.
        processes: that share an epoch.
        config: file of the protocol.
    """
    if declared is None or abs(samples - declared) < processes:
        return []
    return [
        f"an epoch of this data set has {samples:,} samples, protocol.train_samples says "
        f"{declared:,}: lengths and FLOPs follow the data "
        f"({command('plan', config, '--samples', samples)} shows the plan)"
    ]


def count_accumulated(cfg: Config) -> None:
    """Let MMEngine's learning-rate scaling, which knows batch size and processes only, see the
    accumulated batches too; changes ``cfg``, once however often it is called.
    """
    scaling = cfg.get("auto_scale_lr") or {}
    if scaling.get("enable") and _accumulated(cfg) > 1 and not scaling.get("accumulated_counted"):
        scaling["base_batch_size"] = scaling["base_batch_size"] / _accumulated(cfg)
        scaling["accumulated_counted"] = True  # a stage's config.py may be run by hand


def _accumulated(cfg: Config) -> int:
    return cfg.optim_wrapper.get("accumulative_counts", 1)
