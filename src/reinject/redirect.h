/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * redirect.h - the two traffic-control objects of the TAP way: a clsact qdisc, and on its ingress a filter that matches every frame
 * and hands it to another interface's ingress (act_mirred). By rtnetlink; both go with the device.
 *
 * act_mirred and not a BPF program on purpose: it marks the frame as redirected, so generic XDP on the target leaves it alone
 * (bpf_redirect() does not, and the frame would be captured again, for ever).
 */
#ifndef SPILLWAY_REINJECT_REDIRECT_H
#define SPILLWAY_REINJECT_REDIRECT_H

/* Everything that arrives on `from_ifindex` arrives on `to_ifindex` instead. 0 or negative errno (-ENOENT: cls_u32 or act_mirred
 * missing in this kernel). */
int redirect_ingress(int from_ifindex, int to_ifindex);
/* No IPv6 link-local address, so that the device never sends anything of its own. */
int redirect_silence(int ifindex);

#endif
