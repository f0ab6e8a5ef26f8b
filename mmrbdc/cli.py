"""How every command line of the project ends: with its result, or with one readable line."""

import os
import sys
import warnings
from collections.abc import Callable

USER_ERRORS = (ValueError, OSError)
"""What a user can get wrong raises one of these; anything else is a bug and keeps its traceback."""


def run_cli(main: Callable[[], object]) -> None:
    """Run ``main`` and exit: 0 when it returns, 2 with ``error: ...`` on stderr for a user's
    mistake.

    Set ``MMRBDC_TRACEBACK=1`` to see the traceback of such a mistake as well.
    """
    # MMEngine's config reader imports pkg_resources, which warns once for every base config.
    warnings.filterwarnings("ignore", message="pkg_resources is deprecated")
    try:
        main()
    except USER_ERRORS as error:
        if os.environ.get("MMRBDC_TRACEBACK") == "1":
            raise
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
