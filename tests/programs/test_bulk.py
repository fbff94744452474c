"""Bulk streams both ways at once between two processes: event-driven and blocking, in pieces from 1 byte to 1
MB, through every translation. What each end read must have the length and the checksum of what the other
wrote.

A few megabytes each way here; with `--soak` 200 MB each way, and the figures are printed.
"""

import pytest

from tools.environments import run
from tools.load.program import dictionary

TIMEOUT = 120           # seconds for one exchange
SOAK_TIMEOUT = 360
BULK = run.ROOT / "tests" / "programs" / "bulk.tcl"
MANNERS = [("events", "events"), ("writer", "events"), ("events", "reader"), ("writer", "reader")]
# The writing ends' translation, and the reading ends'.
TRANSLATIONS = [("binary", "binary"), ("lf", "lf"), ("crlf", "crlf"), ("cr", "cr"), ("lf", "auto"),
                ("crlf", "auto"), ("cr", "auto")]
MEGABYTE = 1_000_000
# Not the stock socket: under Wine it hears of no room to write once the peer has closed its writing side, and
# loses the news of a byte now and then, so its streams stop. What is expected needs no model here: what was
# written is what must be read.
pytestmark = pytest.mark.parametrize("start_program", ["socket2"], indirect=True, scope="module")


@pytest.fixture(scope="module")
def ends(start_program):
    """Two processes that know bulk.tcl."""
    programs = start_program(), start_program()
    for program in programs:
        program.eval("source $file", file=program.path(BULK))
    return programs


def exchange(ends, manners, translations, total, sizes, buffersize, timeout=TIMEOUT):
    """One exchange of `total` characters each way; seconds. What was read must be what was written."""
    server, client = ends
    writing, reading = translations
    options = f"-translation {{{reading} {writing}}} -buffersize {buffersize} -buffering none"
    for seed, (program, manner) in enumerate(zip((client, server), manners)):
        program.eval("bulk::prepare $manner $total $sizes $text $seed", manner=manner, total=total,
                     sizes=sizes, text=int(writing != "binary"), seed=seed)
    port = int(server.eval(f"bulk::listen {{{options}}}"))
    there = dictionary(client.eval(f"bulk::connect $port {{{options}}}", timeout, port=port))
    back = dictionary(server.eval("bulk::result", timeout))
    for program in ends:
        program.check()
    for source, target in ((there, back), (back, there)):
        assert int(source["written"]) == total
        assert (target["read"], target["received"]) == (source["written"], source["sent"])
    return max(float(end["seconds"]) for end in (there, back))


@pytest.mark.parametrize("translations", TRANSLATIONS, ids="-".join)
@pytest.mark.parametrize("manners", MANNERS, ids="-".join)
def test_streams_both_ways(ends, manners, translations):
    exchange(ends, manners, translations, 3 * MEGABYTE, "mixed", 65536)


@pytest.mark.parametrize("manners", MANNERS, ids="-".join)
@pytest.mark.parametrize("size, buffersize, total", [(1, 1, 1000), (1, 4096, 1000), (1_048_576, 1, 4000),
                                                     (1_048_576, 4096, 8 * MEGABYTE), (1_048_576, 1_000_000,
                                                                                       8 * MEGABYTE)])
def test_pieces_of_one_size(ends, manners, size, buffersize, total):
    exchange(ends, manners, ("binary", "binary"), total, size, buffersize)


@pytest.fixture
def soak(request, capsys):
    """Prints the figures of an exchange; a skip unless pytest was told to soak."""
    if not request.config.getoption("--soak"):
        pytest.skip("200 MB each way: run with --soak")

    def report(total, seconds):
        with capsys.disabled():
            print(f"\n{request.node.name}: {total:,} bytes each way in {seconds:.1f} s, "
                  f"{2 * total / MEGABYTE / seconds:.2f} MB/s in all", flush=True)
    return report


@pytest.mark.parametrize("translations", TRANSLATIONS, ids="-".join)
@pytest.mark.parametrize("manners", MANNERS, ids="-".join)
def test_200_megabytes_both_ways(ends, soak, manners, translations):
    total = 200 * MEGABYTE
    soak(total, exchange(ends, manners, translations, total, "mixed", 65536, SOAK_TIMEOUT))


@pytest.mark.parametrize("manners, total", [(MANNERS[0], 20_000), (MANNERS[3], 5000)],
                         ids=["events", "blocking"])
def test_single_bytes_both_ways(ends, soak, manners, total):
    soak(total, exchange(ends, manners, ("binary", "binary"), total, 1, 4096, SOAK_TIMEOUT))
