"""A stream whose every byte tells which connection it belongs to, and where."""

import hashlib
import struct


class Stream:
    """One direction of a connection: all of its bytes follow from its number and direction."""

    def __init__(self, number, direction, size):
        self.name = f"connection {number}.{direction}"
        self.size = size
        self.bytes = hashlib.shake_128(struct.pack("<QB", number, direction)).digest(size)

    def fault(self, position, data):
        """What is wrong with data that were received at that position, or None."""
        wanted = self.bytes[position : position + len(data)]
        if data == wanted:
            return None
        at = next((k for k, (x, y) in enumerate(zip(data, wanted)) if x != y), min(len(data), len(wanted)))
        found = bytes(data[at : at + 16])
        return (f"{self.name}: {len(data)} bytes at {position} differ from {at} on: {found.hex()} for "
                f"{wanted[at:at + 16].hex()}; in the stream these are at {self.bytes.find(found)}")
