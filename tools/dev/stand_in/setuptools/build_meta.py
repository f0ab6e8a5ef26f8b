"""The part of a build backend (PEP 517) that pip asks when it downloads a source."""

from __future__ import annotations

import os
from pathlib import Path


class Backend:
    """Answers with the name and version that pip asked for; builds nothing."""

    @staticmethod
    def get_requires_for_build_wheel(config_settings: object = None) -> list[str]:
        """Nothing is needed to answer."""
        return []

    @staticmethod
    def prepare_metadata_for_build_wheel(folder: str, config_settings: object = None) -> str:
        """Write the metadata; return the name of its folder."""
        name, version = os.environ["STAND_IN_NAME"], os.environ["STAND_IN_VERSION"]
        info = Path(folder) / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        text = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        (info / "METADATA").write_text(text)
        return info.name


__legacy__ = Backend
get_requires_for_build_wheel = Backend.get_requires_for_build_wheel
prepare_metadata_for_build_wheel = Backend.prepare_metadata_for_build_wheel
