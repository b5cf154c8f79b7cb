/* SPDX-License-Identifier: BSD-2-Clause */
/* ours.h - spillway as the benches run it: rules text to the loaded XDP program with its published image, by the product's code. */
#ifndef SPILLWAY_BENCH_OURS_H
#define SPILLWAY_BENCH_OURS_H

#include <stddef.h>
#include <stdint.h>

#include "act/verdict.h"

struct ours;

/* -E2BIG, -EINVAL: the rules are not for this engine, *ret_message says why. Others: nothing can be measured here. */
int ours_open(const char *text, size_t len, struct ours **ret_ours, char *ret_message, size_t size);
struct ours *ours_close(struct ours *ours); /* NULL is fine; returns NULL */

int ours_program(const struct ours *ours);
/* What the kernel says of the program: instructions after its rewriting, and how many its verifier went through. */
void ours_instructions(const struct ours *ours, uint32_t *ret_xlated, uint32_t *ret_verified);
/* Packets counted by verdict so far. */
uint64_t ours_packets(const struct ours *ours, enum verdict verdict);

#endif
