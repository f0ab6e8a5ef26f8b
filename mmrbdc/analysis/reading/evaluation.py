"""What a detector was tested on and what it predicted there: files, found again and checked."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mmrbdc.analysis.coco import IoUType
from mmrbdc.runs.errors import AnalysisError
from mmrbdc.runs.records import Record
from mmrbdc.weights.read import file_sha256

KINDS: tuple[IoUType, ...] = ("bbox", "segm")
SCORES = ("mAP", "mAP_50", "mAP_75", "mAP_s", "mAP_m", "mAP_l")
AP_FIELDS = tuple(f"{kind}_{score}" for kind in KINDS for score in SCORES)
"""``bbox_mAP``, ..., ``segm_mAP_l``: the scores as ``test.json`` and ``results.json`` name them."""


@dataclass(frozen=True)
class File:
    """A file that was read or written by a test; ``sha256`` is None where nobody noted it."""

    path: Path
    sha256: str | None = None

    def checked(self, role: str) -> Path:
        """Return the path of the file as it was.

        Raises:
            AnalysisError: the file is gone, or another one since.
        """
        if not self.path.is_file():
            raise AnalysisError(f"{self.path} ({role}) is missing")
        if self.sha256 is not None and file_sha256(self.path) != self.sha256:
            raise AnalysisError(
                f"{self.path} ({role}) is not the file that the test used or wrote; it was changed "
                "since, test again"
            )
        return self.path


@dataclass(frozen=True)
class Evaluation:
    """One test of a detector.

    Attributes:
        annotations: COCO annotations of the test images.
        images: their folder; None where it is not known.
        predictions: ``'bbox'`` and ``'segm'`` -> COCO result file, as far as there is one.
        classes: names of the categories that were scored; None for all.
        keeps: keys of the detector's config -> proposals or detections of an image that it keeps.
    """

    annotations: File
    images: Path | None
    predictions: Mapping[IoUType, File]
    classes: tuple[str, ...] | None = None
    keeps: tuple[tuple[str, int], ...] = ()

    @classmethod
    def read(cls, test: Record, work_dir: Path) -> "Evaluation | None":
        """Read the part of a ``test.json`` that names files; None where it names none."""
        if not test.has("annotations") or not test.has("predictions"):
            return None
        named = test.record("predictions")
        predictions = {
            kind: _own(_file(named.record(kind)), work_dir) for kind in KINDS if named.has(kind)
        }
        if not predictions:
            return None
        images = Path(test.text("images")) if test.has("images") else None
        classes = test.texts("classes") if test.has("classes") else None
        keeps: tuple[tuple[str, int], ...] = ()
        if test.has("keeps"):
            numbers = test.record("keeps")
            keeps = tuple((key, numbers.integer(key, 1)) for key in numbers.fields)
        return cls(_file(test.record("annotations")), images, predictions, classes, keeps)


def _file(record: Record) -> File:
    return File(Path(record.text("path")), record.text("sha256"))


def _own(file: File, work_dir: Path) -> File:
    """A work dir may have been moved or copied since: what lies in it is its own."""
    own = work_dir / file.path.name
    return File(own, file.sha256) if own.is_file() else file
