#!/usr/bin/env bash
# What dist_train.sh and dist_test.sh share: dist_run.sh SCRIPT CONFIG PROCESSES [options]
set -euo pipefail
if [ $# -lt 3 ]; then
    echo "error: usage: tools/dist_${1%.py}.sh CONFIG PROCESSES [options]" >&2
    exit 2
fi
here="$(cd "$(dirname "$0")" && pwd)"
script=$1 config=$2 processes=$3
shift 3
case $processes in
    gpu | cpu | auto) ;;
    0* | *[!0-9]* | "")
        echo "error: PROCESSES is '$processes', not how many to start, one per GPU, from 1:" \
            "tools/dist_${script%.py}.sh $(printf %q "$config") 8" >&2
        exit 2
        ;;
esac
python="${PYTHON:-python}"
for name in MASTER_ADDR PORT; do
    if [ "${NNODES:-1}" -gt 1 ] && [ -z "${!name:-}" ]; then
        echo "error: NNODES=$NNODES machines need $name, the same on each: MASTER_ADDR is the" \
            "address of the one with NODE_RANK=0, PORT a free port there" >&2
        exit 2
    fi
done
# One machine needs no agreed port: torchrun finds a free one.
if [ "${NNODES:-1}" -eq 1 ] && [ -z "${PORT:-}" ]; then
    rendezvous=(--standalone)
else
    rendezvous=(--nnodes="${NNODES:-1}" --node_rank="${NODE_RANK:-0}"
        --master_addr="${MASTER_ADDR:-127.0.0.1}" --master_port="${PORT:-29500}")
fi
exec "$python" -m torch.distributed.run "${rendezvous[@]}" --nproc_per_node="$processes" \
    "$here/$script" "$config" --launcher pytorch "$@"
