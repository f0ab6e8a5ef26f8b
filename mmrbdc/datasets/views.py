"""Several augmentations of one decoded image."""

import copy
from collections.abc import Sequence
from typing import Any

from mmengine.dataset import Compose

from mmrbdc.datasets.errors import DataError
from mmrbdc.seeding import seed_all


class Views:
    """What a data set's pipeline does after loading, done once per view.

    The data set keeps the part up to and including the last transform whose class name starts with
    ``Load`` (nothing, where its images are in memory), so an image is decoded once.

    Args:
        dataset: a data set with a ``pipeline`` of its own; its pipeline is shortened in place.
        seeds: one seed a view. A view depends on its seed and the sample's key alone.

    Raises:
        DataError: ``dataset`` has no pipeline that could be split.
    """

    def __init__(self, dataset: Any, seeds: Sequence[int]) -> None:
        pipeline = getattr(dataset, "pipeline", None)
        if not isinstance(pipeline, Compose):
            raise DataError(
                f"{type(dataset).__name__} has no pipeline of its own to split after loading; "
                "give every member the same augmentation (lockstep.augmentation='shared'), or "
                "take a data set that is no wrapper"
            )
        if not seeds or len(set(seeds)) != len(seeds):
            raise DataError(f"views need one seed each, all different; got {list(seeds)}")
        transforms = pipeline.transforms
        loads = [i for i, t in enumerate(transforms) if type(t).__name__.startswith("Load")]
        split = loads[-1] + 1 if loads else 0
        dataset.pipeline = Compose(transforms[:split])
        self.augment = Compose(transforms[split:])
        self.seeds = list(seeds)

    def __call__(self, loaded: dict, key: Sequence[int | str]) -> dict[str, list]:
        """Augment and pack one loaded sample.

        Args:
            loaded: what the shortened pipeline gives; left as it is.
            key: of the sample's draw.

        Returns:
            ``inputs`` and ``data_samples``, each a list with one entry a view.
        """
        packed = []
        for seed in self.seeds:
            seed_all("view", seed, *key)
            # Transforms write into images in place, RandomErasing for one.
            view = self.augment(copy.deepcopy(loaded))
            if view is None:
                raise DataError(
                    f"a transform of the train pipeline gave nothing for {loaded.get('img_path')}; "
                    "every member needs its view of every image: take a transform that always "
                    "succeeds, or lockstep.augmentation='shared'"
                )
            packed.append(view)
        return {name: [view[name] for view in packed] for name in packed[0]}
