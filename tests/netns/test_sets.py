# SPDX-License-Identifier: BSD-2-Clause
"""Named sets on an armed interface: they change under the rules, at any size, in both tiers.

    a0 (frames) ---- b0 (spillway)
"""

import json
import random
import resource
import signal
import subprocess

import harness
from harness import Lab, wait_for
from packet import A4, A6, B4, B6, dns_query, udp_frame

MANY = 1000000


def count(lab, name):
    """Items of a set, as the daemon counts them."""
    return json.loads(lab.spillway("set", "b0", name, "list", "-j").stdout)["count"]


def change(lab, *args, **options):
    return lab.spillway("set", "b0", *args, **options)


def fate(lab, *frames):
    """Packets passed and dropped of these frames."""
    before = lab.verdicts()
    lab.send(*frames)
    now = {}

    def arrived():
        now.update(lab.verdicts())
        return sum(now[verdict] - before[verdict] for verdict in ("pass", "drop", "user_pass", "user_drop")) == len(frames)
    wait_for(arrived)
    return tuple(sum(now[verdict] - before[verdict] for verdict in verdicts)
                 for verdicts in (("pass", "user_pass"), ("drop", "user_drop")))


def from4(host, dport=9):
    return udp_frame(host, B4, 9, dport)


def test_change():
    """Each kind in the XDP tier: what is added is dropped, what is deleted passes, and the rules stay as they are."""
    with Lab(quiet=True) as lab:
        lab.up("set a { }\nset p type numbers { 7 }\nset t type tuples { }\n"
               "drop src @a name a\ndrop dst port @p name p\ndrop dst @t name t")
        generation = lab.status()["generation"]
        for item, name, frame in ((A4, "a", from4(A4)), (A6, "a", udp_frame(A6, B6, 9, 9)), ("9-10", "p", from4(A4)),
                                  (f"{B4} . udp . 9", "t", from4(A4)), (f"{B6} . udp . any", "t", udp_frame(A6, B6, 9, 9))):
            assert fate(lab, frame) == (1, 0), item
            assert change(lab, name, "add", item).stdout.startswith(f"{name}: 1 added"), item
            assert fate(lab, frame) == (0, 1), item
            change(lab, name, "del", item)
            assert fate(lab, frame) == (1, 0), item
        assert count(lab, "a") == 0 and count(lab, "p") == 1
        assert fate(lab, from4(A4, 7)) == (0, 1)
        assert lab.hits() == {"a": 2, "p": 2, "t": 2}
        assert lab.status()["generation"] == generation


def test_families():
    """`ip` and `ip6` in front of a set that has both."""
    with Lab(quiet=True) as lab:
        lab.up(f"set both {{ {A4}, {A6} }}\ndrop ip6 src @both")
        assert fate(lab, from4(A4), udp_frame(A6, B6, 9, 9)) == (1, 1)


def test_names():
    """DNS names, in the user tier."""
    with Lab(quiet=True) as lab:
        lab.up("set bad type names { flood.example }\ndivert udp dst port 53\ndrop dns name under @bad")

        def query(name):
            return udp_frame(A4, B4, 9, 53, dns_query(name))
        assert fate(lab, query("x.flood.example"), query("www.example")) == (1, 1)
        change(lab, "bad", "add", "example")
        assert fate(lab, query("www.example")) == (0, 1)
        change(lab, "bad", "del", "example", "flood.example")
        assert fate(lab, query("x.flood.example"), query("www.example")) == (2, 0)
        change(lab, "bad", "replace", "www.example")
        assert fate(lab, query("x.flood.example"), query("www.example")) == (1, 1)
        assert change(lab, "bad", "list").stdout == "www.example\n"


def test_expiry():
    """An item's own time, that of the set, and that of the command."""
    with Lab(quiet=True) as lab:
        lab.up(f"set s ttl 1s {{ {A4}, 198.51.100.1 ttl 1h }}\nset u {{ }}\ndrop src @s\ndrop dst port 9 and src @u")
        assert fate(lab, from4(A4)) == (0, 1)
        wait_for(lambda: fate(lab, from4(A4)) == (1, 0))
        wait_for(lambda: count(lab, "s") == 1)
        assert fate(lab, from4("198.51.100.1")) == (0, 1)
        change(lab, "u", "add", A4, "--ttl", "1s")
        change(lab, "u", "add", "192.0.2.9 ttl 1h")
        listed = change(lab, "u", "list").stdout.splitlines()
        assert sorted(listed) == sorted([f"{A4} ttl 1s", "192.0.2.9 ttl 1h"]), listed
        assert fate(lab, from4(A4)) == (0, 1)
        wait_for(lambda: fate(lab, from4(A4)) == (1, 0))
        change(lab, "u", "add", "192.0.2.9 ttl 2h")  # its time begins anew
        assert change(lab, "u", "list").stdout == "192.0.2.9 ttl 2h\n"


def test_bad_item():
    """One wrong item, and nothing is changed; the message shows the place."""
    with Lab(quiet=True) as lab:
        lab.up(f"set s {{ 192.0.2.1 }}\nset n type numbers {{ 1 }}\ndrop src @s")
        for verb in "add", "del", "replace":
            said = change(lab, "s", verb, A4, "192.0.2.1", "192.0.2.300", check=False)
            assert said.returncode == 2 and "192.0.2.300" in said.stderr and "^" in said.stderr, said
            assert fate(lab, from4(A4)) == (1, 0) and change(lab, "s", "list").stdout == "192.0.2.1\n", verb
        said = change(lab, "n", "add", "192.0.2.1", check=False)
        assert said.returncode == 2, said
        said = change(lab, "t", "add", A4, check=False)
        assert said.returncode == 5 and "no set `t`" in said.stderr, said


def test_apply():
    """A rule set loads the sets as its text says: what was changed by hand is gone with the next `apply`, not with a refused one."""
    with Lab(quiet=True) as lab:
        rules = "set other { 203.0.113.1 }\nset s { 192.0.2.1 }\ndrop src @s"
        lab.up(rules)
        change(lab, "s", "add", A4)
        assert lab.apply("drop src @nothing", check=False).returncode
        assert fate(lab, from4(A4)) == (0, 1)
        lab.apply(rules)
        assert fate(lab, from4(A4), from4("192.0.2.1")) == (1, 1)
        lab.apply("set s { 192.0.2.2 }\ndrop src @s")  # another place in the block
        assert fate(lab, from4("203.0.113.1"), from4("192.0.2.1"), from4("192.0.2.2")) == (2, 1)
        lab.apply("drop src 192.0.2.3")  # no set at all
        assert fate(lab, from4("192.0.2.2"), from4("192.0.2.3")) == (1, 1)
        assert change(lab, "s", "list", check=False).returncode == 5


def test_apply_under_traffic():
    """The same set has another id in each rule set, where the other one has an empty set: no packet meets an image with the wrong block."""
    with Lab(quiet=True) as lab:
        texts = (f"set s {{ {A4} }}\nset none {{ 203.0.113.1 }}\ndrop src @s",
                 f"set none {{ 203.0.113.1 }}\nset other type numbers {{ 1 }}\nset s {{ {A4} }}\ndrop src @s")
        files = [lab.rules_file(text) for text in texts]
        lab.up(texts[0])
        sent = 0
        for n in range(1, 31):
            applying = lab.srv.popen(harness.SPILLWAY, "apply", "b0", "-f", files[n % 2], env=lab.environment(),
                                     stdout=subprocess.DEVNULL)
            while applying.poll() is None:
                lab.send(*[from4(A4)] * 20)
                sent += 20
            assert applying.returncode == 0
        wait_for(lambda: lab.verdicts()["drop"] + lab.verdicts()["pass"] == sent)
        assert lab.verdicts()["pass"] == 0


def test_user_tier():
    """A set of addresses asked behind a DNS question: the worker reads the same block, and follows when it is replaced."""
    with Lab(quiet=True) as lab:
        lab.up("set s { }\ndivert udp dst port 53\ndrop dns name www.example and src @s name both")
        query = udp_frame(A4, B4, 9, 53, dns_query("www.example"))
        assert fate(lab, query) == (1, 0)
        change(lab, "s", "add", A4)
        assert fate(lab, query) == (0, 1)
        change(lab, "s", "replace", "203.0.113.1")
        assert fate(lab, query) == (1, 0)
        change(lab, "s", "replace", "-f", lab.rules_file("\n".join(prefixes(3, 50000) + [A4])))
        assert fate(lab, query) == (0, 1)
        assert lab.hits() == {"both": 2}
        assert lab.verdicts()["divert"] == 4


def prefixes(seed, count):
    """So many different prefixes, none of them with the addresses that the tests send from."""
    numbers = random.Random(seed).sample(range(0x14000000 >> 4, 0xbe000000 >> 4), count)
    return [f"{n >> 20}.{n >> 12 & 255}.{n >> 4 & 255}.{n << 4 & 255}/28" for n in numbers]


def test_million():
    with Lab(quiet=True) as lab:
        many = prefixes(1, MANY)
        path = lab.rules_file("\n".join(many))
        lab.up(f'set s {{ file "{path}" }}\ndrop src @s')
        inside, other = many[77].split("/")[0], many[-1].split("/")[0]
        assert count(lab, "s") == MANY
        assert fate(lab, from4(inside), from4(other), from4(A4)) == (1, 2)
        change(lab, "s", "add", A4)
        assert fate(lab, from4(A4)) == (0, 1)
        change(lab, "s", "del", A4, many[77])
        assert fate(lab, from4(A4), from4(inside), from4(other)) == (2, 1)
        change(lab, "s", "replace", "-f", lab.rules_file("\n".join(many[:MANY // 2])))
        assert count(lab, "s") == MANY // 2
        assert fate(lab, from4(inside), from4(other)) == (1, 1)
        assert sorted(change(lab, "s", "list").stdout.split()) == sorted(many[:MANY // 2])


def test_growth():
    """A set outgrows its block, and its size class, under traffic: not one packet meets half of it."""
    with Lab(quiet=True) as lab:
        lab.up(f"set s {{ {A4} }}\ndrop src @s")
        sent = 0
        for items in range(0, 200000, 40000):
            path = lab.rules_file("\n".join(prefixes(items, 40000)))
            adding = lab.srv.popen(harness.SPILLWAY, "set", "b0", "s", "add", "-f", path, env=lab.environment(),
                                   stdout=subprocess.DEVNULL)
            while adding.poll() is None:
                lab.send(*[from4(A4)] * 20)
                sent += 20
            assert adding.returncode == 0
        wait_for(lambda: lab.verdicts()["drop"] == sent)
        assert lab.verdicts()["pass"] == 0


def test_no_memory():
    """A replacement finds no memory for its block: packets meet the old set, the request says so, and later it is made good."""
    with Lab(quiet=True) as lab:
        many = prefixes(4, 300000)
        lab.up(f'set s {{ file "{lab.rules_file(chr(10).join(many))}" }}\ndrop src @s')
        inside, daemon = many[9].split("/")[0], lab.daemon()
        size = int(harness.read(f"/proc/{daemon}/statm").split()[0]) * resource.getpagesize()
        resource.prlimit(daemon, resource.RLIMIT_AS, (size + (6 << 20), resource.RLIM_INFINITY))
        said = change(lab, "s", "replace", A4, check=False)
        assert said.returncode == 1 and "not in force yet" in said.stderr, said
        assert fate(lab, from4(A4), from4(inside)) == (1, 1)
        assert change(lab, "s", "list").stdout == f"{A4}\n"
        resource.prlimit(daemon, resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        wait_for(lambda: fate(lab, from4(A4)) == (0, 1))
        assert fate(lab, from4(inside)) == (1, 0)


def test_cli_killed():
    """The text comes in pieces; whoever sends it is killed, and the set is as it was."""
    with Lab(quiet=True) as lab:
        lab.up(f"set s {{ {A4} }}\ndrop src @s")
        path = lab.rules_file("\n".join(prefixes(2, 600000)))
        for n in range(10):
            sending = lab.srv.popen(harness.SPILLWAY, "set", "b0", "s", "replace", "-f", path, env=lab.environment(),
                                    stdout=subprocess.DEVNULL)
            try:
                sending.wait(0.01 + n * 0.01)
            except subprocess.TimeoutExpired:
                sending.send_signal(signal.SIGKILL)
                sending.wait()
            counted = count(lab, "s")
            assert counted in (1, 600000), counted
            if counted != 1:
                break
            assert fate(lab, from4(A4)) == (0, 1)


if __name__ == "__main__":
    harness.main(globals())
