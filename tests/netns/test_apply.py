# SPDX-License-Identifier: BSD-2-Clause
"""Rules change under load: every packet meets the old or the new ones, and rules whose text stays keep their counters.

    a0 (numbered frames) ---- b0 (spillway, rules swapped 50 times)
"""

import contextlib
import glob

import harness
from harness import Capture, Lab, Stream, read, wait_for
from packet import A4, A6, B4, B6, dns_query, udp_frame

SEEN = "count udp dst port 2000 name seen\n"
ASKED = "count udp dst port 53 name asked\n"
# Each lets the streams through, by rules at different places that jump to different steps; a mix would drop or miscount.
ONE = SEEN + ASKED + "divert udp dst port 53\ndrop dns name under flood.example\nallow udp dst port 2000 name one\n" \
    "allow udp dst port 53\nallow not udp\ndrop\n"
TWO = "drop tcp dst port {1-100, 200-300, 4000}\ndrop udp src port {1-100, 200-300} and len > 100\nallow not udp\n" + ASKED + \
    "drop src 192.0.2.0/24 or src 198.51.100.0/24\n" + SEEN + "allow udp and dst port 2000 name two\ndivert udp dst port 53\n" \
    "drop dns name torture.example\nallow udp dst port 53\ndrop\n"
SWAPS = 50


def test_atomic():
    with Lab() as lab, contextlib.ExitStack() as stack:
        lab.up(ONE)
        streams = [stack.enter_context(stream) for stream in (
            Stream(lab, A4, B4, 2000, pps=2000), Stream(lab, A6, B6, 2000, pps=2000),
            Stream(lab, A4, B4, 53, pps=1000, data=dns_query("www.example")),
            Stream(lab, A6, B6, 53, pps=1000, data=dns_query("www.example")))]
        generation = lab.status()["generation"]
        for n in range(SWAPS):
            lab.apply((TWO, ONE)[n % 2])
            for stream in streams:
                stream.advance(5)
        assert lab.status()["generation"] == generation + SWAPS
        for stream in streams:
            stream.stop()
            assert not stream.lost() and not stream.twice, f"of {stream.sent}: lost {stream.lost()}, twice {stream.twice}"
        hits, counts = lab.hits(), lab.verdicts()
        assert hits["seen"] == streams[0].sent + streams[1].sent, (hits, [stream.sent for stream in streams])
        assert hits["asked"] == streams[2].sent + streams[3].sent, (hits, [stream.sent for stream in streams])
        assert counts["drop"] == 0 and counts["user_drop"] == 0, counts
        assert hits["one"] < streams[0].sent + streams[1].sent


def test_new_rule_counts_from_zero():
    with Lab(quiet=True) as lab:
        lab.up("count udp dst port 1 name kept\ncount udp dst port 2 name gone")
        lab.send(*[udp_frame(A4, B4, 9, port) for port in (1, 1, 2)])
        wait_for(lambda: lab.hits() == {"kept": 2, "gone": 1})
        lab.apply("count udp dst port 3 name new\ncount udp dst port 1 name kept")
        assert lab.hits() == {"kept": 2, "new": 0}
        lab.send(*[udp_frame(A4, B4, 9, port) for port in (1, 2, 3)])
        wait_for(lambda: lab.hits() == {"kept": 3, "new": 1})


def test_bad_file_changes_nothing():
    with Lab(quiet=True) as lab:
        lab.up("drop udp dst port 9 name garbage\ndivert udp dst port 53\ndrop dns name under flood.example")
        lab.send(udp_frame(A4, B4, 1, 9))
        wait_for(lambda: lab.hits()["garbage"] == 1)
        status = lab.status()
        for bad in "drop udp dst port 70000", "dorp udp", "drop (udp", "drop src @nobody", "divert overload maybe udp":
            done = lab.apply(bad, check=False)
            assert done.returncode == 2, (bad, done)
        assert lab.status()["generation"] == status["generation"]
        capture = Capture(lab.srv, "b0")
        lab.send(udp_frame(A4, B4, 1, 9))
        wait_for(lambda: lab.hits()["garbage"] == 2)
        assert capture.next(0.05) is None


def test_without_keys():
    """More classes of prefixes and ports than a key holds: the worker takes packets one by one, the daemon says so, the answers stay."""
    def rules(n):
        text = "divert udp dst port 53\ndrop dns name under flood.example name flood\n"
        text += "".join(f"drop udp and src 10.{i >> 8}.{i & 255}.1 and dst 11.{i & 255}.{i >> 8}.1 and src port {i} and dst port {i + 1}\n"
                        for i in range(n))
        return text + "".join(f"count udp src port {60000 + i}\n" for i in range(20))

    def said():
        return sum(read(path).count("takes them one by one") for path in glob.glob(harness.RUN_DIR + "/**/log", recursive=True))

    with Lab(quiet=True) as lab:
        lab.up(rules(10))
        for n, good, expected in (10, 1, 0), (50000, 2, 1), (10, 3, 1):
            lab.apply(rules(n))
            lab.send(udp_frame(A4, B4, 9, 53, dns_query("a.flood.example")), udp_frame(A4, B4, 9, 53, dns_query("www.example")))
            wait_for(lambda good=good: lab.verdicts()["user_drop"] == good and lab.verdicts()["user_pass"] == good)
            assert lab.hits()["flood"] == good
            wait_for(lambda expected=expected: said() == expected)


def test_user_tier_fails():
    """The first rule that diverts needs ports and a worker, and the worker cannot run where it is told to: all of it or nothing."""
    with Lab(quiet=True) as lab:
        lab.up("drop udp dst port 9 name garbage", "--cpu", "1000")
        for _ in range(2):  # the second time as the first: nothing half-open was left
            done = lab.apply("divert udp dst port 53 name dns\ndrop udp dst port 9 name garbage", check=False)
            assert done.returncode == 1 and "CPU 1000" in done.stderr, done
        status = lab.status()
        assert status["generation"] == 1 and not any(queue["port"] for queue in status["queues"]) and not status["reinject"], status
        capture = Capture(lab.srv, "b0")
        lab.send(udp_frame(A4, B4, 1, 9))
        wait_for(lambda: lab.hits() == {"garbage": 1})
        query = udp_frame(A4, B4, 5, 53, dns_query("www.example"))
        lab.send(query)
        capture.expect(query)
        assert lab.verdicts()["pass"] == 1 and lab.verdicts()["stalled_pass"] == 0


if __name__ == "__main__":
    harness.main(globals())
