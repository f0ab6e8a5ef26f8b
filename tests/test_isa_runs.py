"""`make test-isa`: which settings are run, in which environment, and how it ends."""

import pytest
import test_isa

OLD = {"sse4_1", "avx2"}


def test_what_the_processor_lacks_is_said():
    runs, lacking = test_isa.settings(OLD)
    assert {"ONEDNN_MAX_CPU_ISA": "AVX2"} in runs and {"ATEN_CPU_CAPABILITY": "default"} in runs
    assert lacking == [
        "ONEDNN_MAX_CPU_ISA=AVX512_CORE (no avx512bw)",
        "ATEN_CPU_CAPABILITY=avx512 (no avx512bw)",
    ]
    runs, lacking = test_isa.settings(OLD | {"avx512bw"})
    assert len(runs) == 7 and not lacking


@pytest.mark.parametrize("holds", [True, False])
def test_every_run_has_its_environment_and_one_failure_fails_all(
    tmp_path, monkeypatch, capfd, holds
):
    (tmp_path / "test_it.py").write_text(
        "import os, pytest\n"
        "@pytest.mark.numeric\n"
        "def test_it():\n"
        "    found = [os.environ.get(n) for n in ('ATEN_CPU_CAPABILITY', 'OMP_NUM_THREADS')]\n"
        f"    assert found in (['default', '1'], {[None, '2' if holds else '3']})\n"
        "def test_of_no_numbers():\n"
        "    raise AssertionError\n"
    )
    monkeypatch.setattr(test_isa, "ONEDNN", {"AVX1024": "avx1024"})
    monkeypatch.setattr(test_isa, "ATEN", {"default": None})
    monkeypatch.delenv("ATEN_CPU_CAPABILITY", raising=False)
    code = test_isa.main([str(tmp_path / "test_it.py"), "-p", "no:cacheprovider"])
    told = capfd.readouterr().out
    assert code == (0 if holds else 1)
    assert ("FAILED, exit code 1  OMP_NUM_THREADS=2" in told) is not holds
    assert "passed  ATEN_CPU_CAPABILITY=default" in told
    assert "left out  ONEDNN_MAX_CPU_ISA=AVX1024 (no avx1024)" in told
