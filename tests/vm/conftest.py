# SPDX-License-Identifier: Apache-2.0
"""What the tests with real VMs share: the program under test and the kernels that it boots."""
import functools
import os
import subprocess

import pytest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes long, left to make check-all")


@functools.lru_cache(maxsize=None)
def fetch_kernel(suite, flavour="generic"):
    """The path of a distribution's stock kernel, fetched when it is not there; a failure is an error, never a skip."""
    done = subprocess.run([f"{TOP}/scripts/fetch-kernel", suite, flavour], stdout=subprocess.PIPE, check=True,
                          timeout=1800)
    return done.stdout.decode().strip()


@pytest.fixture(scope="session")
def vmtest():
    """The path of the program under test."""
    path = os.environ.get("VMTEST", f"{TOP}/build/vmtest")
    assert os.access(path, os.X_OK), f"{path} is missing: run make first"
    return path


@pytest.fixture(scope="session")
def kernel():
    """Debian 12's kernel, the one that most tests boot."""
    return fetch_kernel("bookworm")


@pytest.fixture(scope="session")
def kernel_of():
    """A function from a suite, and if need be a flavour, to its kernel."""
    return fetch_kernel
