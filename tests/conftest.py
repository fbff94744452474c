"""Options that more than one suite of tests understands."""


def pytest_addoption(parser):
    parser.addoption("--tcl", choices=("8.6", "9.0", "9.1"), default="8.6",
                     help="version of the Windows tclsh under test")
    parser.addoption("--soak", action="store_true", help="also the tests that take many minutes")
