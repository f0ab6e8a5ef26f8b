"""A tiny parent, the layout of its child with more inner width, and images: real networks."""

from fractions import Fraction

import torch

from mmrbdc.engine.junctions.growth_context import TrainingContext
from mmrbdc.families import architecture_from_config
from mmrbdc.growth import grow
from mmrbdc.growth.maps import inner
from mmrbdc.growth.operators import gradmax
from mmrbdc.registry import MODELS
from tests.engine.tiny_runs import staged

HALF = Fraction(1, 2)
KINDS = ("deit", "resnet")


def config_of(images, kind):
    """A tiny DeiT or a ResNet of bottlenecks: basic blocks have no inner width of their own."""
    return with_bottlenecks(staged(images, "unused", kind))


def with_bottlenecks(cfg):
    if cfg.model.backbone.type == "ResNet":
        cfg.model.backbone.update(depth=50, base_channels=4, stem_channels=8, drop_path_rate=0.0)
        cfg.model.head.in_channels = 128
    return cfg


def with_many_hidden_units(images):
    """A tiny DeiT that grows by twice as many hidden units as its stream has channels."""
    cfg = config_of(images, "deit")
    arch = cfg.model.backbone.arch
    arch.feedforward_channels = 4 * arch.embed_dims
    return cfg


def with_two_stages(images, kind):
    """The same, of two stages of bottlenecks where it is a ResNet."""
    cfg = config_of(images, kind)
    if kind == "resnet":
        stages = dict(num_stages=2, strides=(1, 2), dilations=(1, 1), out_indices=(1,))
        cfg.model.backbone.update(**stages)
        cfg.model.head.in_channels = 32
    return cfg


class Case:
    """A parent of half the inner width with random statistics, its child's layout, a context."""

    def __init__(self, images, kind, fraction=HALF, config=None):
        self.kind = kind
        self.config = config or config_of(images, kind)
        architecture = architecture_from_config(self.config.model)
        self.layout = architecture.layout()
        narrow = architecture.at_inner(fraction).classifier_config(self.config.model)
        self.narrow = model_of(narrow)
        self.wide = model_of(self.config.model)
        generator = torch.Generator().manual_seed(3)
        self.narrow.init_weights()
        for name, tensor in self.narrow.state_dict().items():
            if name.endswith(("running_mean", "running_var", "bias")):
                tensor.uniform_(0.5, 1.5, generator=generator)
            elif tensor.ndim == 1:
                tensor.uniform_(0.5, 1.5, generator=generator)  # residual branches are not silent
            elif tensor.ndim > 1:
                tensor.normal_(0, tensor[0].numel() ** -0.5, generator=generator)
        self.parent = self.narrow.state_dict()
        self.sizes = self.layout.space_sizes(self.parent, "parent")
        self.spaces = inner.grown_spaces(self.layout, [self.sizes], "test")
        self.context = TrainingContext(self.config, seed=1)

    def grow(self, operator):
        generator = torch.Generator().manual_seed(2)
        found = grow([self.parent], self.layout, operator=operator, generator=generator,
                     context=self.context)  # fmt: skip
        return found.state_dict

    def logits(self, state=None):
        """The child's with some weights, or the parent's."""
        if state is not None:
            self.wide.load_state_dict(state)
        image = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(0)).double()
        with torch.no_grad():
            return (self.narrow if state is None else self.wide)(image)

    def error(self, state):
        """Largest difference of logits to the parent's, relative."""
        theirs, ours = self.logits(), self.logits(state)
        return float((ours - theirs).abs().max() / theirs.abs().max())

    def batch(self, count=gradmax.IMAGES):
        return next(self.context.batches(count, count))

    def gradient_norm(self, state, training):
        """Norm of the gradient by the silent weights of all new neurons, on GradMax's batch."""
        weights = [n for n, e in self.layout.entries.items() if e.role == "weight"]
        leaves = {n: state[n].clone().requires_grad_() for n in weights}
        loss = self.context.loss({**state, **leaves}, self.batch(), training=training)
        found = dict(zip(weights, torch.autograd.grad(loss, list(leaves.values())), strict=True))
        total = 0.0
        for name in weights:
            entry = self.layout.entries[name]
            place = (inner.writes if self.kind == "deit" else inner.reads)(entry, self.spaces)
            if place:
                old, new = self.spaces[place[1]]
                part = found[name].narrow(place[0], old, new - old)
                rows = inner.writes(entry, self.spaces)
                if self.kind != "deit" and rows:
                    part = part.narrow(rows[0], 0, self.spaces[rows[1]][0])
                total += float(part.double().square().sum())
        return total**0.5


def model_of(config):
    model = MODELS.build(dict(config, train_cfg=None, _scope_="mmpretrain")).double()
    model.eval()
    return model


def part(tensor, cuts):
    """A view of some channels: (dimension, start, length) for each dimension that is cut."""
    for cut in cuts:
        tensor = tensor.narrow(*cut)
    return tensor


def new_parts(case):
    """Where new neurons are: of tensors that make them, and of what old neurons read of them."""
    incoming, outgoing = {}, {}
    for name, entry in case.layout.entries.items():
        if entry.role not in ("weight", "bias"):
            continue
        rows, columns = inner.writes(entry, case.spaces), inner.reads(entry, case.spaces)
        if rows:
            old, new = case.spaces[rows[1]]
            incoming[name] = [(rows[0], old, new - old)]
        if columns:
            old, new = case.spaces[columns[1]]
            of_old = [(rows[0], 0, case.spaces[rows[1]][0])] if rows else []
            outgoing[name] = [(columns[0], old, new - old), *of_old]
    return incoming, outgoing
