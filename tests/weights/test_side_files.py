"""What lies beside the files of timm and Hugging Face: the libraries read what is written, and it
means the same images to them.
"""

import json
import math

import cv2
import pytest
import timm
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpretrain.apis import ImageClassificationInferencer
from mmpretrain.registry import MODELS as MMPRETRAIN
from PIL import Image
from safetensors.torch import load_file
from sklearn.datasets import load_sample_image
from timm.data import create_transform, resolve_data_config

from mmrbdc.datasets.preprocessing import config_record
from mmrbdc.families import architecture_from_config
from mmrbdc.weights import DataRecord, Preprocessing, WeightsError, read_checkpoint, save_member
from mmrbdc.weights.libraries import convert_file, recognise, stored_record
from mmrbdc.weights.libraries.timm_config import timm_config, timm_record
from tests.weights.library_models import MODELS, randomise, res, vit

MEAN, STD = [120.0, 110.0, 90.0], [60.0, 50.0, 70.0]
CLASSES = ("cup", "Löwe", "a, b", "x y", "5")
RGB = dict(mean=MEAN, std=STD, to_rgb=True)
BGR = dict(mean=MEAN[::-1], std=STD[::-1], to_rgb=False)
CUT = [
    dict(type="ResizeEdge", scale=41, edge="short", backend="pillow", interpolation="bicubic"),
    dict(type="CenterCrop", crop_size=32),
]
SQUASH = [dict(type="Resize", scale=(32, 32), backend="pillow", interpolation="bilinear")]
HEADS = {"vit": "VisionTransformerClsHead", "resnet": "LinearClsHead"}


def classifier(kind):
    """MMPretrain's config, on 32 px."""
    backbone = vit() if kind == "vit" else res(18, 8, stem=8, kind="ResNetV1d")
    head = dict(type=HEADS[kind], num_classes=5, in_channels=32 if kind == "vit" else 64)
    neck = {} if kind == "vit" else dict(neck=dict(type="GlobalAveragePooling"))
    return dict(type="ImageClassifier", backbone=backbone, head=head, **neck)


def config(kind, preprocessor, transforms):
    pipeline = [dict(type="LoadImageFromFile"), *transforms, dict(type="PackInputs")]
    dataset = dict(type="CustomDataset", pipeline=pipeline, metainfo=dict(classes=CLASSES))
    model = dict(classifier(kind), data_preprocessor=dict(preprocessor, type="ClsDataPreprocessor"))
    return Config(dict(model=model, test_dataloader=dict(dataset=dataset)))


def write_ours(path, cfg):
    """A member file of random weights with its record."""
    init_default_scope("mmpretrain")
    model = MMPRETRAIN.build(dict(cfg.model, data_preprocessor=None)).eval()
    randomise(model)
    architecture = architecture_from_config(cfg.model)
    meta = dict(family=architecture.family, architecture=architecture.to_dict())
    save_member(path, model.state_dict(), {**meta, **config_record(cfg).to_meta()})
    return path


@pytest.fixture(scope="module")
def china(tmp_path_factory):
    """scikit-learn's photograph, 640 x 427."""
    path = tmp_path_factory.mktemp("image") / "china.png"
    cv2.imwrite(str(path), load_sample_image("china.jpg")[..., ::-1])
    return path


def ours(cfg, file, image):
    """The input and the logits (float64) of MMPretrain."""
    inferencer = ImageClassificationInferencer(cfg, pretrained=str(file), device="cpu")
    (data,) = inferencer.preprocess([str(image)])
    model = inferencer.model.double()
    inputs = model.data_preprocessor(data)["inputs"]
    with torch.no_grad():
        return inputs, model(inputs.double())


def theirs(folder, image):
    """The input and the logits (float64) of timm's model with timm's own transform."""
    model = timm.create_model(f"local-dir:{folder}", pretrained=True).eval().double()
    transform = create_transform(**resolve_data_config({}, model=model))
    inputs = transform(Image.open(image))[None]
    with torch.no_grad():
        return inputs, model(inputs.double())


@pytest.mark.parametrize("kind", ["vit", "resnet"])
@pytest.mark.parametrize("preprocessor", [RGB, BGR], ids=["rgb", "bgr"])
@pytest.mark.parametrize("transforms", [CUT, SQUASH], ids=["cut", "squash"])
def test_timm_sees_and_computes_the_same(kind, preprocessor, transforms, china, tmp_path):
    cfg = config(kind, preprocessor, transforms)
    source = write_ours(tmp_path / "ours.pth", cfg)
    done = convert_file(source, tmp_path / "timm" / "model.safetensors", "timm")
    assert [path.name for path in done.side_files] == ["config.json"]
    image, logits = ours(cfg, source, china)
    other, found = theirs(tmp_path / "timm", china)
    if preprocessor is BGR:
        image = image.flip(1)
        assert any("exchanged" in note for note in done.notes)
    # timm divides by 255 first: five roundings of float32, of numbers below 256 over the least std.
    bound = 5 * 2**-24 * 256 / min(STD)
    assert (image - other).abs().max() <= bound
    # The logits differ by no more than an input that is off by so much makes them.
    noise = bound * torch.randn(20, *image.shape[1:], generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        moved = timm_model(tmp_path / "timm")(image.double() + noise)
    assert (logits - found).abs().max() <= 20 * (moved - found).abs().max() + 1e-12

    # The twin: mean and std exchanged.
    file = tmp_path / "timm" / "config.json"
    wrong = json.loads(file.read_text())
    own = wrong["pretrained_cfg"]
    own["mean"], own["std"] = own["std"], own["mean"]
    file.write_text(json.dumps(wrong))
    image_of_twin, twin = theirs(tmp_path / "timm", china)
    assert (image_of_twin - other).abs().max() > 1e4 * bound
    assert (twin - found).abs().max() > 1e-3 * found.abs().max()


def timm_model(folder):
    return timm.create_model(f"local-dir:{folder}", pretrained=True).eval().double()


@pytest.mark.parametrize("name", [n for n, m in MODELS.items() if m.library == "timm"])
def test_timm_builds_the_model_that_its_config_names(name, tmp_path):
    """From timm's tensors to ours, with a record, and back: the same bits in a model that
    ``create_model`` builds.
    """
    tensors, logits = MODELS[name].build()
    if name in ("timm-resnet18d", "timm-vit"):
        assert logits.std() > 0.1
    torch.save(tensors, tmp_path / "theirs.pth")
    architecture = architecture_from_config(MODELS[name].classifier())
    found = recognise(read_checkpoint(tmp_path / "theirs.pth"))
    pixels = Preprocessing(tuple(MEAN), tuple(STD), "rgb", (32, 32))
    meta = dict(family=architecture.family, architecture=architecture.to_dict())
    save_member(
        tmp_path / "a.pth",
        found.state_dict,
        {**meta, **DataRecord(pixels, CLASSES).to_meta()},
    )
    done = convert_file(tmp_path / "a.pth", tmp_path / "timm" / "model.safetensors", "timm")
    config = json.loads(done.side_files[0].read_text())
    assert config["label_names"] == list(CLASSES)
    model = timm.create_model(f"local-dir:{tmp_path / 'timm'}", pretrained=True)
    own = model.state_dict()
    assert own.keys() == tensors.keys()
    assert all(torch.equal(own[key], tensors[key]) for key in own)
    assert timm_record(config)[0].classes == CLASSES


@pytest.mark.parametrize("size", [32, 96, 128, 224, 288, 384])
def test_timm_rounds_to_the_edge_that_was_recorded(size):
    for edge in range(size, 2 * size):
        pixels = Preprocessing(tuple(MEAN), tuple(STD), "rgb", (size, size), edge, "bicubic")
        content = timm_config(5, DataRecord(pixels), {})
        assert math.floor(size / content["pretrained_cfg"]["crop_pct"]) == edge
        assert timm_record(json.loads(json.dumps(content)))[0].preprocessing.short_edge == edge


@pytest.mark.parametrize("library", ["timm", "huggingface"])
@pytest.mark.parametrize("transforms", [CUT, SQUASH], ids=["cut", "squash"])
@pytest.mark.parametrize("target", ["net.pth", "model.safetensors", "pytorch_model.bin"])
def test_there_and_back(library, transforms, target, tmp_path):
    """Into a library's files and back: mean and std up to rounding, all else the same."""
    cfg = config("vit", RGB, transforms)
    source = write_ours(tmp_path / "ours.pth", cfg)
    done = convert_file(source, tmp_path / "there" / target, library)
    named = target != "net.pth"
    start = "" if named else "net."
    expected = ["config.json"] + ["preprocessor_config.json"] * (library == "huggingface")
    assert [path.name for path in done.side_files] == [start + name for name in expected]
    back = convert_file(tmp_path / "there" / target, tmp_path / "back.pth", "mmpretrain")
    record = DataRecord.from_meta(read_checkpoint(tmp_path / "back.pth").meta, "back")
    own = DataRecord.from_meta(read_checkpoint(source).meta, "source")
    assert record.classes == own.classes == CLASSES == back.record.classes
    mine, theirs = own.preprocessing, record.preprocessing
    # Written with 12 digits behind the point, 0 to 1.
    assert theirs.mean == pytest.approx(mine.mean, abs=255e-12)
    assert theirs.std == pytest.approx(mine.std, abs=255e-12)
    keys = ("channels", "image_size", "short_edge", "interpolation")
    assert [getattr(theirs, k) for k in keys] == [getattr(mine, k) for k in keys]


def test_hugging_faces_configs(tmp_path):
    cfg = config("vit", RGB, CUT)
    source = write_ours(tmp_path / "ours.pth", cfg)
    done = convert_file(source, tmp_path / "model.safetensors", "huggingface")
    model, processor = (json.loads(path.read_text()) for path in done.side_files)
    assert model["id2label"] == {str(i): name for i, name in enumerate(CLASSES)}
    assert model["label2id"]["Löwe"] == 1
    assert (model["hidden_size"], model["num_attention_heads"], model["image_size"]) == (32, 4, 32)
    assert model["layer_norm_eps"] == 1e-6 and model["model_type"] == "vit"
    assert not any("set layer_norm_eps" in note for note in done.notes)
    # (pixel * rescale - image_mean) / image_std is (pixel - mean) / std
    pixel = torch.tensor([0.0, 100.0, 255.0]).double()
    scaled = pixel * processor["rescale_factor"]
    for channel in range(3):
        theirs = (scaled - processor["image_mean"][channel]) / processor["image_std"][channel]
        mine = (pixel - MEAN[channel]) / STD[channel]
        torch.testing.assert_close(theirs, mine, rtol=1e-10, atol=1e-10)
    assert processor["size"] == {"shortest_edge": 41} and processor["resample"] == 3
    assert processor["crop_size"] == {"height": 32, "width": 32}


PROCESSORS = {
    "ViT of Google": (
        dict(do_normalize=True, do_resize=True, image_mean=[0.5] * 3, image_std=[0.5] * 3, size=32),
        ([127.5] * 3, [127.5] * 3, (32, 32), None),
    ),
    "ConvNeXt's": (
        dict(crop_pct=0.8, image_mean=[0.1, 0.2, 0.3], image_std=[0.2] * 3,
             size={"shortest_edge": 32}, resample=3),
        ([25.5, 51.0, 76.5], [51.0] * 3, (32, 32), 40),
    ),
    "DeiT's": (
        dict(do_center_crop=True, crop_size={"height": 32, "width": 32}, image_mean=[0.5] * 3,
             image_std=[0.2] * 3, size={"height": 40, "width": 40}),
        ([127.5] * 3, [51.0] * 3, (32, 32), None),
    ),
    "not divided by 255": (
        dict(do_rescale=False, image_mean=[120.0] * 3, image_std=[60.0] * 3, size=32),
        ([120.0] * 3, [60.0] * 3, (32, 32), None),
    ),
    "divided by 127.5": (
        dict(rescale_factor=1 / 127.5, image_mean=[1.0] * 3, image_std=[1.0] * 3, size=32),
        ([127.5] * 3, [127.5] * 3, (32, 32), None),
    ),
    "not normalised": (
        dict(do_normalize=False, image_mean=[0.5] * 3, image_std=[0.5] * 3, size=32),
        ([0.0] * 3, [255.0] * 3, (32, 32), None),
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", PROCESSORS)
def test_hugging_faces_processors_are_understood(kind, tmp_path):
    written, (mean, std, size, edge) = PROCESSORS[kind]
    torch.save(MODELS["huggingface-vit"].build()[0], tmp_path / "pytorch_model.bin")
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(written))
    found = recognise(read_checkpoint(tmp_path / "pytorch_model.bin"))
    pixels = stored_record(found)[0].preprocessing
    assert pixels.mean == pytest.approx(mean) and pixels.std == pytest.approx(std)
    assert (pixels.channels, pixels.image_size, pixels.short_edge) == ("rgb", size, edge)


def test_mean_and_std_that_a_class_has_by_default_are_not_made_up(tmp_path):
    torch.save(MODELS["huggingface-vit"].build()[0], tmp_path / "a.pth")
    (tmp_path / "a.preprocessor_config.json").write_text('{"size": 32, "do_normalize": true}')
    labels = {f"{i}": f"LABEL_{i}" for i in range(5)}
    (tmp_path / "a.config.json").write_text(json.dumps(dict(model_type="vit", id2label=labels)))
    record, _ = stored_record(recognise(read_checkpoint(tmp_path / "a.pth")))
    assert record == DataRecord()


STRANGERS = {
    "other classes": dict(architecture="x", num_classes=7, pretrained_cfg=dict(mean=[0.5] * 3)),
    "other names": dict(num_classes=5, label_names=["a"], pretrained_cfg={}),
    "another library": dict(model_type="vit", id2label={"0": "a"}),
    "no dict": [1, 2],
    "no numbers": dict(pretrained_cfg=dict(mean=["a"] * 3, std=[1] * 3)),
    "no deviation": dict(pretrained_cfg=dict(mean=[0.5] * 3, std=[0] * 3)),
}


@pytest.mark.parametrize("kind", [*STRANGERS, "no JSON"])
def test_configs_of_others_are_not_used_and_that_is_said(kind, tmp_path):
    torch.save(MODELS["timm-vit"].build()[0], tmp_path / "a.pth")
    text = "{" if kind == "no JSON" else json.dumps(STRANGERS[kind])
    (tmp_path / "config.json").write_text(text)
    done = convert_file(tmp_path / "a.pth", tmp_path / "b.pth", "mmpretrain")
    assert done.record == DataRecord()
    assert any("config.json is not used" in note for note in done.notes)
    assert "preprocessing" not in read_checkpoint(tmp_path / "b.pth").meta


def test_nothing_is_overwritten_and_nothing_half_written(tmp_path):
    source = write_ours(tmp_path / "ours.pth", config("vit", RGB, CUT))
    (tmp_path / "preprocessor_config.json").write_text("mine")
    with pytest.raises(WeightsError, match=r"preprocessor_config\.json exists already"):
        convert_file(source, tmp_path / "model.safetensors", "huggingface")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["ours.pth", "preprocessor_config.json"]


def test_what_is_not_recorded_is_not_made_up(tmp_path):
    """An old file of ours: no config beside it, and a word about it."""
    torch.save(MODELS["timm-vit"].build()[0], tmp_path / "a.pth")
    done = convert_file(tmp_path / "a.pth", tmp_path / "model.safetensors", "huggingface")
    assert done.side_files == () and done.record == DataRecord()
    assert any(note.startswith("not recorded in") for note in done.notes)
    assert load_file(tmp_path / "model.safetensors")


@pytest.mark.parametrize("library", ["timm", "huggingface"])
def test_a_file_that_says_another_family_than_its_tensors(library, tmp_path):
    """The tensors count for the configs beside it."""
    model = MODELS["timm-resnet18"]
    torch.save(model.build()[0], tmp_path / "theirs.pth")
    found = recognise(read_checkpoint(tmp_path / "theirs.pth"))
    other = architecture_from_config(classifier("vit"))
    record = DataRecord(Preprocessing(tuple(MEAN), tuple(STD), "rgb"))
    meta = dict(family=other.family, architecture=other.to_dict(), **record.to_meta())
    save_member(tmp_path / "a.pth", found.state_dict, meta)
    done = convert_file(tmp_path / "a.pth", tmp_path / "b" / "model.safetensors", library)
    content = done.side_files[0].read_text()
    assert "resnet" in content and "heads" not in content
