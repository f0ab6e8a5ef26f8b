#!/usr/bin/env bash
# Test on several GPUs: tools/dist_test.sh CONFIG PROCESSES [options of tools/test.py]
# Several machines: as for dist_train.sh.
set -euo pipefail
exec "$(dirname "$0")/dist_run.sh" test.py "$@"
