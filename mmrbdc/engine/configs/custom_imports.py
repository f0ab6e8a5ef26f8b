"""The modules that a config asks to be imported."""

from mmengine.config import Config
from mmengine.utils import import_modules_from_strings

from mmrbdc.config_errors import ConfigError


def import_custom(cfg: Config) -> None:
    """Import the modules of ``custom_imports``.

    Raises:
        ConfigError: one is not there, or imports what is not there.
    """
    try:
        import_modules_from_strings(**(cfg.get("custom_imports") or {"imports": []}))
    except ImportError as error:
        reason = error.__cause__ or error.__context__ or error
        raise ConfigError(
            f"custom_imports: {error} ({reason}); Python looks for modules in PYTHONPATH and among "
            "what is installed"
        ) from error
    except TypeError as error:
        raise ConfigError(
            f"custom_imports: {error}; it is dict(imports=['MODULE', ...])"
        ) from error
