#include "instances.h"

#if defined(__x86_64__)
#define CK_TABLE ck_table_avx2
#define CK_ISA CK_AVX2
#define CK_FMA 1
#define CK_PAIRS 0
#define CK_TILES 0
#define CK_LANES 8
#define CK_ROWS 6
#define CK_PANELS 1
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#include "body/table.h"
#pragma clang attribute pop
#endif
