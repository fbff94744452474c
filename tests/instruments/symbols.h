/* symbols.h - the names of this DLL's functions, from the symbol table that a build without `-s` leaves in
 * its file. */
#ifndef IOCPSOCK_TEST_SYMBOLS_H
#define IOCPSOCK_TEST_SYMBOLS_H

/* The name of the first function around one of `addresses` that is not of the heap itself. Valid until the
 * next call. */
const char *symbols_owner(void *const *addresses, int count);
/* Who called: the functions of this DLL from the one that called the instruments, each with its file, up to
 * the host's. */
void symbols_trace(void *const *addresses, int count, char *text, int size);

#endif
