"""The rooms: imports go down the floors, no circles, no room too full, no file too long; read off
the files' text.
"""

import ast
from collections.abc import Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import mmrbdc

ROOT = Path(mmrbdc.__file__).parent

FLOORS = (
    "growth",
    "families",
    "search",
    "plan",
    "methods",
    "weights",
    "runs",
    "datasets",
    "models",
    "engine",
    "studies",
    "analysis",
    "commands",
)
"""From the ground up; a room imports from those below it. The modules beside the rooms (registry,
seeding, cli and so on) are below them all."""

ONLY_TORCH = ("growth", "families")
MOST = 15
"""Files in a room, its ``__init__`` not counted."""
LONGEST = 400
"""Lines of a file, of the tests as of the package."""


def modules(root: Path) -> dict[str, Path]:
    """Every module below ``mmrbdc`` by its dotted name; '' is the package itself."""
    paths = (path for path in root.rglob("*.py") if ".mim" not in path.parts)
    names = {path.relative_to(root).with_suffix("").parts: path for path in paths}
    return {
        ".".join(parts[:-1] if parts[-1] == "__init__" else parts): path
        for parts, path in names.items()
    }


@cache
def imported(path: Path) -> list[tuple[str, str]]:
    """(module, name) of each from-import, wherever it stands, and ("module", "") of the others."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} has a relative import"
            found += [(node.module or "", alias.name) for alias in node.names]
        elif isinstance(node, ast.Import):
            found += [(alias.name, "") for alias in node.names]
    return found


def arrows(root: Path) -> dict[str, set[str]]:
    """Module -> the modules of ours that it imports; what a package hands on counts as its own."""
    known = modules(root)
    found: dict[str, set[str]] = {name: set() for name in known}
    for name, path in known.items():
        for module, item in imported(path):
            if module != "mmrbdc" and not module.startswith("mmrbdc."):
                continue
            inner = module.removeprefix("mmrbdc").lstrip(".")
            deeper = f"{inner}.{item}".lstrip(".")
            target = deeper if deeper in known else inner
            assert target in known, f"{path} imports {module}, which is not there"
            if target != name:
                found[name].add(target)
    return found


def upward(graph: Mapping[str, set[str]]) -> list[str]:
    """Imports that do not go down the floors."""

    def floor(module: str) -> int:
        room = module.partition(".")[0]
        return FLOORS.index(room) if room in FLOORS else -1

    return [
        f"{name} -> {target}"
        for name, targets in graph.items()
        if name not in ("", "__main__")
        for target in targets
        if floor(target) > floor(name)
    ]


def circle(graph: Mapping[str, set[str]]) -> list[str]:
    """Nodes that lead back to the first of them; empty where there are none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def without_faces(graph: Mapping[str, set[str]], root: Path) -> dict[str, set[str]]:
    """The graph of files: a package's face, which hands names of its own files on, is none."""
    faces = {name for name, path in modules(root).items() if path.name == "__init__.py"}

    def behind(target: str, seen: frozenset[str] = frozenset()) -> set[str]:
        if target not in faces or target in seen:
            return {target}
        return {file for inner in graph[target] for file in behind(inner, seen | {target})} or {
            target
        }

    return {
        name: {
            file
            for target in targets
            # inside of its own room a face stands for nothing
            for file in ({target} if name.startswith(f"{target}.") else behind(target))
        }
        - {name}
        for name, targets in graph.items()
        if name not in faces
    }


def between_rooms(graph: Mapping[str, set[str]], root: Path) -> dict[str, set[str]]:
    """The graph with each innermost room as one node; files beside rooms stay files."""
    names = modules(root)
    packages = {name for name, path in names.items() if path.name == "__init__.py"}
    innermost = {p for p in packages if not any(q.startswith(f"{p}.") for q in packages if p)}
    innermost -= {""}

    def node(module: str) -> str:
        room = module if module in packages else module.rpartition(".")[0]
        return room if room in innermost else module

    rooms: dict[str, set[str]] = {}
    for name, targets in graph.items():
        if name in packages and name not in innermost:
            continue  # a face
        rooms.setdefault(node(name), set()).update(
            node(t) for t in targets if node(t) != node(name) and not name.startswith(f"{t}.")
        )
    return rooms


def test_imports_go_down_the_floors():
    graph = arrows(ROOT)
    assert upward(graph) == []
    rooms = {name.partition(".")[0] for name, path in modules(ROOT).items() if "." in name}
    assert rooms - {"shipped"} <= set(FLOORS)


def test_there_are_no_circles():
    graph = arrows(ROOT)
    assert circle(without_faces(graph, ROOT)) == []
    assert circle(between_rooms(graph, ROOT)) == []


def test_the_ground_needs_torch_alone():
    for name, path in modules(ROOT).items():
        if name.partition(".")[0] in ONLY_TORCH:
            found = {module.partition(".")[0] for module, _ in imported(path)}
            assert not found & {"mmengine", "mmcv", "mmpretrain", "mmdet"}, name


def test_no_room_is_too_full():
    files = [name.rpartition(".")[0] for name, p in modules(ROOT).items() if p.stem != "__init__"]
    assert {room: files.count(room) for room in files if files.count(room) > MOST} == {}


def too_long(root: Path) -> dict[str, int]:
    """Files of more lines than ``LONGEST``."""
    lines = {str(p): p.read_text().count("\n") for p in root.rglob("*.py") if ".mim" not in p.parts}
    return {path: number for path, number in lines.items() if number > LONGEST}


def test_no_file_is_too_long(tmp_path):
    for folder in ("mmrbdc", "tests", "tools", "benchmarks"):
        assert too_long(ROOT.parent / folder) == {}
    (tmp_path / "long.py").write_text("\n" * (LONGEST + 1))
    assert too_long(tmp_path) == {str(tmp_path / "long.py"): LONGEST + 1}


def test_every_room_says_what_it_is_for():
    for name, path in modules(ROOT).items():
        if path.name == "__init__.py":
            assert ast.get_docstring(ast.parse(path.read_text())), f"{name} has no docstring"


def house(folder: Path, **files: str) -> Path:
    """A made-up package: dotted names -> source."""
    for name, source in {"__init__": "", **files}.items():
        path = folder / f"{name.replace('.', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        (path.parent / "__init__.py").touch()
        path.write_text(source)
    return folder


def test_a_wrong_house_is_told(tmp_path):
    """The twins: an import that goes up, hidden in a function, and three circles."""
    up = house(
        tmp_path / "up",
        **{
            "growth.run": "def f():\n    from mmrbdc.engine.launch import train",
            "engine.launch": "from mmrbdc.growth import run",
        },
    )
    assert upward(arrows(up)) == ["growth.run -> engine.launch"]
    files = house(
        tmp_path / "files",
        **{
            "plan.a": "from mmrbdc.plan.b import B",
            "plan.b": "from mmrbdc.plan import c",
            "plan.c": "import mmrbdc.plan.a",
        },
    )
    assert upward(arrows(files)) == []
    assert set(circle(without_faces(arrows(files), files))) == {"plan.a", "plan.b", "plan.c"}
    rooms = house(
        tmp_path / "rooms",
        **{
            "engine.x.one": "from mmrbdc.engine.y.one import A",
            "engine.y.one": "",
            "engine.y.two": "from mmrbdc.engine.x.two import B",
            "engine.x.two": "",
        },
    )
    assert circle(without_faces(arrows(rooms), rooms)) == []
    assert set(circle(between_rooms(arrows(rooms), rooms))) == {"engine.x", "engine.y"}
    faces = house(
        tmp_path / "faces",
        **{
            "runs.__init__": "from mmrbdc.runs.a import A",
            "runs.a": "from mmrbdc.weights.b import B",
            "weights.b": "from mmrbdc.runs import A",
        },
    )
    assert set(circle(without_faces(arrows(faces), faces))) == {"runs.a", "weights.b"}
