"""The annotations that made-up detectors are tested on, and what each finds."""

from tests.analysis.coco.coco_files import make_annotations, make_predictions

DATA = make_annotations(images=8, objects=24)

QUALITY = {"rbdc": 0.9, "random": 0.5}


def detections(method, seed):
    return make_predictions(DATA, seed=seed, found=QUALITY[method], wrong=10)
