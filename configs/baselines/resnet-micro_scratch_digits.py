_base_ = [
    "../_base_/models/resnet-micro.py",
    "../_base_/datasets/digits_small.py",
    "../_base_/schedules/resnet-micro.py",
    "../_base_/staged_runtime.py",
]
protocol = dict(method="scratch", family="resnet", reference_epochs=100, train_samples=200)
stages = [dict(members=1, width=1, epochs=100)]
