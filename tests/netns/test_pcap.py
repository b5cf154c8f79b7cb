# SPDX-License-Identifier: BSD-2-Clause
"""`spillway test`: packets of a capture end offline as they do on an interface, in every tier, and tcpdump counts the same.

No topology: nothing is sent. The namespaces keep the loaded program to ourselves.
"""

import fcntl
import json
import os
import signal
import struct
import subprocess
import tempfile
import termios

import harness
from harness import SPILLWAY, wait_for
from packet import (A4, A6, B4, B6, DEST_OPTIONS, ETH_VLAN, HOP_BY_HOP, UDP, dns_query, ether, fragment_header, frame, tcp_frame,
                    udp, udp_frame)
from test_verdicts import CONDITIONS_DROP, RULES, TORTURE, decided, unread

LINK_ETHERNET, LINK_RAW, LINK_WLAN = 1, 101, 105
USAGE, PERMISSION, INTERRUPTED = 2, 6, 130
JUMBO = [udp_frame(A4, B4, 1, 9, bytes(length)) for length in (3400, 4500, 8900)]


def capture(frames, link_type=LINK_ETHERNET, snaplen=262144):
    """A pcap file. Frames longer than `snaplen` are cut."""
    records = (struct.pack("<IIII", 0, 0, len(data[:snaplen]), len(data)) + data[:snaplen] for data in frames)
    return struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, snaplen, link_type) + b"".join(records)


class Files:
    """A folder for rules and captures, that anybody may read."""

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="spillway-test-")
        os.chmod(self.folder.name, 0o755)
        return self

    def __exit__(self, *_):
        self.folder.cleanup()

    def write(self, name, content):
        path = os.path.join(self.folder.name, name)
        with open(path, "wb") as file:
            file.write(content if isinstance(content, bytes) else content.encode())
        return path

    def spillway_test(self, rules, frames, *options, code=0, **how):
        """The command's end; `frames` may be a capture."""
        content = frames if isinstance(frames, bytes) else capture(frames)
        command = [SPILLWAY, "test", "-f", self.write("rules", rules), "--pcap", self.write("capture", content), *options]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, **how)
        assert done.returncode == code, f"{command}: exit code {done.returncode}, not {code}\n{done.stdout}{done.stderr}"
        return done

    def totals(self, rules, frames, *options, code=0):
        return json.loads(self.spillway_test(rules, frames, *options, "-j", code=code).stdout)


def tcpdump_count(path, expression):
    done = subprocess.run(["tcpdump", "--count", "-nr", path, expression], capture_output=True, text=True, check=True)
    return int(done.stdout.split()[0])


def happened(verdicts):
    return {name: count for name, count in verdicts.items() if count}


def test_same_as_on_an_interface():
    """The frames of test_verdicts.py, one by one."""
    with Files() as files:
        for rules, cases in ((RULES, list(decided()) + [(what, data, [f"{condition}_pass"], True) for what, data, condition in unread()]),
                             (CONDITIONS_DROP, [(what, data, [f"{condition}_drop"], False) for what, data, condition in unread()])):
            for tier in "both", "user", "xdp":
                done = files.spillway_test(rules, [case[1] for case in cases], "--tier", tier, "-v", "-j")
                *packets, totals = map(json.loads, done.stdout.splitlines())
                assert totals["packets"] == len(packets) == len(cases) and totals["differences"] == 0, totals
                counts = {}
                for (what, data, verdicts, _), packet in zip(cases, packets):
                    wanted = verdicts[:1] if tier == "xdp" else verdicts
                    got = [packet[key] for key in ("verdict", "user_verdict") if key in packet]
                    assert got == wanted and packet["len"] == len(data), f"{tier}: {what}: wanted {wanted}, got {packet}"
                    for name in wanted:
                        counts[name] = counts.get(name, 0) + 1
                assert happened(totals["verdicts"]) == counts, f"{tier}: {totals}, not {counts}"


def test_rule_hits():
    rules = "count ip6\ndivert udp dst port 53 name dns\ndrop dns name under flood.example\n\npass tcp"
    frames = [udp_frame(src, dst, 5, 53, data) for src, dst in ((A4, B4), (A6, B6)) for data in (b"", TORTURE, dns_query("a.example"))]
    frames += [tcp_frame(A4, B4, 5, 53), tcp_frame(A6, B6, 5, 53)]
    sizes = [len(data) for data in frames]
    with Files() as files:
        for tier, dropped in ("both", [1, 4]), ("user", [1, 4]), ("xdp", []):
            wanted = [(1, None, [3, 4, 5, 7]), (2, "dns", range(6)), (3, None, dropped), (5, None, [6, 7])]
            hits = [(rule["line"], rule.get("name"), rule["packets"], rule["bytes"]) for rule in
                    files.totals(rules, frames, "--tier", tier)["rules"]]
            assert hits == [(line, name, len(which), sum(sizes[n] for n in which)) for line, name, which in wanted], (tier, hits)


def test_many_rules_go_on():
    """Each of thousands of rules that all match has its turn, and the last decides, in both tiers."""
    rules = "count udp\ncount dst port 53\n" * 4000 + "drop udp"
    with Files() as files:
        totals = files.totals(rules, [udp_frame(A4, B4, 5, 53, b""), udp_frame(A6, B6, 5, 53, b"")], "--tier", "both")
        assert totals["differences"] == 0 and happened(totals["verdicts"]) == {"drop": 2}, totals["verdicts"]
        assert {rule["packets"] for rule in totals["rules"]} == {2} and len(totals["rules"]) == 8001


def test_jumbo_and_short():
    """What the kernel does not run the program on has a name, and in `both` the host's verdict."""
    frames = JUMBO + [JUMBO[0][:length] for length in (0, 1, 13, 14)]
    with Files() as files:
        both = files.totals("drop udp", frames, "--tier", "both")
        assert both["not_run"] == {"too_short": 3, "too_large": 2} and both["differences"] == 0, both
        assert happened(both["verdicts"]) == {"drop": 3, "truncated_pass": 4}, both
        assert both["rules"][0]["packets"] == 3, both
        xdp = files.totals("drop udp", frames, "--tier", "xdp")
        assert xdp["not_run"] == both["not_run"] and happened(xdp["verdicts"]) == {"drop": 1, "truncated_pass": 1}, xdp
        done = files.spillway_test("drop udp", frames, "--tier", "xdp", "-v")
        assert [line.split()[2] for line in done.stdout.splitlines()[:7]] == \
            ["drop", "too_large", "too_large", "too_short", "too_short", "too_short", "truncated_pass"], done.stdout


def untagged():
    """Frames that we and tcpdump are meant to read alike."""
    for src, dst in (A4, B4), (A6, B6):
        v6 = ":" in src
        for port in 53, 80, 161, 1000:
            yield udp_frame(src, dst, port, 2000, bytes(port))
            yield tcp_frame(src, dst, 2000, port, bytes(20))
        if not v6:
            yield udp_frame(src, dst, 161, 53, bytes(40), options=b"\1" * 8)
            yield udp_frame(src, dst, 161, 53, bytes(40), frag=0x2000)
            yield frame(src, dst, UDP, udp(src, dst, 161, 53, bytes(40)), frag=8)
    yield ether(bytes.fromhex("0001080006040001") + bytes(20), 0x0806)
    yield ether(bytes(46), 0x88B5)
    yield from JUMBO


EXPRESSIONS = ("udp src port 161", "tcp and dst portrange 1-100", f"src host {A4} or src host {A6}", "not tcp and not udp", "ip6 and udp",
               "len > 200", "greater 100 and udp", "less 90", "src net 10.0.0.0/8 and not src port 53", "ether proto 0x88b5", "arp",
               "ip proto 17 or ip6 proto 6", "port 161 or 80")


def assert_counts_like_tcpdump(files, content, expressions, what):
    """Each as a rule that counts, in both tiers and by the oracle; and as `drop EXPRESSION`, then `pass`, in the user tier."""
    path = files.write("counted", content)
    counts = [tcpdump_count(path, expression) for expression in expressions]
    totals = files.totals("\n".join(f"count {expression}" for expression in expressions), content, "--tier", "both", "--bpf-oracle")
    assert totals["differences"] == 0, f"{what}: {totals}"
    for expression, count, rule, oracle in zip(expressions, counts, totals["rules"], totals["oracle"], strict=True):
        assert rule["packets"] == oracle["packets"] == oracle["tcpdump"] == count, f"{what}: {expression}: {count}: {rule} {oracle}"
        verdicts = files.totals(f"drop {expression}\npass", content, "--tier", "user")["verdicts"]
        assert verdicts["drop"] == count, f"{what}: {expression}: {count}: {verdicts}"
    return totals


def test_tcpdump_counts_the_same():
    """Also of frames that the snap length cut, down to their headers: `len` is the length on the wire."""
    with Files() as files:
        for snaplen in 262144, 96, 74:
            content = capture(list(untagged()), snaplen=snaplen)
            totals = assert_counts_like_tcpdump(files, content, EXPRESSIONS, f"snap length {snaplen}")
            assert (totals["cut"] > 0) == (snaplen < 262144), totals


def test_oracle_explains():
    """Where spillway-rules(5) says that we read otherwise, tcpdump's other answer is no difference."""
    frames = [udp_frame(A4, B4, 1, 53, vlans=[(ETH_VLAN, 5)]), udp_frame(A4, B4, 1, 53),
              udp_frame(A6, B6, 1, 53, headers=[(HOP_BY_HOP, b"\0\1\4\0\0\0\0"), (DEST_OPTIONS, b"\0\1\4\0\0\0\0")]),
              udp_frame(A6, B6, 1, 53, headers=[fragment_header(0, 1)])]
    with Files() as files:
        totals = files.totals("count udp\ndrop dst port 53\nallow payload at 0 = 00", frames, "--bpf-oracle")
        udp_rule, port_rule, payload_rule = totals["oracle"]
        assert totals["differences"] == 0 and udp_rule["packets"] == port_rule["packets"] == 4, totals
        assert port_rule["tcpdump"] == 1 and port_rule["differ"] == port_rule["explained"] == 3, totals
        assert "expression" not in payload_rule and payload_rule["not_compared"], totals


def test_link_types():
    """Packets without an Ethernet header get one; others are refused by name."""
    packets = [data[14:] for data in (udp_frame(A4, B4, 1, 53), udp_frame(A6, B6, 1, 53), tcp_frame(A6, B6, 1, 53))]
    with Files() as files:
        totals = files.totals("drop udp dst port 53", capture(packets, LINK_RAW), "--tier", "both")
        assert happened(totals["verdicts"]) == {"drop": 2, "pass": 1}, totals
        assert totals["bytes"] == sum(map(len, packets)) + 3 * 14, totals
        done = files.spillway_test("drop", capture(packets, LINK_WLAN), code=USAGE)
        assert "IEEE802_11" in done.stderr and len(done.stderr.splitlines()) == 1, done.stderr


def test_bad_input():
    whole = capture([udp_frame(A4, B4, 1, 9)] * 3)
    cases = (("drop udp dst port 70000", whole, (), "rules:1:19: error"), ("drop udp", b"no capture at all", (), "no capture file"),
             ("drop udp", b"", (), "no capture file"), ("drop udp", b"\x1f\x8b\x08\0", (), "gzip -dc"),
             ("drop udp", b"\xfd7zXZ\0", (), "xz -dc"), ("drop udp", whole, ("--tier", "nic"), "xdp, user or both"))
    with Files() as files:
        for rules, content, options, part in cases:
            done = files.spillway_test(rules, content, *options, code=USAGE)
            assert part in done.stderr and not done.stdout, f"{part}: {done}"
        for missing in (["-f", files.write("rules", "drop")], ["-f", "-", "--pcap", "-"], ["-f", "/none", "--pcap", "/none"],
                        ["-f", files.write("rules", "drop"), "--pcap", "/none"]):
            done = subprocess.run([SPILLWAY, "test", *missing], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
            assert done.returncode == USAGE and not done.stdout and len(done.stderr.splitlines()) == 1, done
        broken = json.loads(files.spillway_test("drop udp", whole[:-1], "-j", code=USAGE).stdout)
        assert broken["packets"] == 2 and broken["complete"] is False, broken  # what could be read is told


def test_standard_input():
    content = capture([udp_frame(A4, B4, 1, 9)] * 3)
    with Files() as files:
        for options, given in ((["-f", files.write("rules", "drop udp"), "--pcap", "-"], content),
                               (["-f", "-", "--pcap", files.write("capture", content)], b"drop udp")):
            done = subprocess.run([SPILLWAY, "test", *options, "-j"], input=given, capture_output=True, check=True)
            assert json.loads(done.stdout)["verdicts"]["drop"] == 3, done


def test_without_privileges():
    """The host's classifier needs none; the program is refused, with the reason."""
    anybody = {"user": 65534, "group": 65534, "extra_groups": []}
    frames = [udp_frame(A4, B4, 1, 9)]
    with Files() as files:
        done = files.spillway_test("drop udp", frames, "-j", **anybody)
        assert json.loads(done.stdout)["tier"] == "user" and "--tier user" in done.stderr and "root" in done.stderr, done
        done = files.spillway_test("drop udp", frames, "--tier", "user", **anybody)
        assert not done.stderr, done
        for tier in "xdp", "both":
            done = files.spillway_test("drop udp", frames, "--tier", tier, code=PERMISSION, **anybody)
            assert "root" in done.stderr and not done.stdout, done


def unread_bytes(pipe):
    return struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)))[0]


def test_interrupted():
    """Ctrl-C in the middle: what was counted so far."""
    with Files() as files:
        command = [SPILLWAY, "test", "-f", files.write("rules", "drop udp"), "--pcap", "-", "--tier", "user", "-j"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            process.stdin.write(capture([udp_frame(A4, B4, 1, 9, bytes(1000))] * 20))  # more than is read before the first packet
            process.stdin.flush()
            wait_for(lambda: unread_bytes(process.stdin) == 0)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=20)
        totals = json.loads(out)
        assert process.returncode == INTERRUPTED and b"interrupted" in err, (process.returncode, err)
        assert totals["complete"] is False and 1 <= totals["packets"] <= 20 and totals["verdicts"]["drop"] == totals["packets"], totals


def test_completion():
    script = subprocess.run([SPILLWAY, "completion", "bash"], capture_output=True, check=True).stdout
    assert b"\0" not in script and b'compgen -W "xdp user both"' in script and b"--bpf-oracle" in script, script
    subprocess.run(["bash", "-n"], input=script, check=True)


if __name__ == "__main__":
    harness.main(globals())
