# What every detector run shares: MMDetection's runtime, checkpoints that survive a killed process
# and are read without unpickling, the load report of the backbone and the
# wall time in the work dir.
_base_ = "mmdet::_base_/default_runtime.py"
custom_imports = dict(imports=["mmrbdc.engine", "mmrbdc.models"], allow_failed_imports=False)
custom_hooks = [dict(type="mmrbdc.LoadReportHook"), dict(type="mmrbdc.WallClockHook")]
default_hooks = dict(checkpoint=dict(type="mmrbdc.CheckpointHook", interval=1))
randomness = dict(seed=0, deterministic=False)
