# SPDX-License-Identifier: BSD-2-Clause
"""Rules that sample: who watches gets every n-th packet's first bytes, and nobody else is held up.

    a0 (frames) ---- b0 (spillway up) ---- spillway sample b0, as often as somebody watches
"""

import contextlib
import json
import os
import signal
import struct
import subprocess
import tempfile

import harness
from harness import Lab, ROOT, SPILLWAY, processes, wait_for
from packet import A4, A6, B4, B6, ETH_ARP, MAC_B, dns_query, ether, tcp_frame, udp_frame

SNAP = 256


class Watch:
    """One `spillway sample`, until it ends or is ended."""

    def __init__(self, lab, *args):
        self.lab, self.out = lab, tempfile.TemporaryFile()
        self.err = tempfile.TemporaryFile()
        before = self.watchers()
        self.process = lab.srv.popen(SPILLWAY, "sample", "b0", *args, env=lab.environment(), stdin=subprocess.DEVNULL,
                                     stdout=self.out, stderr=self.err)
        wait_for(lambda: self.watchers() == before + 1, what="watching")

    def watchers(self):
        return self.lab.status()["samples"]["watchers"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
        self.process.wait()

    def read(self):
        """What it has written so far."""
        return os.pread(self.out.fileno(), 1 << 26, 0)

    def said(self):
        return os.pread(self.err.fileno(), 1 << 16, 0).decode()

    def samples(self):
        return [json.loads(line) for line in self.read().decode().splitlines(keepends=True) if line.endswith("\n")]

    def wait_samples(self, n):
        wait_for(lambda: len(self.samples()) >= n, what=f"{n} samples")
        return self.samples()

    def end(self, number=signal.SIGINT):
        """Its exit code."""
        self.process.send_signal(number)
        return self.process.wait(10)


def same_bytes(sample, data):
    assert sample["len"] == len(data) and bytes.fromhex(sample["data"]) == data[:SNAP], (sample, data.hex())


def test_bytes():
    """Every kind of frame, short and long, comes as it was sent. The rule goes on: what stands behind it still decides."""
    frames = [udp_frame(A4, B4, 7, 9), udp_frame(A6, B6, 7, 9, b"six"), udp_frame(A4, B4, 7, 9, b"tag", vlans=[(0x8100, 5)]),
              udp_frame(A4, B4, 7, 9, bytes(18)), tcp_frame(A4, B4, 7, 9, bytes(range(200)) + bytes(2)),
              tcp_frame(A6, B6, 7, 9, bytes(range(181)) + b"x"), tcp_frame(A6, B6, 7, 9, bytes(range(182))),
              tcp_frame(A4, B4, 7, 9, bytes(range(256)) * 5), ether(bytes(46), ETH_ARP)]
    assert {len(data) for data in frames} >= {60, SNAP, 1334}, [len(data) for data in frames]
    with Lab(quiet=True) as lab:
        lab.up("sample 1/1 ip or ip6 or ether proto arp name all\ndrop ip or ip6 or ether proto arp name end")
        lab.send(frames[0])  # nobody watches: not kept
        wait_for(lambda: lab.hits() == {"all": 1, "end": 1})
        with Watch(lab, "-j") as watch:
            lab.send(*frames)
            samples = watch.wait_samples(len(frames))
            assert watch.end() == 0
        assert len(samples) == len(frames)
        for sample, data in zip(samples, frames):
            same_bytes(sample, data)
            assert sample["rule"] == "all" and sample["line"] == 1 and sample["tier"] == "xdp" and sample["queue"] == 0, sample
        assert [sample["time_ns"] for sample in samples] == sorted(sample["time_ns"] for sample in samples)
        assert [sample.get("src") for sample in samples[:2]] == [A4, A6] and samples[0]["dst_port"] == 9
        assert watch.said() == f"{len(frames)} samples, none lost\n", watch.said()
        assert lab.hits() == {"all": 10, "end": 10} and lab.verdicts()["drop"] == 10
        status = lab.status()["samples"]
        assert (status["offered"], status["lost"]) == (len(frames), 0), status


def test_nothing_old():
    """What was taken for a watcher that is gone does not come to the next one."""
    with Lab(quiet=True) as lab:
        lab.up("sample 1/1 udp name all\ndrop udp")
        with Watch(lab) as gone:
            os.kill(lab.daemon(), signal.SIGSTOP)
            lab.send(*[udp_frame(A4, B4, 7, 8)] * 10)
            gone.process.kill()
            gone.process.wait()
            os.kill(lab.daemon(), signal.SIGCONT)
        wait_for(lambda: lab.hits() == {"all": 10} and lab.status()["samples"]["watchers"] == 0)
        with Watch(lab, "-j") as watch:
            lab.send(udp_frame(A4, B4, 7, 9))
            assert [sample["dst_port"] for sample in watch.wait_samples(1)] == [9]
            assert watch.end() == 0 and "1 sample, none lost" in watch.said()


def test_every_nth():
    """Of what each CPU counted for the rule, every 100th; and the counts are those of `count`."""
    with Lab(quiet=True, queues=2) as lab:
        lab.up("sample 1/100 udp name some\ncount udp name all\ndrop udp")
        with Watch(lab, "-j") as watch:
            lab.send(*[udp_frame(A4, B4, 7, 9, bytes([n % 256])) for n in range(5050)])
            wait_for(lambda: lab.verdicts()["drop"] == 5050)
            at_least = 50 - os.cpu_count() + 1
            watch.wait_samples(at_least)
            assert watch.end() == 0
            assert at_least <= len(watch.samples()) <= 50, len(watch.samples())
        assert lab.hits() == {"some": 5050, "all": 5050}


def test_flood():
    """The same at 300,000 packets a second, while others are answered; what is not seen is told."""
    with Lab(quiet=True) as lab:
        lab.up("sample 1/100 udp name some\ndrop udp name end")
        with Watch(lab, "-w", "-") as watch:
            lab.atk.run(os.path.join(ROOT, "build", "lab", "spillway-flood"), "--dev", "a0", "--dst-mac", MAC_B.hex(":"),
                        "--dst4", B4, "--dst6", B6, "--seconds", "2", "--cpu", "0", "--garbage-pps", "300000")
            hits = lab.hits()
            assert hits["some"] == hits["end"] > 100000, hits
            samples = lab.status()["samples"]
            taken = samples["offered"] + samples["lost"]
            assert hits["some"] // 100 - os.cpu_count() < taken <= hits["some"] // 100, (hits, samples)
            lengths = record_lengths(watch, samples["offered"])
            assert len(lengths) == samples["offered"] and min(lengths) >= 42, min(lengths)
            assert watch.end() == 0


def record_lengths(watch, n):
    """The frame length of each of the capture's first n records."""

    def lengths():
        content, found, at = watch.read(), [], 24
        while at + 16 <= len(content):
            captured, length = struct.unpack("<II", content[at + 8:at + 16])
            found.append(length)
            at += 16 + captured
        return len(found) >= n and found
    return wait_for(lengths, what=f"{n} records")


def test_two_and_a_capture():
    """Two watch: both get all. One of them writes a capture, which libpcap reads."""
    with Lab(quiet=True) as lab, tempfile.NamedTemporaryFile() as file:
        lab.up("sample 1/1 udp name all\ndrop udp")
        data = udp_frame(A4, B4, 7, 9, bytes(500))
        with Watch(lab, "-n", "20", "-w", file.name) as capture, Watch(lab) as lines, Watch(lab, "-w", "-") as piped:
            lab.send(*[data] * 20)
            assert capture.process.wait(10) == 0
            assert "20 samples, none lost" in capture.said()
            wait_for(lambda: lines.read().count(b"\n") == 20)
            assert all(line.endswith(f" udp {A4}:7 > {B4}:9 len {len(data)}  all")
                       for line in lines.read().decode().splitlines()), lines.read()
            wait_for(lambda: len(piped.read()) == 24 + 20 * (16 + SNAP))
            assert lines.end(signal.SIGTERM) == 0 and piped.end() == 0
            for content in file.read(), piped.read():
                magic, _, _, _, _, snap, link = struct.unpack("<IHHiIII", content[:24])
                assert (magic, snap, link) == (0xA1B23C4D, SNAP, 1)
                assert len(content) == 24 + 20 * (16 + SNAP)
                _, nanoseconds, captured, length = struct.unpack("<IIII", content[24:40])
                assert nanoseconds < 10 ** 9 and (captured, length) == (SNAP, len(data)) and content[40:40 + SNAP] == data[:SNAP]


def test_slow_and_killed():
    """Who does not read loses, is told how many, and holds up nobody; who is killed is forgotten."""
    with Lab(quiet=True) as lab:
        lab.up("sample 1/1 udp name all\ndrop udp")
        data = udp_frame(A4, B4, 7, 9, bytes(300))
        with Watch(lab, "-j") as slow, Watch(lab, "-j") as quick, Watch(lab) as killed:
            slow.process.send_signal(signal.SIGSTOP)
            for n in range(1, 21):
                lab.send(*[data] * 500)
                quick.wait_samples(n * 500)
            killed.process.kill()
            killed.process.wait()
            wait_for(lambda: lab.status()["samples"]["watchers"] == 2)
            slow.process.send_signal(signal.SIGCONT)

            def has_caught_up():
                seen = quick.samples()
                if seen[-1:] == slow.samples()[-1:]:
                    return True
                lab.send(data)
                quick.wait_samples(len(seen) + 1)
                return False
            wait_for(has_caught_up, what="the newest sample at the slow one")
            assert quick.end() == 0 and slow.end() == 0
            sent, seen = len(quick.samples()), len(slow.samples())
            assert "none lost" in quick.said() and 1000 < seen < sent, (seen, sent, quick.said())
            assert f"{sent - seen:,} because they were not read in time" in slow.said(), (seen, sent, slow.said())
        wait_for(lambda: lab.status()["samples"]["watchers"] == 0)
        assert lab.verdicts()["drop"] == sent


def test_full_ring():
    """The daemon stands still: the ring takes what fits, the rest is lost by name, packets end as before."""
    with Lab(quiet=True) as lab:
        lab.up("sample 1/1 udp name all\ndrop udp")
        lab.send(*[udp_frame(A4, B4, 7, 9)] * 5000)  # nobody watches: nothing is taken, so nothing is lost
        wait_for(lambda: lab.verdicts()["drop"] == 5000)
        with Watch(lab, "-j") as watch:
            assert lab.status()["samples"] == {"watchers": 1, "offered": 0, "lost": 0}, lab.status()["samples"]
            os.kill(lab.daemon(), signal.SIGSTOP)
            lab.send(*[udp_frame(A4, B4, 7, 9)] * 5000)
            os.kill(lab.daemon(), signal.SIGCONT)
            wait_for(lambda: lab.verdicts()["drop"] == 10000)
            wait_for(lambda: lab.status()["samples"]["offered"] + lab.status()["samples"]["lost"] == 5000)
            lost = lab.status()["samples"]["lost"]
            assert 1000 < lost < 2000, lost
            watch.wait_samples(5000 - lost)
            assert watch.end() == 0 and f"lost: {lost:,} because the ring was full" in watch.said(), (lost, watch.said())


def test_user_tier():
    """A rule behind a DNS question samples in the worker, what is before it in the driver."""
    with Lab(quiet=True) as lab:
        lab.up("sample 1/1 udp dst port 53 name before\ndivert udp dst port 53\nsample 1/2 dns name under example name behind\n"
               "drop dns name under example\npass")
        query = udp_frame(A4, B4, 9, 53, dns_query("www.example"))
        with Watch(lab, "-j") as watch:
            lab.send(*[query] * 10)
            samples = watch.wait_samples(15)
            assert watch.end() == 0
        for rule, tier, n in ("before", "xdp", 10), ("behind", "user", 5):
            of_rule = [sample for sample in samples if sample["rule"] == rule]
            assert len(of_rule) == n and all(sample["tier"] == tier for sample in of_rule), (rule, of_rule)
            same_bytes(of_rule[0], query)
        assert lab.verdicts()["user_drop"] == 10 and lab.hits() == {"before": 10, "behind": 10}


def test_apply_and_down():
    """Watching goes on over an apply, whatever becomes of the rules, and ends with the interface, and with the daemon."""
    data = udp_frame(A4, B4, 7, 9)
    with Lab(quiet=True) as lab:
        lab.up("drop udp")
        with Watch(lab, "-j") as watch:
            assert "no rule samples yet" in watch.said()
            for n, name in enumerate(("one", "two", "three")):
                many = "".join(f"count dst 198.18.{i >> 8}.{i & 255} and src port {i + 1}\n" for i in range(n * 4000))
                lab.apply(many + f"sample 1/1 udp name {name}\ndrop udp")
                lab.send(data)
                assert watch.wait_samples(n + 1)[-1]["rule"] == name
            lab.down()
            assert watch.process.wait(10) == 1 and "no more samples: it was taken down" in watch.said(), watch.said()
            assert "3 samples, none lost" in watch.said()
        wait_for(lambda: not processes("spillwayd"))
        for number, code, why in (signal.SIGTERM, 1, "the daemon ends"), (signal.SIGKILL, 3, "the daemon is gone"):
            lab.up("sample 1/1 udp\ndrop udp")
            with Watch(lab) as watch:
                os.kill(lab.daemon(), number)
                assert watch.process.wait(10) == code and why in watch.said(), watch.said()
            wait_for(lambda: not processes("spillwayd"))
            lab.spillway("restore", check=False)


def test_refused():
    with Lab(quiet=True) as lab:
        lab.up("sample 1/1 udp")
        for args, code, why in ((("b1",), 5, "not armed"), (("b0", "-n", "0"), 2, "--count"), (("b0", "-n", "x"), 2, "--count"),
                                (("b0", "-j", "-w", "/run/x"), 2, "choose one"), (("b0", "-w", "/no/x"), 1, "/no/x")):
            done = lab.spillway("sample", *args, check=False)
            assert done.returncode == code and why in done.stderr, done
        with contextlib.ExitStack() as stack:
            for _ in range(8):
                stack.enter_context(Watch(lab))
            done = lab.spillway("sample", "b0", check=False)
            assert done.returncode == 1 and "8 watch samples already" in done.stderr, done
            assert lab.status()["generation"] == 1  # others are still answered


if __name__ == "__main__":
    harness.main(globals())
