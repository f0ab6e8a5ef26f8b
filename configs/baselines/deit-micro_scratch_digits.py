_base_ = [
    "../_base_/models/deit-micro.py",
    "../_base_/datasets/digits.py",
    "../_base_/schedules/deit-micro.py",
    "../_base_/staged_runtime.py",
]
protocol = dict(method="scratch", family="deit", reference_epochs=24, train_samples=1000)
stages = [dict(members=1, width=1, epochs=24)]
