"""Run micro protocols on two commits and say where their results differ.

    python tools/dev/same_results.py COMMIT_A COMMIT_B
    python tools/dev/same_results.py HEAD~1 HEAD --cases killed detector

Both commits are checked out beside the tree. On each, with this interpreter and one CPU thread, run
small studies of the growth methods for DeiT and ResNet, a protocol that is killed and resumed, and
a micro detector. Final weights, members, predictions, accuracies and curves must be equal to the
bit, and so must the ledgers, unless --corrected names the commit that corrects them: then their
rows are listed with the old and the new figure. Ends with 0 if nothing else differs, else with 1.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from result_cases import CASES, CaseError, run_case
from result_files import Difference, compare_folders

ROOT = Path(__file__).resolve().parents[2]
_SHOWN = 20


def main(argv: Sequence[str] | None = None) -> int:
    """Run and compare; return the exit code."""
    args = _parse(argv)
    try:
        commits = [_resolve(name) for name in (args.old, args.new)]
    except subprocess.CalledProcessError as error:
        print(f"error: {error.stderr.strip()}", file=sys.stderr)
        return 2
    place = Path(tempfile.mkdtemp(prefix=f".{ROOT.name}-same-results-", dir=ROOT.parent))
    print(f"{commits[0][:12]} against {commits[1][:12]}, in {place}", flush=True)
    try:
        checkouts = [
            _check_out(commit, place / side) for commit, side in zip(commits, "ab", strict=True)
        ]
        differs = sum([_compare(name, checkouts, args.corrected) for name in args.cases])
    except CaseError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if args.keep or differs:
        print(f"the runs are kept in {place}")
    else:
        shutil.rmtree(place)
    print("different" if differs else "equal")
    return int(bool(differs))


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("old", metavar="COMMIT_A")
    parser.add_argument("new", metavar="COMMIT_B")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=CASES)
    parser.add_argument(
        "--corrected",
        metavar="COMMIT",
        help="commit that corrects the ledgers, whose rows may differ",
    )
    parser.add_argument("--keep", action="store_true", help="keep the runs even if they are equal")
    return parser.parse_args(argv)


def _resolve(name: str) -> str:
    command = ["git", "-C", str(ROOT), "rev-parse", "--verify", f"{name}^{{commit}}"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _check_out(commit: str, folder: Path) -> Path:
    """The files of a commit, without a trace in the repository."""
    checkout = folder / "code"
    checkout.mkdir(parents=True)
    archive = subprocess.run(
        ["git", "-C", str(ROOT), "archive", commit], check=True, capture_output=True
    )
    subprocess.run(["tar", "-x", "-C", str(checkout)], input=archive.stdout, check=True)
    return checkout


def _compare(name: str, checkouts: Sequence[Path], corrected: str | None) -> bool:
    """Run a case on both; print what differs and return whether that is a fault."""
    folders = [run_case(name, checkout, checkout.parent / "runs") for checkout in checkouts]
    compared, found = compare_folders(*folders)
    excused = [d for d in found if corrected and d.in_ledger]
    faults = [d for d in found if d not in excused]
    print(f"{name}: {compared} values compared, {len(faults)} differ", flush=True)
    _print(faults, "")
    _print(excused, f", corrected by {corrected}")
    if not compared:
        raise CaseError(f"{name}: no result was found in {folders[0]}")
    return bool(faults)


def _print(differences: Sequence[Difference], note: str) -> None:
    for one in differences[:_SHOWN]:
        print(f"  {one.file} {one.what}: {one.old} -> {one.new}{note}")
    if len(differences) > _SHOWN:
        print(f"  and {len(differences) - _SHOWN} more")


if __name__ == "__main__":
    sys.exit(main())
