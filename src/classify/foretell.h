/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * foretell.h - the host says what the XDP tier does with a frame: match.h compiled once more, with every deep question handing the
 * packet over, as in the kernel.
 *
 * A packet's whole life offline is foretell(), and for those it hands over classify() without counting what was counted. Where
 * the XDP program itself can run, its answer has to be the one that was foretold (control/testrun.h).
 */
#ifndef SPILLWAY_CLASSIFY_FORETELL_H
#define SPILLWAY_CLASSIFY_FORETELL_H

#include "classify/classify.h"

/* *ret_match and the rule hits in *tally are those of the XDP tier. Verdicts are not counted. */
void foretell(const struct classifier *classifier, const uint8_t *data, uint32_t len, struct tally *tally, struct pkt *ret_pkt,
	      struct match *ret_match);

/* The verdict of the XDP tier, if the user tier has room for everything: VERDICT_DIVERT is what it gets. */
enum verdict foretell_verdict(const struct match *match);

#endif
