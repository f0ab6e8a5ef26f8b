_base_ = [
    "../_base_/models/resnet-micro.py",
    "../_base_/datasets/digits_small.py",
    "../_base_/schedules/resnet-micro.py",
    "../_base_/staged_runtime.py",
]
protocol = dict(method="rbdc", family="resnet", reference_epochs=100, train_samples=200)
stages = [
    dict(members=4, width="1/4", epochs=79),
    dict(members=2, width="1/2", epochs=53),
    dict(members=1, width=1, epochs=35),
]
