"""What the benchmarks compare: a run, the ways to call, turns, the copy, plain NumPy code and the judge of answers."""

import ast
import json
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import calls
import fastnorm as fn
import peers
import plain_numpy
import run
import situations
import timing
from bandwidth import Copy, same_bytes
from candidate import Candidate
from judge import Judge, exceeded
from problems import Problem, normalization, weights, whitening

BENCH = Path(__file__).parents[1] / "bench"


# ---- a run -----------------------------------------------------------------------------------------------------------


def measured(
    monkeypatch: pytest.MonkeyPatch,
    output: Path,
    *options: str,
    only: str = "one-token:layer_norm",
    section: str = "calls",
) -> tuple[int, dict[str, Any]]:
    """The exit code and the record of a run of one section, which calls one token's layer norm."""
    chosen = ["--only", only, "--sections", section, "--rounds", "2"]
    monkeypatch.setattr(sys, "argv", ["run.py", *chosen, "--output", str(output), *options])
    monkeypatch.setattr("machine.keep_memory", lambda: False)
    before = fn.get_num_threads()
    code = run.main()
    fn.set_num_threads(before)
    return code, json.loads(output.read_text())


def test_a_run_compares(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code, record = measured(monkeypatch, tmp_path / "run.json", "--peers", "fastnorm", "fastnorm, out=", "NumPy")
    (case,) = record["calls"]
    assert code == 0
    assert case["shape"] == [1, 768]
    assert set(case["seconds"]) == {"fastnorm", "fastnorm, out=", "NumPy", "np.multiply", "copy"}
    assert all(len(times) == 2 and min(times) > 0 for times in case["seconds"].values())
    assert case["wrong"] == []


@pytest.mark.parametrize("name", ["NumPy", "fastnorm"])
def test_a_wrong_answer_is_not_timed(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def off(self: object, problem: Problem, threads: int) -> Candidate:
        return Candidate(problem.call(plain_numpy), lambda y: y + 1)

    monkeypatch.setattr({"NumPy": peers.NumPy, "fastnorm": peers.Fastnorm}[name], "candidate", off)
    code, record = measured(monkeypatch, tmp_path / "run.json", "--peers", "fastnorm", "NumPy")
    (case,) = record["calls"]
    assert case["wrong"] == [name]
    assert name not in case["seconds"]
    assert code == (name == "fastnorm")


def test_a_run_compares_cold_data_with_warm_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(situations, "_FLUSHED", 2**20)
    options = ("--peers", "fastnorm", "NumPy")
    code, record = measured(monkeypatch, tmp_path / "run.json", *options, section="cold")
    (case,) = record["cold"]
    assert code == 0
    assert set(case["seconds"]) == {"fastnorm", "fastnorm, warm", "NumPy", "np.multiply", "copy"}
    assert all(len(times) == 2 and min(times) > 0 for times in case["seconds"].values())


def test_a_run_calls_from_several_threads_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = ("--peers", "fastnorm", "fastnorm, out=", "NumPy")  # out= would be one array for all
    code, record = measured(monkeypatch, tmp_path / "run.json", *options, only=":1x768:", section="together")
    assert code == 0
    assert [case["callers"] for case in record["together"]] == [1, 2, 4, 8]
    assert all(set(case["seconds"]) == {"fastnorm", "NumPy"} for case in record["together"])


def test_a_run_starts_fresh_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code, record = measured(monkeypatch, tmp_path / "run.json", "--peers", "fastnorm", "NumPy", section="first")
    assert code == 0
    assert [case["step"] for case in record["first"]] == [
        "import",
        *(f"{step} call, {shape}" for shape in ("1x768", "4096x768") for step in ("first", "second")),
    ]
    assert all(len(times) == 2 for case in record["first"] for times in case["seconds"].values())


def test_no_module_of_the_benchmarks_imports_itself_by_way_of_others() -> None:
    imports = {}
    for path in BENCH.glob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        found = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        found |= {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
        imports[path.stem] = {name for name in found if name and (BENCH / f"{name}.py").exists()}
    while leaves := {name for name, found in imports.items() if not found & {*imports}}:
        imports = {name: found for name, found in imports.items() if name not in leaves}
    assert not imports


def test_every_function_has_its_ways_to_be_called() -> None:
    found = {function.name: calls.ways(function) for function in calls.functions(np.random.default_rng(0))}
    assert len(found) == 21
    for name, ways in found.items():
        assert len(ways) >= (3 if name.startswith("weight") else 4), name
        for call in ways.values():
            call()
    assert {"axis=(1,)", "where=", "offset=", "quantize=", "activation=", "out="} <= {*found["rms_norm"]}
    assert {"axis=(1,)", "where=", "activation=", "grad_mask="} <= {*found["layer_norm_backward"]}


# ---- turns -----------------------------------------------------------------------------------------------------------


def test_what_is_slow_takes_part_in_fewer_rounds() -> None:
    slow_and_fast = {"fast": lambda: None, "slow": lambda: time.sleep(0.02)}
    times = timing.interleaved(slow_and_fast, timing.Plan(rounds=4, turn=0.001, budget=0.05))
    assert [len(times[name]) for name in slow_and_fast] == [4, 2]
    assert timing.ratio(times["slow"], times["fast"]).low > 1
    unlimited = timing.interleaved(slow_and_fast, timing.Plan(rounds=3, turn=0.001))
    assert [len(times) for times in unlimited.values()] == [3, 3]


def test_what_is_prepared_is_not_timed() -> None:
    calls = []
    call = timing.Prepared(lambda: calls.append("call"), lambda: [calls.append("prepare"), time.sleep(0.002)])
    times = timing.interleaved({"cold": call}, timing.Plan(rounds=2, turn=0.001))
    assert min(times["cold"]) < 0.002
    assert calls == ["prepare", "call"] * (len(calls) // 2)


def test_callers_share_the_calls() -> None:
    made: list[int] = []
    several = situations.Together(lambda: made.append(threading.get_ident()), 3)
    several.repeat(8)
    several()
    assert len(made) == 8 + 3


def test_a_copy_is_timed_in_rows() -> None:
    copy, counts = Copy(1000), []
    copy.repeat = lambda count: counts.append(count)  # type: ignore[method-assign]
    timing.interleaved({"copy": copy}, timing.Plan(rounds=1, turn=0.0))
    assert counts[0] == 1
    assert counts[-1] > 100


@pytest.mark.parametrize(("shape", "parts"), [((64, 100), 1), ((64, 1000), 2), ((512, 3000), 2)])
def test_the_copy_moves_the_bytes_of_the_problem(shape: tuple[int, int], parts: int) -> None:
    problem = normalization("layer_norm", "backward", "MD", np.ones(shape, np.float32))
    with fn.threads(2):
        copy = same_bytes(problem)
    copy()
    moved = sum(target.nbytes + source.nbytes for target, source in copy.parts)
    assert moved == copy.nbytes == pytest.approx(3 * problem.data.nbytes, rel=1e-4)
    assert len(copy.parts) == parts
    assert all(np.array_equal(target, source) for target, source in copy.parts)


# ---- the plain NumPy code --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("direction", ["inference", "forward", "backward"])
@pytest.mark.parametrize(
    ("op", "options"),
    [
        ("batch_norm", {"axis": 1}),
        ("batch_norm", {"axis": -1}),
        ("layer_norm", {"axis": -1}),
        ("layer_norm", {"axis": (1, 3)}),
        ("rms_norm", {"axis": 1}),
        ("group_norm", {"num_groups": 3, "axis": 1}),
        ("group_norm", {"num_groups": 2, "axis": -1}),
        ("instance_norm", {"axis": 1}),
        ("instance_norm", {"axis": -1}),
    ],
)
def test_the_plain_numpy_code_and_fastnorm_agree(op: str, options: dict[str, int], direction: str) -> None:
    x = np.random.default_rng(5).normal(3, 2, size=(4, 6, 5, 4))
    for dtype in (np.float32, np.float64):
        problem = normalization(op, direction, "", x.astype(dtype), **options)
        judge = Judge(problem)
        assert not exceeded(judge.errors(problem.call(fn)()))
        errors = judge.errors(problem.call(plain_numpy)())
        assert max(errors.values()) < 100
        assert next(iter(errors)) == ("dx" if direction == "backward" else "y")


@pytest.mark.parametrize("direction", ["inference", "forward", "backward"])
@pytest.mark.parametrize("op", ["weight_norm", "weight_standardization"])
@pytest.mark.parametrize("axis", [0, -1])
def test_the_plain_numpy_code_and_fastnorm_agree_on_weights(op: str, axis: int, direction: str) -> None:
    w = np.random.default_rng(5).normal(0.5, 2, size=(6, 5, 4, 4))
    for dtype in (np.float32, np.float64):
        problem = weights(op, direction, "", w.astype(dtype), axis=axis)
        judge = Judge(problem)
        assert not exceeded(judge.errors(problem.call(fn)()))
        errors = judge.errors(problem.call(plain_numpy)())
        assert max(errors.values()) < 100
        outputs = ("w", "norm", "mean", "var", "dv", "dg", "dw", "dgain")
        assert errors.keys() <= {*outputs}
        assert len(errors) >= (1 if direction == "inference" else 2)


@pytest.mark.parametrize("method", ["zca", "cholesky"])
def test_the_plain_numpy_code_and_fastnorm_agree_on_whitening(method: str) -> None:
    rng = np.random.default_rng(5)
    table, x = rng.normal(3, 2, size=(200, 12)).astype("f4"), rng.normal(3, 2, size=(4, 6, 5, 8)).astype("f4")
    problems = [whitening("whiten", "fit, map", "NC", table, method=method, eps=0.1)]
    for direction in ("forward", "backward"):
        for axis, groups in ((1, 2), (-1, 4), (1, 6)):
            options = {"axis": axis, "groups": groups, "method": method}
            problems.append(whitening("batch_whitening", direction, "", x, **options))
    for problem in problems:
        judge = Judge(problem)
        assert not exceeded(judge.errors(problem.call(fn)()))
        errors = judge.errors(problem.call(plain_numpy)())
        assert max(errors.values()) < 100
        assert list(errors) == (["dz", "dweight", "dbias"] if problem.direction == "backward" else ["z"])


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize(
    "op", ["batch_norm", "layer_norm", "rms_norm", "instance_norm", "weight_norm", "weight_standardization"]
)
def test_the_rounding_to_16_bits_is_no_error(op: str, dtype: str) -> None:
    found = pytest.importorskip("ml_dtypes").bfloat16 if dtype == "bfloat16" else np.float16
    x = np.random.default_rng(5).normal(3, 2, size=(20, 12, 30)).astype(found)
    make = weights if op.startswith("weight_") else normalization
    for direction in ("inference", "forward", "backward"):
        problem = make(op, direction, "", x, axis=1)
        judge, call = Judge(problem), problem.call(fn)
        assert not exceeded(judge.errors(call()))
        assert max(judge.errors(problem.call(plain_numpy)()).values()) < 100
        result = call() if direction != "inference" else (call(),)
        off = [np.nextafter(a, found(0)) if a is not None and a.itemsize == 2 else a for a in result]
        changed = off[0] if direction == "inference" else type(result)(*off)
        assert exceeded(judge.errors(changed))


def test_the_judge_sees_what_is_wrong() -> None:
    problem = normalization("layer_norm", "inference", "MD", np.random.default_rng(6).normal(size=(3, 50)).astype("f4"))
    judge, y = Judge(problem), problem.call(fn)()
    assert judge.errors(y)["y"] < 8
    assert judge.errors(y * np.float32(1 + 1e-5))["y"] > 8
    y[1, 2] = np.nan
    assert judge.errors(y)["y"] == np.inf
