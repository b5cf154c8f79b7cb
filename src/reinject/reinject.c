/* SPDX-License-Identifier: BSD-2-Clause */
#include "reinject/reinject.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "reinject/redirect.h"

struct reinject {
	int tap;    /* the TAP's file: writing to it is a frame's arrival on the device */
	int socket; /* for interface ioctls */
	char ifname[IF_NAMESIZE];
	char device[IF_NAMESIZE];
	uint8_t address[6]; /* of the interface, and so of the TAP */
};

static int say(int error, char *ret_message, size_t size, const char *what, const char *fix)
{
	snprintf(ret_message, size, "%s: %s%s%s", what, strerror(-error), *fix ? "; " : "", fix);
	return error;
}

static int link_address(int socket, const char *ifname, uint8_t address[6])
{
	struct ifreq request = { 0 };

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", ifname);
	if (ioctl(socket, SIOCGIFHWADDR, &request) < 0)
		return -errno;
	memcpy(address, request.ifr_hwaddr.sa_data, 6);
	return 0;
}

static int link_set_address(int socket, const char *ifname, const uint8_t address[6])
{
	struct ifreq request = { 0 };

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", ifname);
	request.ifr_hwaddr.sa_family = ARPHRD_ETHER;
	memcpy(request.ifr_hwaddr.sa_data, address, 6);
	return ioctl(socket, SIOCSIFHWADDR, &request) < 0 ? -errno : 0;
}

static int link_up(int socket, const char *ifname)
{
	struct ifreq request = { 0 };

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", ifname);
	if (ioctl(socket, SIOCGIFFLAGS, &request) < 0)
		return -errno;
	request.ifr_flags |= IFF_UP | IFF_NOARP;
	return ioctl(socket, SIOCSIFFLAGS, &request) < 0 ? -errno : 0;
}

static int tap_create(struct reinject *reinject, unsigned ifindex)
{
	struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI };

	/* Non-blocking, so that a write can never hold the worker; a TAP takes a frame at once or refuses it. */
	reinject->tap = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (reinject->tap < 0)
		return -errno;
	snprintf(request.ifr_name, sizeof(request.ifr_name), "spw%u", ifindex);
	if (ioctl(reinject->tap, TUNSETIFF, &request) < 0)
		return -errno;
	memcpy(reinject->device, request.ifr_name, sizeof(reinject->device));
	return 0;
}

int reinject_open(const char *ifname, struct reinject **ret_reinject, char *ret_message, size_t size)
{
	unsigned ifindex = if_nametoindex(ifname);
	struct reinject *reinject;
	int device_index;
	int r;

	if (!ifindex)
		return say(-ENODEV, ret_message, size, "reinjection", "");
	reinject = calloc(1, sizeof(*reinject));
	if (!reinject)
		return say(-ENOMEM, ret_message, size, "reinjection", "");
	reinject->tap = -1;
	snprintf(reinject->ifname, sizeof(reinject->ifname), "%s", ifname);
	reinject->socket = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	r = reinject->socket < 0 ? -errno : tap_create(reinject, ifindex);
	if (r) {
		reinject_close(reinject);
		return say(r, ret_message, size, "reinjection needs a TAP device", r == -ENOENT ? "load it with `modprobe tun`" : "");
	}
	device_index = (int)if_nametoindex(reinject->device);
	r = redirect_silence(device_index);
	if (r == -EAFNOSUPPORT || r == -EOPNOTSUPP)
		r = 0; /* no IPv6 in this kernel: silent already */
	if (!r)
		r = link_address(reinject->socket, ifname, reinject->address);
	if (!r)
		r = link_set_address(reinject->socket, reinject->device, reinject->address);
	if (!r)
		r = link_up(reinject->socket, reinject->device);
	if (!r)
		r = redirect_ingress(device_index, (int)ifindex);
	if (r) {
		reinject_close(reinject);
		return say(r, ret_message, size, "reinjection cannot redirect its TAP device to the interface",
			   r == -ENOENT ? "load `modprobe sch_ingress cls_u32 act_mirred`" : "");
	}
	*ret_reinject = reinject;
	return 0;
}

struct reinject *reinject_close(struct reinject *reinject)
{
	if (!reinject)
		return NULL;
	if (reinject->tap >= 0)
		close(reinject->tap); /* takes the device, its qdisc and its filter along */
	if (reinject->socket >= 0)
		close(reinject->socket);
	free(reinject);
	return NULL;
}

int reinject_send(struct reinject *reinject, const uint8_t *data, uint32_t len)
{
	return write(reinject->tap, data, len) == (ssize_t)len ? 0 : -errno;
}

int reinject_follow_address(struct reinject *reinject)
{
	uint8_t address[6];
	int r = link_address(reinject->socket, reinject->ifname, address);

	if (r || !memcmp(address, reinject->address, sizeof(address)))
		return r;
	r = link_set_address(reinject->socket, reinject->device, address);
	if (!r)
		memcpy(reinject->address, address, sizeof(address));
	return r;
}

const char *reinject_device(const struct reinject *reinject)
{
	return reinject->device;
}
