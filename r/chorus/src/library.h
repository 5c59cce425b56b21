#ifndef CHORUS_R_LIBRARY_H
#define CHORUS_R_LIBRARY_H

#include "chorus.h"

/* The functions of libchorus.so, which is opened when the package is loaded. */
#define CHORUS_FUNCTIONS(F)                                                                                                      \
  F(chorus_version) F(chorus_last_error) F(chorus_notes) F(chorus_open) F(chorus_describe) F(chorus_condition) F(chorus_append)  \
  F(chorus_condition_series)                                                                                                     \
  F(chorus_given) F(chorus_save) F(chorus_load) F(chorus_functionals)                                                                                                 \
  F(chorus_sample) F(chorus_log_density) F(chorus_marginals) F(chorus_probabilities) F(chorus_horizon) F(chorus_token_create)    \
  F(chorus_cancel) F(chorus_free)

#define CHORUS_POINTER(name) __typeof__(&name) name;
struct library {
  CHORUS_FUNCTIONS(CHORUS_POINTER)
};
#undef CHORUS_POINTER

extern struct library library;

/* A call of the library on a thread of its own, while R looks for interrupts. */
struct call {
  int32_t (*body)(struct call *);
  const chorus_token *token; /* in the options of the call */
  int32_t code;
  char *words; /* why it failed, or what to be careful about; free() it */
};

/* Runs the body. Where the user interrupts it, its code is CHORUS_CANCELLED. */
void library_call(struct call *call);

#endif
