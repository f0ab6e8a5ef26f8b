"""In what MMPretrain's ResNets differ from those that other libraries build by default."""

from mmrbdc.families.resnet.architecture import ResNetArchitecture


def differences_elsewhere(architecture: ResNetArchitecture) -> list[str]:
    """What the tensors of an architecture would not compute in other libraries, in words."""
    notes = []
    if architecture.style != "pytorch":
        notes.append(
            "its blocks have the stride in their first 1x1 convolution (style='caffe'); the "
            "ResNets of timm and torchvision have it in the 3x3, and give other outputs"
        )
    if architecture.strides != (1, 2, 2, 2):
        notes.append("its stages have strides of their own: say so where the model is built")
    return notes
