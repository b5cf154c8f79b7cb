# SPDX-License-Identifier: BSD-2-Clause
"""Flows that the NIC brings to one queue are diverted there; on any other queue they go to the kernel, under a name.

    a0 --(flow director: tc-BPF on egress picks the queue)-- b0, 4 queues; spillway has a port on queue 2 only

The flow director is the demo's (lab/director.bpf.c): a veth delivers to the peer's RX queue that equals the sender's TX queue, so what
it decides is what the rule of a NIC would.
"""

import json
import pathlib
import sys

import harness
from harness import Capture, Lab, Skip, run, wait_for
from packet import A4, A6, B4, B6, dns_query, udp_frame

DIRECTOR = pathlib.Path(__file__).resolve().parents[2] / "build/lab/director.bpf.o"
QUEUE = 2
RULES = "divert udp dst port 53\ndrop dns name under flood.example"


class Director:
    """The NIC's tables, on the wire's end of the pair."""

    def __init__(self, lab):
        if not DIRECTOR.exists():
            raise Skip(f"{DIRECTOR} is not built")
        lab.atk.run("tc", "qdisc", "add", "dev", "a0", "clsact")
        lab.atk.run("tc", "filter", "add", "dev", "a0", "egress", "bpf", "da", "obj", str(DIRECTOR), "sec", "tc/director")
        shown = json.loads(lab.atk.run("tc", "-j", "filter", "show", "dev", "a0", "egress").stdout)
        program = next(f["options"]["prog"]["id"] for f in shown if "prog" in f.get("options", {}))
        self.map = json.loads(run("bpftool", "-j", "prog", "show", "id", str(program)).stdout)["map_ids"][0]

    def bring_dns_to(self, queue):
        value = [str(byte) for word in (0, 1, 53, queue) for byte in word.to_bytes(4, sys.byteorder)]
        run("bpftool", "map", "update", "id", str(self.map), "key", *"0000", "value", *value)


def queries():
    for src, dst in (A4, B4), (A6, B6):
        yield udp_frame(src, dst, 5, 53, dns_query("www.example"))


def test_named_queue():
    """Diverted and reinjected on the queue that was named, and seen by the kernel as before. Native XDP only: a veth tells generic XDP
    the sender's queue, less one."""
    with Lab(queues=4, quiet=True) as lab:
        director = Director(lab)
        director.bring_dns_to(QUEUE)
        lab.up(RULES, "--queue", str(QUEUE))
        capture = Capture(lab.srv, "b0")
        for data in queries():
            lab.send(data)
            capture.expect(data)
        lab.send(udp_frame(A4, B4, 5, 53, dns_query("x.flood.example")))
        wait_for(lambda: lab.verdicts()["user_drop"] == 1, what="the flood's query dropped by the user tier")
        status = lab.status()
        assert status["steering"] == "nic", status["steering"]
        assert {queue["queue"]: queue["received"] for queue in status["queues"]} == {0: 0, 1: 0, 2: 3, 3: 0}, status["queues"]
        assert [queue["queue"] for queue in status["queues"] if queue["port"]] == [QUEUE]
        assert lab.verdicts()["user_pass"] == 2 and lab.verdicts()["no_port_pass"] == 0


def test_other_queue():
    """The NIC's rule is wrong or gone: nothing is lost, the verdict tells."""
    with Lab(queues=4, quiet=True) as lab:
        director = Director(lab)
        director.bring_dns_to(QUEUE + 1)
        lab.up(RULES, "--queue", str(QUEUE))
        capture = Capture(lab.srv, "b0")
        for data in queries():
            lab.send(data)
            capture.expect(data)
        wait_for(lambda: lab.verdicts()["no_port_pass"] == 2, what="both counted as no_port_pass")
        assert lab.verdicts()["divert"] == 0
        director.bring_dns_to(QUEUE)  # the rule is back
        for data in queries():
            lab.send(data)
            capture.expect(data)
        wait_for(lambda: lab.verdicts()["user_pass"] == 2, what="diverted again")


if __name__ == "__main__":
    harness.main(globals())
