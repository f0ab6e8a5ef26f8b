"""What a fine-tuning costs: FLOPs of the steps that were really done, parameters, images, time."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mmengine.dist import get_world_size, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor, nn

from mmrbdc.models.wrappers import unwrapped
from mmrbdc.plan import training_flops
from mmrbdc.registry import HOOKS
from mmrbdc.weights import write_json

FILE_NAME = "cost.json"
_HUB_KEY = "detector_cost"
LEVEL_KEY = "unfreezing_level"
"""Of the message hub: the level that trains, where a hook unfreezes."""


@HOOKS.register_module()
class DetectorCostHook(Hook):
    """Write ``cost.json``: the FLOPs, images and seconds of a detector's training, its parameters.

    The number of proposals and the size of the images change from step to step, so FLOPs are
    counted on the real forward pass, of a few iterations spread evenly over the run, per pixel of
    the batch as the model gets it (padding included), and multiplied by the pixels of all
    iterations. Backward is charged as twice the forward, frozen layers less
    (:func:`mmrbdc.plan.training_flops`). One multiply-add is 2 FLOPs; operators that are no matrix
    product or convolution (RoIAlign, NMS, norms) count nothing. Counting changes no result of the
    training. Steps repeated by activation checkpointing are not charged.

    What trains may change (:class:`mmrbdc.UnfreezeHook`): each level has its own sums, whose first
    iteration is counted too.

    The sums are kept in every checkpoint: after a kill they go on from there, and work that was
    lost is not counted. With several processes the main one stands for all.

    Args:
        samples: how many iterations are counted.
    """

    leaves_weights = True

    def __init__(self, samples: int = 20) -> None:
        if samples < 1:
            raise ValueError(f"DetectorCostHook: samples={samples}; count at least 1 iteration")
        self.samples = samples
        self._known = True
        self._started = 0.0
        self._sums = _no_sums()

    def before_train(self, runner: Runner) -> None:
        """Go on from the checkpoint's sums."""
        kept = runner.message_hub.get_info(_HUB_KEY) if runner.iter > 0 else _no_sums()
        self._known = kept is not None and "levels" in kept
        self._sums = kept if kept and self._known else _no_sums()
        self._level = ""
        if not self._known:
            runner.logger.warning(
                f"the checkpoint was written without DetectorCostHook, or by another version of "
                f"it, so what the first "
                f"{runner.iter} iterations cost is not known and no {FILE_NAME} will be written"
            )

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Look at this iteration's forward pass; count it if it is one of the chosen."""
        model = unwrapped(runner.model)
        self._level = str(runner.message_hub.get_info(LEVEL_KEY) or "")
        part = self._sums["levels"].setdefault(self._level, _no_counts())
        chosen = not part["counted_pixels"]
        chosen |= _is_chosen(runner.iter, self.samples, runner.max_iters)
        # A module calls the ``forward`` of the instance before that of its class. Hooks of the
        # module would not do: the counter has to begin and end around the call.
        model.forward = self._watched(model.forward, chosen)
        self._started = time.monotonic()

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Leave the model as it was and note the sums for the checkpoint."""
        self._sums["step_s"] += time.monotonic() - self._started
        del unwrapped(runner.model).forward
        runner.message_hub.update_info(_HUB_KEY, dict(self._sums))

    def after_train(self, runner: Runner) -> None:
        """Write ``cost.json``."""
        sums, levels = self._sums, self._sums["levels"].values()
        counted = bool(levels) and all(part["counted_pixels"] for part in levels)
        if not is_main_process() or not self._known or not counted:
            return
        model = unwrapped(runner.model)
        flops = sum(
            part["counted_flops"] / part["counted_pixels"] * part["pixels"] for part in levels
        )
        content = dict(
            train_flops=flops,
            flops_per_image=flops / sums["images"],
            images=sums["images"],
            pixels=sums["pixels"],
            iterations=runner.iter,
            counted_iterations=sums["counted_iterations"],
            step_s=sums["step_s"],
            parameters=_parameters(model),
            trainable_parameters=_parameters(model, trainable=True),
            backbone_parameters=_parameters(model.backbone),
        )
        write_json(Path(runner.work_dir) / FILE_NAME, content)

    def _watched(self, forward: Callable, chosen: bool) -> Callable:
        def watched(inputs: Tensor, *args: Any, **kwargs: Any) -> Any:
            images, pixels = len(inputs), inputs.numel() // inputs.shape[1]
            self._sums["images"] += images * get_world_size()
            self._sums["pixels"] += pixels * get_world_size()
            part = self._sums["levels"][self._level]
            part["pixels"] += pixels * get_world_size()
            if not chosen:
                return forward(inputs, *args, **kwargs)
            with training_flops() as cost:
                result = forward(inputs, *args, **kwargs)
            part["counted_flops"] += cost.total
            part["counted_pixels"] += pixels
            self._sums["counted_iterations"] += 1
            return result

        return watched


def _no_sums() -> dict[str, Any]:
    """Of a run: ``levels`` has the counts of each, by its number, ``""`` without an unfreezing."""
    return dict(images=0, pixels=0, counted_iterations=0, step_s=0.0, levels={})


def _no_counts() -> dict[str, int]:
    return dict(pixels=0, counted_flops=0, counted_pixels=0)


def _is_chosen(iteration: int, samples: int, iterations: int) -> bool:
    """Whether this is the first iteration of one of ``samples`` equal parts of the run."""
    return iteration * samples // iterations > (iteration - 1) * samples // iterations


def _parameters(module: nn.Module, trainable: bool = False) -> int:
    return sum(p.numel() for p in module.parameters() if p.requires_grad or not trainable)
