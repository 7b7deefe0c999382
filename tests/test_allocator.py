"""Freed memory is kept while it is asked for, and given back after."""

import json
import subprocess
import sys

import numpy as np
import pytest

from tbscale.engine import allocator
from tbscale.engine.network import ExactNetwork
from tbscale.engine.network_memory import layer_bytes
from tbscale.engine.weights import EMBEDDED, resolve_model

SCRIPT = """
import contextlib, ctypes, json, resource, sys
from tbscale.engine import allocator

ARRAY = 48 * 2**20  # larger than what glibc keeps by itself

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()

libc = ctypes.CDLL(None)
libc.malloc.argtypes = [ctypes.c_size_t]
libc.malloc.restype = libc.memset.restype = ctypes.c_void_p
libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]

def layer():  # numpy would ask for huge pages, and hide the faults
    array = libc.malloc(ARRAY)
    libc.memset(array, 1, ARRAY)
    libc.free(array)

def faults_of_work():
    layer()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(8):
        layer()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

class OldGlibc:  # refuses large thresholds, as before 2.35
    def __init__(self, real):
        self.real = real
    def mallopt(self, what, value):
        if what == allocator._MMAP_THRESHOLD and value > 32 * 2**20:
            return 0
        return self.real.mallopt(what, value)
    def malloc_trim(self, pad):
        return self.real.malloc_trim(pad)

how = sys.argv[1]
if how == "old":
    old = OldGlibc(allocator._glibc())
    allocator._glibc = lambda: old
before = resident()
with contextlib.nullcontext() if how == "usual" else allocator.keep_freed(ARRAY):
    if how == "nested":
        with allocator.keep_freed(ARRAY):
            pass
    inside = faults_of_work()
    kept = resident() - before
after = resident() - before
print(json.dumps(
    {"inside": inside, "kept": kept, "after": after, "outside": faults_of_work()}
))
"""
PAGES = 8 * 48 * 2**20 // 4096
needs_glibc = pytest.mark.skipif(
    not allocator.can_keep_freed(), reason="the allocator takes no rules here"
)


def measure(how, **environment):
    command = [sys.executable, "-c", SCRIPT, how]
    ended = subprocess.run(command, capture_output=True, check=True, env=environment)
    return json.loads(ended.stdout)


@needs_glibc
def test_glibc_gives_such_arrays_back_by_itself():
    assert measure("usual")["inside"] > 0.9 * PAGES


@needs_glibc
@pytest.mark.parametrize("how", ["kept", "nested", "old"])
def test_kept_memory_costs_no_page_faults_and_is_given_back(how):
    seen = measure(how)
    assert seen["inside"] < 0.01 * PAGES
    assert seen["kept"] > 40 * 2**20
    assert seen["after"] < 16 * 2**20
    assert seen["outside"] > 0.9 * PAGES, "the usual rules are back"


@needs_glibc
def test_rules_that_the_user_has_set_are_left_alone():
    assert measure("kept", MALLOC_MMAP_THRESHOLD_="131072")["inside"] > 0.9 * PAGES


def test_the_networks_output_is_the_same_to_the_last_bit():
    network = ExactNetwork(resolve_model(EMBEDDED))
    tiles = np.random.default_rng(0).random((8, 2, 224, 224), np.float32)
    usual = network(tiles)
    with allocator.keep_freed(layer_bytes(8, 224)):
        for _ in range(2):  # the second takes what the first has freed
            np.testing.assert_array_equal(network(tiles), usual)


@needs_glibc
def test_an_error_inside_is_raised_and_ends_the_keeping():
    def fail():
        with allocator.keep_freed(1):
            assert allocator._depth == 1
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert allocator._depth == 0


def test_another_c_library_changes_nothing(monkeypatch):
    monkeypatch.setattr(allocator, "_glibc", lambda: None)
    assert not allocator.can_keep_freed()
    with allocator.keep_freed(1):
        assert allocator._depth == 0
