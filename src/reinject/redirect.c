/* SPDX-License-Identifier: BSD-2-Clause */
#include "reinject/redirect.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/tc_act/tc_mirred.h>
#include <string.h>
#include <sys/socket.h>

#define FILTER_PRIORITY 1

/* Send one request and wait for its acknowledgement. */
static int netlink_ask(struct nlmsghdr *request)
{
	char reply[MNL_SOCKET_BUFFER_SIZE];
	struct mnl_socket *socket = mnl_socket_open(NETLINK_ROUTE);
	ssize_t n;
	int r = 0;

	if (!socket)
		return -errno;
	request->nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
	request->nlmsg_seq = 1;
	if (mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0 || mnl_socket_sendto(socket, request, request->nlmsg_len) < 0) {
		r = -errno;
	} else {
		n = mnl_socket_recvfrom(socket, reply, sizeof(reply));
		if (n < 0 || mnl_cb_run(reply, (size_t)n, 1, mnl_socket_get_portid(socket), NULL, NULL) < 0)
			r = -errno;
	}
	mnl_socket_close(socket);
	return r;
}

static struct tcmsg *tc_request(char *buffer, uint16_t type, int ifindex, struct nlmsghdr **ret_header)
{
	struct nlmsghdr *header = mnl_nlmsg_put_header(buffer);
	struct tcmsg *tc;

	header->nlmsg_type = type;
	header->nlmsg_flags = NLM_F_CREATE | NLM_F_EXCL;
	tc = mnl_nlmsg_put_extra_header(header, sizeof(*tc));
	tc->tcm_family = AF_UNSPEC;
	tc->tcm_ifindex = ifindex;
	*ret_header = header;
	return tc;
}

static int clsact_add(int ifindex)
{
	char buffer[MNL_SOCKET_BUFFER_SIZE];
	struct nlmsghdr *header;
	struct tcmsg *tc = tc_request(buffer, RTM_NEWQDISC, ifindex, &header);

	tc->tcm_parent = TC_H_CLSACT;
	tc->tcm_handle = TC_H_MAKE(TC_H_CLSACT, 0);
	mnl_attr_put_strz(header, TCA_KIND, "clsact");
	return netlink_ask(header);
}

static int filter_add(int ifindex, int to_ifindex)
{
	struct {
		struct tc_u32_sel selector;
		struct tc_u32_key key; /* mask 0: matches every frame */
	} all = { .selector = { .flags = TC_U32_TERMINAL, .nkeys = 1 } };
	struct tc_mirred mirred = { .action = TC_ACT_STOLEN, .eaction = TCA_INGRESS_REDIR, .ifindex = (uint32_t)to_ifindex };
	char buffer[MNL_SOCKET_BUFFER_SIZE];
	struct nlattr *options, *actions, *action, *parameters;
	struct nlmsghdr *header;
	struct tcmsg *tc = tc_request(buffer, RTM_NEWTFILTER, ifindex, &header);

	tc->tcm_parent = TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS);
	tc->tcm_info = TC_H_MAKE(FILTER_PRIORITY << 16, htons(ETH_P_ALL));
	mnl_attr_put_strz(header, TCA_KIND, "u32");
	options = mnl_attr_nest_start(header, TCA_OPTIONS);
	mnl_attr_put(header, TCA_U32_SEL, sizeof(all), &all);
	actions = mnl_attr_nest_start(header, TCA_U32_ACT);
	action = mnl_attr_nest_start(header, 1);
	mnl_attr_put_strz(header, TCA_ACT_KIND, "mirred");
	parameters = mnl_attr_nest_start(header, TCA_ACT_OPTIONS);
	mnl_attr_put(header, TCA_MIRRED_PARMS, sizeof(mirred), &mirred);
	mnl_attr_nest_end(header, parameters);
	mnl_attr_nest_end(header, action);
	mnl_attr_nest_end(header, actions);
	mnl_attr_nest_end(header, options);
	return netlink_ask(header);
}

int redirect_ingress(int from_ifindex, int to_ifindex)
{
	int r = clsact_add(from_ifindex);

	return r ? r : filter_add(from_ifindex, to_ifindex);
}

int redirect_silence(int ifindex)
{
	char buffer[MNL_SOCKET_BUFFER_SIZE];
	struct nlmsghdr *header = mnl_nlmsg_put_header(buffer);
	struct ifinfomsg *link;
	struct nlattr *families, *inet6;

	header->nlmsg_type = RTM_NEWLINK;
	header->nlmsg_flags = 0;
	link = mnl_nlmsg_put_extra_header(header, sizeof(*link));
	link->ifi_family = AF_UNSPEC;
	link->ifi_index = ifindex;
	families = mnl_attr_nest_start(header, IFLA_AF_SPEC);
	inet6 = mnl_attr_nest_start(header, AF_INET6);
	mnl_attr_put_u8(header, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
	mnl_attr_nest_end(header, inet6);
	mnl_attr_nest_end(header, families);
	return netlink_ask(header);
}
