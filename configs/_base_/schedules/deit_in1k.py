# deit_official.py under bfloat16 autocast, as GPUs train it; --no-amp is float32.
_base_ = "./deit_official.py"
optim_wrapper = dict(type="AmpOptimWrapper", dtype="bfloat16")
