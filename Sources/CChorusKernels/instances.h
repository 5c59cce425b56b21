// The tables that the isa_*.c files define, where the machine's family has them.
#include <string.h>

#include "chorus_kernels_testing.h"

extern const ck_table ck_table_baseline;
#if defined(__x86_64__)
extern const ck_table ck_table_avx2, ck_table_avx512;
extern const ck_bf16_kernels ck_bf16_avx512, ck_bf16_amx;
/// Whether the instruction for pairs makes more products a second here than fused multiply-adds of float32.
int ck_pairs_are_faster(void);
#elif defined(__aarch64__)
extern const ck_table ck_table_neon;
#endif

/// The products of bfloat16 to go with a table in use: the fastest that the machine has, and told once for the process.
const ck_bf16_kernels *ck_bf16_best(const ck_table *table);
