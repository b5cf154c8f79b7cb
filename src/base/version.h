/* SPDX-License-Identifier: BSD-2-Clause */
/* version.h - what `spillway version` says and every JSON document carries. The build sets the version from meson.build. */
#ifndef SPILLWAY_BASE_VERSION_H
#define SPILLWAY_BASE_VERSION_H

#ifndef SPILLWAY_VERSION
#define SPILLWAY_VERSION "0.1.0"
#endif

#define SPILLWAY_SCHEMA 1 /* grows when a member of a JSON document changes its meaning or goes away */

#endif
