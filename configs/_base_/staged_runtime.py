# What every staged run shares. Types of other libraries resolve in default_scope, ours carry theirs.
runner_type = "mmrbdc.StagedRunner"
default_scope = "mmpretrain"
custom_imports = dict(
    imports=["mmrbdc.datasets", "mmrbdc.engine", "mmrbdc.models"], allow_failed_imports=False
)
default_hooks = dict(
    timer=dict(type="IterTimerHook"),
    logger=dict(type="LoggerHook", interval=100),
    param_scheduler=dict(type="ParamSchedulerHook"),
    checkpoint=dict(type="mmrbdc.CheckpointHook", interval=1),
    sampler_seed=dict(type="DistSamplerSeedHook"),
    visualization=dict(type="VisualizationHook", enable=False),
)
# How the members of a stage share their run; docs/long_runs.md explains them.
lockstep = dict(compute="loop", channels_last=False)
env_cfg = dict(
    cudnn_benchmark=False,
    mp_cfg=dict(mp_start_method="fork", opencv_num_threads=0),
    dist_cfg=dict(backend="nccl"),
)
visualizer = dict(type="UniversalVisualizer", vis_backends=[dict(type="LocalVisBackend")])
log_level = "INFO"
randomness = dict(seed=0, deterministic=False)
val_cfg = dict()
test_cfg = dict()
