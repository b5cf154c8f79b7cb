# SPDX-License-Identifier: BSD-2-Clause
"""100,000 random valid frames (SPILLWAY_FRAMES), diverted and reinjected, arrive bit for bit, once, in order per flow.

    a0 (sender, silent by itself) ---- b0 (spillway, both XDP modes, one queue and four)

A frame is known by the hash of its bytes. The sender stays at most WINDOW frames ahead: nothing may be lost to a full ring here.
Order is that of a queue. The kernel picks a0's queue by a flow hash, but for tagged frames from a packet socket the hash differs from
frame to frame (seen on 6.18), so with several queues it is the order of the untagged flows that is checked.
"""

import hashlib
import os
import random

import harness
from harness import Capture, Lab, wait_for
from packet import A4, A6, B4, B6, ETH_SVLAN, ETH_VLAN, TCP, frame, tcp, udp, UDP

FRAMES = int(os.environ.get("SPILLWAY_FRAMES", "100000"))
WINDOW = 96
RULES = "divert ip or ip6\npass"
FLOWS = 200


def random_frame(rng, number):
    """A valid frame of 64 to 1514 bytes, and its flow: a number, and whether it is tagged."""
    flow = rng.randrange(FLOWS)
    shape = random.Random(flow)  # everything but the length belongs to the flow
    src, dst = shape.choice(((A4, B4), (A6, B6)))
    tcp_flow = shape.random() < 0.5
    vlans = shape.choice(((), (), [(ETH_VLAN, shape.randrange(1, 4095))],
                          [(ETH_SVLAN, shape.randrange(1, 4095)), (ETH_VLAN, 0x2000 | shape.randrange(1, 4095))]))
    headers = 14 + 4 * len(vlans) + (40 if ":" in src else 20) + (20 if tcp_flow else 8)
    length = max(rng.choice((rng.randint(64, 1514), 64, 65, 1513, 1514)), headers + 4)
    data = number.to_bytes(4, "big") + rng.randbytes(length - headers - 4)
    if tcp_flow:
        return (flow, bool(vlans)), frame(src, dst, TCP, tcp(src, dst, 1024 + flow, 2000, data, seq=number), vlans)
    return (flow, bool(vlans)), frame(src, dst, UDP, udp(src, dst, 1024 + flow, 2000, data), vlans)


def digest(data):
    return hashlib.blake2b(data, digest_size=16).digest()


def exchange(lab, capture, seed, count):
    """Send `count` frames; every one must come back as it was."""
    rng = random.Random(seed)
    waiting = {}  # hash: (flow, number) of frames on their way
    last = {}  # flow: number of its latest arrival
    for number in range(count):
        flow, data = random_frame(rng, number)
        waiting[digest(data)] = flow, number
        lab.send(data)
        while len(waiting) >= WINDOW or (waiting and number == count - 1):
            came = capture.next(2)
            assert came is not None, f"seed {seed}: {len(waiting)} frames lost, first {min(n for _, n in waiting.values())}"
            known = waiting.pop(digest(came), None)
            assert known, f"seed {seed}: changed, doubled or foreign frame {came.hex()}"
            flow, arrived = known
            in_order = arrived > last.get(flow, -1) or (lab.queues > 1 and flow[1])
            assert in_order, f"seed {seed}: flow {flow}: {arrived} came behind {last[flow]}"
            last[flow] = arrived


def identical(mode, queues, count):
    seed = int(os.environ.get("SPILLWAY_SEED", random.SystemRandom().randrange(1 << 32)))
    print(f"{mode} {queues} queues, {count} frames, SPILLWAY_SEED={seed}", flush=True)
    with Lab(queues=queues, quiet=True) as lab:
        lab.up(RULES, "--mode", mode)
        capture = Capture(lab.srv, "b0")
        exchange(lab, capture, seed, count)
        assert capture.next(0.2) is None
        status = wait_for(lambda: (s := lab.status()) and s["reinjected"] == count and s, 3, "all counted as reinjected")
        assert status["diverted"] == count, f"diverted {status['diverted']} times for {count} frames: captured twice?"
        assert status["reinject_failed"] == 0, status


def test_native():
    identical("native", 1, FRAMES * 4 // 10)


def test_generic():
    identical("generic", 1, FRAMES * 3 // 10)


def test_native_queues():
    identical("native", 4, FRAMES * 3 // 10)


def test_ingress_interface():
    """A socket is told that the reinjected datagram came in on b0."""
    for mode in "native", "generic":
        with Lab() as lab:
            lab.up("divert udp dst port 53", "--mode", mode)
            index = lab.link_index("b0")
            for family, src, dst in (harness.socket.AF_INET, A4, B4), (harness.socket.AF_INET6, A6, B6):
                server = lab.srv.socket(family, harness.socket.SOCK_DGRAM)
                server.settimeout(3)
                server.bind(("", 53))
                if family == harness.socket.AF_INET:
                    server.setsockopt(harness.socket.IPPROTO_IP, 8, 1)  # IP_PKTINFO: interface index first
                else:
                    server.setsockopt(harness.socket.IPPROTO_IPV6, harness.socket.IPV6_RECVPKTINFO, 1)  # index last
                lab.send(frame(src, dst, UDP, udp(src, dst, 5000, 53, b"who")))
                data, ancillary, _, _ = server.recvmsg(100, 100)
                info = ancillary[0][2]
                told = info[:4] if family == harness.socket.AF_INET else info[16:20]
                assert data == b"who" and int.from_bytes(told, "little") == index, (mode, src, ancillary, index)
            assert lab.verdicts()["user_pass"] == 2


if __name__ == "__main__":
    harness.main(globals())
