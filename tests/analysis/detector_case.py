"""Made-up detectors: the annotations that they are tested on, what each finds, its run."""

from mmrbdc.analysis import print_findings
from tests.analysis.coco.coco_files import make_annotations, make_predictions, write
from tests.analysis.run_dirs import keep_predictions, keep_training, write_detector, write_json

DATA = make_annotations(images=8, objects=24)

QUALITY = {"rbdc": 0.9, "random": 0.5}


def detections(method, seed):
    return make_predictions(DATA, seed=seed, found=QUALITY[method], wrong=10)


def make_run(root, method="random", seed=0, lr=1e-3, val=0.3, **settings):
    """A tested detector: one from a file of RBDC's, or one from random weights."""
    path = write_detector(root / f"{method}{seed}_{lr:g}", name=f"det_{method}", seed=seed)
    if method == "rbdc":
        meta = {"name": "r", "method": "rbdc", "family": "deit", "seed": 0, "train_flops": 1e12}
        write_json(path / "load_report.json", {"checkpoint": meta})
    annotations = root / "annotations.json"
    if not annotations.exists():
        write(root, annotations.name, DATA)
    keep_predictions(path, annotations, detections(method, seed), images=root / "images")
    keep_training(path, lr=lr, val=val, **settings)
    return path


def printed(findings, capsys):
    print_findings(findings)
    return capsys.readouterr().out
