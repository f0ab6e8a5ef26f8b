"""DeiT-B on ImageNet-1k by AutoProg: 6 to 12 blocks, 128 to 224 px, in four stages with three searches.

Planned for 70 % of the training FLOPs of 300 epochs from scratch (configs/baselines/deit-b_scratch_in1k.py),
searches and judging counted. Every stage but the last is a quarter of what that share would allow at the
target's price; the last one takes what is left, 54 to 175 epochs by what the searches choose:
`python tools/plan.py configs/autoprog/deit-b_in1k.py` shows both ends. The published run takes 300 epochs
instead (progression.lengths="epochs"), which costs 42 to 100 % of scratch. New blocks come from the moving average;
drop-path, random erasing and the magnitude of RandAugment rise with the stages; the rest is the recipe of the
other DeiTs here, so that methods compare.

Expected: not run yet. Baseline of the same recipe elsewhere: 81.8 % (DeiT-B, 300 epochs, official code).
Published: up to 1.85 times as fast at equal accuracy, of VOLO-D1 (arXiv 2203.14509, 2410.00350).
Hardware: planned for 8 GPUs, batch 1,024; time not measured yet.
Run: tools/dist_train.sh configs/autoprog/deit-b_in1k.py 8
One GPU: python tools/train.py configs/autoprog/deit-b_in1k.py --auto-scale-lr
"""

_base_ = [
    "../_base_/models/deit-base.py",
    "../_base_/datasets/imagenet_deit.py",
    "../_base_/schedules/deit_in1k.py",
    "../_base_/imagenet_runtime.py",
]
protocol = dict(
    method="autoprog",
    family="deit",
    reference_epochs=300,
    train_samples=1281167,
    progression=dict(stages=4, scale=0.5, search_epochs=2, budget=0.7),
)
