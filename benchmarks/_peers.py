"""Environments of the peers: each has one of its own, under `$BANYAN_BENCH` (~/.cache/banyan-bench), made the first time it is asked for.

It sees the packages of the Python that runs the benchmark (torch among them, so that all contenders compute with the same build)
and installs what a peer needs beside or instead of them into itself.
"""

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import torch

VERSIONS = {"torch-rechub": "0.9.0", "deepctr-torch": "0.3.0"}


def cache() -> Path:
    """Where the environments are."""
    return Path(os.environ.get("BANYAN_BENCH") or Path.home() / ".cache" / "banyan-bench")


def python(peer: str) -> Path:
    """The interpreter of a peer's environment, whether or not it is there."""
    return cache() / f"{peer}-{VERSIONS[peer]}-{sys.version_info.major}.{sys.version_info.minor}" / "bin" / "python"


def ready(peer: str) -> bool:
    """Whether the environment is there and whole, and was made for this very installation."""
    mark = python(peer).parent.parent / "ready"
    return mark.exists() and mark.read_text() == sysconfig.get_path("purelib")


def prepare(peer: str) -> Path:
    """Make a peer's environment unless it is there; returns its interpreter. Raises CalledProcessError with pip's own words."""
    if ready(peer):
        return python(peer)
    found, here = python(peer), sysconfig.get_path("purelib")
    folder = found.parent.parent
    venv.EnvBuilder(clear=True, with_pip=True).create(folder)
    inside = subprocess.run([found, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], check=True, capture_output=True, text=True)
    (Path(inside.stdout.strip()) / "shared.pth").write_text(here + "\n")
    pip = [str(found), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, f"torch=={torch.__version__}"], check=True)  # first: it is there, and so no other build is fetched after it
    subprocess.run([*pip, f"{peer}=={VERSIONS[peer]}"], check=True)
    (folder / "ready").write_text(here)
    return found
