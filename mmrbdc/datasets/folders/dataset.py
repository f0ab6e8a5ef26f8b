"""MMPretrain's data sets of image folders and lists, listed by the rules of ``listing``."""

import os
from collections import Counter
from typing import Any

from mmengine.fileio import LocalBackend, get_file_backend
from mmpretrain.datasets import CustomDataset as MMPretrainCustomDataset
from mmpretrain.datasets import ImageNet as MMPretrainImageNet
from mmpretrain.registry import DATASETS as MMPRETRAIN_DATASETS

from mmrbdc.config_parts import class_name
from mmrbdc.datasets.errors import DataError, NoDataError
from mmrbdc.datasets.folders.listing import ImageListing, list_images, read_image_list
from mmrbdc.registry import DATASETS
from mmrbdc.wording import counted, quoted


class _Listed(MMPretrainCustomDataset):
    """A data set on a local disk lists its images itself; any other leaves it to MMPretrain."""

    listing: ImageListing | None = None

    def __init__(self, data_root: str = "", **kwargs: Any) -> None:
        super().__init__(data_root=os.path.expanduser(data_root), **kwargs)

    @property
    def is_local(self) -> bool:
        """Whether the images are files of this machine."""
        backend = get_file_backend(self.img_prefix, enable_singleton=True)
        return isinstance(backend, LocalBackend)

    def read_list(self) -> list[tuple[str, int | None]]:
        """The images of ``ann_file`` and their class numbers."""
        found = read_image_list(self.ann_file, labelled=self.with_label)
        if not found:
            raise NoDataError(f"'{self.ann_file}' lists no image")
        return found

    def list_folder(self) -> ImageListing:
        """The images of the folder.

        Raises:
            DataError: none, a class without any, or class names that do not fit the folders.
        """
        listing = list_images(self.img_prefix, sorted(self.extensions), by_class=self.with_label)
        if not self.with_label:
            if not len(listing):
                raise NoDataError(
                    f"folder '{self.img_prefix}' has no image in it{_other_files(listing)}"
                )
            return listing
        if not listing.files and listing.loose:
            raise DataError(
                f"folder '{self.img_prefix}' has {counted(len(listing.loose), 'image')} in it "
                f"({quoted(listing.loose, 3)}) and no class folders; put the images of each class "
                "into a folder of its name (CLASS/IMAGE), or name in ann_file a list of images "
                "with their class numbers"
            )
        if not listing.files:
            raise NoDataError(
                f"folder '{self.img_prefix}' has no class folders (CLASS/IMAGE) in it"
                f"{_other_files(listing)}"
            )
        if listing.empty:
            raise DataError(
                f"{len(listing.empty)} of {counted(len(listing.files), 'class folder')} in "
                f"'{self.img_prefix}' have no image in them ({quoted(listing.empty)})"
                f"{_other_files(listing, listing.empty)}; put images of the class there, or "
                "remove the folder if it is none"
            )
        stated = self.CLASSES
        if stated is not None:
            self._check_stated(tuple(stated), listing)
        return listing

    def _check_stated(self, stated: tuple[str, ...], listing: ImageListing) -> None:
        found = listing.classes
        if len(stated) != len(found) and stated == type(self).METAINFO.get("classes"):
            raise DataError(
                f"folder '{self.img_prefix}' has {len(found)} class folders ({quoted(found)}), but "
                f"type='{type(self).__name__}' stands for {len(stated)} classes; take "
                "type='CustomDataset', which names them after the folders"
            )
        if len(stated) != len(found):
            raise DataError(
                f"folder '{self.img_prefix}' has {len(found)} class folders ({quoted(found)}), but "
                f"{len(stated)} class names are given ({quoted(stated)}); leave the names out, or "
                "correct them"
            )
        if set(stated) == set(found) and stated != found:
            raise DataError(
                f"the class names are given in another order ({quoted(stated)}) than that of the "
                f"folders in '{self.img_prefix}' ({quoted(found)}), by which classes are numbered: "
                "pictures would bear wrong names; sort them, or leave them out"
            )

    def load_data_list(self) -> list[dict[str, Any]]:
        """Paths and class numbers of all images, in MMPretrain's order."""
        if not self.is_local:
            return super().load_data_list()
        if self.ann_file:
            samples = self.read_list()
        else:
            self.listing = self.list_folder()
            if self.with_label:
                self.folder_to_idx = {name: i for i, name in enumerate(self.listing.classes)}
                if self.CLASSES is None:
                    self._metainfo["classes"] = self.listing.classes
            samples = [
                (f"{name}/{file}" if name else file, number)
                for number, (name, files) in enumerate(self.listing.files.items())
                for file in files
            ]
        backend = get_file_backend(self.img_prefix, enable_singleton=True)
        data_list = []
        for file, label in samples:
            info: dict[str, Any] = {"img_path": backend.join_path(self.img_prefix, file)}
            if self.with_label:
                info["gt_label"] = label
            data_list.append(info)
        return data_list


def _other_files(listing: ImageListing, classes: list[str] | None = None) -> str:
    """What is there instead of images."""
    counted_files = sum((listing.not_read_of[name] for name in classes or ()), start=Counter())
    if classes is None:
        parts = listing.left_out()
    else:
        parts = [f"{n:,} {end or 'without a suffix'}" for end, n in counted_files.most_common()]
    if not parts:
        return ""
    by_suffix = listing.not_read if classes is None else counted_files
    choose = " (extensions=[...] of the data set chooses suffixes)" if by_suffix else ""
    return f"; not read: {', '.join(parts)}{choose}"


@DATASETS.register_module()
class CustomDataset(_Listed):
    """MMPretrain's ``CustomDataset``, its images listed by :mod:`mmrbdc.datasets.folders.listing`.

    Args: as for MMPretrain's.

    Raises:
        DataError: what is wrong with folder or list, before anything is loaded.
    """


@DATASETS.register_module()
class ImageNet(_Listed, MMPretrainImageNet):
    """MMPretrain's ``ImageNet``, listed in the same way."""


def ours_for(kind: Any) -> type[_Listed] | None:
    """The data set of ours that takes the place of one of MMPretrain's.

    Args:
        kind: type in a config: a name as MMPretrain's scope resolves it, or a class.

    Returns:
        None for every other class, a user's of the same name included.
    """
    if isinstance(kind, str):
        if class_name(kind) not in ("CustomDataset", "ImageNet"):
            return None
        kind = MMPRETRAIN_DATASETS.get(kind)
    return _OURS.get(kind)


_OURS: dict[Any, type[_Listed]] = {
    MMPretrainCustomDataset: CustomDataset,
    MMPretrainImageNet: ImageNet,
    CustomDataset: CustomDataset,
    ImageNet: ImageNet,
}
