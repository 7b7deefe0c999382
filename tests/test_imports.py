"""Imports point one way: images <- engine <- bench <- book <- report; cli sees all."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src" / "tbscale"
BASE = {"tbscale", "tbscale.errors", "tbscale.steps"}  # what every layer may import
LAYERS = ("images", "engine", "bench", "book", "report", "api", "cli")
HEAVY = {"torch", "cellpose"}


def imported(path: Path) -> Iterator[str]:
    """Full names of every module that a file imports, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            yield node.module or ""


def layer_of(module: str) -> str | None:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[0] == "tbscale" and parts[1] in LAYERS else None


def modules() -> list[Path]:
    return sorted(path for path in SOURCE.rglob("*.py") if path.parent != SOURCE)


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_only_from_its_own_layer_and_those_below(path: Path) -> None:
    own = LAYERS.index(path.relative_to(SOURCE).parts[0])
    for module in imported(path):
        layer = layer_of(module)
        if layer is not None:
            assert LAYERS.index(layer) <= own, f"imports {module} from above"
        elif module.split(".")[0] == "tbscale" and module not in BASE:
            pytest.fail(f"imports {module}, which belongs to no layer")


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_only_the_engine_imports_torch_and_cellpose(path: Path) -> None:
    if path.relative_to(SOURCE).parts[0] != "engine":
        assert not HEAVY & {module.split(".")[0] for module in imported(path)}


def test_bench_and_book_load_neither_torch_nor_cellpose() -> None:
    names = [
        ".".join(["tbscale", *path.relative_to(SOURCE).with_suffix("").parts])
        for path in modules()
        if path.relative_to(SOURCE).parts[0] in ("images", "bench", "book", "report")
    ]
    code = (
        "import importlib, sys\n"
        f"for name in {names!r}: importlib.import_module(name.removesuffix('.__init__'))\n"
        f"print(sorted({HEAVY!r} & set(sys.modules)))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"


def test_the_checker_sees_an_import_inside_a_function(tmp_path: Path) -> None:
    source = tmp_path / "module.py"
    source.write_text("def late():\n    import torch.nn\n    from tbscale.book import pages\n")
    assert set(imported(source)) == {"torch.nn", "tbscale.book"}
