"""Config files read: ours, shipped ones, and those of other packages."""

import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmrbdc.config_errors import ConfigError
from mmrbdc.engine.configs.config_bases import check_bases, configs_like
from mmrbdc.engine.configs.custom_imports import import_custom
from mmrbdc.engine.configs.scope import drop_scope
from mmrbdc.shipped import command, find_config, shipped_root


def load_config(path: str | Path) -> Config:
    """Read a config.

    Args:
        path: of a file; or of one that is shipped (see :func:`mmrbdc.shipped.find_config`); or
            ``mmpretrain::`` and the path of one that MMPretrain ships, or another package so.

    Raises:
        FileNotFoundError: there is none, or a base of it is not there.
        ValueError: it cannot be read.
    """
    file = _file_of(str(path))
    check_bases(file)
    try:
        cfg = read_config_file(file)
        import_custom(cfg)
    except OSError as error:
        raise type(error)(f"config {path}: {error}") from error
    except ConfigError as error:
        raise ConfigError(f"config {path}: {error}") from error
    except Exception as error:  # a config is code, it can fail in any way
        told = " ".join(f"{type(error).__name__}: {error}".split())
        raise ValueError(f"config {path}: {told}{_hint(error)}") from error
    drop_scope(cfg)
    # Every checkpoint holds the config as text; formatting it would take a second each time.
    return Config(cfg.to_dict(), filename=cfg.filename, format_python_code=False)


def load_model_config(source: str) -> Any:
    """Load the model of a config; see :func:`load_whole_config`."""
    return load_whole_config(source).model


def load_whole_config(source: str) -> Config:
    """Load a config that has a model; see :func:`load_config`.

    Raises:
        ValueError: it cannot be read, or has no model.
        OSError: no such file.
    """
    config = load_config(source)
    if "model" not in config:
        raise ValueError(f"the config {source} has no 'model'")
    return config


def read_config_file(file: Path) -> Config:
    """Read a config file as it is, without importing its ``custom_imports``: those of one that
    MMEngine dumped need not be there any more.

    Raises:
        Exception: whatever the file, which is code, raises.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="pkg_resources is deprecated")
        return Config.fromfile(str(file), import_custom_modules=False)


def _file_of(path: str) -> Path:
    """Where a config is. That of another package is found without the package's model index, which
    takes MMEngine a second to read.
    """
    found = find_config(path)
    if found is not None:
        return found
    package, separator, below = path.partition("::")
    if separator and package != "mmrbdc":
        spec = find_spec(package) if package else None
        for folder in (spec.submodule_search_locations or []) if spec else []:
            file = Path(folder) / ".mim" / "configs" / below
            if file.is_file():
                return file
        raise FileNotFoundError(
            f"there is no config '{path}'; expected a package and a path, like "
            "mmpretrain::deit/deit-base_16xb64_in1k.py"
        )
    raise FileNotFoundError(
        f"no config file {path}, here or among those that are shipped, in "
        f"{shipped_root() / 'configs'}{configs_like(path)}"
    )


def _hint(error: Exception) -> str:
    """What to do about a base that MMEngine could not find."""
    if "get external package" in str(error):
        return (
            "; MMEngine wants a folder behind '::': mmrbdc::detection/NAME.py, and for a config "
            "in no folder mmrbdc::_base_/../NAME.py"
        )
    return ""


def refuse_study(cfg: Config) -> None:
    """Refuse a config that is no run but a study of many (see :mod:`mmrbdc.studies.study_config`).

    Raises:
        ConfigError: says what runs a study.
    """
    if "study" in cfg and "model" not in cfg:
        raise ConfigError(
            f"{cfg.filename or 'the config'} is a study of several runs, and none itself: "
            f"{command('study', cfg.filename or 'CONFIG')} runs it"
        )
