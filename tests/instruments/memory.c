/* memory.c - see memory.h.
 *
 * Owner: a block in use stands in the list `used`; a freed one waits in `freed`, oldest first, and leaves it
 * when that holds more than QUARANTINE bytes. Threads: any, under `lock`.
 */
#define MEMORY_ITSELF
#include <winsock2.h>
#include <windows.h>
#include <stdio.h>
#include <string.h>
#include "memory.h"
#include "symbols.h"
#ifdef IOCPSOCK_FAULTS
#define FAULTS_THEMSELVES
#define STRICT_ITSELF
#include "faults.h"
#endif

enum {
    FRESH = 0xCD, POISON = 0xDD,
    CANARY = 0xC5,
    CANARY_BYTES = 32,          /* at either end */
    FRAMES = 4,                 /* of the stack, to tell who took and gave */
    QUARANTINE = 16 << 20,
    /* Exit status of a process that was stopped here: what abort() gives elsewhere. */
    STATUS = 134
};

struct block {
    struct block *next, *previous;
    size_t size;
    size_t given;               /* 1 in quarantine */
    void *taker[FRAMES], *giver[FRAMES];
    unsigned char canary[CANARY_BYTES];
    unsigned char data[];
};

struct list {
    struct block *first, *last;
    size_t bytes;
    int count;
};

static SRWLOCK lock;
static struct list used, freed;

static void stop(const struct block *block, const char *what, size_t offset, unsigned char found)
{
    char text[500], taker[200];
    DWORD written;
    int length;
    lstrcpynA(taker, symbols_owner(block->taker, FRAMES), sizeof taker);
    length = snprintf(text, sizeof text,
                      "iocpsock: memory taken by %s (%llu bytes%s%s: %s, at offset %lld: 0x%02X\n", taker,
                      (unsigned long long)block->size, block->given ? ") and given back by " : ")",
                      block->given ? symbols_owner(block->giver,
                                                   FRAMES) : "", what, (long long)offset, found);
    WriteFile(GetStdHandle(STD_ERROR_HANDLE), text, length, &written, NULL);
    TerminateProcess(GetCurrentProcess(), STATUS);
}

static void expect(const struct block *block, const unsigned char *bytes, size_t count, unsigned char value,
                   const char *what)
{
    size_t index;
    for (index = 0; index < count; index++)
        if (bytes[index] != value)
            stop(block, what, bytes + index - block->data, bytes[index]);
}

static void check(const struct block *block)
{
    expect(block, block->canary, CANARY_BYTES, CANARY, "written to before its start");
    expect(block, block->data + block->size, CANARY_BYTES, CANARY, "written to behind its end");
    if (block->given)
        expect(block, block->data, block->size, POISON, "written to after it was freed");
}

static void append(struct list *list, struct block *block)
{
    block->next = NULL;
    block->previous = list->last;
    if (list->last)
        list->last->next = block;
    else
        list->first = block;
    list->last = block;
    list->bytes += block->size;
    list->count++;
}

static void take_out(struct list *list, struct block *block)
{
    if (block->previous)
        block->previous->next = block->next;
    else
        list->first = block->next;
    if (block->next)
        block->next->previous = block->previous;
    else
        list->last = block->previous;
    list->bytes -= block->size;
    list->count--;
}

void *memory_take(size_t size)
{
    struct block *block;
#ifdef IOCPSOCK_FAULTS
    if (fault_fails(FAULT_malloc))
        return NULL;
#endif
    block = malloc(sizeof *block + size + CANARY_BYTES);
    if (!block)
        return NULL;
    block->size = size;
    block->given = 0;
    memset(block->taker, 0, sizeof block->taker);
    CaptureStackBackTrace(1, FRAMES, block->taker, NULL);
    memset(block->canary, CANARY, CANARY_BYTES);
    memset(block->data, FRESH, size);
    memset(block->data + size, CANARY, CANARY_BYTES);
    AcquireSRWLockExclusive(&lock);
    append(&used, block);
    ReleaseSRWLockExclusive(&lock);
    return block->data;
}

void memory_give(void *data)
{
    struct block *block, *oldest;
    if (!data)
        return;
    block = (struct block *)((unsigned char *)data - offsetof(struct block, data));
#ifdef IOCPSOCK_STRICT
    if (!block->given)
        strict_freed(data, block->size);
#endif
    AcquireSRWLockExclusive(&lock);
    if (block->given)
        stop(block, "freed again", 0, block->data[0]);
    check(block);
    take_out(&used, block);
    block->given = 1;
    memset(block->giver, 0, sizeof block->giver);
    CaptureStackBackTrace(1, FRAMES, block->giver, NULL);
    memset(block->data, POISON, block->size);
    append(&freed, block);
    while (freed.bytes > QUARANTINE) {
        oldest = freed.first;
        take_out(&freed, oldest);
        check(oldest);
        free(oldest);
    }
    ReleaseSRWLockExclusive(&lock);
}

int memory_blocks(void)
{
    return used.count;
}

int memory_damage(const char *place)
{
    unsigned char *data;
    if (!strcmp(place, "latest")) {
        freed.last->data[8] = 0;
        return 0;
    }
    data = memory_take(100);
    if (!strcmp(place, "before"))
        data[-1] = 0;
    else if (!strcmp(place, "behind"))
        data[100] = 0;
    else if (!strcmp(place, "freed")) {
        memory_give(data);
        data[7] = 0;            /* found when the process ends */
        return 0;
    } else if (!strcmp(place, "twice"))
        memory_give(data);
    else {
        memory_give(data);
        return -1;
    }
    memory_give(data);
    return 0;
}

/* The process ends: look at everything once more. A thread that Windows has ended inside the lock would keep
 * it for ever. */
__attribute__((destructor)) static void check_all(void)
{
    struct block *block;
    if (!TryAcquireSRWLockExclusive(&lock))
        return;
    for (block = used.first; block; block = block->next)
        check(block);
    for (block = freed.first; block; block = block->next)
        check(block);
    ReleaseSRWLockExclusive(&lock);
}
