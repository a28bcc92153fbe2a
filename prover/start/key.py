"""What compiled code and tests depend on besides the program: the machine, the libraries, our own code, the switches."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path

import jax
import numpy as np

import prover
import rollup

SWITCHES = (
    "XLA_",
    "JAX_",
    "TF_",
    "CUDA_",
    "LIBTPU_",
    "TOUCHSTONE_NATIVE",
    "TOUCHSTONE_KERNELS",
    "OMP_",
    "OPENBLAS_",
    "MKL_",
)
"""What the variables begin with that change how something is computed."""

CPU = (
    *("vendor_id", "cpu family", "model", "model name", "stepping", "microcode", "flags"),
    *("CPU implementer", "CPU architecture", "CPU variant", "CPU part", "CPU revision", "Features"),
)
"""Fields of /proc/cpuinfo that say which instructions there are, and how they are made."""

CODE = (".py", ".so", ".cc", ".h")

CPUINFO = Path("/proc/cpuinfo")


def parts() -> dict[str, str]:
    """Everything that is part of the key, by name. Nothing compiled or tested is good where one of these is another."""
    devices = jax.devices()
    return {
        "machine": f"{platform.system()} {platform.machine()} {' '.join(platform.libc_ver())}",
        "cpu": _cpu(),
        "cores": str(_cores()),
        "device": f"{devices[0].client.platform_version} {[device.device_kind for device in devices]}",
        "python": sys.version,
        "jax": jax.__version__,
        "jaxlib": version("jaxlib"),
        "numpy": np.__version__,
        "code": _code(),
        "switches": json.dumps({n: os.environ[n] for n in sorted(os.environ) if n.startswith(SWITCHES)}),
        "configuration": json.dumps({n: str(v) for n, v in sorted(jax.config.values.items()) if "cache" not in n}),
    }


def digest(found: Mapping[str, str]) -> str:
    """64 hex digits that stand for these parts."""
    return hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()


def _cpu() -> str:
    fields: dict[str, str] = {}
    with suppress(OSError):
        for line in CPUINFO.read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() in CPU:
                fields.setdefault(name.strip(), value.strip())
    return json.dumps(fields, sort_keys=True) if fields else platform.processor()


def _cores() -> int:
    """Cores that the process may use: how an op is divided among threads follows from them."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def _code() -> str:
    """Of what lowers, executes and tests."""
    return code_of([Path(package.__path__[0]) for package in (rollup, prover)])


def code_of(folders: Sequence[Path]) -> str:
    """SHA-256 over the sources and objects in these folders, with their places."""
    found = hashlib.sha256()
    for folder in folders:
        for path in _files(folder):
            data = path.read_bytes()
            found.update(f"{folder.name}/{path.relative_to(folder)}:{len(data)}\n".encode())
            found.update(data)
    return found.hexdigest()


def _files(folder: Path) -> Iterator[Path]:
    yield from sorted(path for path in folder.rglob("*") if path.suffix in CODE and path.is_file())
