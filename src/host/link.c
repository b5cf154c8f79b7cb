/* SPDX-License-Identifier: BSD-2-Clause */
#include "host/link.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static int ethtool_ask(int socket, const char *ifname, void *command)
{
	struct ifreq request = { .ifr_data = command };

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", ifname);
	return ioctl(socket, SIOCETHTOOL, &request) < 0 ? -errno : 0;
}

/* Drivers differ in which of the two they answer; one queue is what is left for those that answer neither. */
static uint32_t queue_count(int socket, const char *ifname)
{
	struct ethtool_channels channels = { .cmd = ETHTOOL_GCHANNELS };
	struct ethtool_rxnfc rings = { .cmd = ETHTOOL_GRXRINGS };

	if (!ethtool_ask(socket, ifname, &channels) && channels.rx_count + channels.combined_count)
		return channels.rx_count + channels.combined_count;
	if (!ethtool_ask(socket, ifname, &rings) && rings.data)
		return (uint32_t)rings.data;
	return 1;
}

static int facts_fill(int socket, const char *ifname, struct link_facts *facts)
{
	struct ethtool_drvinfo driver = { .cmd = ETHTOOL_GDRVINFO };
	struct ifreq request = { 0 };

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", ifname);
	snprintf(facts->ifname, sizeof(facts->ifname), "%s", ifname);
	if (ioctl(socket, SIOCGIFINDEX, &request) < 0)
		return -errno;
	facts->ifindex = (unsigned)request.ifr_ifindex;
	if (ioctl(socket, SIOCGIFFLAGS, &request) < 0)
		return -errno;
	facts->up = request.ifr_flags & IFF_UP;
	if (ioctl(socket, SIOCGIFMTU, &request) < 0)
		return -errno;
	facts->mtu = (uint32_t)request.ifr_mtu;
	if (ioctl(socket, SIOCGIFHWADDR, &request) < 0)
		return -errno;
	facts->ethernet = request.ifr_hwaddr.sa_family == ARPHRD_ETHER;
	if (!ethtool_ask(socket, ifname, &driver))
		snprintf(facts->driver, sizeof(facts->driver), "%.31s", driver.driver);
	facts->n_queues = queue_count(socket, ifname);
	return 0;
}

int link_query(const char *ifname, struct link_facts *ret_facts)
{
	struct link_facts facts = { 0 };
	int fd, r;

	if (strlen(ifname) >= IF_NAMESIZE)
		return -ENODEV;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	r = facts_fill(fd, ifname, &facts);
	close(fd);
	if (!r)
		*ret_facts = facts;
	return r;
}
