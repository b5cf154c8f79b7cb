# SPDX-License-Identifier: BSD-2-Clause
"""Captures of real floods, if they are here: no difference between the tiers, and tcpdump's counts.

They lie beside the tree, in ../shared/captures, as they are not ours to hand on.
"""

import glob
import lzma
import os

import harness
from harness import ROOT, Skip
from test_pcap import Files, assert_counts_like_tcpdump

EXPRESSIONS = ("udp src port 161", "tcp and dst portrange 1-1024", "src net 66.0.0.0/8 or src net 160.0.0.0/6", "not tcp and not udp",
               "udp and not src port 53", "ip and dst host 10.10.10.10 and tcp src port 80", "(tcp or udp) and not (src net 128.0.0.0/1)",
               "udp dst port 22 or tcp dst port 25565", "len > 512", "less 60 or greater 1400")
RULES = """
count not ip
count ttl < 64 or dscp ef or tcp flags syn/syn,ack or frag {first, later}
limit 1k pps per src/24 udp
divert udp src port 53
drop dns name under example.com
drop len > 1000 and udp name large
allow tcp dst port {22, 25565}
on fragment drop
"""


def test_real_captures():
    paths = sorted(glob.glob(os.path.join(ROOT, "..", "shared", "captures", "*.xz")))
    if not paths:
        raise Skip("no ../shared/captures beside the tree")
    for path in paths:
        print(os.path.basename(path), flush=True)
        with lzma.open(path) as packed, Files() as files:
            content = packed.read()
            assert_counts_like_tcpdump(files, content, EXPRESSIONS, path)
            totals = files.totals(RULES, content, "--tier", "both")
            assert totals["differences"] == 0, f"{path}: {totals}"
            ended = sum(count for name, count in totals["verdicts"].items() if not name.startswith("user_"))
            assert ended == totals["packets"] > 0, f"{path}: {totals}"


if __name__ == "__main__":
    harness.main(globals())
