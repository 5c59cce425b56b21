// Transcendental functions of 8 floats (and 4 doubles). All polynomials are own minimax fits.

#define LOG2E 1.44269504088896341f
#define LN2 0.693147180559945309f

#define V v8
#define I i8
#define NAMED(f) f##8
#include "any_width.h"
#if CK_LANES == 16
#define V wide
#define I iwide
#define NAMED(f) f##16
#include "any_width.h"
#endif

/// exp with 1 unit in the last place; results too small for a normal number are 0.
INLINE v8 exp8(v8 x) {
  const v8 shift = splat(12582912.0f);  // 1.5 * 2^23: added to a number it leaves the rounded one in the low bits
  v8 z = FMA(x, splat(LOG2E), shift);
  v8 n = z - shift;
  v8 r = FMA(n, splat(-0.693359375f), x);
  r = FMA(n, splat(2.12194440e-4f), r);
  v8 p = FMA(splat(0.001381314235922302f), r, splat(0.008369419043273749f));
  p = FMA(p, r, splat(0.04166845683325135f));
  p = FMA(p, r, splat(0.1666651478912095f));
  p = FMA(p, r, splat(0.49999993050491415f));
  p = FMA(p * r, r, r) + splat(1.0f);
  // n goes into the exponent of p, which stays in range up to the largest finite result.
  v8 y = __builtin_bit_cast(v8, __builtin_bit_cast(i8, p) + (__builtin_bit_cast(i8, z) << 23));
  y = select8(x < splat(-87.33654f), splat(0), y);
  return select8(x <= splat(88.72283f), y, x * splat(__builtin_inff()));  // infinity, or the NaN that x is
}

INLINE v8 log8(v8 x) {
  // Denormals are lifted into the normal range first.
  i8 tiny = x < splat(1.17549435e-38f);
  v8 y = select8(tiny, x * splat(8388608.0f), x);
  i8 bits = __builtin_bit_cast(i8, y);
  i8 exponent = (bits - 0x3f3504f3) >> 23;
  v8 f = __builtin_bit_cast(v8, bits - (exponent << 23)) - splat(1.0f);
  v8 e = __builtin_convertvector(exponent, v8) - select8(tiny, splat(23.0f), splat(0));
  v8 p = FMA(splat(-0.0763432076708094f), f, splat(0.1276540101467038f));
  p = FMA(p, f, splat(-0.13162016898535797f));
  p = FMA(p, f, splat(0.14201373161130068f));
  p = FMA(p, f, splat(-0.16623143593028594f));
  p = FMA(p, f, splat(0.2000123566465115f));
  p = FMA(p, f, splat(-0.25000826790516584f));
  p = FMA(p, f, splat(0.33333331684042383f));
  v8 square = f * f;
  v8 low = FMA(e, splat(-2.12194440e-4f), square * f * p);
  low = FMA(square, splat(-0.5f), low);
  v8 result = FMA(e, splat(0.693359375f), f + low);
  return select8(x < splat(__builtin_inff()), result, x);  // infinity and NaN stay themselves
}

/// log(1 + u) for u in 0...1 with full relative accuracy.
INLINE v8 log1p8(v8 u) {
  v8 w = splat(1.0f) + u;
  return log8(w) + (u - (w - splat(1.0f))) / w;
}

/// x + 1 above 0, exp(x) below: ELU(x) + 1, which is nowhere negative.
INLINE v8 positive_elu8(v8 x) { return select8(x > splat(0), x + splat(1.0f), exp8(x)); }

INLINE v8 softplus8(v8 x) { return max8(splat(0), x) + log1p8(exp8(-abs8(x))); }

/// 1 / (1 + exp(-x))
INLINE v8 sigmoid8(v8 x) {
  v8 e = exp8(-abs8(x));
  v8 tail = e / (splat(1.0f) + e);
  return select8(x < splat(0), tail, splat(1.0f) - tail);
}

INLINE v4d exp4d(v4d x) {
  const v4d shift = (v4d)(0x1.8p52);
  const v4d low = (v4d)(-746.0), high = (v4d)(710.0);
  x = low > x ? low : x;
  x = high < x ? high : x;
  v4d n = FMA(x, (v4d)(1.44269504088896338700), shift) - shift;
  v4d r = FMA(n, (v4d)(-6.93147180369123816490e-01), x);
  r = FMA(n, (v4d)(-1.90821492927058770002e-10), r);
  // The series of exp to r^13 leaves 1e-17 on |r| < 0.35.
  v4d p = FMA((v4d)(1.0 / 6227020800.0), r, (v4d)(1.0 / 479001600.0));
  p = FMA(p, r, (v4d)(1.0 / 39916800.0));
  p = FMA(p, r, (v4d)(1.0 / 3628800.0));
  p = FMA(p, r, (v4d)(1.0 / 362880.0));
  p = FMA(p, r, (v4d)(1.0 / 40320.0));
  p = FMA(p, r, (v4d)(1.0 / 5040.0));
  p = FMA(p, r, (v4d)(1.0 / 720.0));
  p = FMA(p, r, (v4d)(1.0 / 120.0));
  p = FMA(p, r, (v4d)(1.0 / 24.0));
  p = FMA(p, r, (v4d)(1.0 / 6.0));
  p = FMA(p, r, (v4d)(0.5));
  p = FMA(p * r, r, r) + (v4d)(1.0);
  v4d first = FMA(n, (v4d)(0.5), shift);
  v4d rest = (n - (first - shift)) + shift;
  const i4d one = (i4d)(0x3ff0000000000000);
  v4d a = __builtin_bit_cast(v4d, (__builtin_bit_cast(i4d, first) << 52) + one);
  v4d b = __builtin_bit_cast(v4d, (__builtin_bit_cast(i4d, rest) << 52) + one);
  return p * a * b;
}
