// What products by AMX tiles give (body/amx.h), in plain loops.
#include <math.h>

#include "instances.h"

#pragma clang fp contract(off)

static float rounded(float x) {
  if (isnan(x)) return x;
  if (fabsf(x) < 0x1p-56f) return 0;
  uint32_t bits = __builtin_bit_cast(uint32_t, x);
  bits = (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000u;
  return __builtin_bit_cast(float, bits);
}

void ck_tiles_reference(int m, int n, int k, const float *a, int lda, const float *b, int ldb, float *c, int ldc,
                        int accumulate) {
  for (int i = 0; i < m; ++i)
    for (int j = 0; j < n; ++j) {
      float *sum = c + (ptrdiff_t)i * ldc + j;
      if (!accumulate) *sum = 0;
      for (int block = 0; block < k; block += 32) {
        float chains[2] = {0, 0};  // of the even and of the odd numbers
        for (int p = block; p < k && p < block + 32; ++p)
          chains[p % 2] += rounded(a[(ptrdiff_t)i * lda + p]) * rounded(b[(ptrdiff_t)p * ldb + j]);
        *sum += chains[0] + chains[1];
      }
    }
}
