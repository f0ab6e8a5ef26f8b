#!/usr/bin/env bash
# Train under Slurm: tools/slurm_train.sh PARTITION JOB_NAME CONFIG WORK_DIR [options of tools/train.py]
# GPUS (8), GPUS_PER_NODE (8), CPUS_PER_TASK (8) and SRUN_ARGS come from the environment.
set -euo pipefail
if [ $# -lt 4 ]; then
    echo "error: usage: tools/slurm_train.sh PARTITION JOB_NAME CONFIG WORK_DIR [options]" >&2
    exit 2
fi
here="$(cd "$(dirname "$0")" && pwd)"
partition=$1 job=$2 config=$3 work_dir=$4
shift 4
gpus=${GPUS:-8} per_node=${GPUS_PER_NODE:-8}
[ "$gpus" -lt "$per_node" ] && per_node=$gpus
# shellcheck disable=SC2086
exec srun --partition="$partition" --job-name="$job" --gres="gpu:$per_node" --ntasks="$gpus" \
    --ntasks-per-node="$per_node" --cpus-per-task="${CPUS_PER_TASK:-8}" --kill-on-bad-exit=1 \
    ${SRUN_ARGS:-} "${PYTHON:-python}" -u "$here/train.py" "$config" --work-dir "$work_dir" \
    --launcher slurm "$@"
