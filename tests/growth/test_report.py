"""The report says what is in the tensors."""

import json

import pytest
import torch

from mmrbdc.growth import grow


@pytest.fixture
def result(toy):
    return grow([toy.weights(4, 6, 1), toy.weights(2, 2, 2)], toy.layout(6, 8))


def test_rules(result):
    rules = {tensor.name: tensor.rule for tensor in result.report.tensors}
    assert rules == {
        "token": "placed",
        "embed.weight": "placed",
        "block.gate.weight": "placed",
        "block.gate.bias": "placed",
        "block.out.weight": "placed",
        "block.steps": "copied",
        "head.weight": "placed/k",
        "head.bias": "mean",
    }


def test_blocks_point_at_the_parents_numbers(toy, result):
    parents = [toy.weights(4, 6, 1), toy.weights(2, 2, 2)]
    gate = next(t for t in result.report.tensors if t.name == "block.gate.weight")
    pieces = [result.state_dict[gate.name][block.slices] for block in gate.blocks]
    assert [block.parent for block in gate.blocks] == [0, 0, 1, 1]
    assert torch.equal(torch.cat(pieces[:2]), parents[0][gate.name])
    assert torch.equal(torch.cat(pieces[2:]), parents[1][gate.name])


def test_zero_share_is_counted_in_the_parameters(result):
    """Zeros: gate (16 x 6) holds 12 x 4 + 4 x 2 numbers, out (6 x 8) holds 4 x 6 + 2 x 2."""
    zeros = (96 - 56) + (48 - 28)
    learned = sum(t.numel() for n, t in result.state_dict.items() if n != "block.steps")
    assert result.report.zero_parameters == zeros
    assert result.report.num_parameters == learned
    assert result.report.zero_share == zeros / learned
    assert result.report.between_parents == zeros


def test_the_dict_is_plain_json(result):
    read = json.loads(json.dumps(result.report.to_dict()))
    assert read == result.report.to_dict()
    assert read["spaces"]["stream"] == {"kind": "stream", "size": 6, "parents": [4, 2]}
    assert read["tensors"]["head.weight"]["blocks"] == [
        {"parent": 0, "ranges": [[0, 5], [0, 4]]},
        {"parent": 1, "ranges": [[0, 5], [4, 6]]},
    ]


def test_the_summary_shows_spans_rules_and_the_share(result):
    text = "\n".join(result.report.summary_lines())
    assert "0:4, 4:6" in text
    assert "placed/k" in text and "mean" in text
    assert f"({result.report.zero_share:.1%})" in text
