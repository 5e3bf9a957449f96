"""The serving image has neither the exporter's packages nor the trainer's."""

from __future__ import annotations

import ast
import sys

import pytest

from provision.settings import ROOT

SERVING = {"numpy", "onnxruntime", "pydantic", "tokenizers"}
EXPORTING = SERVING | {"onnx", "safetensors"}


def imported(module: str, seen: dict[str, set[str]]) -> set[str]:
    """Packages from elsewhere that importing `module` imports, by reading the files; jax is imported by name only."""
    if module in seen:
        return set()
    path = ROOT / (module.replace(".", "/") + ".py")
    if not path.is_file():
        path = ROOT / module.replace(".", "/") / "__init__.py"
    if not path.is_file():
        return set()  # a name out of a module, not a module
    seen[module] = set()
    for node in ast.parse(path.read_text()).body:
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        for name in names:
            top = name.partition(".")[0]
            if top == "serving":
                seen[module] |= imported(name, seen)
            elif top not in sys.stdlib_module_names:
                seen[module].add(top)
    return seen[module]


@pytest.mark.parametrize(
    ("modules", "allowed"),
    [
        (("summarizer", "golden"), SERVING),
        (("export", "measure", "toy"), EXPORTING),
        (("rehearsal",), EXPORTING - {"onnx", "onnxruntime"}),
    ],
)
def test_a_part_needs_only_the_packages_of_its_place(modules: tuple[str, ...], allowed: set[str]) -> None:
    found = {name for module in modules for name in imported(f"serving.summarizer.{module}", {})}
    assert found == allowed
