"""Make the samples of Hugging Face's models: names, shapes and logits of small ones.

transformers cannot be installed beside mmpretrain 1.2.0 (see requirements/dev.txt), so the tests
read what it computed. The weights are not kept: they follow from the names (``sample_tensor``). Run
it in an environment with torch, transformers and safetensors; made with transformers 5.23.0:

    python tests/weights/samples/make_samples.py
"""

import json
import tempfile
import zlib
from pathlib import Path

import numpy as np
import torch

VIT = dict(
    hidden_size=16,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=32,
    image_size=32,
    patch_size=8,
    num_labels=5,
)
RESNET = dict(embedding_size=4, num_labels=5)
MODELS = {
    "vit": ("ViTForImageClassification", VIT),
    "vit-backbone": ("ViTModel", VIT),
    "deit": ("DeiTForImageClassification", VIT),
    "deit-teacher": ("DeiTForImageClassificationWithTeacher", VIT),
    "resnet-18": (
        "ResNetForImageClassification",
        dict(RESNET, layer_type="basic", depths=[2, 2, 2, 2], hidden_sizes=[4, 8, 16, 32]),
    ),
    "resnet-50": (
        "ResNetForImageClassification",
        dict(RESNET, depths=[3, 4, 6, 3], hidden_sizes=[16, 32, 64, 128]),
    ),
}


def sample_tensor(name, shape):
    """Values of a tensor, from its name alone (numpy's legacy generator never changes)."""
    random = np.random.RandomState(zlib.crc32(name.encode()))
    if name.endswith("num_batches_tracked"):
        return torch.tensor(random.randint(100))
    if name.endswith("running_var"):
        return torch.from_numpy(random.uniform(0.5, 2, shape)).float()
    fan_in = int(np.prod(shape[1:])) if len(shape) > 1 and shape[0] > 1 else 4
    values = torch.from_numpy(random.standard_normal(shape)).float() * (2 / fan_in) ** 0.5
    norm_scale = len(shape) == 1 and name.endswith("weight")
    return values + 1 if norm_scale else values


def sample_images():
    """Two images (2, 3, 32, 32)."""
    return torch.from_numpy(np.random.RandomState(0).standard_normal((2, 3, 32, 32))).float()


def make(folder):
    """Write one JSON file a model."""
    import transformers
    from safetensors.torch import load_file, save_file

    for name, (kind, options) in MODELS.items():
        model_class = getattr(transformers, kind)
        model = model_class(model_class.config_class(**options)).eval()
        with tempfile.TemporaryDirectory() as place:
            model.save_pretrained(place)
            file = Path(place) / "model.safetensors"
            shapes = {key: list(value.shape) for key, value in load_file(file).items()}
            tensors = {key: sample_tensor(key, shape) for key, shape in shapes.items()}
            save_file(tensors, file, metadata={"format": "pt"})
            model = model_class.from_pretrained(place).eval()
        with torch.no_grad():
            output = model(sample_images())
        sample = {
            "class": kind,
            "transformers": transformers.__version__,
            "config": options,
            "tensors": shapes,
            "live_names": live_names(model, tensors),
            "output": (output.logits if "logits" in output else output[0]).tolist(),
        }
        (folder / f"{name}.json").write_text(json.dumps(sample) + "\n")


def live_names(model, tensors):
    """Name in the model -> name in its file, found by value, where any differ."""
    live = model.state_dict()
    if live.keys() == tensors.keys():
        return {}
    by_value = {value.numpy().tobytes(): key for key, value in tensors.items()}
    return {key: by_value[value.numpy().tobytes()] for key, value in live.items()}


if __name__ == "__main__":
    make(Path(__file__).parent)
