"""COCO annotations, checked before anything is compared with them."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from pycocotools.coco import COCO

from mmrbdc.datasets.coco.index import fill, refuse
from mmrbdc.datasets.coco.memory import judged
from mmrbdc.datasets.errors import DataError
from mmrbdc.runs.errors import AnalysisError


@dataclass(frozen=True, eq=False)
class Annotations:
    """The objects of a data set.

    Attributes:
        path: of the file.
        sha256: of its bytes; two files are the same data set where it is equal.
        coco: pycocotools' index of it.
    """

    path: Path
    sha256: str
    coco: COCO

    @property
    def image_ids(self) -> list[int]:
        """The ids of all images, sorted, which is the order COCOeval takes them in."""
        return sorted(self.coco.imgs)

    @property
    def category_names(self) -> dict[int, str]:
        """Id -> name, sorted by id."""
        return {id_: self.coco.cats[id_]["name"] for id_ in sorted(self.coco.cats)}


def read_annotations(
    path: str | Path, classes: Collection[str] | None = None, masks: bool | None = None
) -> Annotations:
    """Read the annotations of a detection data set, as in ``instances_val2017.json``.

    They are judged by the rules that training judges them by (:func:`mmrbdc.datasets.coco.judge`).

    Args:
        path: of the file.
        classes: names of the categories to keep, as MMDetection's data sets keep them: all images
            stay, and names that are no category are passed over. All by default.
        masks: True where masks are compared, False where only boxes are; None, those that are
            there have to be right.

    Raises:
        AnalysisError: the file is no such thing, or something has to be mended in it.
    """
    path = Path(path)
    try:
        verdict = judged(path, masks)
        refuse(verdict)
        coco = fill(COCO(), verdict, classes)
    except DataError as error:
        raise AnalysisError(str(error)) from None
    return Annotations(path, verdict.file.sha256, coco)
