/* memory.h - the heap of the test builds: every block of the engine between canaries, poisoned when it is
 * freed.
 *
 * Force-included before the compiled module, so that its malloc and free come here; the product's sources do
 * not know. A freed block is not reused for a while: it waits in a quarantine, and when it leaves that, or
 * the process ends, nobody may have written to it, the kernel included. A violated canary or poison ends the
 * process with a message that names the block by the functions that took and gave it.
 *
 * Threads: any.
 */
#ifndef IOCPSOCK_TEST_MEMORY_H
#define IOCPSOCK_TEST_MEMORY_H

#include <malloc.h>
#include <stdlib.h>

void *memory_take(size_t size);
void memory_give(void *block);
int memory_blocks(void);                    /* how many blocks are in use */
int memory_damage(const char *place);       /* do wrong on purpose: "before", "behind", "freed" or "twice" to a block of
                                               its own, or "latest" to the block that was freed last; else -1 */

#define OP_KEEP_BYTES 0                     /* no free lists of the engine's own: each freed op comes here */
#define PAGE_SLAB 1                         /* nor several pages in a block */
#define WAITER_KEEP 0                       /* nor waiters, so each wait asks for an event */

#ifndef MEMORY_ITSELF
#define Iocpsock_Init product_Iocpsock_Init     /* control.c has one that calls it */
#define malloc(size) memory_take(size)
#define free(block) memory_give(block)
#endif

#endif
