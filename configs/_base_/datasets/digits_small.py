# The digits with 200 of the 1,000 for training, and the same val and test digits: for models that
# solve the whole set. `python tools/make_demo_data.py` makes them.
_base_ = "./digits.py"
data_root = "data/digits_small"
train_dataloader = dict(dataset=dict(data_root=data_root))
val_dataloader = dict(dataset=dict(data_root=data_root))
test_dataloader = dict(dataset=dict(data_root=data_root))
