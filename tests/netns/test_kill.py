# SPDX-License-Identifier: BSD-2-Clause
"""kill -9 of the daemon at random moments under load (SPILLWAY_KILLS times, 20): innocents flow on and `restore` leaves nothing.

    a0 (numbered innocents, flood) ---- b0 (spillway)

Innocents that were never diverted lose nothing. Of the diverted ones, those in the ring at that moment are lost, no other.
200 kills: SPILLWAY_KILLS=200 TEST_SECONDS=3000 script/test netns kill
"""

import contextlib
import multiprocessing
import os
import random
import signal

import harness
from harness import Lab, Stream, pause, processes, wait_for
from packet import A4, A6, B4, B6, dns_query, udp_frame

KILLS = int(os.environ.get("SPILLWAY_KILLS", "20"))
RING = 8192  # frames: more never wait for the worker on a queue
RULES = "divert udp dst port 53\ndrop dns name under flood.example\ndrop udp dst port 9"


def flood(sender):
    """Frames for both tiers to drop, as fast as this language can, until terminated. Runs as a process of its own."""
    frames = [udp_frame("198.51.100.7", B4, 9, 9, bytes(20)), udp_frame("198.51.100.7", B4, 9, 53, dns_query("x.flood.example"))]
    while True:
        for data in frames:
            with contextlib.suppress(OSError):
                sender.send(data)


def kill_once(lab, before, rng):
    lab.up(RULES)
    streams = [Stream(lab, A4, B4, 2000, pps=1000), Stream(lab, A6, B6, 2000, pps=1000),
               Stream(lab, A4, B4, 53, pps=1000, data=dns_query("www.example")),
               Stream(lab, A6, B6, 53, pps=1000, data=dns_query("www.example"))]
    load = multiprocessing.Process(target=flood, args=(lab.sender,))
    load.start()
    with contextlib.ExitStack() as stack:
        stack.callback(load.join)
        stack.callback(load.terminate)
        for stream in streams:
            stack.enter_context(stream)
        for stream in streams:
            stream.advance()
        pause(rng.uniform(0, 0.2))  # the random moment
        os.kill(lab.daemon(), signal.SIGKILL)
        wait_for(lambda: not processes("spillwayd"))
        for stream in streams:
            stream.advance(100)
    check(streams)
    lab.spillway("restore")
    lab.assert_state(before)


def check(streams):
    for stream in streams[:2]:
        assert not stream.lost(), f"innocents that were never diverted: {stream.sent} sent, lost {stream.lost()}"
    for stream in streams[2:]:
        lost = stream.lost()
        assert len(lost) <= RING and (not lost or lost[-1] - lost[0] < RING), f"{stream.sent} sent, lost {lost}"
        assert not stream.twice, stream.twice
    print("diverted innocents lost:", [len(stream.lost()) for stream in streams[2:]], flush=True)


def test_kill():
    seed = int(os.environ.get("SPILLWAY_SEED", random.SystemRandom().randrange(1 << 32)))
    print(f"{KILLS} kills, SPILLWAY_SEED={seed}", flush=True)
    rng = random.Random(seed)
    with Lab() as lab:
        before = lab.srv.state()
        for _ in range(KILLS):
            kill_once(lab, before, rng)


def test_up_after_kill():
    """The next `up` cleans up by itself, and `down` then leaves nothing either."""
    with Lab() as lab:
        before = lab.srv.state()
        lab.up(RULES)
        os.kill(lab.daemon(), signal.SIGKILL)
        wait_for(lambda: not processes("spillwayd"))
        lab.up("drop udp dst port 10")
        lab.send(udp_frame(A4, B4, 1, 10))
        wait_for(lambda: lab.verdicts()["drop"] == 1)
        lab.down()
        lab.assert_state(before)


def test_drops_go_on():
    """What the XDP tier drops by itself it still drops without a daemon; what it would divert goes to the kernel."""
    with Lab() as lab:
        lab.up(RULES)
        os.kill(lab.daemon(), signal.SIGKILL)
        wait_for(lambda: not processes("spillwayd"))
        capture = harness.Capture(lab.srv, "b0")
        query = udp_frame(A4, B4, 5, 53, dns_query("x.flood.example"))
        lab.send(udp_frame(A4, B4, 1, 9), query)
        capture.expect(query)


def expect_without(lab, dropped, passed):
    """Of two frames that are sent one after the other, only the second arrives."""
    capture = harness.Capture(lab.srv, "b0")
    lab.send(dropped, passed)
    seen = []

    def arrived():
        seen.append(capture.next(0.1))
        return seen[-1] == passed

    wait_for(arrived)
    assert dropped not in seen, "a frame that a rule drops has passed"


def test_any_rules_go_on():
    """The same of rules that the attached program leaves to the one behind it, also after a larger one has taken its place."""
    rules = "count udp\ndrop udp and payload at 0 = 78797a\n"
    larger = rules + "".join(f"count udp src port {port}\n" for port in range(1, 3000))
    for last in rules, larger:
        with Lab() as lab:
            lab.up(rules)
            lab.apply(last)
            expect_without(lab, udp_frame(A4, B4, 5, 9, b"xyz"), udp_frame(A4, B4, 5, 9, b"abc"))
            os.kill(lab.daemon(), signal.SIGKILL)
            wait_for(lambda: not processes("spillwayd"))
            for a, b in (A4, B4), (A6, B6):
                expect_without(lab, udp_frame(a, b, 6, 9, b"xyz"), udp_frame(a, b, 6, 9, b"abc"))


if __name__ == "__main__":
    harness.main(globals())
