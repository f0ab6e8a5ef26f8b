"""Start make_env.py with a Python that can read it; any Python can read this file."""

# ruff: noqa: UP031, UP036, RUF005
import os
import runpy
import sys

if sys.version_info < (3, 8):
    sys.stderr.write(
        "error: %s is Python %d.%d, and `make env` needs 3.8 or newer to start (3.10 to 3.14 for "
        "the environment, or UV=1). Name another: make env PYTHON=/path/to/python3\n"
        % ((sys.executable,) + tuple(sys.version_info[:2]))
    )
    sys.exit(1)

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, here)
runpy.run_path(os.path.join(here, "make_env.py"), run_name="__main__")
