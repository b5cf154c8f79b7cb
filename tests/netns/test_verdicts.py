# SPDX-License-Identifier: BSD-2-Clause
"""Each crafted packet ends by exactly one name in the XDP tier (and one more in the user tier when diverted), and arrives or not.

    a0 (sender, silent by itself) ---- b0 (spillway, both XDP modes)
"""

import harness
from harness import Capture, Lab, wait_for
from packet import (A4, A6, B4, B6, DEST_OPTIONS, ETH_ARP, ETH_SVLAN, ETH_VLAN, ICMP, ICMP6, UDP, dns_query, echo_request, ether,
                    fragment_header, frame, tcp_frame, udp, udp_frame)

RULES = """
allow udp dst port 1000
drop udp dst port 9 or tcp dst port 9
divert udp dst port 53
drop dns name under flood.example
allow udp dst port 53 and len > 300
"""
CONDITIONS_DROP = "on fragment drop\non unparsed drop\non truncated drop\n"
TAGS = {"untagged": (), "802.1Q": [(ETH_VLAN, 5)], "QinQ": [(ETH_SVLAN, 7), (ETH_VLAN, 5)]}
VALID, TORTURE = dns_query("www.example"), dns_query("x7Q2.FLOOD.example")


def decided():
    """(what, frame, verdicts, arrives) of packets that some rule or the default verdict decides."""
    for (src, dst), (tag, vlans) in ((pair, tag) for pair in ((A4, B4), (A6, B6)) for tag in TAGS.items()):
        what = f"{'v6' if ':' in src else 'v4'} {tag}"
        first = {"headers": [fragment_header(0, 1)]} if ":" in src else {"frag": 0x2000}
        options = {"headers": [(DEST_OPTIONS, b"\0\1\4\0\0\0\0")]} if ":" in src else {"options": b"\1" * 8}
        yield f"{what} allow", udp_frame(src, dst, 1, 1000, vlans=vlans), ["allow"], True
        yield f"{what} drop udp", udp_frame(src, dst, 1, 9, vlans=vlans), ["drop"], False
        yield f"{what} drop tcp", tcp_frame(src, dst, 1, 9, vlans=vlans), ["drop"], False
        yield f"{what} drop behind options", udp_frame(src, dst, 1, 9, vlans=vlans, **options), ["drop"], False
        yield f"{what} drop first fragment", udp_frame(src, dst, 1, 9, vlans=vlans, **first), ["drop"], False
        yield f"{what} default", udp_frame(src, dst, 1, 2000, vlans=vlans), ["pass"], True
        echo = frame(src, dst, ICMP6 if ":" in src else ICMP, echo_request(src, dst), vlans)
        yield f"{what} echo request", echo, ["pass"], True
        yield f"{what} valid query", udp_frame(src, dst, 5, 53, VALID, vlans), ["divert", "user_pass"], True
        yield f"{what} water torture", udp_frame(src, dst, 5, 53, TORTURE, vlans), ["divert", "user_drop"], False
        yield f"{what} no question", udp_frame(src, dst, 5, 53, b"", vlans), ["divert", "user_pass"], True
    yield "arp", ether(bytes.fromhex("0001080006040001") + bytes(20), ETH_ARP), ["pass"], True
    yield "unknown EtherType", ether(bytes(46), 0x88B5), ["pass"], True


def unread():
    """(what, frame, condition) of packets that cannot be read to their end."""
    for (src, dst), (tag, vlans) in ((pair, tag) for pair in ((A4, B4), (A6, B6)) for tag in TAGS.items()):
        v6 = ":" in src
        what = f"{'v6' if v6 else 'v4'} {tag}"
        datagram = udp(src, dst, 1, 2000, bytes(24))
        later = {"headers": [fragment_header(64, 0)]} if v6 else {"frag": 8}
        yield f"{what} later fragment", frame(src, dst, UDP, datagram, vlans, **later), "fragment"
        unknown = {"headers": [(DEST_OPTIONS, b"\0\1\4\0\0\0\0")] * 9} if v6 else {"ihl": 4}
        yield f"{what} unreadable header", frame(src, dst, UDP, datagram, vlans, **unknown), "unparsed"
        yield f"{what} longer than the frame", frame(src, dst, UDP, datagram, vlans, length=500), "truncated"
        yield f"{what} header cut short", frame(src, dst, UDP, datagram[:3], vlans), "truncated"
    yield "three tags", udp_frame(A4, B4, 1, 2000, vlans=[(ETH_VLAN, 1)] * 3), "unparsed"


def ends(lab, capture, what, data, verdicts, arrives):
    """Send one frame: these verdicts go up by one and no other does."""
    before = lab.verdicts()
    wanted = {name: count + (name in verdicts) for name, count in before.items()}
    lab.send(data)
    try:
        wait_for(lambda: lab.verdicts() == wanted, 3)
    except AssertionError:
        moved = {name: count - before[name] for name, count in lab.verdicts().items() if count != before[name]}
        raise AssertionError(f"{what}: wanted {verdicts}, got {moved}: {data.hex()}") from None
    came = capture.next(1 if arrives else 0.01)
    assert came == (data if arrives else None), f"{what}: {data.hex()} arrived as {came and came.hex()}"


def every_verdict(mode):
    with Lab(quiet=True) as lab:
        lab.up(RULES, "--mode", mode)
        capture = Capture(lab.srv, "b0")
        for what, data, verdicts, arrives in decided():
            ends(lab, capture, f"{mode} {what}", data, verdicts, arrives)
        for what, data, condition in unread():
            ends(lab, capture, f"{mode} {what}", data, [f"{condition}_pass"], True)
        lab.apply(CONDITIONS_DROP + RULES)
        for what, data, condition in unread():
            ends(lab, capture, f"{mode} {what}", data, [f"{condition}_drop"], False)
        cut = frame(A4, B4, UDP, udp(A4, B4, 5, 53, VALID), length=500)
        ends(lab, capture, f"{mode} cut query", cut, ["divert", "user_condition_drop"], False)


def test_native():
    every_verdict("native")


def test_generic():
    every_verdict("generic")


def test_default_drop():
    with Lab(quiet=True) as lab:
        lab.up("allow udp dst port 1000\ndivert udp dst port 53\nallow dns name www.example\ndrop")
        capture = Capture(lab.srv, "b0")
        ends(lab, capture, "default", udp_frame(A4, B4, 1, 2000), ["drop"], False)
        ends(lab, capture, "allow", udp_frame(A6, B6, 1, 1000), ["allow"], True)
        ends(lab, capture, "allowed question", udp_frame(A4, B4, 5, 53, VALID), ["divert", "user_pass"], True)
        ends(lab, capture, "other question", udp_frame(A4, B4, 5, 53, TORTURE), ["divert", "user_drop"], False)


def test_no_port():
    """A port on queue 0 only: what arrives on the other queues goes to the kernel by that name."""
    with Lab(queues=4, quiet=True) as lab:
        lab.up("divert udp dst port 53\ndrop dns name under flood.example", "--queue", "0")
        capture = Capture(lab.srv, "b0")
        frames = {udp_frame(A4, B4, sport, 53, VALID) for sport in range(2000, 2100)}
        lab.send(*frames)
        arrived = {wait_for(lambda: capture.next(0.1)) for _ in frames}
        assert arrived == frames
        counts = lab.verdicts()
        assert counts["divert"] and counts["no_port_pass"], counts
        assert counts["divert"] == counts["user_pass"] and counts["divert"] + counts["no_port_pass"] == len(frames), counts


def test_reinject_failed():
    """The kernel refuses a reinjected frame: counted, and diversion goes on."""
    with Lab(quiet=True) as lab:
        lab.up("divert udp dst port 53\ndrop dns name under flood.example")
        capture = Capture(lab.srv, "b0")
        device, = [name for name in lab.link_names()
                   if "mirred" in lab.srv.run("tc", "filter", "show", "dev", name, "ingress", check=False).stdout]
        lab.srv.ip("link", "set", device, "down")
        ends(lab, capture, "device down", udp_frame(A4, B4, 5, 53, VALID), ["divert", "reinject_failed"], False)
        lab.srv.ip("link", "set", device, "up")
        ends(lab, capture, "device up", udp_frame(A4, B4, 5, 53, VALID), ["divert", "user_pass"], True)


if __name__ == "__main__":
    harness.main(globals())
