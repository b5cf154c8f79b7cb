/* SPDX-License-Identifier: BSD-2-Clause */
#include "reinject/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "reinject/redirect.h"

/* One interface ioctl. The TAP's own file would do for its own device only. */
static int interface_ioctl(unsigned long what, struct ifreq *request)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int r;

	if (fd < 0)
		return -errno;
	r = ioctl(fd, what, request) < 0 ? -errno : 0;
	close(fd);
	return r;
}

static void request_name(struct ifreq *request, const char *ifname)
{
	memset(request, 0, sizeof(*request));
	snprintf(request->ifr_name, sizeof(request->ifr_name), "%s", ifname);
}

int tap_open(const char *ifname, struct tap *ret_tap)
{
	struct tap tap = TAP_NONE;
	struct ifreq request;
	int r;

	/* Non-blocking, so that a write can never hold the worker: the device takes a frame at once or refuses it. */
	tap.fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (tap.fd < 0)
		return -errno;
	request_name(&request, ifname);
	request.ifr_flags = IFF_TAP | IFF_NO_PI;
	r = ioctl(tap.fd, TUNSETIFF, &request) < 0 ? -errno : 0;
	if (!r) {
		memcpy(tap.ifname, request.ifr_name, sizeof(tap.ifname));
		r = interface_ioctl(SIOCGIFINDEX, &request);
		tap.ifindex = (unsigned)request.ifr_ifindex;
	}
	if (!r)
		r = redirect_silence((int)tap.ifindex);
	if (r == -EAFNOSUPPORT || r == -EOPNOTSUPP)
		r = 0; /* no IPv6 in this kernel: silent already */
	if (r) {
		tap_close(&tap);
		return r;
	}
	*ret_tap = tap;
	return 0;
}

void tap_close(struct tap *tap)
{
	if (tap->fd >= 0)
		close(tap->fd); /* takes the device, its qdisc and its filter along */
	*tap = TAP_NONE;
}

int tap_follow_address(struct tap *tap, const char *like)
{
	struct ifreq request;
	int r;

	request_name(&request, like);
	r = interface_ioctl(SIOCGIFHWADDR, &request);
	if (r || !memcmp(request.ifr_hwaddr.sa_data, tap->address, sizeof(tap->address)))
		return r;
	memcpy(request.ifr_name, tap->ifname, sizeof(tap->ifname));
	request.ifr_hwaddr.sa_family = ARPHRD_ETHER;
	r = interface_ioctl(SIOCSIFHWADDR, &request);
	if (!r)
		memcpy(tap->address, request.ifr_hwaddr.sa_data, sizeof(tap->address));
	return r;
}

int tap_redirect(struct tap *tap, unsigned to_ifindex)
{
	struct ifreq request;
	int r;

	request_name(&request, tap->ifname);
	r = interface_ioctl(SIOCGIFFLAGS, &request);
	if (r)
		return r;
	request.ifr_flags |= IFF_UP | IFF_NOARP;
	r = interface_ioctl(SIOCSIFFLAGS, &request);
	return r ? r : redirect_ingress((int)tap->ifindex, (int)to_ifindex);
}
