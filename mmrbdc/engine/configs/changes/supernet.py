"""The config of a searching stage's run."""

from dataclasses import asdict

from mmengine.config import Config

from mmrbdc.growth import Layout
from mmrbdc.plan import PlanError, Search


def be_supernet(cfg: Config, search: Search, layout: Layout, seed: int) -> None:
    """Make a stage's run one of an elastic supernet; changed in place.

    Args:
        cfg: of the run.
        search: what it tries.
        layout: of its member.
        seed: the protocol's.

    Raises:
        PlanError: the run would be compiled.
    """
    if cfg.get("compile"):
        raise PlanError(
            "compile is set, but a supernet is another network in every iteration, which would be "
            "compiled again and again; leave compile out of a protocol that searches"
        )
    cfg.model.type = "mmrbdc.Supernet"
    cfg.model.candidates = [[one.depth, one.img_size] for one in search.candidates]
    cfg.model.current = search.current
    cfg.model.blocks = layout.block_modules()
    cfg.model.draw_seed = seed
    cfg.model.stage = search.number
    cfg.model.fresh = not any(cfg.model.init_cfgs)
    # Blocks that a sub-net passes over get no gradient.
    cfg.find_unused_parameters = True
    if cfg.get("model_wrapper_cfg"):
        cfg.model_wrapper_cfg.find_unused_parameters = True
    judging = asdict(search)
    cfg.search = {key: judging[key] for key in ("evaluations", "batches", "cost")}
