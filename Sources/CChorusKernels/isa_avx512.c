#include "instances.h"

#if defined(__x86_64__)
#define CK_TABLE ck_table_avx512
#define CK_ISA CK_AVX512
#define CK_FMA 1
#define CK_PAIRS 0
#define CK_TILES 0
#define CK_LANES 16
#define CK_ROWS 12
#define CK_PANELS 2
#pragma clang attribute push(__attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,avx2,fma"))), \
                             apply_to = function)
#include "body/table.h"
#pragma clang attribute pop
#endif
