import json
import os
import pickle
import zipfile

import pytest
import torch
from mmengine.logging import MessageHub
from mmengine.logging.history_buffer import HistoryBuffer
from mmengine.runner.checkpoint import CheckpointLoader
from safetensors.torch import save_file

from mmrbdc.weights import WeightsError, read_checkpoint, read_model, safe_load
from mmrbdc.weights.stock import stock_files_readable, stock_mmengine_globals

TENSORS = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.bias": torch.ones(2)}


def assert_same(one, other):
    assert list(one) == list(other)
    for name in one:
        torch.testing.assert_close(one[name], other[name], rtol=0, atol=0)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("content", [TENSORS, {"state_dict": TENSORS, "meta": {"family": "deit"}}])
def test_plain_files(tmp_path, content, zipped):
    path = tmp_path / "a.pth"
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    checkpoint = read_checkpoint(path)
    assert_same(checkpoint.state_dict, TENSORS)
    assert checkpoint.meta == content.get("meta", {})
    assert checkpoint.weights == "raw" and len(checkpoint.sha256) == 64


def test_safetensors_with_and_without_meta(tmp_path):
    save_file(TENSORS, tmp_path / "a.safetensors")
    checkpoint = read_checkpoint(tmp_path / "a.safetensors")
    assert checkpoint.meta == {}
    assert_same(dict(sorted(checkpoint.state_dict.items())), dict(sorted(TENSORS.items())))
    save_file(TENSORS, tmp_path / "b.bin", metadata={"mmrbdc": json.dumps({"weights": "ema"})})
    assert read_checkpoint(tmp_path / "b.bin").weights == "ema"


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod.", "module.module."])
def test_wrapper_prefixes_go(tmp_path, prefix):
    torch.save({prefix + name: value for name, value in TENSORS.items()}, tmp_path / "a.pth")
    assert_same(read_checkpoint(tmp_path / "a.pth").state_dict, TENSORS)


def test_a_submodule_that_is_called_module_stays(tmp_path):
    tensors = {"module.weight": torch.ones(1), "head._orig_mod.weight": torch.ones(1)}
    torch.save(tensors, tmp_path / "a.pth")
    assert list(read_checkpoint(tmp_path / "a.pth").state_dict) == ["module.weight", "head.weight"]


def test_stock_checkpoint_with_ema(stock_checkpoint):
    """A file that MMEngine's Runner wrote under EMAHook: both models come out, by choice only."""
    with pytest.raises(WeightsError, match=r"choose with weights='raw' or weights='ema'"):
        read_checkpoint(stock_checkpoint.path)
    raw = read_checkpoint(stock_checkpoint.path, weights="raw")
    ema = read_checkpoint(stock_checkpoint.path, weights="ema")
    assert (raw.weights, ema.weights) == ("raw", "ema")
    assert_same(raw.state_dict, stock_checkpoint.raw)
    assert_same(ema.state_dict, stock_checkpoint.ema)
    assert not torch.equal(raw.state_dict["linear.weight"], ema.state_dict["linear.weight"])
    assert raw.meta["iter"] == 3


def test_stock_file_needs_the_list_and_touches_no_class(stock_checkpoint):
    """Without the list torch itself refuses the file, or the test above proves little."""
    with pytest.raises(pickle.UnpicklingError):
        torch.load(stock_checkpoint.path, weights_only=True)
    methods = dict(HistoryBuffer._statistics_methods)
    content = safe_load(stock_checkpoint.path)
    assert content["message_hub"]["log_scalars"]
    assert HistoryBuffer._statistics_methods == methods


def test_a_run_is_resumed_with_the_real_log_buffers(stock_checkpoint):
    with torch.serialization.safe_globals(stock_mmengine_globals()):
        content = torch.load(stock_checkpoint.path, weights_only=True)
    hub = MessageHub.get_instance("weights-test-resumed")
    hub.load_state_dict(content["message_hub"])
    assert hub.get_scalar("train/loss").mean() == pytest.approx(
        stock_checkpoint.hub.get_scalar("train/loss").mean()
    )


def test_asking_for_what_is_not_there(tmp_path):
    torch.save(TENSORS, tmp_path / "raw.pth")
    torch.save({"state_dict": TENSORS, "meta": {"weights": "ema"}}, tmp_path / "ema.pth")
    with pytest.raises(WeightsError, match=r"no 'ema' weights, only 'raw'"):
        read_checkpoint(tmp_path / "raw.pth", weights="ema")
    with pytest.raises(WeightsError, match=r"no 'raw' weights, only 'ema'"):
        read_checkpoint(tmp_path / "ema.pth", weights="raw")
    assert read_checkpoint(tmp_path / "ema.pth", weights="ema").weights == "ema"
    with pytest.raises(WeightsError, match=r"weights='best'"):
        read_checkpoint(tmp_path / "raw.pth", weights="best")


class Foreign:
    """Pickles itself as a call of ``function``."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize(
    "function, args, named",
    [
        (os.mkdir, ("ran",), r"\w+\.mkdir"),
        (eval, ("__import__('os').mkdir('ran')",), "eval"),
        (getattr, (HistoryBuffer, "__init__"), "__init__"),
        (getattr, (HistoryBuffer, "register_statistics"), "register_statistics"),
    ],
)
def test_foreign_code_is_refused_and_not_run(tmp_path, monkeypatch, function, args, named, zipped):
    monkeypatch.chdir(tmp_path)
    content = {"state_dict": TENSORS, "meta": Foreign(function, *args)}
    torch.save(content, "a.pth", _use_new_zipfile_serialization=zipped)
    with pytest.raises(WeightsError, match=f"a.pth was refused: it holds .*{named}.*was not run"):
        read_checkpoint("a.pth")
    assert not os.path.exists("ran")


def test_mmengines_own_loading_runs_no_foreign_code(tmp_path, monkeypatch):
    """Of the onedl fork too, which would unpickle what cannot be read safely."""
    monkeypatch.chdir(tmp_path)
    torch.save(Foreign(os.mkdir, "ran"), "a.pth")
    for weights_only in ({}, {"weights_only": False}):
        with stock_files_readable(), pytest.raises(pickle.UnpicklingError):
            torch.load("a.pth", **weights_only)
    with stock_files_readable(), pytest.raises(pickle.UnpicklingError):
        CheckpointLoader.load_checkpoint("a.pth", map_location="cpu")
    assert not os.path.exists("ran")


def test_mmengines_own_loading_reads_stock_files(stock_checkpoint):
    with stock_files_readable():
        content = CheckpointLoader.load_checkpoint(str(stock_checkpoint.path), map_location="cpu")
    assert isinstance(content["message_hub"], dict) and content["state_dict"]


@pytest.mark.parametrize("before", [None, "0"])
def test_torchs_switch_is_put_back(monkeypatch, before):
    name = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
    monkeypatch.delenv(name, raising=False)
    if before is not None:
        monkeypatch.setenv(name, before)
    with pytest.raises(KeyError), stock_files_readable():
        assert os.environ[name] == "1"
        raise KeyError
    assert os.environ.get(name) == before


def test_the_foreign_code_would_run_if_unpickled(tmp_path, monkeypatch):
    """The twin: what the test above calls harmless is not."""
    monkeypatch.chdir(tmp_path)
    torch.save(Foreign(os.mkdir, "ran"), "a.pth")
    torch.load("a.pth", weights_only=False)
    assert os.path.exists("ran")


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_truncated_files(tmp_path, share, zipped):
    path = tmp_path / "a.pth"
    torch.save({"w": torch.randn(100, 100)}, path, _use_new_zipfile_serialization=zipped)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(WeightsError, match=r"a\.pth is (truncated|damaged)"):
        read_checkpoint(path)


def test_truncated_safetensors(tmp_path):
    path = tmp_path / "a.safetensors"
    save_file(TENSORS, path)
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(WeightsError, match="truncated"):
        read_checkpoint(path)


def test_damaged_file(tmp_path):
    path = tmp_path / "a.pth"
    torch.save({"w": torch.zeros(10000)}, path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"damaged .* bad checksum"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "is empty"),
        (b"<html>not found</html>", "not a checkpoint: it begins with"),
        (pickle.dumps({"a": 1}, protocol=2), "damaged or not a checkpoint"),
        (pickle.dumps({"a": 1}, protocol=4), "damaged or not a checkpoint"),
    ],
)
def test_no_checkpoint(tmp_path, content, message):
    (tmp_path / "a.pth").write_bytes(content)
    with pytest.raises(WeightsError, match=message):
        read_checkpoint(tmp_path / "a.pth")


@pytest.mark.parametrize(
    "content, message",
    [
        ({}, "no dict of tensors"),
        ({"state_dict": {}}, "no dict of tensors"),
        ({"epoch": 3, "net": TENSORS}, r"entry 'epoch' is a int.*epoch, net"),
        ({"state_dict": TENSORS, "meta": 3}, "'meta' is a int"),
        ([TENSORS], "holds a list"),
        ({"state_dict": TENSORS, "ema_state_dict": 3}, "'ema_state_dict' is not"),
    ],
)
def test_pickles_that_are_no_checkpoint(tmp_path, content, message):
    torch.save(content, tmp_path / "a.pth")
    with pytest.raises(WeightsError, match=message):
        read_checkpoint(tmp_path / "a.pth", weights="raw")


def test_a_zip_that_is_no_checkpoint(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.pth", "w") as file:
        file.writestr("readme.txt", "hello")
    with pytest.raises(WeightsError, match="not a checkpoint"):
        read_checkpoint(tmp_path / "a.pth")


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(WeightsError, match="does not exist"):
        read_checkpoint(tmp_path / "none.pth")
    with pytest.raises(WeightsError, match="is a folder"):
        read_checkpoint(tmp_path)


def test_a_stages_checkpoint_of_several_members_points_to_their_files(tmp_path):
    state = {f"members.{i}.{name}": value for i in (0, 1) for name, value in TENSORS.items()}
    torch.save(dict(state_dict=state), tmp_path / "epoch_1.pth")
    with pytest.raises(WeightsError, match=r"a stage of 2 members.*members/0.pth"):
        read_model(tmp_path / "epoch_1.pth")


def test_a_stages_checkpoint_of_one_member_is_read_as_it(tmp_path):
    state = {f"members.3.{name}": value for name, value in TENSORS.items()}
    torch.save(dict(state_dict=state), tmp_path / "epoch_1.pth")
    assert read_model(tmp_path / "epoch_1.pth").state_dict.keys() == TENSORS.keys()
