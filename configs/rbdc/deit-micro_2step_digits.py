_base_ = [
    "../_base_/models/deit-micro.py",
    "../_base_/datasets/digits.py",
    "../_base_/schedules/deit-micro.py",
    "../_base_/staged_runtime.py",
]
protocol = dict(method="rbdc", family="deit", reference_epochs=60, train_samples=1000)
stages = [
    dict(members=4, width="1/4", epochs=54.75),
    dict(members=2, width="1/2", epochs=36.44),
    dict(members=1, width=1, epochs=24.25),
]
