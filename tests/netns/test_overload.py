# SPDX-License-Identifier: BSD-2-Clause
"""The user tier is full: the rule's declared policy acts, every frame is counted, no ring overflows unseen.

    a0 (bursts, silent by itself) ---- b0 (spillway; its worker is stopped during a burst, shorter than the heartbeat's patience)
"""

import contextlib
import os
import signal

import harness
from harness import Capture, Lab, wait_for
from packet import A4, A6, B4, B6, dns_query, udp_frame

BURST = 24000  # three rings
DIVERTED = ("divert", "overload_drop", "overload_pass", "stalled_pass", "no_port_pass")
ASK = "drop dns name under flood.example"


@contextlib.contextmanager
def stopped(pid):
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def burst(rules, sources=(A4,), mode="native", change=()):
    """Send BURST queries from the sources in turn while the worker is stopped. Returns verdicts and the arrivals by source."""
    with Lab(quiet=True) as lab:
        lab.up(rules, "--mode", mode)
        if change:
            lab.spillway("set", "b0", *change)
        capture = Capture(lab.srv, "b0")
        query = dns_query("www.example")
        frames = {source: udp_frame(source, B6 if ":" in source else B4, 5, 53, query) for source in sources}
        with stopped(lab.daemon()):
            for _ in range(BURST // len(frames)):
                lab.send(*frames.values())

        def accounted():
            counts = lab.verdicts()
            return counts["user_pass"] == counts["divert"] and sum(counts[name] for name in DIVERTED) == BURST and counts

        counts = wait_for(accounted, 5, f"all {BURST} accounted for: {lab.verdicts()}")
        arrived = {source: 0 for source in sources}
        for data in capture.frames(0.2):
            for source, sent in frames.items():
                arrived[source] += data == sent
        for queue in lab.status()["queues"]:
            assert queue["ring_full"] == 0 and queue["fill_empty"] == 0, queue
        assert counts["divert"] > 0 and counts["reinject_failed"] == 0, counts
        print({name: count for name, count in counts.items() if count}, arrived, flush=True)
        return counts, arrived


def test_drop():
    for mode in "native", "generic":
        for source in A4, A6:
            counts, arrived = burst(f"divert overload drop udp dst port 53\n{ASK}", (source,), mode)
            assert counts["overload_drop"] > 0 and counts["overload_pass"] == 0, counts
            assert arrived[source] == counts["divert"] + counts["stalled_pass"]


def test_drop_is_the_default():
    counts, _ = burst(f"divert udp dst port 53\n{ASK}")
    assert counts["overload_drop"] > 0 and counts["overload_pass"] == 0, counts


def test_pass():
    for mode in "native", "generic":
        counts, arrived = burst(f"divert overload pass udp dst port 53\n{ASK}", mode=mode)
        assert counts["overload_pass"] > 0 and counts["overload_drop"] == 0, counts
        assert arrived[A4] == BURST


def test_sample():
    counts, arrived = burst(f"divert overload pass 1/4 udp dst port 53\n{ASK}")
    over = counts["overload_pass"] + counts["overload_drop"]
    assert over / 8 < counts["overload_pass"] < over / 2, counts
    assert arrived[A4] == counts["divert"] + counts["overload_pass"] + counts["stalled_pass"]


def test_allow_list():
    by_set = "divert overload allow @friends udp dst port 53"
    for rule, change in (("divert overload allow { 10.99.0.1, fd99::/64 } udp dst port 53", ()),
                         (f"set friends {{ 10.99.0.0/28, fd99::1 }}\n{by_set}", ()),
                         (f"set friends {{ 10.99.0.77 }}\n{by_set}", ("friends", "replace", "10.99.0.0/28", "fd99::1"))):
        counts, arrived = burst(f"{rule}\n{ASK}", (A4, "10.99.0.77", A6, "fd98::1"), change=change)
        assert arrived[A4] == arrived[A6] == BURST / 4, arrived
        assert arrived["10.99.0.77"] < BURST / 4 and arrived["fd98::1"] < BURST / 4, arrived
        assert counts["overload_pass"] > 0 and counts["overload_drop"] > 0, counts


if __name__ == "__main__":
    harness.main(globals())
