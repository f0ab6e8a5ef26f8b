# staged_runtime.py with the settings of GPUs: cuDNN tries its algorithms, since a stage's images are of one
# size, and what bfloat16 autocast (in the schedules) leaves in float32 is multiplied in TF32.
# docs/long_runs.md lists these and the others, and how each is switched off.
_base_ = "./staged_runtime.py"
env_cfg = dict(cudnn_benchmark=True, float32_precision="tf32")
