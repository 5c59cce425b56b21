#include "chorus_page.h"

// clang knows #embed in every language since version 19 and only remarks that C has it since C23.
#pragma clang diagnostic ignored "-Wc23-extensions"

static const unsigned char page[] = {
#embed "playground.html"
};

const unsigned char *chorus_page(size_t *count) {
  *count = sizeof page;
  return page;
}
