"""One recipe's learning rates, fitted to stages of any length."""

import copy
import itertools

import pytest
import torch
from mmengine.registry import PARAM_SCHEDULERS

from mmrbdc.engine.configs.schedule import fit_schedulers
from tests.engine.tiny_runs import ADAMW, ITERS_PER_EPOCH, one_stage, stage_run, train

RECIPE = [
    dict(type="LinearLR", start_factor=1e-3, begin=0, end=5),
    dict(type="CosineAnnealingLR", eta_min=1e-5, begin=5, end=60),
]
EPOCHS, PER_EPOCH = 60, 7
WHOLE = EPOCHS * PER_EPOCH
STEPS = [
    dict(type="LinearLR", start_factor=0.1, begin=0, end=5),
    dict(type="MultiStepLR", milestones=[20, 40], gamma=0.1),
]


def curve(schedulers, iters, convert=False, epoch=PER_EPOCH, lr=1.0):
    """The learning rate of every iteration; ``convert`` by MMEngine's ``convert_to_iter_based``."""
    sgd = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)
    built = []
    for config in copy.deepcopy(schedulers):
        if convert:
            scheduler_class = PARAM_SCHEDULERS.get(config.pop("type"))
            built.append(
                scheduler_class.build_iter_from_epoch(optimizer=sgd, epoch_length=epoch, **config)
            )
        else:
            built.append(PARAM_SCHEDULERS.build(config, default_args=dict(optimizer=sgd)))
    rates = []
    for _ in range(iters):
        rates.append(sgd.param_groups[0]["lr"])
        sgd.step()
        for scheduler in built:
            scheduler.step()
    return rates


def fitted(schedulers, iters, epochs=EPOCHS):
    return fit_schedulers(schedulers, epochs, iters, PER_EPOCH)


@pytest.mark.parametrize(
    "recipe",
    [
        RECIPE,
        [dict(type="CosineAnnealingLR", T_max=60)],
        [RECIPE[0], dict(type="CosineAnnealingLR", T_max=55, begin=5)],
        STEPS,
        [STEPS[0], dict(type="MultiStepLR", begin=5, milestones=[20, 40], gamma=0.1)],
        [dict(type="StepLR", step_size=20, gamma=0.5)],
        [dict(type="PolyLR", power=0.9, eta_min=0.01, begin=0, end=60)],
        [dict(type="LinearLR", start_factor=1.0, end_factor=0.1, begin=0, end=60)],
    ],
)
def test_a_stage_as_long_as_the_recipe_has_mmengines_schedule(recipe):
    """Warm-ups of a tenth of the recipe and less are not shortened."""
    ours = curve(fitted(recipe, WHOLE), WHOLE)
    theirs = curve([dict(by_epoch=True, **s) for s in recipe], WHOLE, convert=True)
    assert ours == pytest.approx(theirs, rel=1e-9)
    assert len(set(theirs)) > 2


@pytest.mark.parametrize("iters", [WHOLE // 4, WHOLE // 2, 3 * WHOLE])
def test_after_the_warm_up_a_schedule_is_stretched(iters):
    """Half-way between the end of the warm-up and the end, a cosine is half-way down."""
    warmup, cosine = fitted(RECIPE, iters)
    assert cosine["end"] == iters and warmup["end"] == cosine["begin"]
    rates = curve([warmup, cosine], iters + 1)
    middle = (cosine["begin"] + iters) // 2
    assert rates[middle] == pytest.approx(0.5, abs=0.03)
    assert max(rates) == pytest.approx(1) == pytest.approx(rates[warmup["end"]])
    assert rates[0] == pytest.approx(1e-3)
    assert rates[-1] < 1e-3


@pytest.mark.parametrize(
    "iters, warmup",
    [
        (3 * WHOLE, 5 * PER_EPOCH),  # its own length in epochs, however long the stage
        (WHOLE, 5 * PER_EPOCH),
        (200, 20),  # a tenth of a shorter one
        (20, 2),
    ],
)
def test_a_warm_up_keeps_its_epochs_up_to_a_tenth_of_the_stage(iters, warmup):
    assert fitted(RECIPE, iters)[0] == dict(
        type="LinearLR", start_factor=1e-3, begin=0, end=warmup, by_epoch=False
    )


@pytest.mark.parametrize("iters", [1, 2, PER_EPOCH, 2 * PER_EPOCH, 4 * PER_EPOCH])
@pytest.mark.parametrize("recipe", [RECIPE, STEPS])
def test_a_stage_of_few_epochs_or_less_than_one_reaches_the_full_rate(recipe, iters):
    """A warm-up of a single iteration would hold the rate at its start for the whole stage."""
    rates = curve(fitted(recipe, iters), iters)
    assert all(0 < rate <= 1 + 1e-9 for rate in rates)
    assert max(rates) == pytest.approx(1)


def test_twin_boundaries_in_epochs_leave_a_short_stage_in_its_warm_up():
    unfitted = [dict(s, by_epoch=True) for s in RECIPE]
    assert max(curve(unfitted, PER_EPOCH, convert=True)) < 0.4


@pytest.mark.parametrize("recipe", [RECIPE, STEPS])
@pytest.mark.parametrize("iters, warmup", [(200, 2), (200, 90), (200, 199), (20, 7)])
def test_a_warm_up_is_as_long_as_it_is_told(recipe, iters, warmup):
    """Also beyond a tenth of the stage; the rest of the recipe takes the rest of the stage."""
    told = fit_schedulers(recipe, EPOCHS, iters, PER_EPOCH, warmup_iters=warmup)
    assert told[0]["end"] == warmup
    rates = curve(told, iters)
    assert rates[0] == pytest.approx(recipe[0]["start_factor"])
    assert all(low < high for low, high in itertools.pairwise(rates[:warmup]))
    assert rates.index(max(rates)) == warmup - 1 and max(rates) == pytest.approx(1)


def test_twin_without_being_told_a_warm_up_is_another():
    assert fitted(RECIPE, 200)[0]["end"] not in (2, 90, 199)


@pytest.mark.parametrize("iters", [1, 20, WHOLE])
def test_a_warm_up_of_nothing_starts_at_the_full_rate(iters):
    told = fit_schedulers(RECIPE, EPOCHS, iters, PER_EPOCH, warmup_iters=0)
    assert [s["type"] for s in told] == ["CosineAnnealingLR"]
    assert (told[0]["begin"], told[0]["end"]) == (0, iters)
    assert curve(told, iters)[0] == 1


def test_a_recipe_without_a_warm_up_may_be_told_to_have_none():
    recipe = [dict(type="CosineAnnealingLR", T_max=60)]
    assert fit_schedulers(recipe, EPOCHS, 90, PER_EPOCH, 0) == fitted(recipe, 90)


@pytest.mark.parametrize(
    "recipe, warmup, message",
    [
        (RECIPE, 100, "100 iterations does not fit a stage of 100"),
        (RECIPE, -3, "-3 iterations does not fit"),
        (RECIPE, 1, "would hold its first rate"),
        ([dict(type="CosineAnnealingLR")], 10, "add dict\\(type='LinearLR'"),
        ([], 10, "add dict\\(type='LinearLR'"),
    ],
)
def test_a_warm_up_that_cannot_be_is_refused(recipe, warmup, message):
    with pytest.raises(ValueError, match=message):
        fit_schedulers(recipe, EPOCHS, 100, PER_EPOCH, warmup_iters=warmup)


def test_milestones_and_steps_are_stretched():
    steps = fitted(STEPS, 200)
    assert steps[1]["milestones"] == [20 + round(180 * 15 / 55), 20 + round(180 * 35 / 55)]
    assert fitted([dict(type="StepLR", step_size=20, gamma=0.5)], 90)[0]["step_size"] == 30
    assert fitted([dict(type="StepLR", step_size=20, gamma=0.5)], 2)[0]["step_size"] == 1


@pytest.mark.parametrize("iters", [WHOLE // 3, WHOLE, 2 * WHOLE])
def test_an_exponential_decay_ends_where_the_recipe_ends(iters):
    """Its ``gamma`` is per epoch of the recipe; MMEngine's conversion would apply it every
    iteration.
    """
    rates = curve(fitted([dict(type="ExponentialLR", gamma=0.9)], iters), iters + 1)
    assert rates[-1] == pytest.approx(0.9**EPOCHS, rel=0.06)
    assert rates[iters // 2] == pytest.approx(0.9 ** (EPOCHS / 2), rel=0.05)


def test_the_recipe_is_left_as_it_was():
    before = copy.deepcopy(STEPS)
    fitted(STEPS, 50)
    assert before == STEPS


@pytest.mark.parametrize(
    "scheduler, message",
    [
        (dict(type="LinearLR", by_epoch=False, end=500), "'LinearLR' has by_epoch=False"),
        (dict(type="CosineAnnealingLR", begin=5, end=100), "boundary 100 lies beyond"),
        (dict(type="MultiStepLR", milestones=[30, 90]), "boundary 90 lies beyond"),
        (dict(type="OneCycleLR", eta_max=1.0, total_steps=60), "'OneCycleLR'"),
        (dict(type="CosineRestartLR", periods=[20, 40]), "'CosineRestartLR'"),
        (dict(type="ReduceOnPlateauLR"), "'ReduceOnPlateauLR'"),
    ],
)
def test_what_cannot_be_fitted_is_refused(scheduler, message):
    with pytest.raises(ValueError, match=message):
        fitted([scheduler], 100)


def test_a_real_run_has_the_rates_of_mmengines_schedule(images, tmp_path):
    """Ten epochs, as long as the recipe, with a warm-up of one."""
    overrides = dict(epochs=10)
    changes = dict(val_cfg=None, val_dataloader=None, val_evaluator=None)
    cfg = one_stage(images, tmp_path, overrides=overrides, **changes)
    rates = []

    def watch(point, runner):
        if point in ("before_train", "iter"):
            rates.append(runner.optim_wrapper.get_lr()["lr"][0])

    train(stage_run(cfg), watch)
    recipe = [dict(s, by_epoch=True) for s in cfg.param_scheduler]
    lr = ADAMW["optimizer"]["lr"]
    theirs = curve(recipe, 10 * ITERS_PER_EPOCH, convert=True, epoch=ITERS_PER_EPOCH, lr=lr)
    assert rates[:-1] == pytest.approx(theirs, rel=1e-9)
    assert max(theirs) == pytest.approx(lr) and min(theirs) < 0.02 * lr
