"""Pictures read by our rules, in every data set of a run."""

from typing import Any

from mmengine.hooks import Hook

from mmrbdc.datasets.coco.memory import forget
from mmrbdc.datasets.configs import LOADERS
from mmrbdc.datasets.loading.rules import read_by_rules
from mmrbdc.registry import HOOKS


@HOOKS.register_module()
class ReadingHook(Hook):
    """Let all data sets of a run read pictures by :class:`mmrbdc.datasets.LoadImageFromFile`.

    Errors of other transforms name the file as well.
    """

    priority = "VERY_HIGH"

    def before_run(self, runner: Any) -> None:
        """Exchange the loaders; the data sets are built, their workers are not started.

        What the check kept of annotation files has been taken by all that read them.
        """
        forget()
        exchanged = 0
        for split in LOADERS:
            dataloader = getattr(getattr(runner, f"_{split}_loop"), "dataloader", None)
            if dataloader is not None:
                exchanged += read_by_rules(dataloader.dataset, training=split == "train")
        if exchanged:
            runner.logger.info(
                "pictures are read by mmrbdc.LoadImageFromFile: MMCV's, but a file that cannot be "
                "read is named"
            )
