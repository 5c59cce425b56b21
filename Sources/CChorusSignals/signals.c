#define _GNU_SOURCE
#include "CChorusSignals.h"

#include <stddef.h>
#include <stdint.h>
#include <unistd.h>
#include <unwind.h>

// Of the runtime: the memory of every array and of every object comes from here.
extern void *swift_slowAlloc(size_t size, size_t alignment);

static _Unwind_Reason_Code look(struct _Unwind_Context *frame, void *found) {
  uintptr_t address = (uintptr_t)_Unwind_GetIP(frame);
  if (address == 0) return _URC_END_OF_STACK;
  // One byte before the address that a call returns to: a call that never returns may be the last instruction of its function.
  if (_Unwind_FindEnclosingFunction((void *)(address - 1)) != (void *)swift_slowAlloc) return _URC_NO_REASON;
  *(int *)found = 1;
  return _URC_END_OF_STACK;
}

int cs_is_allocating(void) {
  int found = 0;
  _Unwind_Backtrace(look, &found);
  return found;
}

// What the processor found has a positive code.
int cs_is_sent(const siginfo_t *origin) { return origin->si_code <= 0 && origin->si_pid != getpid(); }

// An address that no address can be (SI_KERNEL) is told as 0, and is something else.
int cs_is_at_nothing(const siginfo_t *origin) {
  return origin->si_signo == SIGSEGV && origin->si_code == SEGV_MAPERR && (uintptr_t)origin->si_addr < 4096;
}
