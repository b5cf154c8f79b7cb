/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * service.h - classes of ports and protocols: those that the same ranges of all rows hold are of one class.
 */
#ifndef SPILLWAY_CLASSIFY_SERVICE_H
#define SPILLWAY_CLASSIFY_SERVICE_H

#include "classify/keys.h"

struct services {
	uint16_t protos[KEYS_PROTOS]; /* by keys_proto() */
	uint16_t ports[2][256];	      /* the page of each port's upper byte */
	uint16_t *pages;	      /* of 256 classes, by the lower byte. malloc()ed */
	uint32_t n_pages;
	uint32_t n_protos, n_ports[2]; /* classes */
};

/* 0 or -ENOMEM; *ret is to be released in either case. */
int services_find(const struct image_row *rows, size_t n_rows, struct services *ret);
void services_fini(struct services *services);

#endif
