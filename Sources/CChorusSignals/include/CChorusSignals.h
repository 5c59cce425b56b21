// What a handler of signals can tell of what ends the process. Nothing here takes memory or a lock.
#ifndef CCHORUS_SIGNALS_H
#define CCHORUS_SIGNALS_H

#include <signal.h>

// Whether this thread is inside an allocation of Swift's runtime, which ends the process where it is given no memory.
int cs_is_allocating(void);

// Whether a signal came from another process.
int cs_is_sent(const siginfo_t *origin);

// Whether an address close to nothing was read or written, as through a pointer that an allocation did not give.
int cs_is_at_nothing(const siginfo_t *origin);

#endif
