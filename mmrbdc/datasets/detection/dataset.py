"""MMDetection's ``CocoDataset`` on the one reader: what was judged is what trains.

The stock type opens the file itself, so that a byte-order mark stops it and a missing ``iscrowd``
stops the evaluation after it. ``judged_datasets`` puts ours in its place in a config.
"""

from collections.abc import Mapping, MutableMapping
from functools import partial
from typing import Any

from mmdet.datasets import CocoDataset as MMDetCocoDataset
from mmdet.datasets.api_wrappers import COCO as MMDetCOCO

from mmrbdc.datasets.coco.index import fill, refuse
from mmrbdc.datasets.coco.memory import judged
from mmrbdc.datasets.configs import LOADERS, find_datasets
from mmrbdc.registry import DATASETS

STOCK = ("CocoDataset", "mmdet.CocoDataset", MMDetCocoDataset)


class JudgedCOCO(MMDetCOCO):
    """MMDetection's index of a file that was judged first.

    Args:
        annotation_file: path of the file.
        masks: as for :func:`mmrbdc.datasets.coco.judge`.
        objects: as there.

    Raises:
        DataError: the file cannot be read, or something has to be mended in it.
    """

    def __init__(
        self,
        annotation_file: str | None = None,
        masks: bool | None = None,
        objects: bool = True,
    ) -> None:
        super().__init__()
        if annotation_file is not None:
            verdict = judged(annotation_file, masks, objects=objects)
            refuse(verdict)
            fill(self, verdict)
            self.img_ann_map = self.imgToAnns
            self.cat_img_map = self.catToImgs


@DATASETS.register_module()
class CocoDataset(MMDetCocoDataset):
    """MMDetection's, with the annotations read, judged and made uniform by this package.

    Args: as for MMDetection's.

    Raises:
        DataError: the annotations cannot be read, or something has to be mended in them.
    """

    COCOAPI: Any = JudgedCOCO

    def load_data_list(self) -> list[dict]:
        """Load the annotations; masks are judged where the pipeline loads them."""
        masks = any(getattr(step, "with_mask", False) for step in self.pipeline.transforms)
        self.COCOAPI = partial(JudgedCOCO, masks=masks, objects=not self.test_mode)
        return super().load_data_list()


def judged_datasets(cfg: Mapping) -> list[str]:
    """Put ``mmrbdc.CocoDataset`` in the place of every stock ``CocoDataset`` of a config.

    Other types stay, subclasses too.

    Returns:
        The keys of the data sets whose type was changed.
    """
    changed = []
    for name in LOADERS:
        loader = cfg.get(f"{name}_dataloader")
        for key, dataset in (
            find_datasets(f"{name}_dataloader.dataset", loader["dataset"]) if (loader) else ()
        ):
            if dataset.get("type") in STOCK:
                assert isinstance(dataset, MutableMapping)
                dataset["type"] = "mmrbdc.CocoDataset"
                changed.append(key)
    return changed
