// The products of bfloat16; everything else is that of isa_avx512.c.
#include "instances.h"

#if defined(__x86_64__)
#include <immintrin.h>
#include <math.h>
#include <time.h>

#define CK_FMA 1
#define CK_PAIRS 1
#define CK_TILES 0
#define CK_LANES 16
#define CK_ROWS 12
#define CK_PANELS 2
#pragma clang attribute push(__attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,avx512bf16,avx2,fma"))), \
                             apply_to = function)
#pragma clang diagnostic ignored "-Wunused-function"  // the bodies hold the float32 forms too
#include "body/base.h"
#include "body/functions.h"
#include "body/tiles.h"
#include "body/epilogue.h"
#include "body/matmul.h"
#include "body/bf16.h"
#include "body/attention.h"

const ck_bf16_kernels ck_bf16_avx512 = BF16_KERNELS(CK_BF16_PAIRS, matmul_bf16, matmul_tn_bf16);

static double seconds_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

enum { PROBE_ROUNDS = 2000, PROBE_SUMS = 12 };

/// Seconds of as many instructions, for pairs or of float32, as independent as registers allow.
INLINE double probe_seconds(const int by_pairs) {
  __m512 sums[PROBE_SUMS];
  UNROLL for (int i = 0; i < PROBE_SUMS; ++i) sums[i] = _mm512_set1_ps((float)i);
  const __m512 factor = _mm512_set1_ps(0.5f);
  const double start = seconds_now();
  for (int round = 0; round < PROBE_ROUNDS; ++round)
    UNROLL for (int i = 0; i < PROBE_SUMS; ++i) {
      if (by_pairs)
        sums[i] = _mm512_dpbf16_ps(sums[i], (__m512bh)factor, (__m512bh)factor);
      else
        sums[i] = _mm512_fmadd_ps(sums[i], factor, factor);
      __asm__ volatile("" : "+v"(sums[i]));
    }
  return seconds_now() - start;
}

// On processors of one maker the instruction does twice the products of float32 a second, on those of another half of them.
int ck_pairs_are_faster(void) {
  double pairs = INFINITY, single = INFINITY;
  for (int i = 0; i < 5; ++i) {
    const double a = probe_seconds(1), b = probe_seconds(0);
    pairs = a < pairs ? a : pairs, single = b < single ? b : single;
  }
  return pairs < 2 * single;  // one instruction makes twice as many products
}
#pragma clang attribute pop
#endif
