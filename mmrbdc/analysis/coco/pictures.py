"""Pictures of an image with what was to be found and what each model found, side by side."""

import colorsys
import io
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from mmrbdc.analysis.coco.annotations import Annotations
from mmrbdc.analysis.coco.predictions import Predictions
from mmrbdc.runs.errors import AnalysisError
from mmrbdc.terminal import shown

_PANEL_INCHES = 4.0
_DPI = 100
_MASK_OPACITY = 0.45
_GOLDEN_RATIO = 0.618034


@dataclass(frozen=True)
class _Thing:
    """Something to draw: an object or a detection."""

    label: str
    colour: tuple[float, float, float]
    box: Sequence[float]
    mask: np.ndarray | None


def side_by_side(
    image_dir: str | Path,
    annotations: Annotations,
    predictions: Mapping[str, Predictions],
    image_id: int,
) -> bytes:
    """Draw the objects of an image and, beside them, what each model found.

    Of each model as many detections are shown as the image has objects (crowds not counted), those
    with the highest scores: all models get the same number of tries, whatever their scores' scale.
    Masks are drawn where the predictions are masks. Categories have the same colour everywhere.

    Args:
        image_dir: the folder that the annotations' ``file_name`` are relative to.
        annotations: of the data set.
        predictions: title of a panel -> predictions.
        image_id: of the image.

    Returns:
        A PNG.

    Raises:
        AnalysisError: the annotations have no such image; its file is missing or cannot be read.
    """
    coco = annotations.coco
    if image_id not in coco.imgs:
        raise AnalysisError(f"{annotations.path} has no image {image_id}")
    image = _read_image(Path(image_dir) / coco.imgs[image_id]["file_name"], annotations.path)
    masks = any(found.iou_type == "segm" for found in predictions.values())
    panels = {"ground truth": _objects(annotations, image_id, masks)}
    tries = sum(not found["iscrowd"] for found in coco.imgToAnns.get(image_id, []))
    for title, found in predictions.items():
        panels[title] = _detections(found, image_id, tries)
    height, width = image.shape[:2]
    size = (_PANEL_INCHES * len(panels), _PANEL_INCHES * height / width + 0.3)
    figure = Figure(figsize=size, dpi=_DPI, layout="constrained")
    for axes, (title, things) in zip(
        figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True
    ):
        axes.set_title(shown(title), fontsize=11, parse_math=False)
        axes.set_axis_off()
        axes.imshow(_with_masks(image, things))
        _draw_boxes(axes, things)
    target = io.BytesIO()
    with warnings.catch_warnings():
        # Letters that the font lacks are drawn as boxes.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure.savefig(target, format="png")
    return target.getvalue()


def _read_image(path: Path, annotations: Path) -> np.ndarray:
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB"))
    except OSError as error:
        raise AnalysisError(
            f"{path} cannot be read ({error}); name the folder of the images of {annotations}: "
            "--images"
        ) from None


def _objects(annotations: Annotations, image_id: int, masks: bool) -> list[_Thing]:
    names, colours = annotations.category_names, _colours(annotations)
    return [
        _Thing(
            label=names[found["category_id"]] + (" (crowd)" if found["iscrowd"] else ""),
            colour=colours[found["category_id"]],
            box=found["bbox"],
            mask=annotations.coco.annToMask(found) if masks else None,
        )
        for found in annotations.coco.imgToAnns.get(image_id, [])
    ]


def _detections(predictions: Predictions, image_id: int, count: int) -> list[_Thing]:
    names, colours = predictions.annotations.category_names, _colours(predictions.annotations)
    found = predictions.coco.imgToAnns.get(image_id, [])
    best = sorted(found, key=lambda detection: -detection["score"])[:count]
    return [
        _Thing(
            label=f"{names[detection['category_id']]} {detection['score']:.2f}",
            colour=colours[detection["category_id"]],
            box=detection["bbox"],
            mask=predictions.coco.annToMask(detection) if predictions.iou_type == "segm" else None,
        )
        for detection in best
    ]


def _colours(annotations: Annotations) -> dict[int, tuple[float, float, float]]:
    """Give each category a bright colour, neighbours far apart on the wheel of hues."""
    return {
        id_: colorsys.hsv_to_rgb(number * _GOLDEN_RATIO % 1, 0.85, 1.0)
        for number, id_ in enumerate(annotations.category_names)
    }


def _with_masks(image: np.ndarray, things: Sequence[_Thing]) -> np.ndarray:
    blended = image / 255
    for thing in things:
        if thing.mask is not None:
            inside = thing.mask.astype(bool)
            blended[inside] += _MASK_OPACITY * (np.array(thing.colour) - blended[inside])
    return blended


def _draw_boxes(axes: Axes, things: Sequence[_Thing]) -> None:
    """Draw boxes and, inside their corners, labels; the smallest last, on top."""
    for thing in sorted(things, key=lambda thing: -thing.box[2] * thing.box[3]):
        x, y, width, height = thing.box
        axes.add_patch(
            Rectangle((x, y), width, height, fill=False, edgecolor=thing.colour, linewidth=1.4)
        )
        axes.text(
            x,
            y,
            shown(thing.label),
            parse_math=False,
            fontsize=6.5,
            color="black" if _luminance(thing.colour) > 0.4 else "white",
            va="top",
            clip_on=True,
            bbox=dict(facecolor=thing.colour, edgecolor="none", pad=0.8, alpha=0.85),
        )


def _luminance(colour: tuple[float, float, float]) -> float:
    """Return how bright a colour looks, 0 to 1 (weights of Rec. 709)."""
    return float(np.dot(colour, (0.2126, 0.7152, 0.0722)))
