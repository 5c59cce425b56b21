#ifndef CHORUS_PLACE_H
#define CHORUS_PLACE_H

/* The file that this code was loaded from: the library's, or the executable's where it is linked statically; NULL where the system
 * does not tell. */
const char *chorus_place(void);

#endif
