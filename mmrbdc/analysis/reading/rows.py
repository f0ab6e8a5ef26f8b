"""One row per finished run: a pretraining joined with the detectors fine-tuned from it."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mmrbdc.analysis.reading.detector_runs import DetectorRun
from mmrbdc.analysis.reading.evaluation import Evaluation
from mmrbdc.analysis.reading.recipe import Recipe
from mmrbdc.analysis.reading.run_dirs import find_runs
from mmrbdc.methods.readers import method_rank
from mmrbdc.runs.errors import AnalysisError
from mmrbdc.runs.pretraining import PretrainingRun
from mmrbdc.shipped import command

RANDOM = "random"
_AFTER_ALL_METHODS = 3


@dataclass(frozen=True)
class Row:
    """One run, in the units of ``results.json``; what is not known or not there is None.

    Attributes:
        method: ``rbdc``, ``scratch``, ... or ``random`` for a detector from random weights.
        family: ``deit``, ``resnet``, ...
        name: of the pretraining, or of the detector where there was none.
        detector: config of the detector; None where none was fine-tuned.
        detector_type: its class.
        seed: of the pretraining, or of the detector where there was none.
        finetune_seed: of the detector.
        lr: of the fine-tuning.
        train_flops: FLOPs of the pretraining; 0 for random weights.
        epochs: of each of its stages; empty where they are not known.
        top1: on ``split``, percent.
        val_top1: on the validation split, percent.
        split: of ``top1``.
        bbox_mAP: COCO box AP, 0 to 1, averaged over IoU 0.50 to 0.95; so are all of the following.
        bbox_mAP_50: at an IoU of 0.5.
        bbox_mAP_75: at an IoU of 0.75.
        bbox_mAP_s: of small objects.
        bbox_mAP_m: of medium objects.
        bbox_mAP_l: of large objects.
        segm_mAP: COCO mask AP; the five that follow as for boxes.
        segm_mAP_50: at an IoU of 0.5.
        segm_mAP_75: at an IoU of 0.75.
        segm_mAP_s: of small objects.
        segm_mAP_m: of medium objects.
        segm_mAP_l: of large objects.
        val_bbox_mAP: box AP of the last validation of the fine-tuning.
        val_segm_mAP: its mask AP.
        max_dets: detections an image and class that the APs count, where ``test.json`` says so.
        detector_split: of the APs, where ``test.json`` says so.
        finetune_flops: FLOPs of the fine-tuning.
        finetune_images: that it processed, each as often as it was seen.
        params: of the detector.
        trainable_params: of these not frozen.
        backbone_params: of these in the backbone.
        images_per_s: in the test; only comparable with the same of the three that follow.
        test_batch_size: images of a batch in the test.
        test_processes: that tested together.
        test_device: where.
        wall_s: seconds of pretraining and fine-tuning.
        pretrain_wall_s: seconds of the pretraining alone; 0 for random weights.
        finetune_wall_s: seconds of the fine-tuning alone.
        pretrain_dir: work dir of the pretraining.
        detector_dir: work dir of the detector.
        checkpoint: of the detector that was tested.
    """

    method: str
    family: str
    name: str
    detector: str | None = None
    detector_type: str | None = None
    seed: int | None = None
    finetune_seed: int | None = None
    lr: float | None = None
    train_flops: float | None = None
    epochs: tuple[float, ...] = ()
    top1: float | None = None
    val_top1: float | None = None
    split: str | None = None
    bbox_mAP: float | None = None
    bbox_mAP_50: float | None = None
    bbox_mAP_75: float | None = None
    bbox_mAP_s: float | None = None
    bbox_mAP_m: float | None = None
    bbox_mAP_l: float | None = None
    segm_mAP: float | None = None
    segm_mAP_50: float | None = None
    segm_mAP_75: float | None = None
    segm_mAP_s: float | None = None
    segm_mAP_m: float | None = None
    segm_mAP_l: float | None = None
    val_bbox_mAP: float | None = None
    val_segm_mAP: float | None = None
    max_dets: int | None = None
    detector_split: str | None = None
    finetune_flops: float | None = None
    finetune_images: int | None = None
    params: int | None = None
    trainable_params: int | None = None
    backbone_params: int | None = None
    images_per_s: float | None = None
    test_batch_size: int | None = None
    test_processes: int | None = None
    test_device: str | None = None
    wall_s: float | None = None
    pretrain_wall_s: float | None = None
    finetune_wall_s: float | None = None
    pretrain_dir: str | None = None
    detector_dir: str | None = None
    checkpoint: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {**asdict(self), "epochs": list(self.epochs)}


@dataclass(frozen=True)
class Comparison:
    """What a set of work dirs holds.

    Attributes:
        rows: one per run, sorted by family, method, name, detector, lr and seed.
        pretrainings: the pretraining runs, in the same order, for their curves.
        recipes: of the rows with a detector.
        evaluations: of the rows whose predictions were kept.
    """

    rows: tuple[Row, ...]
    pretrainings: tuple[PretrainingRun, ...] = ()
    recipes: Mapping[Row, Recipe] = dataclasses.field(default_factory=dict)
    evaluations: Mapping[Row, Evaluation] = dataclasses.field(default_factory=dict)


def collect(work_dirs: Sequence[Path]) -> Comparison:
    """Read runs and join each detector with the pretraining that its checkpoint names.

    Args:
        work_dirs: work dirs of runs, or folders with such work dirs below them.

    Raises:
        AnalysisError: no runs, a file of a run is missing or odd, two pretrainings cannot be told
            apart, or runs were scored on different splits or annotations.
    """
    pretrainings: dict[tuple[str, int | None], PretrainingRun] = {}
    detectors: list[DetectorRun] = []
    for path in find_runs(work_dirs):
        if (path / "plan.json").exists():
            run = PretrainingRun.read(path)
            key = (run.name, run.seed)
            if key in pretrainings:
                raise AnalysisError(
                    f"{pretrainings[key].path} and {path} are both {run.name!r} with seed "
                    f"{run.seed}; name only one of them"
                )
            pretrainings[key] = run
        else:
            detectors.append(DetectorRun.read(path))
    _check_distinct(detectors)
    _check_annotations(detectors)
    rows: list[Row] = []
    recipes, evaluations = {}, {}
    joined = set()
    for detector in detectors:
        source = detector.source
        pretraining = pretrainings.get((source.name, source.seed)) if source else None
        if pretraining is not None:
            _check_same_pretraining(pretraining, detector)
            joined.add((pretraining.name, pretraining.seed))
        row = _row(pretraining, detector)
        rows.append(row)
        recipes[row] = detector.recipe
        if detector.evaluation is not None:
            evaluations[row] = detector.evaluation
    rows += [_row(run, None) for key, run in pretrainings.items() if key not in joined]
    _check_splits(rows)
    return Comparison(
        rows=tuple(sorted(rows, key=_row_order)),
        pretrainings=tuple(sorted(pretrainings.values(), key=_run_order)),
        recipes=recipes,
        evaluations=evaluations,
    )


def _row(pretraining: PretrainingRun | None, detector: DetectorRun | None) -> Row:
    source = detector.source if detector else None
    origin = pretraining or source
    if origin is not None:
        method, name, seed, flops = origin.method, origin.name, origin.seed, origin.train_flops
        val_top1 = origin.val_top1
    else:
        assert detector is not None
        method, name, seed, flops = RANDOM, detector.name, detector.seed, 0.0
        val_top1 = None
    family = detector.family if detector else pretraining.family if pretraining else ""
    pretrain_wall_s = origin.wall_s if origin is not None else 0.0
    finetune_wall_s = detector.wall_s if detector else None
    return Row(
        method=method,
        family=family,
        name=name,
        detector=detector.name if detector else None,
        detector_type=detector.recipe.detector if detector else None,
        seed=seed,
        finetune_seed=detector.seed if detector else None,
        train_flops=flops,
        epochs=tuple(stage.epochs for stage in pretraining.stages) if pretraining else (),
        top1=pretraining.top1 if pretraining else None,
        val_top1=val_top1,
        split=pretraining.split if pretraining else None,
        detector_split=detector.split if detector else None,
        wall_s=None if pretrain_wall_s is None else pretrain_wall_s + (finetune_wall_s or 0.0),
        pretrain_wall_s=pretrain_wall_s,
        finetune_wall_s=finetune_wall_s,
        pretrain_dir=str(pretraining.path) if pretraining else None,
        detector_dir=str(detector.path) if detector else None,
        **({**detector.scores, **detector.figures} if detector else {}),
    )


def _check_distinct(detectors: Sequence[DetectorRun]) -> None:
    """Refuse two detectors from random weights that nothing tells apart."""
    seen: dict[tuple[str, int, float | None], DetectorRun] = {}
    for detector in detectors:
        if detector.source is not None or detector.seed is None:
            continue
        key = (detector.name, detector.seed, detector.recipe.lr)
        other = seen.setdefault(key, detector)
        if other is detector:
            continue
        told = (
            f"{other.path} and {detector.path} are both {detector.name!r} from random weights with "
            f"seed {detector.seed}"
        )
        if differing := other.recipe.differing(detector.recipe):
            raise AnalysisError(
                f"{told}, but were trained or tested with other settings ({'; '.join(differing)}); "
                "for two methods train from two configs of different names, else name only one"
            )
        raise AnalysisError(
            f"{told}; name only one of them, or put the seed that each was trained with into its "
            "wall.json as 'seed'"
        )


def _check_same_pretraining(pretraining: PretrainingRun, detector: DetectorRun) -> None:
    """Refuse a detector made from another run of the same name and seed."""
    assert detector.source is not None
    for field in ("method", "train_flops", "val_top1"):
        theirs, own = getattr(detector.source, field), getattr(pretraining, field)
        if theirs != own:
            raise AnalysisError(
                f"{detector.path / 'load_report.json'}: the checkpoint's {field} is {theirs}, that "
                f"of {pretraining.path} is {own}; the pretraining was run again since, fine-tune "
                "from it again"
            )


def _check_annotations(detectors: Sequence[DetectorRun]) -> None:
    """Refuse detectors that were not tested on the same annotations."""
    first: tuple[str, DetectorRun] | None = None
    for detector in detectors:
        if detector.evaluation is None or detector.evaluation.annotations.sha256 is None:
            continue
        sha256 = detector.evaluation.annotations.sha256
        first = first or (sha256, detector)
        if first[0] != sha256:
            other = first[1]
            assert other.evaluation is not None
            raise AnalysisError(
                f"{other.path} was tested on {other.evaluation.annotations.path} and "
                f"{detector.path} on {detector.evaluation.annotations.path}, which are different "
                "annotations; test both on the same with " + command("test")
            )
        assert first[1].evaluation is not None
        ours, theirs = first[1].evaluation.classes, detector.evaluation.classes
        if None not in (ours, theirs) and set(ours or ()) != set(theirs or ()):
            odd = sorted(set(ours or ()) ^ set(theirs or ()))
            raise AnalysisError(
                f"{first[1].path} and {detector.path} were scored on different classes "
                f"({', '.join(odd[:5])}{', ...' * (len(odd) > 5)} in one of them only); train and "
                "test both for the same"
            )


def _check_splits(rows: Sequence[Row]) -> None:
    for field, folder in (("split", "pretrain_dir"), ("detector_split", "detector_dir")):
        splits = {getattr(row, field): getattr(row, folder) for row in rows}
        splits.pop(None, None)
        if len(splits) > 1:
            where = ", ".join(f"{path} on {split!r}" for split, path in sorted(splits.items()))
            raise AnalysisError(
                f"scored on different splits: {where}; score all with the same " + command("test")
            )


def method_order(method: str) -> tuple[int, str]:
    """Sort key: the paper's method first, then others, from scratch, random weights."""
    return (_AFTER_ALL_METHODS if method == RANDOM else method_rank(method)), method


def _row_order(row: Row) -> tuple[Any, ...]:
    seeds = (-1 if seed is None else seed for seed in (row.seed, row.finetune_seed))
    lr = row.lr or 0.0
    return row.family, method_order(row.method), row.name, row.detector or "", lr, *seeds


def _run_order(run: PretrainingRun) -> tuple[Any, ...]:
    return run.family, method_order(run.method), run.name, -1 if run.seed is None else run.seed
