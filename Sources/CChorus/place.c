#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "chorus_place.h"

#include <dlfcn.h>

const char *chorus_place(void) {
  Dl_info info;
  return dladdr((const void *)chorus_place, &info) ? info.dli_fname : 0;
}
