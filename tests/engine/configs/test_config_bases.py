"""Bases that cannot be read are one line, before MMEngine reads them."""

import sys
import time

import pytest
from mmengine.config import Config

from mmrbdc.engine.configs.loading import load_config


def write(folder, **files):
    for name, text in files.items():
        content = text if isinstance(text, bytes) else text.encode()
        (folder / f"{name}.py").write_bytes(content)
    return folder / f"{next(iter(files))}.py"


def told(config):
    with pytest.raises((ValueError, OSError)) as error:
        load_config(config)
    message = str(error.value)
    assert "\n" not in message and message.startswith("config ")
    return message


CIRCLES = [
    dict(a="_base_ = ['b.py']", b="_base_ = './a.py'"),
    dict(top="_base_ = 'a.py'", a="x = 1\n_base_ = ['c.py', 'b.py']", b="_base_ = 'a.py'", c=""),
    dict(a="_base_ = '../{folder}/a.py'"),
    dict(
        a="from mmengine.config import read_base\nwith read_base():\n    from .b import *",
        b="from mmengine.config import read_base\nwith read_base():\n    from .a import *",
    ),
]


@pytest.mark.parametrize("files", CIRCLES)
def test_a_circle_of_bases_is_named_at_once(files, tmp_path):
    config = write(tmp_path, **{n: text.format(folder=tmp_path.name) for n, text in files.items()})
    start = time.process_time()
    message = told(config)
    assert time.process_time() - start < 1
    assert "never ends" in message and message.count("a.py") >= 2
    assert ("top.py inherits" in message) is False  # it stands before the circle, not in it


def test_a_base_may_be_asked_for_twice(tmp_path):
    """The twin: two ways to one file are no circle."""
    config = write(tmp_path, a="_base_ = ['b.py']", b="_base_ = 'c.py'\nx = 1", c="y = 2")
    assert load_config(config).to_dict() == dict(x=1, y=2)
    lazy = "from mmengine.config import read_base\nwith read_base():\n    from .{} import *\n"
    config = write(tmp_path, d=lazy.format("e"), e=lazy.format("f"), f="z = 3")
    assert load_config(config).z == 3


def test_bases_that_are_no_plain_text_are_left_to_mmengine(tmp_path):
    write(tmp_path, b="x = 1")
    config = write(tmp_path, a="_base_ = ['{{ fileDirname }}/b.py']")
    assert load_config(config).x == 1
    config = write(tmp_path, c="_base_ = ['b' + '.py']")
    assert load_config(config).x == 1
    (tmp_path / "d.yaml").write_text("_base_: b.py\ny: 2\n")
    assert load_config(tmp_path / "d.yaml").to_dict() == dict(x=1, y=2)
    config = write(tmp_path, e="_base_ = 'mmpretrain::_base_/default_runtime.py'")
    assert load_config(config).default_scope == "mmpretrain"


@pytest.mark.parametrize(
    "base, names",
    [
        ("nowhere.py", ["'nowhere.py'", "correct _base_"]),
        ("../../rbdc/deit-b_2step_in1k.py", ["did you mean rbdc/deit-b_2step_in1k.py?"]),
        ("mmrbdc::rbdc/deit-b_2stepp_in1k.py", ["did you mean mmrbdc::rbdc/deit-b_2step_in1k.py"]),
        ("mmpretrain::_base_/absent.py", ["absent.py"]),
    ],
)
def test_a_base_that_is_not_there_is_named_with_the_config_that_asks_for_it(base, names, tmp_path):
    config = write(tmp_path, a="_base_ = ['b.py', 'c.py']", b="", c=f"_base_ = {base!r}")
    message = told(config)
    assert all(name in message for name in names)
    assert ("c.py: " in message) == ("mmpretrain" not in base)


@pytest.mark.parametrize(
    "content, words",
    [
        ("x = 1\n".encode("utf-8-sig"), "begins with a byte-order mark"),
        ("x = 1\n".encode("utf-16"), "is written in UTF-16"),
        ("x = 1\n\n# Größe\n".encode("latin-1"), "is not UTF-8 (line 3: "),
    ],
)
def test_a_file_in_another_encoding_is_named_with_what_to_do(content, words, tmp_path):
    for config in (write(tmp_path, b=content), write(tmp_path, a="_base_ = 'b.py'")):
        message = told(config)
        assert "b.py" in message and words in message and "UTF-8" in message
    write(tmp_path, b="x = 1\n# Größe\n")
    assert load_config(config).x == 1


@pytest.mark.parametrize(
    "text, words",
    [
        ("custom_imports = dict(imports=['no.such.module'])", "custom_imports: "),
        ("custom_imports = dict(imports=['json'], allow=1)", "custom_imports: "),
        ("x = y", "NameError: name 'y' is not defined"),
        ("raise RuntimeError('one\\n  two')", "RuntimeError: one two"),
        ("x = (1,\ny = 2", "SyntaxError: "),
    ],
)
def test_what_a_config_raises_is_one_line(text, words, tmp_path):
    config = write(tmp_path, a="_base_ = 'b.py'", b=text)
    message = told(config)
    assert words in message and len(message) < 500


def test_modules_of_custom_imports_are_imported(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "module_of_a_base.py").write_text("")
    config = write(
        tmp_path, a="_base_ = 'b.py'", b="custom_imports = dict(imports=['module_of_a_base'])"
    )
    load_config(config)
    assert "module_of_a_base" in sys.modules


def test_mmengine_alone_says_neither(tmp_path):
    """Why it is asked before: a mark that cannot be seen is all that is named."""
    config = write(tmp_path, a="_base_ = 'b.py'", b="x = 1\n".encode("utf-8-sig"))
    with pytest.raises(SyntaxError) as error:
        Config.fromfile(str(config))
    assert "byte-order" not in str(error.value)


@pytest.mark.parametrize("name", ["weights.pth", "annotations.txt", "config"])
def test_a_file_that_is_no_config_is_called_so(name, tmp_path):
    (tmp_path / name).write_bytes(b"\x80\x02")
    with pytest.raises(ValueError, match=r"is not a config: their names end in \.py, "):
        load_config(tmp_path / name)
