"""Type stubs: they lie in the package, say what the extension has, and a strictly typed program passes with them."""

import ast
import os
import pathlib
import subprocess
import sys

import pytest

import cross_sparse as cs
from cross_sparse import _core

package = pathlib.Path(cs.__file__).parent

program = '''
import numpy as np
import numpy.typing as npt

import cross_sparse as cs


def speed(weight: npt.NDArray[np.float32], x: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float32], float]:
    cs.prune_array(weight, 0.8)
    plan = cs.compile({"fc.weight": weight}, tokens=(1, 128), dtype="fp32")
    y = cs.Session(plan, threads=2).run("fc", x, activation="relu")
    layers: list[str] = [layer["name"] for layer in plan.layers]
    print(cs.__version__, layers, plan.explain(), cs.explain(plan)["layers"])
    return y, float(cs.bench(plan, seconds=0.01)["total"][0]["speedup"])


try:
    cs.Plan.load("nowhere.plan").save("elsewhere.plan")
except cs.CrossError:
    pass
'''


def declared(text):
    """Qualified name -> (decorators, argument names, whether there is a return type), of functions and classes."""
    found = {}

    def visit(body, prefix):
        for node in body:
            if isinstance(node, ast.ClassDef):
                found[prefix + node.name] = tuple(ast.unparse(base) for base in node.bases)
                visit(node.body, f"{prefix}{node.name}.")
            elif isinstance(node, ast.FunctionDef):
                names = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
                decorators = tuple(ast.unparse(decorator) for decorator in node.decorator_list)
                found[prefix + node.name + ("=" if any(".setter" in d for d in decorators) else "")] = (decorators, names)

    visit(ast.parse(text).body, "")
    return found


def test_stubs_and_marker_lie_in_the_package():
    assert (package / "py.typed").exists() and (package / "_core.pyi").exists()


def test_stubs_agree_with_the_extension():
    stubgen = pytest.importorskip("nanobind.stubgen", reason="nanobind is not installed")
    generator = stubgen.StubGen(module=_core, include_private=True)
    generator.put(_core)
    assert declared((package / "_core.pyi").read_text()) == declared(generator.get()), (
        "write them again: python -m nanobind.stubgen -P -m cross_sparse._core -o python/cross_sparse/_core.pyi")


def test_public_functions_are_typed_and_documented():
    for name in cs.__all__:
        thing = getattr(cs, name)
        assert name == "__version__" or thing.__doc__, name
        if type(thing).__name__ == "function":
            annotated = set(thing.__annotations__)
            arguments = set(thing.__code__.co_varnames[:thing.__code__.co_argcount + thing.__code__.co_kwonlyargcount])
            assert annotated == arguments | {"return"}, name


def test_a_strictly_typed_program_passes(tmp_path):
    pytest.importorskip("mypy", reason="mypy is not installed")
    environment = {"PATH": os.environ["PATH"]}
    if package.parent.name not in ("site-packages", "dist-packages"):  # there mypy looks by itself
        environment["MYPYPATH"] = str(package.parent)

    def messages(text):
        (tmp_path / "program.py").write_text(text)
        run = subprocess.run(
            [sys.executable, "-m", "mypy", "--strict", "--cache-dir", tmp_path / "cache", "program.py"], cwd=tmp_path,
            env=environment, capture_output=True, text=True)
        assert run.stdout, run.stderr
        return [line for line in run.stdout.splitlines() if line.startswith("program.py")]

    assert messages(program) == []
    assert "arg-type" in messages(program + "\ncs.Session(1)\n")[0]
