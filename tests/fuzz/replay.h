/* SPDX-License-Identifier: BSD-2-Clause */
/* replay.h - without libFuzzer (FUZZ_REPLAY) a target is a program that runs the files it is given, one after the other. */
#ifndef SPILLWAY_FUZZ_REPLAY_H
#define SPILLWAY_FUZZ_REPLAY_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#ifdef FUZZ_REPLAY
#include <stdio.h>
#include <stdlib.h>

static int replay(const char *path)
{
	FILE *file = fopen(path, "rb");
	uint8_t *data = NULL;
	size_t size = 0, n;

	if (!file) {
		perror(path);
		return 1;
	}
	do {
		data = realloc(data, size + 65536); /* an exactly sized copy follows, so that a sanitizer sees the end */
		n = fread(data + size, 1, 65536, file);
		size += n;
	} while (n > 0);
	fclose(file);
	data = realloc(data, size ? size : 1);
	LLVMFuzzerTestOneInput(data, size);
	free(data);
	return 0;
}

int main(int argc, char **argv)
{
	int failed = 0;

	for (int i = 1; i < argc; i++)
		failed |= replay(argv[i]);
	return failed;
}
#endif

#endif
