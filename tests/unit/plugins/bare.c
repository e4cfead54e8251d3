/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A library, but no driver. */

extern int nothing;
int nothing = 1;
