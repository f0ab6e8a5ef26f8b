# What every detector run shares: MMDetection's runtime, checkpoints that survive a killed process
# and are read without unpickling, and in the work dir what a comparison reads: the load report of
# the backbone, the config and last validation of the training, its FLOPs and its wall time.
_base_ = "mmdet::_base_/default_runtime.py"
custom_imports = dict(imports=["mmrbdc.engine", "mmrbdc.models"], allow_failed_imports=False)
custom_hooks = [
    dict(type="mmrbdc.LoadReportHook"),
    dict(type="mmrbdc.TrainRecordHook"),
    dict(type="mmrbdc.DetectorCostHook"),
    dict(type="mmrbdc.WallClockHook"),
]
default_hooks = dict(checkpoint=dict(type="mmrbdc.CheckpointHook", interval=1))
randomness = dict(seed=0, deterministic=False)
