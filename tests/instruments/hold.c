/* hold.c - a thread stopped in the middle of a call of the engine's, until a test lets it go: the action
 * `hold` of faults.h.
 *
 * Owner: static, for the life of the process. Threads: the one that is held, and the test's.
 */
#define FAULTS_THEMSELVES
#include "faults.h"

static SRWLOCK lock;
static CONDITION_VARIABLE changed;
static int held, released;

/* The calling thread stops here until fault_release. */
void fault_hold_here(void)
{
    AcquireSRWLockExclusive(&lock);
    held++;
    WakeAllConditionVariable(&changed);
    while (!released)
        SleepConditionVariableSRW(&changed, &lock, INFINITE, 0);
    held--;
    released--;
    ReleaseSRWLockExclusive(&lock);
}

/* Wait until a thread is held: whether one is, in time. */
int fault_held(int milliseconds)
{
    int found;
    AcquireSRWLockExclusive(&lock);
    while (!held && SleepConditionVariableSRW(&changed, &lock, milliseconds, 0))
        ;
    found = held != 0;
    ReleaseSRWLockExclusive(&lock);
    return found;
}

/* Let one thread go. */
void fault_release(void)
{
    AcquireSRWLockExclusive(&lock);
    released++;
    WakeAllConditionVariable(&changed);
    ReleaseSRWLockExclusive(&lock);
}
