"""A socket with a planted fault, which shows that faults are found."""

import iocpsock


class Liar(iocpsock.socket):
    """Loses the last byte of a longer receive."""

    __module__, __qualname__ = iocpsock.socket.__module__, iocpsock.socket.__qualname__

    def recv(self, size, *flags):
        data = super().recv(size, *flags)
        return data[:-1] if len(data) > 4 else data
