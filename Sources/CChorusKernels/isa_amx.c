// The products of bfloat16 by AMX tiles; everything else is that of isa_avx512.c.
#include "instances.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define CK_FMA 1
#define CK_PAIRS 1
#define CK_TILES 1
#define CK_LANES 16
#define CK_ROWS 12
#define CK_PANELS 2
#pragma clang attribute push(                                                                                   \
    __attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,avx512bf16,avx2,fma,amx-tile,amx-bf16"))), \
    apply_to = function)
#pragma clang diagnostic ignored "-Wunused-function"  // the bodies hold the forms without tiles too
#include "body/base.h"
#include "body/functions.h"
#include "body/tiles.h"
#include "body/epilogue.h"
#include "body/matmul.h"
#include "body/bf16.h"
#include "body/amx.h"
#include "body/attention.h"

const ck_bf16_kernels ck_bf16_amx = BF16_KERNELS(CK_BF16_AMX, matmul_amx, matmul_tn_amx);
#pragma clang attribute pop
#endif
