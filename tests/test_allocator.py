"""Freed memory is kept while it is asked for, given back after, and no number changes."""

import json
import subprocess
import sys

import numpy as np
import pytest

from tbscale.engine.allocator import can_keep_freed, keep_freed

SCRIPT = """
import contextlib, json, resource, sys
import numpy as np
from tbscale.engine.allocator import give_back_freed, keep_freed

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()

def work():
    for _ in range(8):  # as a layer does: larger than what glibc keeps, freed at once
        np.ones(48 * 2**20, np.uint8)

before = resident()
with keep_freed() if sys.argv[1] == "kept" else contextlib.nullcontext():
    work()
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    work()
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults
    inside = resident() - before
print(json.dumps({"faults": faults, "inside": inside, "after": resident() - before}))
"""
needs_glibc = pytest.mark.skipif(not can_keep_freed(), reason="the allocator takes no rules here")


def measure(how, **environment):
    command = [sys.executable, "-c", SCRIPT, how]
    ended = subprocess.run(command, capture_output=True, check=True, env=environment)
    return json.loads(ended.stdout)


@needs_glibc
def test_kept_memory_costs_no_page_faults_and_is_given_back():
    kept, usual = measure("kept"), measure("usual")
    assert kept["faults"] < usual["faults"] / 10
    assert kept["inside"] > 40 * 2**20
    assert kept["after"] < 16 * 2**20


@needs_glibc
def test_rules_that_the_user_has_set_are_left_alone():
    usual = measure("usual", MALLOC_MMAP_THRESHOLD_="131072")
    assert measure("kept", MALLOC_MMAP_THRESHOLD_="131072")["faults"] > usual["faults"] / 2


def test_an_error_inside_is_raised_and_the_rules_are_the_usual_ones_again():
    with pytest.raises(ZeroDivisionError), keep_freed():
        _ = 1 // 0
    assert np.ones(3).sum() == 3
