// The page of `chorus playground`, as tools/playground makes it, inside the program: a copied program has it with it.
#ifndef CHORUS_PAGE_H
#define CHORUS_PAGE_H

#include <stddef.h>

/// The first of `*count` bytes of an HTML page in UTF-8, which lacks its models.
const unsigned char *chorus_page(size_t *count);

#endif
