"""A file imports only from layers above its own."""

import ast
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "src" / "audiomend"
LAYERS = [
    ["errors", "noise", "tuning", "words"],
    ["audio"],
    ["conditions"],
    ["transforms"],
    ["operators"],
    ["processes", "schedules"],
    ["networks"],
    ["denoisers"],
    ["guidance", "solvers", "samplers"],
    ["classical"],
    ["models"],
    ["detect"],
    ["restorers"],
    ["evaluation", "data", "training", "recipes"],
    ["report"],
    ["cli"],
]
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
LIGHT = ["errors.py", "__init__.py", "tuning.py", "models/card.py", "models/store.py", "models/untrained.py"]


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            if node.module == "audiomend":
                found |= {f"audiomend.{alias.name}" for alias in node.names}
            else:
                found.add(node.module)
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


def test_layers_import_only_upwards() -> None:
    for path in PACKAGE.rglob("*.py"):
        place = path.relative_to(PACKAGE)
        if place.name == "__init__.py" and len(place.parts) == 1:
            continue
        rank = RANK[place.parts[0].removesuffix(".py")]
        for module in imports(path):
            parts = module.split(".")
            if parts[0] == "audiomend" and len(parts) > 1 and parts[1] in RANK:
                assert RANK[parts[1]] <= rank, f"{place} imports {module}, which lies below it"


def test_every_folder_has_its_layer() -> None:
    places = [p for p in PACKAGE.iterdir() if p.suffix == ".py" or (p / "__init__.py").exists()]
    names = {p.name.removesuffix(".py") for p in places}
    assert names - {"__init__"} <= set(RANK)


def test_light_modules_import_no_torch() -> None:
    for name in LIGHT:
        tree = ast.parse((PACKAGE / name).read_text(encoding="utf-8"))
        top = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
        modules = {getattr(node, "module", None) or node.names[0].name for node in top}
        assert not any(module and module.split(".")[0] == "torch" for module in modules), name
