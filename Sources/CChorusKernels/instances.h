// The tables that the isa_*.c files define, where the machine's family has them.
#include <string.h>

#include "chorus_kernels_testing.h"

extern const ck_table ck_table_baseline;
#if defined(__x86_64__)
extern const ck_table ck_table_avx2, ck_table_avx512;
extern const ck_bf16_kernels ck_bf16_avx512;
#elif defined(__aarch64__)
extern const ck_table ck_table_neon;
#endif
