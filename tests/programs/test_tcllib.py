"""tcllib's servers and their clients, each in a process of its own: ftpd with ftp, smtpd with smtp, httpd
with http.

Everything that passes between them is compared whole.
"""

import email
import email.policy
import hashlib
import random

import pytest

pytestmark = pytest.mark.usefixtures("quiet")


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def sizes_and_bytes():
    return {size: random.Random(size).randbytes(size) for size in (0, 1, 4096, 65537, 300_000)}


# ---------------------------------------------------------------- ftp

# ftpd's own access to files, but opened as Tcl 9 wants it, where no encoding is called binary. It also wants
# to make up an address of its owner in a way that Tcl 9 refuses, unless there is one.
FTPD = """
namespace eval ftpd {variable contact me@server.example}
package require ftpd
proc files {command path args} {
    if {$command in {append retr store} && [lindex $args 0] eq "binary"} {
        set mode [dict get {append ab retr rb store wb} $command]
        return [open [file join $ftpd::fsFile::docRoot $path] $mode]
    }
    ftpd::fsFile::fs $command $path {*}$args
}
proc always args {return 1}
proc log {severity text} {if {$severity eq "error"} {puts stderr $text}}
ftpd::config -logCmd log -fsCmd files -authUsrCmd always -authFileCmd always
set ftpd::fsFile::docRoot $directory
set ftpd::cwd $directory
set ftpd::port 0
ftpd::server 127.0.0.1
set ftpd::port
"""


@pytest.fixture(scope="module")
def ftp_root(tmp_path_factory):
    return tmp_path_factory.mktemp("ftp")


@pytest.fixture(scope="module")
def ftp_port(pair, ftp_root):
    server, _ = pair
    return server.listen(FTPD, close="close $ftpd::serviceSock", directory=server.path(ftp_root))


@pytest.fixture(params=["active", "passive"])
def ftp(request, pair, ftp_port):
    """The client, logged in as $ftp."""
    _, client = pair
    client.eval("""
        package require ftp
        proc ftp::DisplayMsg {session message {state {}}} {
            if {$state eq "error"} {puts stderr "ftp: $message"}
        }
        set ftp [ftp::Open 127.0.0.1 user secret -port $port -mode $mode -timeout 20]
        if {$ftp < 0} {error "no connection"}
    """, port=ftp_port, mode=request.param)
    yield client
    client.eval("ftp::Close $ftp")


def test_ftp_put_and_get(ftp, ftp_root, tmp_path):
    for size, data in sizes_and_bytes().items():
        (tmp_path / "there").write_bytes(data)
        assert ftp.eval("ftp::Put $ftp $from $to", **{"from": ftp.path(tmp_path / "there"),
                                                      "to": f"put-{size}"}) == "1"
        assert ftp.eval("ftp::FileSize $ftp $to") == str(size)
        assert ftp.eval("ftp::Get $ftp $to $back", back=ftp.path(tmp_path / "back")) == "1"
        assert sha256((ftp_root / f"put-{size}").read_bytes()) == sha256(data)
        assert sha256((tmp_path / "back").read_bytes()) == sha256(data)


def test_ftp_append(ftp, ftp_root):
    (ftp_root / "log").write_bytes(b"first\n")
    assert ftp.eval('ftp::Append $ftp -data "second\\n" log') == "1"
    assert (ftp_root / "log").read_bytes() == b"first\nsecond\n"


def test_ftp_variables(ftp):
    data = sizes_and_bytes()[65537].decode("latin-1")
    assert ftp.eval("ftp::Put $ftp -data $data variable", data=data) == "1"
    assert ftp.eval("ftp::Get $ftp variable -variable got") == "1"
    assert ftp.eval("set got") == data


def test_ftp_directories(ftp, ftp_root):
    assert ftp.eval("list [ftp::MkDir $ftp place] [ftp::Cd $ftp place]"
                    " [ftp::Put $ftp -data x a] [ftp::Put $ftp -data yy b]") == "1 1 1 1"
    assert ftp.eval("lsort [ftp::NList $ftp]") == "a b"
    assert "b" in ftp.eval("join [ftp::List $ftp] \\n")
    assert ftp.eval("list [ftp::Rename $ftp a c] [ftp::Delete $ftp b]") == "1 1"
    assert [path.name for path in (ftp_root / "place").iterdir()] == ["c"]
    assert ftp.eval("list [ftp::Delete $ftp c] [ftp::Cd $ftp ..] [ftp::RmDir $ftp place]") == "1 1 1"
    assert not (ftp_root / "place").exists()


# ---------------------------------------------------------------- smtp

SMTPD = """
package require smtpd
proc deliver {sender recipients data} {
    lappend ::mails [join $data \\n]
    lappend ::envelopes "$sender > [join $recipients { }]"
}
proc recipient {address} {if {[string match *nobody* $address]} {error "no such user"}}
set mails {}
set envelopes {}
smtpd::configure -deliver ::deliver -validate_recipient ::recipient -loglevel critical
port_of [smtpd::start 127.0.0.1 0]
"""

SMTP = """
package require smtp
set part [mime::initialize -canonical text/plain -encoding $encoding -string $text]
if {$attachment ne ""} {
    set file [mime::initialize -canonical application/octet-stream -encoding base64 -string $attachment]
    set part [mime::initialize -canonical multipart/mixed -parts [list $part $file]]
}
set code [catch {
    smtp::sendmessage $part -servers 127.0.0.1 -ports $port -usetls 0 -atleastone 1 \
        -client client.example -originator me@client.example \
        -header {From me@client.example} -header [list To $to] -header {Subject {a mail}} -recipients $to
} result options]
mime::finalize $part -subordinates all
if {$code} {return -options $options $result}
set result
"""


@pytest.fixture(scope="module")
def smtp_port(pair):
    server, _ = pair
    return server.listen(SMTPD, close="smtpd::stop")


@pytest.fixture
def send(pair, smtp_port):
    """Sends a mail: (what sendmessage returned, the envelope, the mail as the server got it)."""
    server, client = pair

    def send(text, attachment=b"", to="you@server.example", encoding="8bit"):
        server.eval("set mails {}; set envelopes {}")
        result = client.eval(SMTP, port=smtp_port, text=text, to=to, encoding=encoding,
                             attachment=attachment.decode("latin-1"))
        mail = email.message_from_string(server.eval("lindex $mails 0"), policy=email.policy.default)
        return result, server.eval("join $envelopes \\n"), mail

    return send


@pytest.mark.parametrize("text", [
    "hello\n", "", ".\n..\n.dot at the start\n\n.\n", "".join(f"line {number}\n"
                                                              for number in range(3_000)), "x" * 900 + "\n"],
    ids=["line", "nothing", "dots", "many lines", "long line"])
def test_smtp_text(send, text):
    result, envelope, mail = send(text)
    assert result == ""
    assert envelope == "<me@client.example> > <you@server.example>"
    assert (mail["From"], mail["To"], mail["Subject"]) == ("me@client.example", "you@server.example",
                                                           "a mail")
    assert mail.get_payload().rstrip("\n") == text.rstrip("\n")


def test_smtp_attachment(send):
    data = sizes_and_bytes()[65537]
    result, _, mail = send("see the file\n", data)
    text, file = mail.iter_parts()
    assert result == ""
    assert text.get_payload().strip() == "see the file"
    assert sha256(file.get_payload(decode=True)) == sha256(data)


def test_smtp_recipients(send):
    """Those who are known get the mail; the refusal of the other comes back to the sender."""
    result, envelope, _ = send("hello\n", to="one@server.example,nobody@server.example,two@server.example")
    assert "nobody@server.example" in result
    assert envelope == "<me@client.example> > <one@server.example> <two@server.example>"


# ---------------------------------------------------------------- httpd

HTTPD = """
package require httpd
clay::define httpd::content.echo {
    method content {} {
        my puts [string toupper [my PostData [my request get CONTENT_LENGTH]]]
    }
}
httpd::server create HTTPD port 0 myaddr 127.0.0.1 doc_root $directory
HTTPD plugin dict_dispatch
HTTPD uri add * /echo {mixin {content httpd::content.echo}}
port_of [lindex [set [info object namespace HTTPD]::socklist] 0]
"""


@pytest.fixture(scope="module")
def document_root(tmp_path_factory):
    root = tmp_path_factory.mktemp("httpd")
    for size, data in sizes_and_bytes().items():
        (root / f"{size}.bin").write_bytes(data)
    return root


@pytest.fixture(scope="module")
def web(pair, document_root):
    """The client, with the proc `fetch`."""
    server, client = pair
    port = server.listen(HTTPD, close="HTTPD stop", directory=server.path(document_root))
    client.eval("""
        package require http
        proc fetch {page args} {
            set token [http::geturl http://127.0.0.1:$::port/$page {*}$args]
            set outcome "[http::status $token] [http::ncode $token] [http::data $token]"
            http::cleanup $token
            return $outcome
        }
    """, port=port)
    return client


def test_httpd_files(web, document_root, tmp_path):
    for size, data in sizes_and_bytes().items():
        assert web.eval("set file [open $to wb]; fetch $page -channel $file", to=web.path(tmp_path / "got"),
                        page=f"{size}.bin") == "ok 200 "
        web.eval("close $file")
        assert sha256((tmp_path / "got").read_bytes()) == sha256(data)


def test_httpd_post(web):
    text = "".join(f"line {number};" for number in range(20_000))
    assert web.eval("fetch echo -query $text -type text/plain", text=text) == f"ok 200 {text.upper()}\n"


def test_httpd_not_found(web):
    assert web.eval("fetch nothing").startswith("ok 404 ")
