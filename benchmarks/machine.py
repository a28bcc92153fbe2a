"""What the figures were measured on: the machine, the versions, the code."""

from __future__ import annotations

import datetime
import os
import platform
import re
import subprocess
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
FLAGS = ("avx2", "fma", "avx512f", "avx512bw", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_int8", "sha_ni")
"""Of the CPU, as far as they matter for products and hashes."""

PACKAGES = ("jax", "jaxlib", "numpy", "onnxruntime", "llama-cpp-python")
NATIVE = "TOUCHSTONE_NATIVE"
"""The switch of native kernels."""

ISAS: Mapping[str, Mapping[str, str]] = {
    "avx2": {
        "XLA_FLAGS": "--xla_cpu_max_isa=AVX2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "OPENBLAS_CORETYPE": "Haswell",
        "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
        "TOUCHSTONE_KERNELS": "avx2",
    }
}
"""What keeps a process to an instruction set, if it is set before JAX and NumPy are imported."""


def restricted(environment: Mapping[str, str], isa: str | None) -> dict[str, str]:
    """The environment of a process that keeps to ``isa``; XLA's own flags stay in force beside it."""
    found = dict(environment)
    for name, value in ISAS[isa].items() if isa else ():
        found[name] = f"{found.get(name, '')} {value}".strip() if name == "XLA_FLAGS" else value
    return found


def described(environment: Mapping[str, str], isa: str | None) -> dict[str, Any]:
    """As the results file has it; ``environment``: of the processes that measure."""
    info = _read("/proc/cpuinfo")
    flags = set((re.findall(r"^flags\s*:\s*(.*)$", info, re.MULTILINE) or [""])[0].split())
    cpu = (re.findall(r"^model name\s*:\s*(.*)$", info, re.MULTILINE) or [platform.processor()])[0]
    memory = re.findall(r"^MemTotal:\s*(\d+) kB", _read("/proc/meminfo"), re.MULTILINE)
    return {
        "cpu": cpu,
        "flags": [flag for flag in FLAGS if flag in flags],
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(int(memory[0]) / 2**20) if memory else None,
        "os": (re.findall(r'^PRETTY_NAME="(.*)"$', _read("/etc/os-release"), re.MULTILINE) or [platform.system()])[0],
        "kernel": platform.release(),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in PACKAGES},
        "commit": _commit(),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "isa": isa,
        "xla_flags": environment.get("XLA_FLAGS", ""),
        "native": environment.get(NATIVE, ""),
    }


def _read(file: str) -> str:
    path = Path(file)
    return path.read_text(errors="replace") if path.exists() else ""


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _commit() -> str:
    """The commit, with a plus sign if files differ from it; nothing outside of a git checkout."""
    try:
        commit = subprocess.run(["git", "rev-parse", "--short=12", "HEAD"], cwd=ROOT, capture_output=True, text=True)
        status = ["git", "status", "--porcelain", "--untracked-files=no"]
        changed = subprocess.run(status, cwd=ROOT, capture_output=True, text=True)
    except FileNotFoundError:
        return ""
    return commit.stdout.strip() + ("+" if changed.stdout.strip() else "")
