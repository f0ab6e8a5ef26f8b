"""Logs in other projects' hands (TensorBoard, Weights & Biases), which nothing installs unasked."""

from importlib.util import find_spec
from typing import Any

from mmengine.config import Config

from mmrbdc.config_parts import class_name

PACKAGES = {
    "AimVisBackend": "aim",
    "ClearMLVisBackend": "clearml",
    "DVCLiveVisBackend": "dvclive",
    "MLflowVisBackend": "mlflow",
    "NeptuneVisBackend": "neptune",
    "TensorboardVisBackend": "tensorboard",
    "WandbVisBackend": "wandb",
}
"""The package behind each of MMEngine's backends; its import name is that of its distribution."""


def check_vis_backends(cfg: Config) -> None:
    """Say before anything runs which package a visualizer's backend needs and does not find.

    Raises:
        ValueError: a package is missing.
    """
    visualizer = cfg.get("visualizer") or {}
    top: Any = cfg.get("vis_backends") or []
    backends = list(visualizer.get("vis_backends") or []) if isinstance(visualizer, dict) else []
    for backend in [*backends, *top]:
        kind = class_name(backend.get("type") if isinstance(backend, dict) else backend)
        package = PACKAGES.get(kind)
        if package and find_spec(package) is None:
            raise ValueError(
                f"visualizer.vis_backends: {kind} needs the package {package}, which is not "
                f"installed; install it (pip install {package}) or leave the backend out"
            )
