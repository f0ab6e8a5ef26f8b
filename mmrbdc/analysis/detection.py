"""A fine-tuned detector: its scores and where its backbone comes from, read from its work dir."""

from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config

from mmrbdc.families import FAMILIES

from .errors import AnalysisError
from .files import read_record
from .pretraining import TESTED_BY, TRAINED_BY, val_top1

AP_FIELDS = ("bbox_mAP", "segm_mAP")
AP50_FIELDS = ("bbox_mAP_50", "segm_mAP_50")


@dataclass(frozen=True)
class Source:
    """The pretraining that a backbone's weights come from, as the checkpoint itself says.

    Attributes:
        name: of the protocol.
        method: ``rbdc``, ``scratch``, ...
        family: ``deit``, ``resnet``, ...
        seed: of the pretraining.
        train_flops: spent on it.
        val_top1: of the checkpoint on its validation split, percent; None where it is not noted.
    """

    name: str
    method: str
    family: str
    seed: int | None
    train_flops: float
    val_top1: float | None


@dataclass(frozen=True)
class DetectorRun:
    """One fine-tuned and tested detector.

    Attributes:
        path: its work dir.
        name: of its config.
        family: of its backbone.
        seed: of the fine-tuning.
        source: of the backbone's weights; None for random ones.
        scores: COCO AP, 0 to 1: ``bbox_mAP``, ``segm_mAP`` and, where measured, the same at an IoU
            of 0.5.
        split: what the scores were measured on, where ``test.json`` says so.
        wall_s: of the fine-tuning alone, seconds.
    """

    path: Path
    name: str
    family: str
    seed: int | None
    source: Source | None
    scores: dict[str, float]
    split: str | None
    wall_s: float

    @classmethod
    def read(cls, path: Path) -> "DetectorRun":
        """Read a work dir that ``tools/train.py`` finished and ``tools/test.py`` scored.

        Needs ``test.json``, ``wall.json``, the run's config and, unless the backbone started from
        random weights, ``load_report.json``. The seed is that of ``wall.json`` and else the
        config's: testing writes the config again, without the ``--seed`` of the training.

        Raises:
            AnalysisError: a file is missing or odd.
        """
        test = read_record(path / "test.json", TESTED_BY)
        scores = {field: test.number(field, 0, 1) for field in AP_FIELDS}
        scores |= {field: test.number(field, 0, 1) for field in AP50_FIELDS if test.has(field)}
        source = _read_source(path / "load_report.json")
        config = _config_path(path)
        family, seed = _read_config(config)
        wall = read_record(path / "wall.json", TRAINED_BY)
        if source is not None and source.family != family:
            raise AnalysisError(
                f"{path / 'load_report.json'} is of a {source.family} checkpoint, the backbone in "
                f"{config} is a {family}; the two are of different runs, train again"
            )
        return cls(
            path=path,
            name=config.stem,
            family=family,
            seed=wall.integer("seed") if wall.has("seed") else seed,
            source=source,
            scores=scores,
            split=test.text("split") if test.has("split") else None,
            wall_s=wall.number("wall_s"),
        )


def _read_source(path: Path) -> Source | None:
    if not path.exists():
        return None
    report = read_record(path, TRAINED_BY)
    if not report.has("checkpoint"):
        return None
    meta = report.record("checkpoint")
    return Source(
        name=meta.text("name"),
        method=meta.text("method"),
        family=meta.text("family"),
        seed=meta.integer("seed") if meta.has("seed") else None,
        train_flops=meta.number("train_flops"),
        val_top1=val_top1(meta),
    )


def _config_path(path: Path) -> Path:
    configs = sorted(path.glob("*.py"))
    if len(configs) != 1:
        found = ", ".join(config.name for config in configs) or "none"
        raise AnalysisError(
            f"{path} should hold exactly one config *.py, which {TRAINED_BY} writes there; "
            f"found {found}"
        )
    return configs[0]


def _read_config(path: Path) -> tuple[str, int | None]:
    """Return the backbone's family and the seed of a detector's config."""
    try:
        config = Config.fromfile(path, import_custom_modules=False)
        kind = config.model.backbone.type
        seed = config.get("randomness", {}).get("seed")
    except (SyntaxError, AttributeError, KeyError, TypeError) as error:
        raise AnalysisError(
            f"{path} is no readable detector config ({error}); it is written by {TRAINED_BY}"
        ) from error
    name = str(kind).rpartition(".")[2]
    for family, architecture in FAMILIES.items():
        if name.lower().startswith(family) or name in architecture.backbone_types:
            return family, seed
    raise AnalysisError(
        f"{path}: the backbone {kind!r} is of no known family; known: {', '.join(FAMILIES)}"
    )
