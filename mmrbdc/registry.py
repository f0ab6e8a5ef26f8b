"""mmrbdc's registries: children of MMEngine's under the scope ``mmrbdc``.

Types are written with their scope (``type='mmrbdc.Siblings'``) and work under any default scope;
MMEngine imports this file, and through ``locations`` the modules behind it, when it first meets
one.

A config whose base is named by ``mmrbdc::`` has ``_scope_='mmrbdc'`` in what comes from it, and
MMEngine looks here for all types of it: those that are not ours are those of the run's scope.
"""

import mmengine.registry as mmengine_registries
from mmengine.registry import DATA_SAMPLERS as MMENGINE_DATA_SAMPLERS
from mmengine.registry import DATASETS as MMENGINE_DATASETS
from mmengine.registry import FUNCTIONS as MMENGINE_FUNCTIONS
from mmengine.registry import HOOKS as MMENGINE_HOOKS
from mmengine.registry import LOOPS as MMENGINE_LOOPS
from mmengine.registry import METRICS as MMENGINE_METRICS
from mmengine.registry import MODELS as MMENGINE_MODELS
from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS as MMENGINE_OPTIM_WRAPPER_CONSTRUCTORS
from mmengine.registry import OPTIM_WRAPPERS as MMENGINE_OPTIM_WRAPPERS
from mmengine.registry import RUNNERS as MMENGINE_RUNNERS
from mmengine.registry import TRANSFORMS as MMENGINE_TRANSFORMS
from mmengine.registry import WEIGHT_INITIALIZERS as MMENGINE_WEIGHT_INITIALIZERS
from mmengine.registry import DefaultScope, Registry

from mmrbdc.ops import has_ops


class ScopedRegistry(Registry):
    """A registry of ours, which finds what it does not hold in the scope of the run."""

    def get(self, key: str) -> type | None:
        """As MMEngine's, but for a type without a scope that is not ours: it is the run's."""
        scopes = [instance.scope_name for instance in DefaultScope._instance_dict.values()]
        run = next((scope for scope in reversed(scopes) if scope != "mmrbdc"), None)
        if run and scopes[-1] == "mmrbdc" and self.split_scope_key(key)[0] is None:
            self.import_from_location()
            if key not in self._module_dict:
                return self._get_root_registry().get(f"{run}.{key}")
        return super().get(key)


RUNNERS = ScopedRegistry(
    "runner", parent=MMENGINE_RUNNERS, scope="mmrbdc", locations=["mmrbdc.engine"]
)
LOOPS = ScopedRegistry("loop", parent=MMENGINE_LOOPS, scope="mmrbdc", locations=["mmrbdc.engine"])
HOOKS = ScopedRegistry("hook", parent=MMENGINE_HOOKS, scope="mmrbdc", locations=["mmrbdc.engine"])
OPTIM_WRAPPERS = ScopedRegistry(
    "optim_wrapper", parent=MMENGINE_OPTIM_WRAPPERS, scope="mmrbdc", locations=["mmrbdc.engine"]
)
OPTIM_WRAPPER_CONSTRUCTORS = ScopedRegistry(
    "optimizer wrapper constructor",
    parent=MMENGINE_OPTIM_WRAPPER_CONSTRUCTORS,
    scope="mmrbdc",
    locations=["mmrbdc.engine"],
)
METRICS = ScopedRegistry(
    "metric",
    parent=MMENGINE_METRICS,
    scope="mmrbdc",
    locations=["mmrbdc.engine", *(["mmrbdc.engine.evaluation.coco_metric"] if has_ops() else [])],
)
WEIGHT_INITIALIZERS = ScopedRegistry(
    "weight initializer",
    parent=MMENGINE_WEIGHT_INITIALIZERS,
    scope="mmrbdc",
    locations=["mmrbdc.engine", "mmrbdc.models"],
)
MODELS = ScopedRegistry(
    "model", parent=MMENGINE_MODELS, scope="mmrbdc", locations=["mmrbdc.models"]
)
DATASETS = ScopedRegistry(
    "dataset",
    parent=MMENGINE_DATASETS,
    scope="mmrbdc",
    locations=[
        "mmrbdc.datasets.loading.replay",
        "mmrbdc.datasets.folders.dataset",
        # MMDetection's, which asks for mmcv's ops
        *(["mmrbdc.datasets.detection.dataset"] if has_ops() else []),
    ],
)
DATA_SAMPLERS = ScopedRegistry(
    "data sampler",
    parent=MMENGINE_DATA_SAMPLERS,
    scope="mmrbdc",
    locations=["mmrbdc.datasets.loading.replay"],
)
FUNCTIONS = ScopedRegistry(
    "function",
    parent=MMENGINE_FUNCTIONS,
    scope="mmrbdc",
    locations=["mmrbdc.datasets.loading.workers"],
)
TRANSFORMS = ScopedRegistry(
    "transform",
    parent=MMENGINE_TRANSFORMS,
    scope="mmrbdc",
    locations=["mmrbdc.datasets.pictures.load"],
)

# What we add nothing to: a config's scope leads there as well.
for _name in mmengine_registries.__all__:
    _registry = getattr(mmengine_registries, _name)
    if isinstance(_registry, Registry) and "mmrbdc" not in _registry.children:
        ScopedRegistry(
            _registry.name, parent=_registry, scope="mmrbdc", locations=["mmrbdc.registry"]
        )
