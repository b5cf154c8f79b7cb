# SPDX-License-Identifier: BSD-2-Clause
"""Rates, rules that end, rules that are told of, and rule sets that outgrow the loaded program.

    a0 (frames) ---- b0 (spillway)
"""

import harness
from harness import Lab, Stream, wait_for
from packet import A4, A6, B4, B6, dns_query, udp_frame


def passed(lab):
    counts = lab.verdicts()
    return counts["pass"], counts["drop"]


def test_limit():
    with Lab(quiet=True) as lab:
        lab.up("limit 1 pps burst 20 per src udp dst port 2000 name rate\ncount udp dst port 2000 name within")
        lab.send(*[udp_frame(source, to, 9, 2000) for source, to in ((A4, B4), (A6, B6)) for _ in range(100)])
        wait_for(lambda: sum(passed(lab)) == 200)
        let, dropped = passed(lab)
        assert 40 <= let <= 60, (let, dropped)  # each source its burst, and what the rate adds meanwhile
        assert lab.hits() == {"rate": 200, "within": let}


def test_limit_of_diverted():
    """The user tier charges nothing for what the XDP tier has let through, and a rate behind a DNS question is its own."""
    with Lab(quiet=True) as lab:
        lab.up("limit 1 pps burst 30 udp dst port 53 name before\ndivert udp dst port 53\n"
               "limit 1 pps burst 10 dns name under www.example name behind")
        query = udp_frame(A4, B4, 9, 53, dns_query("www.example"))
        lab.send(*[query] * 100)
        wait_for(lambda: lab.verdicts()["drop"] + lab.verdicts()["user_drop"] + lab.verdicts()["user_pass"] == 100)
        counts = lab.verdicts()
        assert 30 <= 100 - counts["drop"] <= 40, counts
        assert 10 <= counts["user_pass"] <= 20, counts
        assert lab.hits()["before"] == 100 and lab.hits()["behind"] == 100 - counts["drop"], (lab.hits(), counts)


def test_ttl():
    with Lab(quiet=True) as lab:
        lab.up("drop udp dst port 9 name short ttl 1s\ncount udp dst port 9 name behind")
        lab.send(udp_frame(A4, B4, 1, 9))
        wait_for(lambda: lab.hits() == {"short": 1, "behind": 0})

        def is_over():
            lab.send(udp_frame(A4, B4, 1, 9))
            return lab.hits()["behind"] > 0
        wait_for(is_over)
        hits = lab.hits()["short"]
        lab.apply("count udp dst port 8 name new\ndrop udp dst port 9 name short ttl 1s\ncount udp dst port 9 name behind")
        before = lab.hits()["behind"]
        lab.send(udp_frame(A4, B4, 1, 9))  # the same rule does not begin anew
        wait_for(lambda: lab.hits()["behind"] == before + 1)
        assert lab.hits()["short"] == hits


def test_refused():
    with Lab(quiet=True) as lab:
        lab.up("drop udp dst port 9 name garbage")
        for rules, why in (("divert to scrubber udp dst port 53", "no program `scrubber`"),):
            done = lab.apply(rules, check=False)
            assert done.returncode == 1 and why in done.stderr, done
        assert lab.status()["generation"] == 1


def test_grows():
    """60,000 rules need a larger program: it takes the place of the other between two packets, and counters go on."""
    few = "count udp dst port 2000 name seen\nallow udp dst port 2000\nallow not udp\ndrop\n"
    many = "count udp dst port 2000 name seen\n" + "".join(
        f"drop src 198.{18 + (i >> 16)}.{i >> 8 & 255}.{i & 255} and dst net 2{i % 7}.0.0.0/8 and udp dst port {i + 1}\n"
        for i in range(60000)) + "allow udp dst port 2000\nallow not udp\ndrop\n"
    with Lab() as lab:
        lab.up(few)
        with Stream(lab, A4, B4, 2000, pps=2000) as stream:
            for rules in (many, few, many):
                stream.advance(50)
                lab.apply(rules)
            stream.advance(50)
            stream.stop()
            assert not stream.lost() and not stream.twice, f"of {stream.sent}: lost {stream.lost()}, twice {stream.twice}"
            wait_for(lambda: lab.hits()["seen"] == stream.sent)
            assert lab.verdicts()["drop"] == 0, lab.verdicts()


if __name__ == "__main__":
    harness.main(globals())
