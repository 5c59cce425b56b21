// Probes of the machine for benchmarks.

static double probe_fma(long rounds, float *sink) {
  enum { sums = CK_FMA ? 12 : 6, steps = 16 };  // as many as the registers hold
  wide x[sums];
  UNROLL for (int i = 0; i < sums; ++i) x[i] = (wide)(0.5f + (float)i);
  const wide factor = (wide)(sink ? 0.999f + 0.0f * sink[0] : 0.999f), shift = (wide)(1e-3f);
  for (long round = 0; round < rounds; ++round)
    UNROLL for (int step = 0; step < steps; ++step)
      UNROLL for (int i = 0; i < sums; ++i) x[i] = FMA(x[i], factor, shift);
  wide all = x[0];
  UNROLL for (int i = 1; i < sums; ++i) all += x[i];
  float result = 0;
  UNROLL for (int i = 0; i < CK_LANES; ++i) result += all[i];
  if (sink) *sink = result;
  return 2.0 * CK_LANES * sums * steps * (double)rounds;
}

static float probe_read(size_t n, const float *x) {
  v8 s0 = splat(0), s1 = s0, s2 = s0, s3 = s0;
  size_t i = 0;
  for (; i + 32 <= n; i += 32)
    s0 += load8(x + i), s1 += load8(x + i + 8), s2 += load8(x + i + 16), s3 += load8(x + i + 24);
  for (; i < n; i += 8) s0 += load_upto8(x + i, (int)min_int(8, (int)(n - i)));
  return sum8((s0 + s1) + (s2 + s3));
}
