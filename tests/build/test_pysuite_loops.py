"""How pysuite_run.py puts our event loop in the place of the stock one, in CPython's tests of asyncio. None
of them is run here: the classes and the loops are models of them."""

import asyncio
import sys
import types
import unittest
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tools.environments import run
from tools.suites import pysuite_run
from tools.suites.conformance_asyncio import RARE, SINCE, SUITE


class Stock:
    """In the place of asyncio.ProactorEventLoop."""


class Ours:
    """In the place of iocpsock.EventLoop."""

    def __init__(self):
        self.begun = True


def module():
    """A file of tests. Its classes are made here, as pytest would take them for tests of this file."""
    class Mixin:
        def setUp(self):
            self.loop = self.create_event_loop()

        def test_kind(self):
            self.seen = type(self.loop), type(self.create_event_loop()), asyncio.ProactorEventLoop

        def test_reader(self):
            self.seen = "read"

    class ProactorEventLoopTests(Mixin, unittest.TestCase):
        def create_event_loop(self):
            return asyncio.ProactorEventLoop()

        def test_reader(self):
            raise unittest.SkipTest("no add_reader()")

        def test_more(self):
            self.seen = "more"

    class SelectEventLoopTests(Mixin, unittest.TestCase):
        pass

    class WithSelectorTests(unittest.TestCase):
        def setUp(self):
            self.loop = asyncio.SelectorEventLoop()

        def test_kind(self):
            self.seen = type(self.loop)

    class TestOfTasks(unittest.TestCase):
        def test_kind(self):
            self.seen = Stock

    return types.SimpleNamespace(Mixin=Mixin, ProactorEventLoopTests=ProactorEventLoopTests,
                                 SelectEventLoopTests=SelectEventLoopTests,
                                 WithSelectorTests=WithSelectorTests, TestOfTasks=TestOfTasks)


@pytest.fixture(autouse=True)
def stock_loops(monkeypatch):
    for name in ("ProactorEventLoop", "SelectorEventLoop"):
        monkeypatch.setattr(asyncio, name, Stock, raising=False)


def seen(tests, name):
    test = tests(name)
    result = unittest.TestResult()
    test.run(result)
    assert result.wasSuccessful(), result.errors + result.failures
    return result.skipped[0][1] if result.skipped else test.seen


def test_a_class_for_the_stock_loop_tests_ours():
    file = module()
    name = file.ProactorEventLoopTests("test_kind").id()
    pysuite_run.keep_one_loop(file, Ours)
    assert seen(file.ProactorEventLoopTests, "test_kind") == (Ours, Ours, Stock)
    assert seen(file.WithSelectorTests, "test_kind") is Ours
    assert file.ProactorEventLoopTests("test_kind").id() == name


def test_what_is_skipped_for_the_stock_loop_is_run_on_ours():
    file = module()
    pysuite_run.keep_one_loop(file, Ours)
    assert seen(file.ProactorEventLoopTests, "test_reader") == "read"
    assert seen(file.ProactorEventLoopTests, "test_more") == "more"


def test_the_same_tests_are_not_run_for_the_selector_too():
    for loop in (None, Ours):
        file = module()
        tasks = file.TestOfTasks
        pysuite_run.keep_one_loop(file, loop)
        assert sorted(vars(file)) == ["Mixin", "ProactorEventLoopTests", "TestOfTasks", "WithSelectorTests"]
        assert file.TestOfTasks is tasks


def test_the_stock_command_leaves_the_classes_alone():
    file = module()
    tests = file.ProactorEventLoopTests
    pysuite_run.keep_one_loop(file, None)
    assert file.ProactorEventLoopTests is tests
    assert seen(file.ProactorEventLoopTests, "test_reader") == "no add_reader()"
    assert seen(file.WithSelectorTests, "test_kind") is Stock


@pytest.mark.parametrize("name", ["DefaultEventLoopPolicy", "_DefaultEventLoopPolicy"])
def test_our_loop_is_the_default_one_and_counted(monkeypatch, name):
    policy = type("Policy", (), {"_loop_factory": Stock})
    monkeypatch.setattr(asyncio, "windows_events", types.SimpleNamespace(**{name: policy}), raising=False)
    monkeypatch.setattr(asyncio, "EventLoop", Stock, raising=False)
    loop = type("Loop", (Ours,), {})
    made = pysuite_run.make_default(loop)
    assert policy._loop_factory is loop and asyncio.EventLoop is loop and made == []
    assert policy()._loop_factory().begun
    assert made == [loop]


def test_a_file_is_asked_for_what_it_needs():
    def ran(file):
        return pysuite_run.ran(file, "operations", "loops")
    assert ran("test_socket") == ran("test_asyncio.test_sock_lowlevel") == "operations"
    assert ran("test_asyncio.test_locks") == "loops"
    assert ran("test_asyncio.test_protocols") is None
    named = {"test_asyncio." + name for name in (*pysuite_run.CONNECTED, *pysuite_run.LOOPLESS)}
    assert named <= set(SUITE.files)


def test_a_version_has_its_files():
    assert SINCE.keys() <= set(SUITE.files)
    assert SUITE.files_of(run.PYTHON_VERSIONS[-1]) == SUITE.files
    oldest = SUITE.files_of(run.PYTHON_VERSIONS[0])
    assert set(SUITE.files) - set(oldest) == SINCE.keys()
    assert "test_asyncio.test_staggered" in SUITE.files_of("3.12")
    assert "test_asyncio.test_graph" not in SUITE.files_of("3.13")
    assert set(oldest) - set(SUITE.files_of(run.PYTHON_VERSIONS[0], rare=False)) == set(RARE) - SINCE.keys()
