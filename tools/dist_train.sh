#!/usr/bin/env bash
# Train on several GPUs (or, without any, on several CPU processes):
#   tools/dist_train.sh CONFIG PROCESSES [options of tools/train.py]
# Several machines: set NNODES, NODE_RANK, MASTER_ADDR and PORT, the same PORT on each.
set -euo pipefail
exec "$(dirname "$0")/dist_run.sh" train.py "$@"
