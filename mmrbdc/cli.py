"""How every command line of the project ends: with its result, or with one readable line."""

import io
import os
import sys
import warnings
from collections.abc import Callable

from mmrbdc.ops import NO_OPS, lacks_ops
from mmrbdc.terminal import shown

_LAYOUT = "\t\n"
USER_ERRORS = (ValueError, OSError)
"""What a user can get wrong raises one of these; anything else is a bug and keeps its traceback."""


def run_cli(main: Callable[[], object]) -> None:
    """Run ``main`` and exit: 0 when it returns, 2 with ``error: ...`` on stderr for a user's
    mistake.

    Set ``MMRBDC_TRACEBACK=1`` to see the traceback of such a mistake as well.
    """
    # MMEngine's config reader imports pkg_resources, which warns once for every base config.
    warnings.filterwarnings("ignore", message="pkg_resources is deprecated")
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A name that the terminal's encoding lacks is written out, as on stderr.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        main()
    except Exception as error:
        message = user_message(error)
        if message is None or os.environ.get("MMRBDC_TRACEBACK") == "1":
            raise
        print(f"error: {shown(message, keep=_LAYOUT)}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)


def user_message(error: Exception) -> str | None:
    """What to tell a user of a mistake; ``None`` for a bug."""
    if isinstance(error, USER_ERRORS):
        return str(error)
    if lacks_ops(error):
        return NO_OPS
    # Only a class knows its arguments, and only a registry its classes: what a config gets wrong
    # there arrives as TypeError or KeyError.
    text = str(error.args[0]) if error.args else ""
    words = {TypeError: "got an unexpected keyword argument", KeyError: " is not in the "}
    if type(error) in words and words[type(error)] in text:
        return f"{text}; correct the config or --cfg-options"
    return None
