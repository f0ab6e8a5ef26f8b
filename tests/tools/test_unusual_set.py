"""A set as people have them goes from the check to the comparison, and only what is meant warns.

Crowds, 300 objects on an image, RGBA and grey images; spaces, commas, brackets, quotes, markup and
letters of other alphabets in the names of folder, images and classes.
"""

import json
import re
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as mask_api

from mmrbdc.analysis.reports.table import WIDTH
from mmrbdc.engine.configs.loading import load_config
from mmrbdc.terminal import console
from tests.tiny_coco import ROOT

ROOT_NAME = "my set, [v2] größe"
CLASSES = ("bolt [red]M8", "[/old]", "tête, longue", "螺母", "it's 100% <b>ok</b>")
SIZE = 128
MODES = ("RGB", "RGBA", "L", "RGB")
MEANT = (
    "more objects than",  # 300 of them, and the detector keeps 50 of 100 proposals
    "more objects of one class than",
    "images have more objects of one class",
    "transparen",  # alpha is dropped by every loader
    "grey",
    "batch",  # the batch is not the recipe's
    "one seed",
    '"FileClient" will be deprecated',  # MMDetection's own, as the next
    '"HardDiskBackend" is the alias',
)

BEGINS = re.compile(r"WARNING:|\d\d/\d\d")
"""First words of a warning, and of a line of a log."""


def square(image, category, number, place, side):
    x, y = place
    polygon = [x, y, x + side, y, x + side, y + side, x, y + side]
    return dict(
        id=number,
        image_id=image,
        category_id=category,
        bbox=[x, y, side, side],
        area=side * side,
        segmentation=[polygon],
        iscrowd=0,
    )


def crowd(image, category, number):
    mask = np.zeros((SIZE, SIZE), np.uint8, order="F")
    mask[100:120, 10:60] = 1
    rle = mask_api.encode(mask)
    return dict(
        id=number,
        image_id=image,
        category_id=category,
        bbox=[10, 100, 50, 20],
        area=1000,
        segmentation=dict(size=[SIZE, SIZE], counts=rle["counts"].decode()),
        iscrowd=1,
    )


def make_set(root, split, count, rng):
    """``count`` images; the first has 300 small squares, the second a crowd."""
    folder = root / f"{split} images"
    folder.mkdir(parents=True)
    images, annotations = [], []
    for image in range(1, count + 1):
        mode = MODES[image % len(MODES)]
        channels = {"RGB": 3, "RGBA": 4, "L": 1}[mode]
        pixels = rng.integers(0, 90, (SIZE, SIZE, channels), dtype=np.uint8)
        name = f"photo {image}, [left] 'ñ'.{'png' if mode == 'RGBA' else 'jpg'}"
        many = image == 1
        for index in range(300 if many else 4):
            side = 5 if many else 24
            column, row = (index % 20, index // 20) if many else (index % 2, index // 2)
            place = (column * 6 + 1, row * 6 + 1) if many else (column * 60 + 8, row * 44 + 4)
            pixels[place[1] : place[1] + side, place[0] : place[0] + side, :3] += 100
            category = 1 if many else (image + index) % len(CLASSES) + 1
            annotations.append(square(image, category, len(annotations) + 1, place, side))
        if image == 2:
            annotations.append(crowd(image, 1, len(annotations) + 1))
        Image.fromarray(pixels.squeeze(), mode).save(folder / name)
        images.append(dict(id=image, file_name=name, width=SIZE, height=SIZE))
    categories = [dict(id=i, name=name) for i, name in enumerate(CLASSES, start=1)]
    content = dict(images=images, annotations=annotations, categories=categories)
    (root / f"{split}.json").write_text(json.dumps(content))


def write_config(path, root, repository):
    def loader(split):
        dataset = dict(
            data_root=str(root),
            metainfo=dict(classes=CLASSES),
            ann_file=f"{split}.json",
            data_prefix=dict(img=f"{split} images/"),
        )
        return dict(batch_size=2, num_workers=0, persistent_workers=False, dataset=dataset)

    heads = {part: dict(num_classes=len(CLASSES)) for part in ("bbox_head", "mask_head")}
    settings = dict(
        model=dict(roi_head=heads, test_cfg=dict(rcnn=dict(score_thr=0.0))),
        train_dataloader=loader("train"),
        val_dataloader=loader("val"),
        test_dataloader=loader("test"),
        val_evaluator=dict(ann_file=str(root / "val.json")),
        test_evaluator=dict(ann_file=str(root / "test.json")),
        train_cfg=dict(max_epochs=1, val_interval=1),
        param_scheduler=[dict(type="ConstantLR", factor=1.0)],
    )
    base = repository / "configs" / "mask-rcnn_random-deit-micro_scenes.py"
    lines = [f"{key} = {value!r}" for key, value in settings.items()]
    path.write_text("\n".join([f"_base_ = {str(base)!r}", *lines]) + "\n")


def unwrapped(text):
    """Lines as they were before the terminal broke those that its width has no room for.

    A word goes into the next line where it has no room, so such a line goes on there.
    """
    lines = [""]
    room = WIDTH
    for line in map(str.rstrip, text.splitlines()):
        first = line.split(" ")[0]
        if len(first) > room >= -1 and not BEGINS.match(first):
            lines[-1] += f" {line}"
        else:
            lines.append(line)
        room = WIDTH - len(line) - 1
    return lines


def warnings_of(done):
    """What was printed as a warning, less what is meant."""
    found = [
        line
        for output in (done.stdout, done.stderr)
        for line in unwrapped(output)
        if re.search(r"warning", line, re.IGNORECASE)
    ]
    return [line for line in found if not any(words in line for words in MEANT)]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = tmp_path_factory.mktemp("unusual")
    rng = np.random.default_rng(0)
    for split, count in (("train", 6), ("val", 4), ("test", 4)):
        make_set(place / ROOT_NAME, split, count, rng)
    return place


@pytest.mark.parametrize("before", range(0, 90, 7))
def test_what_is_meant_is_seen_wherever_the_terminal_breaks_it(capsys, before):
    """And the twin, a warning that nobody meant, is not hidden by its neighbours."""
    name = "x" * before
    meant = f"WARNING: {name} 1 of 4 images have more objects of one class (up to 300) and so on"
    told = [meant, f"WARNING: {name} nobody meant this one at all", meant]
    for text in told:
        console(WIDTH).print(text)
    printed = SimpleNamespace(stdout=capsys.readouterr().out, stderr="")
    assert warnings_of(printed) == [told[1]]


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_an_unusual_set_from_the_check_to_the_comparison(place, tiny):
    config = place / "my detector, [a].py"
    write_config(config, place / ROOT_NAME, ROOT)
    assert load_config(str(config)).train_dataloader.dataset.metainfo.classes == CLASSES

    checked = tiny.tool("misc/check_data.py", config.name, cwd=place)
    assert all(name in checked.stdout for name in CLASSES)
    assert "no errors found" in checked.stdout
    (place / "check.txt").write_text(checked.stdout + checked.stderr)
    assert warnings_of(checked) == []
    for seed in (0, 1):
        work_dir = f"work dirs/run, [{seed}]"
        trained = tiny.tool(
            "train.py", config.name, "--work-dir", work_dir, "--seed", str(seed), cwd=place
        )
        assert warnings_of(trained) == []
        tested = tiny.tool("test.py", config.name, "--work-dir", work_dir, cwd=place)
        assert warnings_of(tested) == []
    compared = tiny.tool("compare.py", "work dirs", "--out", "out, [1]", cwd=place)
    assert warnings_of(compared) == []
    assert "100 detections" in compared.stdout
    page = (place / "out, [1]" / "report.html").read_text()
    assert "<b>ok</b>" not in page
