"""The tables of the terminal."""

import pytest
from rich.console import Console

from mmrbdc.analysis import collect, comparison_table, differences_table, groups, paired_differences
from mmrbdc.analysis.reports.table import WIDTH
from tests.analysis.run_dirs import write_demo


def printed(*tables):
    console = Console(width=200)
    with console.capture() as capture:
        for table in tables:
            # The table's own width, not what a console would squeeze it into.
            console.print(table)
    return capture.get()


@pytest.mark.parametrize("seeds", [(0,), range(5)])
def test_tables_fit_100_columns(tmp_path, seeds):
    found = groups(collect([write_demo(tmp_path, seeds=seeds, families=("deit", "resnet"))]))
    differences = paired_differences(found)
    tables = [comparison_table(found)] + ([differences_table(differences)] if differences else [])
    text = printed(*tables)
    assert max(len(line.rstrip()) for line in text.splitlines()) <= WIDTH
    for word in ("RBDC", "scratch", "random", "deit", "resnet", "16.6 TFLOPs", "3.50 min", "none"):
        assert word in text


def test_several_seeds_show_mean_spread_and_number(tmp_path):
    found = groups(collect([write_demo(tmp_path, seeds=range(3))]))
    spread = found[0].spread("top1")
    assert f"{spread.mean:.1f} ± {spread.sd:.1f} (3)" in printed(comparison_table(found))
    text = printed(differences_table(paired_differences(found)))
    assert "RBDC − scratch" in text and "cannot be below 0.25" in text


def test_one_seed_shows_plain_numbers(tmp_path):
    found = groups(collect([write_demo(tmp_path)]))
    text = printed(comparison_table(found))
    assert "±" not in text
    assert f"{found[0].spread('bbox_mAP').mean:.1f}" in text
