"""Whatever a COCO file holds: one clear line before training, or the scores of a repaired copy.

Every file goes through check, start of training, data set, pipeline, metric and comparison in a
process of its own. Draws are the same in every run.
"""

import json
import math
import re
import tempfile
from collections import Counter

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from mmrbdc.datasets.errors import DataError
from tests.datasets.coco.child_processes import Outcome, in_child
from tests.datasets.coco.coco_draws import Drawn, NoMeaning, files, repaired
from tests.datasets.coco.passage import KINDS, NAME, pass_through, trained, write_images
from tests.datasets.coco.small_coco import small

SECONDS = 10.0
ROUNDED = 0.5e-3
"""MMDetection's metric gives three decimals."""


def drawn_settings(examples):
    return settings(
        max_examples=examples,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    root = tmp_path_factory.mktemp("draws")
    write_images(root / "images")
    (root / "first").mkdir()
    pass_through(root / "first", as_drawn(None))  # imports once what every child would import
    return root


def judged(outcome, drawn):
    """Assert that an outcome is one of the two; return which."""
    problem = problem_of(outcome)
    assert problem is None, f"{problem}\n{drawn!r}"
    return ending(outcome.value)


def ending(stages):
    if stages["start"][0] == "refused":
        return "refused"
    return "scored" if "pycocotools" in stages else "nothing predicted"


def problem_of(outcome):
    """What is not as it has to be; None where nothing is."""
    if outcome.kind != "returned":
        return str(outcome)
    stages = outcome.value
    for stage, (kind, words) in stages.items():
        if kind == "refused":
            if "\n" in words or len(words) > 1500:
                return f"{stage}: not one line: {words}"
            if stage not in ("compare", "test") and NAME not in words:
                return f"{stage}: which file? {words}"
    told = {stage: kind for stage, (kind, _) in stages.items()}
    if told["check"] != told["start"]:
        return f"check and start differ: {stages['check']} {stages['start']}"
    if told["start"] == "refused":
        check, start = (words_of(stages[stage][1]) for stage in ("check", "start"))
        return None if check == start else f"check and start differ: {check!r} {start!r}"
    if not told["train"] == told["val"] == "accepted":
        return f"refused after the start: {stages['train']} {stages['val']}"
    if "meaning" in stages:
        return "accepted, and it has no certain meaning"
    if "pycocotools" not in stages:
        return None
    if not told["test"] == told["compare"] == told["pycocotools"] == "accepted":
        return f"not scored: {stages['test']} {stages['compare']} {stages['pycocotools']}"
    for kind in KINDS:
        expected = stages["pycocotools"][1][kind]
        tested, compared = stages["test"][1][kind], stages["compare"][1][kind]
        if not math.isclose(compared, expected, abs_tol=1e-12):
            return f"{kind}: compare says {compared}, pycocotools {expected}"
        if not math.isclose(tested, expected, abs_tol=ROUNDED + 1e-9):
            return f"{kind}: the metric says {tested}, pycocotools {expected}"
    return None


def words_of(refusal):
    """What a refusal finds: without what stands before the file, and how many more there are."""
    found = re.split(rf"'?[^' ]*{NAME}'?[: ]", refusal)[-1]
    return re.sub(r" \(\d+ more: .*\)$", "", found).strip()


def passed(place, drawn):
    with tempfile.TemporaryDirectory(dir=place) as folder:
        return in_child(pass_through, folder, drawn, seconds=SECONDS)


def outcomes_of(place, examples):
    """How many files ended in which way."""
    ended = Counter()

    @drawn_settings(examples)
    @given(files())
    def every_file(drawn):
        ended[judged(passed(place, drawn), drawn)] += 1

    every_file()
    return ended


def as_drawn(content, ways=("nothing",)):
    base = small(seed=1, images=3, objects=8)
    return Drawn(json.dumps(content or base).encode(), base, ways)


def test_a_file_without_faults_is_scored(place):
    assert judged(passed(place, as_drawn(None)), as_drawn(None)) == "scored"


def test_a_few_draws(place):
    """Both ends are reached; the slow test draws 2,000."""
    ended = outcomes_of(place, 60)
    assert ended["refused"] > 15 and ended["scored"] > 15, ended


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_many_draws(place):
    ended = outcomes_of(place, 2000)
    assert ended["refused"] > 500 and ended["scored"] > 500, ended


def some_of_both(place, count):
    """Files of which half are refused at the start."""
    found = {"refused": [], "scored": []}

    @drawn_settings(25 * count)
    @given(files())
    def every_file(drawn):
        if min(map(len, found.values())) < count / 2:
            found.setdefault(judged(passed(place, drawn), drawn), []).append(drawn)

    every_file()
    return [(end, drawn) for end in ("refused", "scored") for drawn in found[end][: count // 2]]


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_some_draws_through_real_training(place):
    """Two steps and a validation, whose scores are pycocotools' of a repaired copy."""
    cases = some_of_both(place, 20)
    assert len(cases) == 20
    for number, (end, drawn) in enumerate(cases):
        folder = place / f"run{number}"
        folder.mkdir()
        outcome = in_child(trained, folder, drawn, refusals=DataError, seconds=120)
        assert outcome.kind == {"refused": "refused", "scored": "returned"}[end], (outcome, drawn)
        assert any(folder.rglob("*.pth")) == (end == "scored"), drawn
        if end == "refused":
            assert NAME in outcome.text and "\n" not in outcome.text, outcome
        else:
            told, expected = outcome.value
            for kind, score in expected.items():
                assert math.isclose(told[kind], score, abs_tol=ROUNDED + 1e-9), (outcome, drawn)


@pytest.mark.parametrize(
    "stages",
    [
        dict(check=("refused", f"{NAME}: no"), start=("accepted", None)),
        dict(check=("refused", "no"), start=("refused", "no")),
        dict(check=("refused", f"{NAME}: no"), start=("refused", f"key: '{NAME}': nor that")),
        dict(check=("refused", f"{NAME}:\nno"), start=("refused", f"{NAME}:\nno")),
        dict(train=("refused", f"{NAME}: no")),
        dict(meaning=("none", None)),
        dict(test=("accepted", dict(bbox=0.5, segm=0.502))),
        dict(compare=("accepted", dict(bbox=0.5, segm=0.5 + 1e-9))),
        dict(compare=("refused", f"{NAME}: no")),
    ],
    ids=lambda stages: "-".join(stages),
)
def test_twins_a_difference_between_stages_is_seen(stages):
    same = ("accepted", dict(bbox=0.5, segm=0.5))
    sound = dict.fromkeys(("check", "start", "train", "val"), ("accepted", None))
    sound |= dict.fromkeys(("test", "compare", "pycocotools"), same)
    assert judged(Outcome("returned", sound), None) == "scored"
    with pytest.raises(AssertionError):
        judged(Outcome("returned", sound | stages), None)


@pytest.mark.parametrize("kind", ["traceback", "signal", "hang"])
def test_twins_other_ends_are_seen(kind):
    with pytest.raises(AssertionError):
        judged(Outcome(kind), None)


def test_a_repaired_copy_is_the_file_where_nothing_is_wrong():
    content = small(seed=2)
    copy = repaired(json.dumps(content).encode())
    assert [row["bbox"] for row in copy["annotations"]] == [
        row["bbox"] for row in content["annotations"]
    ]
    content["annotations"][3]["bbox"] = None
    with pytest.raises(NoMeaning):
        repaired(json.dumps(content).encode())
