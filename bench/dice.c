/* SPDX-License-Identifier: BSD-2-Clause */
#include "dice.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

int zipf_init(struct zipf *zipf, uint32_t n, double exponent)
{
	double sum = 0;

	zipf->sums = malloc(n * sizeof(*zipf->sums));
	zipf->n = n;
	if (!zipf->sums)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++)
		zipf->sums[i] = sum += pow(i + 1, -exponent);
	return 0;
}

void zipf_fini(struct zipf *zipf)
{
	free(zipf->sums);
	zipf->sums = NULL;
}

uint32_t zipf_roll(const struct zipf *zipf, struct dice *dice)
{
	double at = (double)(dice_roll(dice) >> 11) * 0x1p-53 * zipf->sums[zipf->n - 1];
	uint32_t low = 0, high = zipf->n - 1;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (zipf->sums[middle] > at)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}
