"""What DeiT refuses, and what it makes of a pretraining's tensors."""

import pytest
import torch
from mmdet.registry import MODELS

from mmrbdc.weights import WeightsError, load_strict

pytestmark = pytest.mark.numeric

ARCH = dict(embed_dims=16, num_layers=4, num_heads=2, feedforward_channels=32)
POOLED_NORM = ("ln2.weight", "ln2.bias")
WINDOWS = dict(window_size=3, global_blocks=2, with_cls_token=False)


def deit(**options):
    settings = dict(arch=ARCH, img_size=16, patch_size=4)
    settings.update(options)
    return MODELS.build(dict(type="mmrbdc.DeiT", **settings))


@pytest.mark.parametrize(
    "options, message",
    [
        (dict(WINDOWS, with_cls_token=True), "window_size=3 with with_cls_token=True"),
        (dict(rel_pos=True), "rel_pos=True with with_cls_token=True"),
        (dict(global_blocks=2), "global_blocks=2 without windows"),
        (dict(WINDOWS, global_blocks=None), "window_size=3 without global_blocks"),
        (dict(WINDOWS, global_blocks=3), "global_blocks=3 does not divide the depth 4"),
        (dict(WINDOWS, global_blocks=-1), "global_blocks=-1 does not divide the depth 4"),
        (dict(WINDOWS, global_blocks=[1, 4]), r"global_blocks=\[1, 4\]: give different indices"),
        (dict(WINDOWS, global_blocks=[1, 1]), r"from 0 to 3, the blocks of depth 4"),
        (dict(WINDOWS, window_size=-2), "window_size=-2: give the side of a window"),
        (dict(frozen_stages=5), "frozen_stages=5 of a deit 4x16, 2 heads, 32 hidden: give -1"),
        (dict(rel_pos_size=64), "rel_pos_size=64 has no effect without rel_pos=True"),
        (dict(arch="deit-huge"), "unknown arch 'deit-huge'"),
    ],
)
def test_errors(options, message):
    with pytest.raises(ValueError, match=message):
        deit(**options)


def test_nothing_is_left_behind_without_need():
    backbone = deit()
    tensors = backbone.state_dict()
    adapted, left = backbone.adapted(tensors)
    assert left == () and adapted.keys() == tensors.keys()
    assert backbone.expected_new == () and backbone.ignored_fields == ("pooled_norm",)


def pretrained(kind, **options):
    backbone = MODELS.build(
        dict(type=f"mmpretrain.{kind}", arch=ARCH, img_size=16, patch_size=4, **options)
    )
    for parameter in backbone.parameters():
        parameter.data.normal_(0, 0.3)
    return backbone


@pytest.mark.parametrize(
    "kind, options, left",
    [
        ("VisionTransformer", {}, ("cls_token",)),
        (
            "VisionTransformer",
            dict(out_type="avg_featmap"),
            ("cls_token", "ln2.weight", "ln2.bias"),
        ),
        ("VisionTransformer", dict(out_type="featmap", with_cls_token=False), ()),
        ("DistilledVisionTransformer", {}, ("cls_token", "dist_token")),
    ],
)
@torch.no_grad()
def test_tokens_are_left_behind_with_their_rows(kind, options, left):
    """What remains is the table of the patches: the same map as MMPretrain's without tokens."""
    source = pretrained(kind, **options)
    tensors = source.state_dict()
    backbone = deit(with_cls_token=False)
    assert set(backbone.ignored_fields) == {"pooled_norm", "with_cls_token", "distilled"}
    adapted, gone = backbone.adapted(tensors)
    assert gone == left
    tokens = sum("token" in name for name in left)
    assert torch.equal(adapted["pos_embed"], tensors["pos_embed"][:, tokens:])
    report = load_strict(backbone, adapted)
    assert report.share == 1 and tensors.keys() - adapted.keys() == set(left)
    backbone.double().eval()
    images = torch.randn(1, 3, 16, 16, dtype=torch.float64)
    plain = MODELS.build(
        dict(
            type="mmpretrain.VisionTransformer",
            arch=ARCH,
            img_size=16,
            patch_size=4,
            out_type="featmap",
            with_cls_token=False,
        )
    )
    load_strict(plain, adapted)
    plain.double().eval()  # returns None
    torch.testing.assert_close(backbone(images)[0], plain(images)[0], rtol=1e-10, atol=1e-10)
    if left:  # the twin: the last rows dropped, not the first
        wrong = dict(adapted, pos_embed=tensors["pos_embed"][:, :-tokens])
        load_strict(backbone, wrong)
        assert not torch.allclose(backbone(images)[0], plain(images)[0], atol=1e-3)


def test_a_distilled_file_needs_its_tokens_dropped():
    tensors = pretrained("DistilledVisionTransformer").state_dict()
    with pytest.raises(WeightsError, match="dist_token.*build it with with_cls_token=False"):
        deit().adapted(tensors)


def test_relative_positions_are_the_only_new_tensors():
    backbone = deit(**WINDOWS, rel_pos=True)
    tensors, _ = backbone.adapted(pretrained("VisionTransformer").state_dict())
    report = load_strict(backbone, tensors, expected_new=backbone.expected_new)
    assert len(report.expected_new) == 8
    with pytest.raises(WeightsError, match=r"missing in the file: layers\.0\.attn\.rel_pos_h"):
        load_strict(backbone, tensors)
