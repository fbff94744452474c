"""The part about CPython's own suite that is written by hand: its files, and why a test does not pass."""

from tools.environments import run
from tools.suites import pysuite
from tools.suites.suite import STOCK, Suite

FILES = ("test_socket", "test_ssl", "test_timeout", "test_socketserver", "test_httpservers", "test_httplib",
         "test_xmlrpc", "test_ftplib", "test_smtplib", "test_poplib", "test_imaplib")

_TESTCAPI = "It needs the module `_testcapi`, which python.org's embeddable distribution does not have."
_DEBUG = ("It needs what the library defines for `__debug__` only, and that of the embeddable distribution is "
          "compiled with `-OO`.")
_NEWER = "It tests a change of the library that is newer than this interpreter."
_OLDER = ("It tests what the library did before this interpreter: 3.11.9 and its OpenSSL are newer than the "
          "test.")
_MENDED = "It tests what 3.14.10 added or fixed, and the interpreter is 3.14.2."
_STORE = "Wine's store of that name is empty."
_QUICKACK = "Wine does not have the option TCP_QUICKACK."
_BORROWED = "A test of 3.13 that cannot be run by 3.12: it asks for what 3.13 has changed."

# Why a test fails, with our sockets or the stock ones.
REASONS = {
    "testNtoHErrors": _TESTCAPI,
    "testSetBlocking_overflow": _TESTCAPI,
    "testShutdown_overflow": _TESTCAPI,
    "test_listen_backlog_overflow": _TESTCAPI,
    "test_dump_ur": _DEBUG,
    "test_large_content_length_truncated":
        "It starts a CGI program 47 times, which takes longer than the 40 s that our test runner gives a test.",
    "test_get": _NEWER,
    "test_list_dir_with_query_and_fragment": _NEWER,
    "test_stat": _NEWER,
    "test_bio_handshake": _OLDER,
    "test_options": _OLDER,
    "test_delete_attributes": _MENDED,
    "test_delete_sslobject_attributes": _MENDED,
    "test_distrusted_spki": _MENDED,
    "test_internal_chain_server_no_client_cert": _MENDED,
    "test_internal_chain_server_resumed_session": _MENDED,
    "test_keylog_defaults": _MENDED,
    "test_msg_callback": _MENDED,
    "test_sni_callback_on_dead_references": _MENDED,
    "test_set_quickack": _QUICKACK,
    "test_enum_certificates": _STORE,
    "test_enum_crls": _STORE,
    "test_certificate_chain": _BORROWED,
    "test_client_constants": _BORROWED,
    "test_create_default_context": _BORROWED,
    "test_lowercase_mail_from_rcpt_to": _BORROWED,
    "test_request_length": _BORROWED,
    "test_simple_httpstatus": _BORROWED,
    "test_verify_strict": _BORROWED,
}

# Tests that depend on timing: the speed that they assume, and that a busy machine does not reach.
TIMED = {
    "test_host_port": "a dozen of contexts with the system's certificates are made within 40 s, the limit of "
                      "our test runner",
    "testWithTimeoutTriggeredSend": "the client has filled the buffers, and waited for 10 ms in vain, before "
                                    "the peer, which began by sleeping for a second, has closed",
}

# Tests that are not run, and why.
LEFT_OUT = {"test_imaplib": {
    "NewIMAPSSLTests.test_imaplib_timeout_functionality_test":
        "it passes or fails by chance with either socket. It shakes hands with a timeout of 1 ms; if that has "
        "expired when OpenSSL asks for more, CPython's `_ssl` takes the socket for a non-blocking one and "
        "raises SSLWantReadError"}}

INTRODUCTION = """CPython's own tests of `socket` and of what stands on it, with the stock sockets and under
`iocpsock.patch()`. The files are those of 3.11.2, 3.13.5 and 3.14.10. The files of 3.12 were not available:
3.12 runs those of 3.13.5. A test may fail with both because it is newer, or older, than the interpreter. A
class that is skipped as a whole counts as one test. Nothing beyond the loopback interface is used."""


def plain(test):
    """The name of a test without its class: several classes inherit many of the tests."""
    return test.rpartition(".")[2]


SUITE = Suite("Python", FILES, run.PYTHON_VERSIONS, "iocpsock", {STOCK: "stock", "iocpsock": "iocpsock"},
              pysuite.run_file, INTRODUCTION, REASONS, TIMED, None, {}, LEFT_OUT, plain)
