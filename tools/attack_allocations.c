// Lets an allocation fail: what tools/attack loads before the program (LD_PRELOAD; glibc).
//
//   CHORUS_FAIL_SIZE   bytes from which allocations count
//   CHORUS_FAIL_AT     which of them fails, from 1; 0: none
//   CHORUS_FAIL_REST   set: those after it as well
//   CHORUS_FAIL_COUNT  a file for how many there were
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

static atomic_size_t count;
static size_t least = (size_t)-1, at, rest;

static size_t number(const char *name) {
  const char *text = getenv(name);
  return text ? strtoull(text, NULL, 10) : 0;
}

__attribute__((constructor)) static void begin(void) {
  at = number("CHORUS_FAIL_AT");
  rest = getenv("CHORUS_FAIL_REST") != NULL;
  least = number("CHORUS_FAIL_SIZE");
}

__attribute__((destructor)) static void end(void) {
  const char *path = getenv("CHORUS_FAIL_COUNT");
  size_t counted = atomic_load(&count);
  least = (size_t)-1;
  FILE *file = path ? fopen(path, "w") : NULL;
  if (!file) return;
  fprintf(file, "%zu\n", counted);
  fclose(file);
}

static int fails(size_t size) {
  if (size < least) return 0;
  size_t index = atomic_fetch_add(&count, 1) + 1;
  if (!at || index < at || (index > at && !rest)) return 0;
  errno = ENOMEM;
  return 1;
}

void *malloc(size_t size) { return fails(size) ? NULL : __libc_malloc(size); }

void *calloc(size_t items, size_t size) {
  size_t all;
  if (__builtin_mul_overflow(items, size, &all)) all = (size_t)-1;
  return fails(all) ? NULL : __libc_calloc(items, size);
}

void *realloc(void *old, size_t size) { return fails(size) ? NULL : __libc_realloc(old, size); }

void *memalign(size_t alignment, size_t size) { return fails(size) ? NULL : __libc_memalign(alignment, size); }

void *aligned_alloc(size_t alignment, size_t size) { return memalign(alignment, size); }

int posix_memalign(void **result, size_t alignment, size_t size) {
  void *memory = memalign(alignment, size);
  if (!memory) return ENOMEM;
  *result = memory;
  return 0;
}

void *mmap(void *address, size_t size, int protection, int flags, int descriptor, off_t offset) {
  static void *(*real)(void *, size_t, int, int, int, off_t);
  if (!real) real = (void *(*)(void *, size_t, int, int, int, off_t))dlsym(RTLD_NEXT, "mmap");
  return fails(size) ? MAP_FAILED : real(address, size, protection, flags, descriptor, offset);
}
