// Functions of registers of any width, included once for each: V is the type of a register, I that of as many integers, and
// NAMED(f) the name of f at that width. A number's bytes are the same at every width.

/// 2^x for x <= 127, relative error 2e-7, exactly 1 at 0; everything below -126 gives 2^-126.
INLINE V NAMED(exp2_fast)(V x) {
  const V shift = (V)(12582912.0f), least = (V)(-126.0f);
  x = least > x ? least : x;
  V z = x + shift;
  V r = x - (z - shift);
  V p = FMA((V)(0.0013264587519436874f), r, (V)(0.009671619228882235f));
  p = FMA(p, r, (V)(0.05550735042356738f));
  p = FMA(p, r, (V)(0.2402224045561624f));
  p = FMA(p, r, (V)(0.6931469763753579f));
  p = FMA(p, r, (V)(1.0f));
  I bits = __builtin_bit_cast(I, z) << 23;
  return __builtin_bit_cast(V, __builtin_bit_cast(I, p) + bits);
}

/// The upper tail of the normal distribution at a >= 0 is p(a)^-8, with this polynomial p: dividing and
/// squaring takes fewer operations than the exponential of the usual forms, and nothing cancels.
INLINE V NAMED(normal_tail_root)(V a) {
  V p = FMA((V)(3.0665521535411244e-06f), a, (V)(-1.6565922123845667e-05f));
  p = FMA(p, a, (V)(9.759696695255116e-05f));
  p = FMA(p, a, (V)(0.00014510989421978593f));
  p = FMA(p, a, (V)(0.0010343119502067566f));
  p = FMA(p, a, (V)(0.009397500194609165f));
  p = FMA(p, a, (V)(0.04883141815662384f));
  p = FMA(p, a, (V)(0.10876058042049408f));
  p = FMA(p, a, (V)(1.0905077457427979f));
  p = p * p;
  p = p * p;
  return p * p;
}

/// |x| or 10, whichever is less; a NaN stays.
INLINE V NAMED(at_most_ten)(V x) {
  const V ten = (V)(10.0f);
  x = __builtin_elementwise_abs(x);
  return ten < x ? ten : x;
}

/// x * Phi(x) = max(x, 0) - |x| * tail(|x|); 3e-7 absolute.
INLINE V NAMED(gelu)(V x) {
  const V a = NAMED(at_most_ten)(x), zero = (V)(0.0f);
  return (zero > x ? zero : x) - a / NAMED(normal_tail_root)(a);
}

/// Phi(x) + x * phi(x)
INLINE V NAMED(gelu_slope)(V x) {
  const V a = NAMED(at_most_ten)(x), ten = (V)(10.0f);
  V tail = (V)(1.0f) / NAMED(normal_tail_root)(a);
  V cumulative = x < (V)(0.0f) ? tail : (V)(1.0f) - tail;
  V density = (V)(0.3989422804014327f) * NAMED(exp2_fast)((V)(-0.5f * LOG2E) * a * a);
  V bounded = -ten > x ? -ten : x;
  bounded = ten < bounded ? ten : bounded;
  return FMA(bounded, density, cumulative);
}

INLINE V NAMED(activate)(int activation, V x) {
  const V zero = (V)(0.0f);
  if (activation == CK_GELU) return NAMED(gelu)(x);
  if (activation == CK_RELU) return zero > x ? zero : x;
  return x;
}
#undef V
#undef I
#undef NAMED
