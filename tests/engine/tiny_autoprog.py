"""Protocols of AutoProg of seconds."""

from tests.engine.tiny_runs import staged, train_protocol

PROGRESSION = dict(
    stages=3, scale=0.5, multiple=8, search_epochs=1, batches=1, evaluations=3, budget=1.0
)
SEARCHED = ["stage0_search_1x16", "stage2_search_1x16"]
TRAINED = ["stage1_1x16", "stage3_1x16", "stage4_1x16"]


def protocol(images, work_dir, family="deit", method="autoprog", **progression):
    cfg = staged(
        images,
        work_dir,
        family,
        protocol=dict(
            method=method,
            family=family,
            reference_epochs=12,
            progression={**PROGRESSION, **progression},
        ),
    )
    if method == "autoprog-manual":
        for key in ("search_epochs", "batches", "evaluations"):
            cfg.protocol.progression.pop(key)
    cfg.pop("stages")
    if family == "deit":
        cfg.model.backbone.arch.num_layers = 4
    else:
        cfg.input_size = 16
    return cfg


def run(images, work_dir, *args, **kwargs):
    cfg = protocol(images, work_dir, *args, **kwargs)
    train_protocol(cfg)
    return cfg
