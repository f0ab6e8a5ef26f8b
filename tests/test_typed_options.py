"""``--cfg-options`` as they are typed: text stays text, the rest is read as what it says."""

import argparse
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mmengine.config import Config

from mmrbdc.engine.configs.cfg_options import merge_options
from mmrbdc.typed_options import ConfigOptions, Typed


def typed(*words):
    parser = argparse.ArgumentParser()
    parser.add_argument("--cfg-options", nargs="+", action=ConfigOptions)
    return parser.parse_args(["--cfg-options", *words]).cfg_options


def config():
    return Config(
        dict(
            train_dataloader=dict(batch_size=64, dataset=dict(data_root="data/digits")),
            val_evaluator=dict(metric=["bbox", "segm"], format_only=False),
            test_evaluator=dict(ann_file=None),
            model=dict(neck=dict(out_indices=(0, 1)), head=dict(scale=0.5, name="x")),
            stages=[dict(members=2, width="1/2", epochs=3), dict(members=1, width=1, epochs=2)],
        )
    )


def merged(*words):
    cfg = config()
    merge_options(cfg, typed(*words))
    return cfg


TEXT = "train_dataloader.dataset.data_root"


@given(st.text())
def test_text_stays_as_typed(text):
    cfg = config()
    merge_options(cfg, {TEXT: Typed(text)})
    assert cfg.train_dataloader.dataset.data_root == text
    assert cfg.cfg_options == {TEXT: text}


@given(st.text())
def test_anything_elsewhere_is_read_or_refused_in_one_line(text):
    for key in ("model.head.scale", "val_evaluator.metric", "model.neck", "model.new"):
        cfg = config()
        try:
            merge_options(cfg, {key: Typed(text)})
        except ValueError as error:
            assert str(error).startswith(f"--cfg-options {key}: ")


@given(st.lists(st.text(st.characters(exclude_characters="'\\\n\r"), min_size=1), min_size=1))
def test_quoted_words_of_a_list_arrive_unchanged(words):
    text = "[" + ", ".join(f"'{word}'" for word in words) + "]"
    assert Typed(text).value("val_evaluator.metric", ["bbox"]) == words


@pytest.mark.parametrize(
    "text",
    ["my data, second part/x", " lead", "[a]", "(1, 2)", "dict(a=1)", "007", "1e5", "None", "'q'"],
)
def test_a_path_with_anything_in_it_is_a_path(text):
    assert merged(f"{TEXT}={text}").train_dataloader.dataset.data_root == text
    assert merged(f"load_from={text}").load_from == text
    assert merged(f"stages.1.{TEXT}={text}").cfg_options == {f"stages.1.{TEXT}": text}


@pytest.mark.parametrize(
    "word, value",
    [
        ("model.head.scale=2", 2),
        ("model.head.scale=1e-3", 1e-3),
        ("model.head.scale=False", False),
        ("model.head.scale=None", None),
        ("model.new=2024_11", "2024_11"),
        ("model.head.scale:=2024_11", "2024_11"),
        ("model.head.scale='1'", "1"),
        ("model.new=a, b.pth", "a, b.pth"),
        ("model.new=two words", "two words"),
        ("model.new=1,2", [1, 2]),
        ("model.new=[a b, 'c, d', 3]", ["a b", "c, d", 3]),
        ("model.new=[(1, 2), [x, it's], true]", [(1, 2), ["x", "it's"], True]),
        ("model.new=(old) and (new)", "(old) and (new)"),
        ("model.new=", ""),
        ("val_evaluator.metric=bbox,a segm", ["bbox", "a segm"]),
        ("val_evaluator.metric=bbox", "bbox"),
        ("model.neck.out_indices=(1,2)", (1, 2)),
        ("model.head.name:=[1, a]", [1, "a"]),
        ("model.head.name:=None", None),
        ("model.head.name=a=b", "a=b"),
    ],
)
def test_values_without_text_in_the_config(word, value):
    key = word.partition("=")[0].removesuffix(":")
    node = merged(word)
    for part in key.split("."):
        node = node[part]
    assert node == value and type(node) is type(value)


@pytest.mark.parametrize(
    "word, message",
    [
        ("stages=[dict(members=1, width=1)]", "with dots: stages.0.PART=VALUE"),
        ("stages=dict(members=1)", "with dots: stages.0.PART=VALUE"),
        ("model.neck.out_indices=dict(a=1)", "with dots: model.neck.out_indices.PART=VALUE"),
        ("model.new=[{}, {}]", "model.new: a new list of dicts is written in a config file"),
        ("model.head={'scale': 1}", "with dots: model.head.PART=VALUE"),
        ("model.neck.out_indices=[(1, 2]", "brackets do not match in"),
        ("model.neck.out_indices=['a, 2]", "quotes do not match in"),
        ("model.new=" + "[" * 5000 + "]" * 5000, "more than 20 brackets"),
        ("val_evaluator.format_only=no", "write true or false"),
    ],
)
def test_what_cannot_be_read_is_one_line(word, message):
    with pytest.raises(ValueError) as error:
        merged(word)
    assert message in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["it's 5 m", "$HOME/[a]", "a;b", "<x>"])
def test_the_form_that_takes_text_can_be_pasted(text):
    with pytest.raises(ValueError) as error:
        merged(f"model.head.scale={text}")
    told = str(error.value).partition("if text is meant: ")[2]
    assert shlex.split(told) == [f"model.head.scale:={text}"]
    assert merged(*shlex.split(told)).model.head.scale == text


@pytest.mark.parametrize(
    "word, held",
    [
        ("model.head.scale=fast", "0.5"),
        ("model.head.scale=1e-3,", "0.5"),
        ("model.head.scale=2024_11", "0.5"),
        ("model.head.scale=[1, two]", "0.5"),
        ("train_dataloader.batch_size=x", "64"),
        ("train_dataloader.batch_size=", "64"),
        ("stages.0.train_dataloader.batch_size=12O", "64"),
        ("stages.1.width=half", "1"),
        ("stages.1.epochs=two", "2"),
        ("val_evaluator.format_only=maybe", "False"),
        ("model.neck.out_indices=last", "(0, 1)"),
        ("model.neck.out_indices=(0, l)", "(0, 1)"),
    ],
)
def test_text_in_the_place_of_a_number_is_refused(word, held):
    """The key, what the config holds, what was given; and with := it is taken."""
    key, _, text = word.partition("=")
    with pytest.raises(ValueError) as error:
        merged(word)
    for part in (f"--cfg-options {key}: ", f"holds {held} there", f"got {text!r}"):
        assert part in str(error.value)
    assert merged(f"{key}:={text}").cfg_options.keys() == {key}


@pytest.mark.parametrize(
    "word, value",
    [
        ("stages.1.width=1/2", "1/2"),
        ("stages.1.width=3/4", "3/4"),
        ("stages.0.width=all", "all"),  # text before
        ("model.head.scale='auto'", "auto"),
        ("model.head.scale=None", None),
        ("model.neck.out_indices=2", 2),
        ("train_dataloader.batch_size=8", 8),
        ("val_evaluator.format_only=true", True),
        ("val_evaluator.metric=segm", "segm"),
    ],
)
def test_what_may_stand_there_is_taken(word, value):
    assert list(merged(word).cfg_options.values()) == [value]


@pytest.mark.parametrize("word", ["model.neck", "=3", ":=3"])
def test_what_is_no_option_is_said_by_the_parser(word, capsys):
    with pytest.raises(SystemExit) as end:
        typed(word)
    assert end.value.code == 2 and f"KEY=VALUE is expected, got '{word}'" in capsys.readouterr().err


def test_an_option_may_be_given_again():
    parser = argparse.ArgumentParser()
    parser.add_argument("--cfg-options", nargs="+", action=ConfigOptions)
    words = ["--cfg-options", "a=1", "b=2", "--cfg-options", "b=3"]
    assert parser.parse_args(words).cfg_options == {"a": Typed("1"), "b": Typed("3")}
