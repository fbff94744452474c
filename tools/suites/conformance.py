"""docs/conformance.md: the results of our sockets in the languages' own test suites, beside those of the
stock ones on the same machine.

One command, `dev.py conformance [FILE…]`, writes the page and the data in records/. It runs the files both
ways; the results of files that it does not run stay as they were. The reason why a test does not pass is
written by hand, in conformance_tcl.py, conformance_python.py and conformance_asyncio.py. The command fails if
a reason is missing.
"""

from tools.base.report import Problem, say
from tools.environments import run
from tools.suites import conformance_asyncio, conformance_python, conformance_tcl

PAGE = run.ROOT / "docs" / "conformance.md"
SUITES = (conformance_tcl.SUITE, conformance_python.SUITE, conformance_asyncio.SUITE)

_HEAD = """# Conformance

The languages' own tests, with their stock sockets and with ours. `python3 dev.py conformance` writes this
page; do not edit it. Measured under Wine, each file in a process of its own. A test that hangs or crashes
counts as failed, and its file is run again without it.

"""


def main(arguments):
    """Run the files with both commands and write the page. Return 0 if each ran to its end, and each test
    that did not pass has a reason."""
    wanted = {suite.language: [file for file in suite.files if not arguments or file in arguments]
              for suite in SUITES}
    known = [file for files in wanted.values() for file in files]
    if unknown := [file for file in arguments if file not in known]:
        raise Problem(f"dev.py conformance: no file {unknown[0]!r}; there are "
                      + " ".join(file for suite in SUITES for file in suite.files))
    for suite in SUITES:
        suite.measure(wanted[suite.language])
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page())
    complaints = [complaint for suite in SUITES for complaint in suite.complaints()]
    for complaint in complaints:
        say(complaint)
    return 1 if complaints else 0


def page():
    """The text of docs/conformance.md, from the recorded data."""
    return _HEAD + "\n".join(suite.page() for suite in SUITES)
