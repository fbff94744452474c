"""A small reader of 64-bit PE files: the machine, the flags, what the file imports and what it exports.

Field offsets are those of Microsoft's "PE Format" specification.
"""

import struct

MACHINE_AMD64, MACHINE_ARM64 = 0x8664, 0xAA64
FLAG_HIGH_ENTROPY_VA, FLAG_DYNAMIC_BASE, FLAG_NX_COMPAT = 0x0020, 0x0040, 0x0100
_DIRECTORY_EXPORT, _DIRECTORY_IMPORT, _DIRECTORY_DELAY_IMPORT = 0, 1, 13


class PE:
    """The tables of one image.

    `machine` and `flags` are the header's Machine and DllCharacteristics; `imports` maps each DLL's name to
    the names (or `#ordinal`) taken from it, delay-loaded ones included; `exports` lists the exported names.
    """

    def __init__(self, data):
        self._data = data
        if data[:2] != b"MZ":
            raise ValueError("not a PE file: it does not begin with MZ")
        (header,) = self._read("<I", 0x3C)
        if data[header : header + 4] != b"PE\0\0":
            raise ValueError("not a PE file: no PE signature where the MZ header points")
        self.machine, sections, optional_size = self._read("<HH12xH", header + 4)
        optional = header + 24
        if self._read("<H", optional)[0] != 0x20B:
            raise ValueError("not a 64-bit PE file")
        (self.flags,) = self._read("<H", optional + 70)
        (count,) = self._read("<I", optional + 108)
        self._directories = [self._read("<II", optional + 112 + 8 * i) for i in range(count)]
        table = optional + optional_size
        self._sections = [self._read("<IIII", table + 40 * i + 8) for i in range(sections)]
        self.imports = self._imports()
        self.exports = self._exports()

    def _read(self, layout, offset):
        return struct.unpack_from(layout, self._data, offset)

    def _offset(self, address):
        """The place in the file of a relative virtual address."""
        for virtual_size, virtual_address, raw_size, raw_offset in self._sections:
            if virtual_address <= address < virtual_address + max(virtual_size, raw_size):
                return address - virtual_address + raw_offset
        raise ValueError(f"address {address:#x} is in no section")

    def _string(self, address):
        start = self._offset(address)
        return self._data[start : self._data.index(b"\0", start)].decode("ascii")

    def _directory(self, index):
        """The file offset of a data directory, or None when it is empty."""
        address = self._directories[index][0] if index < len(self._directories) else 0
        return self._offset(address) if address else None

    def _imports(self):
        # (directory, size of an entry, place of the DLL's name in it, place of the table of names in it)
        imports = {}
        for index, size, name_at, lookup_at in ((_DIRECTORY_IMPORT, 20, 12, 0), (_DIRECTORY_DELAY_IMPORT, 32, 4, 16)):
            entry = self._directory(index)
            while entry is not None and self._read("<I", entry + name_at)[0]:
                (name,) = self._read("<I", entry + name_at)
                (lookup,) = self._read("<I", entry + lookup_at)
                imports.setdefault(self._string(name), []).extend(self._looked_up(self._offset(lookup)))
                entry += size
        return imports

    def _looked_up(self, offset):
        while value := self._read("<Q", offset)[0]:
            yield f"#{value & 0xFFFF}" if value >> 63 else self._string(value + 2)  # two bytes of hint before the name
            offset += 8

    def _exports(self):
        directory = self._directory(_DIRECTORY_EXPORT)
        if directory is None:
            return []
        count, names = self._read("<I4xI", directory + 24)
        offset = self._offset(names) if count else 0
        return [self._string(self._read("<I", offset + 4 * i)[0]) for i in range(count)]
