"""Whole numbers in variable length, as ClickHouse's Native format and protobuf write them."""


def varint(number: int) -> bytes:
    """LEB128 of a number that is not negative: seven bits a byte, the least first, an upper bit where more come."""
    if number < 0x80:  # nearly all are lengths of names
        return bytes((number,))
    found = bytearray()
    while number >= 0x80:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)
