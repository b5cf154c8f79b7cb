# SPDX-License-Identifier: BSD-2-Clause
"""A worker that hangs (SIGSTOP): diversion stops within 2 s, nothing is lost, and it resumes with the worker.

    a0 (numbered innocents to a diverted port) ---- b0 (spillway, both XDP modes)
"""

import os
import signal

import harness
from harness import Lab, Stream, wait_for
from packet import A4, A6, B4, B6, dns_query

RULES = "divert udp dst port 53\ndrop dns name under flood.example"


def stall(mode):
    with Lab() as lab:
        lab.up(RULES, "--mode", mode)
        pid = lab.daemon()
        with Stream(lab, A4, B4, 53, pps=200, data=dns_query("www.example")) as v4, \
                Stream(lab, A6, B6, 53, pps=200, data=dns_query("www.example")) as v6:
            for stream in v4, v6:
                stream.advance()
            diverted = lab.status()["diverted"]
            os.kill(pid, signal.SIGSTOP)
            try:
                for stream in v4, v6:
                    stream.advance(20, seconds=2)  # of those sent from now on: by the kernel, the worker is stopped
            finally:
                os.kill(pid, signal.SIGCONT)
            wait_for(lambda: lab.status()["diverted"] > diverted + 500, 10, "diversion goes on")
            assert lab.verdicts()["stalled_pass"] > 0
        for stream in v4, v6:
            assert not stream.lost() and not stream.twice, f"of {stream.sent}: lost {stream.lost()}, twice {stream.twice}"


def test_native():
    stall("native")


def test_generic():
    stall("generic")


if __name__ == "__main__":
    harness.main(globals())
