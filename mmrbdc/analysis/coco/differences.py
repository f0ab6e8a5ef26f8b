"""The images on which two models differ most."""

import numpy as np

from mmrbdc.analysis.coco.bootstrap import check_comparable
from mmrbdc.analysis.coco.matching import Matches


def found_shares(matches: Matches) -> np.ndarray:
    """Return what share of each image's objects is among as many best detections.

    Of an image with n objects the n detections with the highest scores are taken, of all
    categories together, and the share of them that is right is averaged over COCO's IoU
    thresholds (R-precision: Manning, Raghavan and Schuetze, Introduction to Information Retrieval,
    2008, section 8.4). It needs no score threshold, so it is fair to models whose scores are
    differently scaled. Detections that count neither as right nor as wrong are passed over.

    Returns:
        (I,), in the order of the image ids, 0 to 1; NaN on images without an object.
    """
    rankings = matches.rankings["all"]
    counts = [~ranking.ignored.any(axis=0) for ranking in rankings]
    pairs = list(zip(rankings, counts, strict=True))
    images = np.concatenate([ranking.images[keep] for ranking, keep in pairs])
    scores = np.concatenate([ranking.scores[keep] for ranking, keep in pairs])
    right = np.concatenate([ranking.hits[:, keep].mean(axis=0) for ranking, keep in pairs])
    objects = np.sum([ranking.positives for ranking in rankings], axis=0)
    order = np.lexsort((-scores, images))
    images, right = images[order], right[order]
    place = np.arange(len(images)) - np.searchsorted(images, images)
    best = place < objects[images]
    found = np.bincount(images[best], weights=right[best], minlength=len(objects))
    return np.divide(found, objects, out=np.full(len(objects), np.nan), where=objects > 0)


def most_different_images(a: Matches, b: Matches, count: int) -> list[int]:
    """Return the ids of the images whose :func:`found_shares` differ most, the largest first.

    Images on which the two do equally well are left out, so there may be fewer than ``count``.
    Equal differences stand in the order of the ids.

    Raises:
        AnalysisError: the matches are of different data sets, or of boxes and masks.
    """
    check_comparable(a, b)
    gaps = np.nan_to_num(np.abs(found_shares(a) - found_shares(b)))
    order = np.argsort(-gaps, kind="stable")[:count]
    ids = a.annotations.image_ids
    return [ids[i] for i in order if gaps[i] > 0]
