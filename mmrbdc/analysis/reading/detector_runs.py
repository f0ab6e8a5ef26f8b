"""A fine-tuned detector: its scores, its cost and where its backbone comes from."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmrbdc.analysis.reading.evaluation import AP_FIELDS, Evaluation
from mmrbdc.analysis.reading.recipe import Recipe, read_recipe
from mmrbdc.runs.errors import AnalysisError
from mmrbdc.runs.pretraining import TESTED_BY, TRAINED_BY, val_top1
from mmrbdc.runs.records import Record, read_record

LOADED = "loaded weights"
"""The method of a row whose weights came from a file of which nothing more is known."""

_SIZES = ("_s", "_m", "_l")  # -1 where the data have no object of the size


@dataclass(frozen=True)
class Source:
    """The pretraining that a backbone's weights come from, as the checkpoint itself says.

    Attributes:
        name: of the protocol; of the file where it does not say.
        method: ``rbdc``, ``scratch``, ...; ``LOADED`` for a file that filled the whole model, or
            the backbone without a report; for a file that does not say, the library whose names
            its tensors have.
        family: ``deit``, ``resnet``, ...; None where the file does not say.
        seed: of the pretraining.
        train_flops: spent on it; None where the file does not say.
        val_top1: of the checkpoint on its validation split, percent; None where it is not noted.
        wall_s: seconds of the pretraining; None where the file does not say.
    """

    name: str
    method: str
    family: str | None
    seed: int | None
    train_flops: float | None
    val_top1: float | None
    wall_s: float | None = None


@dataclass(frozen=True)
class DetectorRun:
    """One fine-tuned and tested detector.

    Attributes:
        path: its work dir.
        name: of its config.
        family: of its backbone.
        seed: of the fine-tuning.
        source: of the backbone's weights; None for random ones.
        scores: COCO AP, 0 to 1, under the names of ``AP_FIELDS``; without those that are not
            defined (no such object in the data) or not measured (masks of a detector of boxes).
        split: what the scores were measured on, where ``test.json`` says so.
        wall_s: of the fine-tuning alone, seconds.
        recipe: what it was trained and tested with.
        evaluation: the files of its test; None where ``test.json`` does not name them.
        figures: further fields of a row of ``results.json``, as far as they were left: validation
            scores, cost, speed, checkpoint.
    """

    path: Path
    name: str
    family: str
    seed: int | None
    source: Source | None
    scores: dict[str, float]
    split: str | None
    wall_s: float
    recipe: Recipe
    evaluation: Evaluation | None
    figures: Mapping[str, Any]

    @classmethod
    def read(cls, path: Path) -> "DetectorRun":
        """Read a work dir that ``tools/train.py`` finished and ``tools/test.py`` scored.

        Needs ``test.json``, ``wall.json``, the run's config and, unless the backbone started from
        random weights, ``load_report.json``; reads ``train_config.json``, ``cost.json`` and
        ``val.json`` too where they are. The seed is that of ``wall.json`` and else the config's:
        testing writes the config again, without the ``--seed`` of the training.

        Raises:
            AnalysisError: a file is missing or odd.
        """
        test = read_record(path / "test.json", TESTED_BY)
        config = _config_path(path)
        recipe = read_recipe(config, path / "train_config.json")
        source = _read_source(path / "load_report.json", recipe.weights)
        wall = read_record(path / "wall.json", TRAINED_BY)
        if source is not None and source.family not in (None, recipe.family):
            raise AnalysisError(
                f"{path / 'load_report.json'} is of a {source.family} checkpoint, the backbone in "
                f"{config} is a {recipe.family}; the two are of different runs, train again"
            )
        return cls(
            path=path,
            name=config.stem,
            family=recipe.family,
            seed=wall.integer("seed") if wall.has("seed") else recipe.seed,
            source=source,
            scores=_scores(test),
            split=_split(test, recipe),
            wall_s=wall.number("wall_s"),
            recipe=recipe,
            evaluation=Evaluation.read(test, path),
            figures={**_tested(test), **_validated(path), **_paid(path), "lr": recipe.lr},
        )


def _scores(test: Record) -> dict[str, float]:
    """Read AP; without any box AP, which MMDetection's metric leaves out where nothing was found,
    fail.
    """
    if not test.has("bbox_mAP"):
        raise test.error(
            "'bbox_mAP' is missing: either the detector found nothing at all (MMDetection's "
            "metric leaves AP out then; test again, ours notes 0), or the test has no CocoMetric "
            "with metric 'bbox'"
        )
    found = {
        field: test.number(field, -1 if field.endswith(_SIZES) else 0, 1)
        for field in AP_FIELDS
        if test.has(field)
    }
    return {field: value for field, value in found.items() if value >= 0}


def _tested(test: Record) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    if test.has("max_dets"):
        figures["max_dets"] = test.integer("max_dets", 1)
    if test.has("checkpoint"):
        figures["checkpoint"] = test.record("checkpoint").text("path")
    if test.has("throughput"):
        speed = test.record("throughput")
        figures |= dict(
            images_per_s=speed.number("images_per_s"),
            test_batch_size=speed.integer("batch_size", 1),
            test_processes=speed.integer("processes", 1),
            test_device=speed.text("device"),
        )
    return figures


def _validated(path: Path) -> dict[str, Any]:
    if not (path / "val.json").exists():
        return {}
    val = read_record(path / "val.json", TRAINED_BY)
    fields = [field for field in ("bbox_mAP", "segm_mAP") if val.has(field)]
    return {f"val_{field}": val.number(field, 0, 1) for field in fields}


def _paid(path: Path) -> dict[str, Any]:
    if not (path / "cost.json").exists():
        return {}
    cost = read_record(path / "cost.json", TRAINED_BY)
    return dict(
        finetune_flops=cost.number("train_flops"),
        finetune_images=cost.integer("images"),
        params=cost.integer("parameters"),
        trainable_params=cost.integer("trainable_parameters"),
        backbone_params=cost.integer("backbone_parameters"),
    )


def _split(test: Record, recipe: Recipe) -> str | None:
    """What the scores were measured on; older tests call everything ``test``."""
    split = test.text("split") if test.has("split") else None
    return recipe.tested_on or split if split == "test" else split


def _read_source(path: Path, weights: Mapping[str, str]) -> Source | None:
    """Say where the weights come from: the whole model's, else the backbone's.

    Args:
        path: of ``load_report.json``.
        weights: that the training's config names, see :class:`Recipe`.
    """
    report = read_record(path, TRAINED_BY) if path.exists() else None
    whole = weights.get("load_from")
    if report is not None and report.has("load_from"):
        whole = report.record("load_from").text("path")
    if whole is not None:
        return _loaded(whole)
    if report is None or not report.has("checkpoint"):
        own = [file for key, file in weights.items() if key.startswith("model.backbone.")]
        return _loaded(own[0]) if own else None
    meta = report.record("checkpoint")
    if not meta.has("method") and meta.has("library"):  # another library's file
        name = _short_name(meta.text("path"))
        return Source(name, meta.text("library"), None, None, None, None)
    return Source(
        name=meta.text("name"),
        method=meta.text("method"),
        family=meta.text("family"),
        seed=meta.integer("seed") if meta.has("seed") else None,
        train_flops=meta.number("train_flops"),
        val_top1=val_top1(meta),
        wall_s=meta.number("wall_s") if meta.has("wall_s") else None,
    )


def _loaded(file: str) -> Source:
    """A file that filled the model and says nothing of its pretraining."""
    return Source(_short_name(file), LOADED, None, None, None, None)


def _short_name(file: str) -> str:
    path = Path(file)
    return str(Path(path.parent.name) / path.stem)  # many files are called epoch_300.pth


def _config_path(path: Path) -> Path:
    configs = sorted(path.glob("*.py"))
    if len(configs) != 1:
        found = ", ".join(config.name for config in configs) or "none"
        raise AnalysisError(
            f"{path} should hold exactly one config *.py, which {TRAINED_BY} writes there; "
            f"found {found}"
        )
    return configs[0]
