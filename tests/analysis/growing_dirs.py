"""Made-up finished runs of one model that grows in depth and image size."""

from tests.analysis.run_dirs import edit_json, write_pretraining

FIRST = [(blocks, px) for px in (16, 24, 32) for blocks in (2, 3, 4)]
SEARCHING = (
    (4, 32, 3e11, FIRST),
    (3, 16, 1.4e12, ()),
    (4, 24, 1e10, [(4, 16), (4, 24)]),
    (4, 16, 2e12, ()),
    (4, 32, 4e12, ()),
)
"""Blocks, pixels, training FLOPs, candidates of a stage."""
GROWING = ((2, 16, 1e12, ()), (3, 24, 2e12, ()), (4, 32, 4e12, ()))


def write_growing(path, *, name, method, stages=SEARCHING, **kwargs):
    """Write the work dir of a protocol of one DeiT of width 96, the last stage's the target."""
    plain = tuple((1, 96, flops / 1e11, flops) for _, _, flops, _ in stages)
    write_pretraining(path, name=name, method=method, stages=plain, **kwargs)
    whole = stages[-1][0]

    def grown(plan):
        for row, (blocks, px, _, tried) in zip(plan["stages"], stages, strict=True):
            row |= dict(depth=f"{blocks}/{whole}", img_size=[px, px])
            row |= dict(searching=[list(one) for one in tried]) if tried else {}

    edit_json(path / "plan.json", grown)
    architecture = dict(
        family="deit", depth=whole, embed_dims=96, num_heads=4, feedforward_channels=384,
        patch_size=[8, 8], img_size=[32, 32], in_channels=3, num_classes=10,
        head="VisionTransformerClsHead", distilled=False, with_cls_token=True, qkv_bias=True,
        layer_scale=False, pre_norm=False, final_norm=True, pooled_norm=False,
    )  # fmt: skip
    edit_json(path / f"{name}.json", lambda meta: meta.update(architecture=architecture))
    return path
