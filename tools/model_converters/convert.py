"""Convert a checkpoint between MMPretrain, timm, torchvision and Hugging Face, head included.

    python tools/model_converters/convert.py deit_small_patch16_224.pth deit-s.pth --to mmpretrain
    python tools/model_converters/convert.py deit-b.pth model.safetensors --to huggingface

DeiT, plain ViT and ResNet. What IN is, is found out by its names and shapes; it may be an official
DeiT file as well. To and back gives the same bits. Mean, std, sizes and class names go along: in
the configs that timm and Hugging Face keep beside their files (NAME.config.json beside NAME.pth,
config.json beside model.safetensors). None of the libraries need be installed.
"""

from mmrbdc.cli import run_cli
from mmrbdc.commands.convert import main

if __name__ == "__main__":
    run_cli(main)
