"""One row per finished run: a pretraining joined with the detectors fine-tuned from it."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .detection import DetectorRun
from .errors import AnalysisError
from .pretraining import PretrainingRun

RANDOM = "random"
_METHOD_ORDER = {"rbdc": 0, "scratch": 2, RANDOM: 3}
_OTHER_METHODS = 1


@dataclass(frozen=True)
class Row:
    """One run, in the units of ``results.json``.

    Attributes:
        method: ``rbdc``, ``scratch``, ... or ``random`` for a detector from random weights.
        family: ``deit``, ``resnet``, ...
        name: of the pretraining, or of the detector where there was none.
        detector: config of the detector; None where none was fine-tuned.
        seed: of the pretraining, or of the detector where there was none.
        train_flops: FLOPs of the pretraining; 0 for random weights.
        epochs: of each of its stages; empty where they are not known.
        top1: on ``split``, percent.
        val_top1: on the validation split, percent.
        split: of ``top1``.
        bbox_mAP: COCO box AP, 0 to 1; so are the other three.
        segm_mAP: COCO mask AP.
        bbox_mAP_50: box AP at an IoU of 0.5.
        segm_mAP_50: mask AP at an IoU of 0.5.
        detector_split: of the APs, where ``test.json`` says so.
        wall_s: seconds of pretraining and fine-tuning; None where the pretraining's is not known.
        pretrain_wall_s: seconds of the pretraining alone; 0 for random weights.
        finetune_wall_s: seconds of the fine-tuning alone.
        pretrain_dir: work dir of the pretraining.
        detector_dir: work dir of the detector.
    """

    method: str
    family: str
    name: str
    detector: str | None
    seed: int | None
    train_flops: float
    epochs: tuple[float, ...]
    top1: float | None
    val_top1: float | None
    split: str | None
    bbox_mAP: float | None
    segm_mAP: float | None
    bbox_mAP_50: float | None
    segm_mAP_50: float | None
    detector_split: str | None
    wall_s: float | None
    pretrain_wall_s: float | None
    finetune_wall_s: float | None
    pretrain_dir: str | None
    detector_dir: str | None

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {**asdict(self), "epochs": list(self.epochs)}


@dataclass(frozen=True)
class Comparison:
    """What a set of work dirs holds.

    Attributes:
        rows: one per run, sorted by family, method, name, detector and seed.
        pretrainings: the pretraining runs, in the same order, for their curves.
    """

    rows: tuple[Row, ...]
    pretrainings: tuple[PretrainingRun, ...]


def collect(work_dirs: Sequence[Path]) -> Comparison:
    """Read runs and join each detector with the pretraining that its checkpoint names.

    Args:
        work_dirs: work dirs of runs, or folders with such work dirs below them.

    Raises:
        AnalysisError: no runs, a file of a run is missing or odd, two pretrainings cannot be told
            apart, or runs were scored on different splits.
    """
    pretrainings: dict[tuple[str, int | None], PretrainingRun] = {}
    detectors: list[DetectorRun] = []
    for path in _run_dirs(work_dirs):
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
    rows: list[Row] = []
    joined = set()
    for detector in detectors:
        source = detector.source
        pretraining = pretrainings.get((source.name, source.seed)) if source else None
        if pretraining is not None:
            _check_same_pretraining(pretraining, detector)
            joined.add((pretraining.name, pretraining.seed))
        rows.append(_row(pretraining, detector))
    rows += [_row(run, None) for key, run in pretrainings.items() if key not in joined]
    _check_splits(rows)
    return Comparison(
        rows=tuple(sorted(rows, key=_row_order)),
        pretrainings=tuple(sorted(pretrainings.values(), key=_run_order)),
    )


def _run_dirs(work_dirs: Sequence[Path]) -> list[Path]:
    if not work_dirs:
        raise AnalysisError("no work dirs to compare; name at least one")
    found: dict[Path, Path] = {}
    for path in work_dirs:
        if not path.is_dir():
            raise AnalysisError(f"{path} is no folder; name the work dirs of finished runs")
        inside = list(_find_runs(path))
        if not inside:
            raise AnalysisError(
                f"{path} holds no run: neither plan.json (a pretraining by tools/train.py) nor "
                "test.json, wall.json or load_report.json (a detector)"
            )
        found |= {run.resolve(): run for run in inside}
    return list(found.values())


def _find_runs(path: Path) -> Iterator[Path]:
    marks = ("plan.json", "test.json", "wall.json", "load_report.json")
    if any((path / mark).exists() for mark in marks):
        yield path
        return
    for child in sorted(path.iterdir()):
        if child.is_dir() and not child.is_symlink():
            yield from _find_runs(child)


def _row(pretraining: PretrainingRun | None, detector: DetectorRun | None) -> Row:
    source = detector.source if detector else None
    origin = pretraining or source
    if origin is not None:
        method, name, seed, flops = origin.method, origin.name, origin.seed, origin.train_flops
        family, val_top1 = origin.family, origin.val_top1
    else:
        assert detector is not None
        method, name, seed, flops = RANDOM, detector.name, detector.seed, 0.0
        family, val_top1 = detector.family, None
    pretrain_wall_s = pretraining.wall_s if pretraining else None if source else 0.0
    finetune_wall_s = detector.wall_s if detector else None
    scores = detector.scores if detector else {}
    return Row(
        method=method,
        family=family,
        name=name,
        detector=detector.name if detector else None,
        seed=seed,
        train_flops=flops,
        epochs=tuple(stage.epochs for stage in pretraining.stages) if pretraining else (),
        top1=pretraining.top1 if pretraining else None,
        val_top1=val_top1,
        split=pretraining.split if pretraining else None,
        bbox_mAP=scores.get("bbox_mAP"),
        segm_mAP=scores.get("segm_mAP"),
        bbox_mAP_50=scores.get("bbox_mAP_50"),
        segm_mAP_50=scores.get("segm_mAP_50"),
        detector_split=detector.split if detector else None,
        wall_s=None if pretrain_wall_s is None else pretrain_wall_s + (finetune_wall_s or 0.0),
        pretrain_wall_s=pretrain_wall_s,
        finetune_wall_s=finetune_wall_s,
        pretrain_dir=str(pretraining.path) if pretraining else None,
        detector_dir=str(detector.path) if detector else None,
    )


def _check_distinct(detectors: Sequence[DetectorRun]) -> None:
    """Refuse two detectors from random weights that nothing tells apart."""
    seen: dict[tuple[str, int], Path] = {}
    for detector in detectors:
        if detector.source is not None or detector.seed is None:
            continue
        other = seen.setdefault((detector.name, detector.seed), detector.path)
        if other != detector.path:
            raise AnalysisError(
                f"{other} and {detector.path} are both {detector.name!r} from random weights with "
                f"seed {detector.seed}; name only one of them, or put the seed that each was "
                "trained with into its wall.json as 'seed'"
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


def _check_splits(rows: Sequence[Row]) -> None:
    for field, folder in (("split", "pretrain_dir"), ("detector_split", "detector_dir")):
        splits = {getattr(row, field): getattr(row, folder) for row in rows}
        splits.pop(None, None)
        if len(splits) > 1:
            where = ", ".join(f"{path} on {split!r}" for split, path in sorted(splits.items()))
            raise AnalysisError(
                f"scored on different splits: {where}; score all with the same tools/test.py"
            )


def method_order(method: str) -> tuple[int, str]:
    """Sort key: RBDC first, then other growth methods, scratch, random weights."""
    return _METHOD_ORDER.get(method, _OTHER_METHODS), method


def _row_order(row: Row) -> tuple[Any, ...]:
    seed = -1 if row.seed is None else row.seed
    return row.family, method_order(row.method), row.name, row.detector or "", seed


def _run_order(run: PretrainingRun) -> tuple[Any, ...]:
    return run.family, method_order(run.method), run.name, -1 if run.seed is None else run.seed
