"""Every shipped pretraining config on a GPU that is not there: no tensor on the wrong device, and
no waiting for the GPU inside a step.

What fake tensors cannot pass, and only a GPU can show: backward (it asks the driver), and kernels
themselves.
"""

from functools import cache
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from torch._subclasses.fake_tensor import DataDependentOutputException

from mmrbdc.engine.cost.memory import fake_copies, fake_images
from mmrbdc.engine.cost.on_meta import build_on_meta
from mmrbdc.engine.hooks.finite_loss import on_host
from tests.fake_cuda import fake_cuda, runs_of

CONFIGS = Path(__file__).parent.parent / "configs"
STAGED = sorted(
    str(path.relative_to(CONFIGS))
    for room in ("autoprog", "baselines", "incubation", "rbdc")
    for path in (CONFIGS / room).glob("*.py")
)
LABELS = [(4,)]
"""MMPretrain sends them as they come; images need no waiting where the loader pins its memory."""
MICRO = CONFIGS / "baselines" / "deit-micro_scratch_digits.py"
MICRO_RESNET = CONFIGS / "baselines" / "resnet-micro_scratch_digits.py"

pytestmark = pytest.mark.filterwarnings("ignore:pkg_resources")


@cache
def shipped(name):
    """The runs of a shipped config; what is built of a run's config leaves it as it is."""
    return runs_of(Config.fromfile(CONFIGS / name))


def changed(path, **changes):
    """A config with other top-level keys."""
    cfg = Config.fromfile(path)
    cfg.merge_from_dict(changes)
    return cfg


def losses_of(row, run, spoil=None):
    """The losses of a batch of 4, and what of it was copied and waited for."""
    model = build_on_meta(run.model)
    with fake_cuda() as waits:
        fake_copies(model, "cuda").train()
        if spoil:
            spoil(model)
        data = model.data_preprocessor(fake_images(row.img_size, 4), training=True)
        loss, logs = model.parse_losses(model(**data, mode="loss"))
        assert loss.device.type == "cuda" and loss.shape == ()
    return logs, waits


@pytest.mark.parametrize("name", STAGED)
def test_a_training_step_stays_on_the_gpu(name):
    for row, run in shipped(name):
        logs, waits = losses_of(row, run)
        assert set(logs) == {"loss", *(f"member{i}.loss" for i in range(row.members))}
        assert (waits.down, waits.up) == ([], LABELS)


@pytest.mark.parametrize("name", STAGED)
def test_so_does_a_validation_step(name):
    for row, run in shipped(name):
        model = build_on_meta(run.model)
        with fake_cuda() as waits:
            fake_copies(model, "cuda").eval()
            data = model.data_preprocessor(fake_images(row.img_size, 4), training=False)
            predictions = model(**data, mode="predict")
            assert all(p.pred_score.device.type == "cuda" for p in predictions)
        assert (waits.down, waits.up) == ([], LABELS)


CHOICES = {
    "stacked": dict(lockstep=dict(compute="stacked")),
    "channels-last": dict(lockstep=dict(channels_last=True)),
    "drop-path": {"model.backbone.drop_path_rate": 0.3},
}


@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("family", ["deit", "resnet"])
def test_so_do_the_choices_of_lockstep(family, choice):
    path = CONFIGS / "rbdc" / f"{family}-micro_2step_digits.py"
    if choice == "channels-last" and family == "resnet":
        path = CONFIGS / "rbdc" / "resnet50_1step_in1k.py"  # narrower ones are refused
    for row, run in runs_of(changed(path, **CHOICES[choice])):
        assert losses_of(row, run)[1].down == []


@pytest.mark.parametrize("path", [MICRO, MICRO_RESNET])
def test_so_do_mixtures_of_templates(path):
    stages = [dict(members=2, width="1/2", epochs=1), dict(members=1, width=1, epochs=1)]
    changes = {"protocol.method": "mixture-growth", "stages": stages}
    for row, run in runs_of(changed(path, **changes)):
        assert losses_of(row, run)[1].down == []


@pytest.mark.parametrize("name", ["rbdc/deit-b_2step_in1k.py", "rbdc/resnet-micro_2step_digits.py"])
def test_clipping_reads_nothing_and_a_step_is_read_at_once(name):
    for _, run in shipped(name):
        model = build_on_meta(run.model)
        with fake_cuda() as waits:
            fake_copies(model, "cuda")
            wrapper = optim_wrapper(run, model)
            wrapper.step()
            norms = wrapper.take_norms()
            assert {norm.device.type for norm in norms.values()} == {"cuda"} and waits.down == []
            outputs = {f"{name}.loss": norm for name, norm in norms.items()}
            read = on_host({**outputs, **norms})
        assert {value.device.type for value in read.values()} == {"cpu"}
        assert waits.down == [(2 * len(model.members),)] and wrapper.take_norms() == {}


def test_numbers_of_two_devices_are_read_from_each():
    with fake_cuda() as waits:
        here, there = torch.zeros(()), torch.zeros(1, device="cuda")
        read = on_host(dict(loss=there, weight=here, acc=there))
    assert {value.device.type for value in read.values()} == {"cpu"} and waits.down == [(2,)]


def optim_wrapper(run, model):
    """Of a run, before its first step, with gradients; AdamW and Lamb count on the host."""
    options = dict(run.optim_wrapper, optimizer=dict(type="SGD", lr=0.1))
    options.pop("constructor"), options.pop("paramwise_cfg", None)
    options.setdefault("clip_grad", dict(max_norm=1.0))
    wrapper = build_optim_wrapper(model, options)
    for parameter in model.parameters():
        parameter.grad = torch.empty_like(parameter)
    wrapper.initialize_count_status(model, 0, 10)
    return wrapper


class _Misplaced(torch.nn.Module):
    """Adds a tensor that was made on the CPU."""

    def forward(self, x):
        return x + torch.zeros(x.shape)


class _Waiting(torch.nn.Module):
    """Asks the GPU for a number."""

    def forward(self, x):
        return x * 2 if x.sum().item() > 0 else x


class _Copying(torch.nn.Module):
    """Sends its input through the host's memory."""

    def forward(self, x):
        return x.cpu().to(x.device)


def test_twins_a_misplaced_tensor_and_a_wait_are_found():
    row, run = shipped(MICRO)[0]

    def with_one(module):
        def spoil(model):
            model.members[0].backbone.ln1 = module

        return spoil

    with pytest.raises(RuntimeError, match=r"(?s)found two different devices cuda.* cpu"):
        losses_of(row, run, with_one(_Misplaced()))
    with pytest.raises(DataDependentOutputException):
        losses_of(row, run, with_one(_Waiting()))
    assert len(losses_of(row, run, with_one(_Copying()))[1].down) == 1
