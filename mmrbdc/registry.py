"""mmrbdc's registries: children of MMEngine's under the scope ``mmrbdc``.

Types are written with their scope (``type='mmrbdc.Siblings'``) and work under any default scope;
MMEngine imports this file, and through ``locations`` the modules behind it, when it first meets
one.
"""

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
from mmengine.registry import Registry

RUNNERS = Registry("runner", parent=MMENGINE_RUNNERS, scope="mmrbdc", locations=["mmrbdc.engine"])
LOOPS = Registry("loop", parent=MMENGINE_LOOPS, scope="mmrbdc", locations=["mmrbdc.engine"])
HOOKS = Registry(
    "hook", parent=MMENGINE_HOOKS, scope="mmrbdc", locations=["mmrbdc.engine", "mmrbdc.models"]
)
OPTIM_WRAPPERS = Registry(
    "optim_wrapper", parent=MMENGINE_OPTIM_WRAPPERS, scope="mmrbdc", locations=["mmrbdc.engine"]
)
OPTIM_WRAPPER_CONSTRUCTORS = Registry(
    "optimizer wrapper constructor",
    parent=MMENGINE_OPTIM_WRAPPER_CONSTRUCTORS,
    scope="mmrbdc",
    locations=["mmrbdc.engine"],
)
METRICS = Registry("metric", parent=MMENGINE_METRICS, scope="mmrbdc", locations=["mmrbdc.engine"])
WEIGHT_INITIALIZERS = Registry(
    "weight initializer",
    parent=MMENGINE_WEIGHT_INITIALIZERS,
    scope="mmrbdc",
    locations=["mmrbdc.engine", "mmrbdc.models"],
)
MODELS = Registry("model", parent=MMENGINE_MODELS, scope="mmrbdc", locations=["mmrbdc.models"])
DATASETS = Registry(
    "dataset",
    parent=MMENGINE_DATASETS,
    scope="mmrbdc",
    locations=[
        "mmrbdc.datasets.replay",
        "mmrbdc.datasets.folders.dataset",
        "mmrbdc.datasets.coco.dataset",
    ],
)
DATA_SAMPLERS = Registry(
    "data sampler",
    parent=MMENGINE_DATA_SAMPLERS,
    scope="mmrbdc",
    locations=["mmrbdc.datasets.replay"],
)
FUNCTIONS = Registry(
    "function", parent=MMENGINE_FUNCTIONS, scope="mmrbdc", locations=["mmrbdc.datasets.workers"]
)
TRANSFORMS = Registry(
    "transform", parent=MMENGINE_TRANSFORMS, scope="mmrbdc", locations=["mmrbdc.datasets.loading"]
)
