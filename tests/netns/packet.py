# SPDX-License-Identifier: BSD-2-Clause
"""Frames made by hand: Ethernet, VLAN, IPv4, IPv6, UDP, TCP, ICMP, with right checksums unless told otherwise.

Every builder returns bytes; a layer takes the bytes of the layer above. Addresses are text; a colon makes them IPv6.
"""

import socket
import struct

MAC_A = bytes.fromhex("020000000a00")  # a0, the sender
MAC_B = bytes.fromhex("020000000b00")  # b0, the interface under test
ETH_IP4, ETH_IP6, ETH_ARP, ETH_VLAN, ETH_SVLAN = 0x0800, 0x86DD, 0x0806, 0x8100, 0x88A8
HOP_BY_HOP, ICMP, TCP, UDP, ROUTING, FRAGMENT, AH, ICMP6, NO_NEXT, DEST_OPTIONS = 0, 1, 6, 17, 43, 44, 51, 58, 59, 60
A4, B4, A6, B6 = "10.99.0.1", "10.99.0.2", "fd99::1", "fd99::2"


def address(text):
    return socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)


def checksum(data):
    """RFC 1071. The sum of 16-bit words with end-around carry is the remainder by 0xffff, but never 0 for non-zero data."""
    number = int.from_bytes(data + b"\0" * (len(data) % 2), "big")
    total = number % 0xFFFF
    return 0xFFFF - (0xFFFF if total == 0 and number else total)


def pseudo(src, dst, proto, length):
    if ":" in src:
        return address(src) + address(dst) + struct.pack("!IHBB", length, 0, 0, proto)
    return address(src) + address(dst) + struct.pack("!BBH", 0, proto, length)


def ether(payload, eth_type, vlans=(), src=MAC_A, dst=MAC_B):
    """`vlans`: (TPID, TCI) of each tag, the outer one first."""
    tags = b"".join(struct.pack("!HH", tpid, tci) for tpid, tci in vlans)
    return dst + src + tags + struct.pack("!H", eth_type) + payload


def ip4(src, dst, proto, payload, options=b"", frag=0, ident=0, ttl=64, length=None, ihl=None):
    """`frag`: the flags and offset field. `length` and `ihl` override the right values."""
    header_len = 20 + len(options)
    fields = ((4 << 4) | (header_len // 4 if ihl is None else ihl), 0, header_len + len(payload) if length is None else length,
              ident, frag, ttl, proto, 0)
    header = struct.pack("!BBHHHBBH", *fields) + address(src) + address(dst) + options
    return header[:10] + struct.pack("!H", checksum(header)) + header[12:] + payload


def ip6(src, dst, proto, payload, headers=(), length=None):
    """`headers`: (type, bytes behind the next-header field) of each extension header."""
    chain = [kind for kind, _ in headers] + [proto]
    body = b"".join(bytes([chain[n + 1]]) + rest for n, (_, rest) in enumerate(headers)) + payload
    fixed = struct.pack("!IHBB", 6 << 28, len(body) if length is None else length, chain[0], 64)
    return fixed + address(src) + address(dst) + body


def fragment_header(offset, more, ident=1):
    """For ip6(headers=...): `offset` in bytes."""
    return FRAGMENT, struct.pack("!BHI", 0, offset | more, ident)


def udp(src, dst, sport, dport, data):
    length = 8 + len(data)
    header = struct.pack("!HHHH", sport, dport, length, 0)
    return header[:6] + struct.pack("!H", checksum(pseudo(src, dst, UDP, length) + header + data) or 0xFFFF) + data


def tcp(src, dst, sport, dport, data=b"", flags=0x10, seq=1, ack=1):
    header = struct.pack("!HHIIBBHHH", sport, dport, seq, ack, 5 << 4, flags, 8192, 0, 0)
    total = checksum(pseudo(src, dst, TCP, 20 + len(data)) + header + data)
    return header[:16] + struct.pack("!H", total) + header[18:] + data


def echo_request(src, dst, ident=1, seq=1, data=b"spillway"):
    v6 = ":" in src
    message = struct.pack("!BBHHH", 128 if v6 else 8, 0, 0, ident, seq) + data
    start = pseudo(src, dst, ICMP6, len(message)) if v6 else b""
    return message[:2] + struct.pack("!H", checksum(start + message)) + message[4:]


def frame(src, dst, proto, payload, vlans=(), **ip_fields):
    """An IP packet of the addresses' family in an Ethernet frame."""
    if ":" in src:
        return ether(ip6(src, dst, proto, payload, **ip_fields), ETH_IP6, vlans)
    return ether(ip4(src, dst, proto, payload, **ip_fields), ETH_IP4, vlans)


def udp_frame(src, dst, sport, dport, data=b"", vlans=(), **ip_fields):
    return frame(src, dst, UDP, udp(src, dst, sport, dport, data), vlans, **ip_fields)


def tcp_frame(src, dst, sport, dport, data=b"", vlans=(), **ip_fields):
    return frame(src, dst, TCP, tcp(src, dst, sport, dport, data), vlans, **ip_fields)


def dns_query(name, ident=1):
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split(".") if label)
    return struct.pack("!HHHHHH", ident, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!HH", 1, 1)
