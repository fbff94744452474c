"""Child processes of an event loop.

`Subprocesses` is the part of `EventLoop` that has to do with them. The standard library starts the process,
with overlapped pipes; the loop's port has their packets, and tells when the process ends.
"""

from asyncio import base_subprocess, windows_utils

from iocpsock._iocpsock import _Child


class SubprocessTransport(base_subprocess.BaseSubprocessTransport):
    def _start(self, args, shell, stdin, stdout, stderr, bufsize, **options):
        self._proc = windows_utils.Popen(args, shell=shell, stdin=stdin, stdout=stdout, stderr=stderr,
                                         bufsize=bufsize, **options)
        _Child(self._loop, int(self._proc._handle), self._ended)

    def _ended(self):
        self._process_exited(self._proc.poll())


class Subprocesses:
    async def _make_subprocess_transport(self, protocol, args, shell, stdin, stdout, stderr, bufsize,
                                         extra=None, **options):
        waiter = self.create_future()
        transport = SubprocessTransport(self, protocol, args, shell, stdin, stdout, stderr, bufsize,
                                        waiter=waiter, extra=extra, **options)
        try:
            await waiter
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException:
            transport.close()
            await transport._wait()
            raise
        return transport

    def _abandon_children(self):
        for child in list(self._children):
            child.close()
