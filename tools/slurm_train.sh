#!/usr/bin/env bash
# Train under Slurm: tools/slurm_train.sh PARTITION JOB_NAME CONFIG WORK_DIR [options of tools/train.py]
#
# One job that waits for its end (srun). With APART=1 a protocol becomes a chain of batch jobs
# instead: each stage an array with one job per member, each junction the dependency of one array on
# the one before, and a last job that scores the junctions and writes the final model.
#
# From the environment: GPUS (8; with APART=1 per member, 1), GPUS_PER_NODE (8), CPUS_PER_TASK (8),
# SRUN_ARGS, SBATCH_ARGS. Two minutes before its time is up, or when it is preempted, a job gets
# SIGTERM, saves, ends with code 75 and (APART=1) is put back into the queue.
set -euo pipefail
if [ $# -lt 4 ]; then
    echo "error: usage: tools/slurm_train.sh PARTITION JOB_NAME CONFIG WORK_DIR [options]" >&2
    exit 2
fi
here="$(cd "$(dirname "$0")" && pwd)"
partition=$1 job=$2 config=$3 work_dir=$4
shift 4
python="${PYTHON:-python}"
apart=${APART:-0}
if [ "$apart" = 1 ]; then gpus=${GPUS:-1}; else gpus=${GPUS:-8}; fi
per_node=${GPUS_PER_NODE:-8}
[ "$gpus" -lt "$per_node" ] && per_node=$gpus
resources=(--partition="$partition" --gres="gpu:$per_node" --ntasks="$gpus"
    --ntasks-per-node="$per_node" --cpus-per-task="${CPUS_PER_TASK:-8}")
train=("$python" -u "$here/train.py" "$config" --work-dir "$work_dir")

if [ "$apart" != 1 ]; then
    # shellcheck disable=SC2086
    exec srun "${resources[@]}" --job-name="$job" --kill-on-bad-exit=1 ${SRUN_ARGS:-} \
        "${train[@]}" --launcher slurm "$@"
fi

launcher=none
[ "$gpus" -gt 1 ] && launcher=slurm
changes=() taken=0 # --cfg-options may change the stages
for word in "$@"; do
    [[ $word == --* ]] && taken=0
    [ "$word" = --cfg-options ] && taken=1
    [ $taken = 1 ] && changes+=("$word")
done
members=$("$python" "$here/plan.py" "$config" --json ${changes[@]+"${changes[@]}"} |
    "$python" -c 'import json, sys; print(*(row["members"] for row in json.load(sys.stdin)["stages"]))')

submit() { # submit NAME DEPENDENCY ARRAY TRAIN_OPTIONS...
    local name=$1 dependency=$2 array=$3
    shift 3
    local command="srun --kill-on-bad-exit=1 ${SRUN_ARGS:-}"
    command+="$(printf ' %q' "${train[@]}" --resume --launcher "$launcher" "$@")"
    [ "$array" != none ] && command=${command//__MEMBER__/\$SLURM_ARRAY_TASK_ID}
    # shellcheck disable=SC2016
    command+='; code=$?; [ $code -eq 75 ] && scontrol requeue $SLURM_JOB_ID; exit $code'
    local options=(--parsable --requeue --signal=TERM@120 --job-name="$name"
        --output="$work_dir/slurm-%x-%A_%a.log")
    [ -n "$dependency" ] && options+=(--dependency="afterok:$dependency")
    [ "$array" != none ] && options+=(--array="$array")
    # shellcheck disable=SC2086
    sbatch "${resources[@]}" "${options[@]}" ${SBATCH_ARGS:-} --wrap "$command"
}

mkdir -p "$work_dir"
before='' stage=0
for count in $members; do
    before=$(submit "$job-stage$stage" "$before" "0-$((count - 1))" \
        --stage "$stage" --member __MEMBER__ "$@")
    echo "stage $stage: job $before, members: $count"
    stage=$((stage + 1))
done
last=$(submit "$job-final" "$before" none "$@")
echo "final model: job $last, in $work_dir"
