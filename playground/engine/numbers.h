// Functions of double precision and the random streams, without a libc: every browser does the same arithmetic, so the same
// seed gives the same bits everywhere.

static double sqrt_f64(double x) { return __builtin_sqrt(x); }
static double exp_f64_one(double x) { return exp4d((v4d)(x))[0]; }

/// 1e-16 relative; x > 0 and normal, which is all that it is asked for.
static double log_f64(double x) {
  int64_t bits = __builtin_bit_cast(int64_t, x);
  const int64_t exponent = (bits - 0x3fe6a09e667f3bcd) >> 52;
  const double m = __builtin_bit_cast(double, bits - (exponent << 52));  // in [sqrt(1/2), sqrt(2))
  const double s = (m - 1) / (m + 1), square = s * s;
  // 2 atanh(s) by its series: |s| < 0.172, so s^23 is below 1e-17.
  double sum = 0;
  for (int k = 21; k >= 1; k -= 2) sum = sum * square + 1.0 / k;
  return (double)exponent * 0.693147180559945309417 + 2 * s * sum;
}

/// log(1 + u), 0 <= u <= 1.
static double log1p_f64(double u) {
  const double w = 1 + u;
  return log_f64(w) + (u - (w - 1)) / w;
}

/// Sine and cosine for |x| up to 1e5 by Taylor's series on [-pi/4, pi/4], 1e-15 absolute.
static void sine_cosine(double x, double *sine, double *cosine) {
  const double n = __builtin_nearbyint(x * 0.636619772367581343076);
  // pi/2 in three parts (Cody and Waite 1980).
  double r = x - n * 1.57079632673412561417e+00;
  r -= n * 6.07710050630396597660e-11;
  r -= n * 2.02226624879595063154e-21;
  const double q = r * r;
  double s = 0, c = 0;
  for (int k = 17; k >= 3; k -= 2) s = (1 + s) * (-q / (double)(k * (k - 1)));
  for (int k = 18; k >= 2; k -= 2) c = (1 + c) * (-q / (double)(k * (k - 1)));
  s = r * (1 + s), c = 1 + c;
  switch ((int)n & 3) {
    case 0: *sine = s, *cosine = c; break;
    case 1: *sine = c, *cosine = -s; break;
    case 2: *sine = -s, *cosine = -c; break;
    default: *sine = -c, *cosine = s;
  }
}

/// P(Z > z) of a standard normal Z by the kernels' own fit, 1e-7 absolute: for pictures.
static double normal_tail(double z) {
  const double a = __builtin_fabs(z);
  const double tail = a < 10 ? 1 / (double)normal_tail_root8(splat((float)a))[0] : 0;
  return z >= 0 ? tail : 1 - tail;
}

static double rational(double r, const double *top, const double *bottom) {
  double a = top[7], b = bottom[7];
  for (int degree = 6; degree >= 0; --degree) a = a * r + top[degree], b = b * r + bottom[degree];
  return a / b;
}

/// The inverse of the normal distribution function: Wichura, algorithm AS 241, 1988, as the library has it.
static double normal_quantile(double p) {
  static const double centre[2][8] = {
      {3.3871328727963666080, 133.14166789178437745, 1971.5909503065514427, 13731.693765509461125,
       45921.953931549871457, 67265.770927008700853, 33430.575583588128105, 2509.0809287301226727},
      {1, 42.313330701600911252, 687.18700749205790830, 5394.1960214247511077, 21213.794301586595867,
       39307.895800092710610, 28729.085735721942674, 5226.4952788528545610}};
  static const double middle[2][8] = {
      {1.42343711074968357734, 4.63033784615654529590, 5.76949722146069140550, 3.64784832476320460504,
       1.27045825245236838258, 0.241780725177450611770, 0.0227238449892691845833, 7.74545014278341407640e-4},
      {1, 2.05319162663775882187, 1.67638483018380384940, 0.689767334985100004550, 0.148103976427480074590,
       0.0151986665636164571966, 5.47593808499534494600e-4, 1.05075007164441684324e-9}};
  static const double far[2][8] = {
      {6.65790464350110377720, 5.46378491116411436990, 1.78482653991729133580, 0.296560571828504891230,
       0.0265321895265761230930, 0.00124266094738807843860, 2.71155556874348757815e-5, 2.01033439929228813265e-7},
      {1, 0.599832206555887937690, 0.136929880922735805310, 0.0148753612908506148525, 7.86869131145613259100e-4,
       1.84631831751005468180e-5, 1.42151175831644588870e-7, 2.04426310338993978564e-15}};
  const double q = p - 0.5;
  if (__builtin_fabs(q) <= 0.425) return q * rational(0.180625 - q * q, centre[0], centre[1]);
  const double r = sqrt_f64(-log_f64(q < 0 ? p : 1 - p));
  const double x = r <= 5 ? rational(r - 1.6, middle[0], middle[1]) : rational(r - 5, far[0], far[1]);
  return q < 0 ? -x : x;
}

// ---- random streams: Philox4x32-10 (Salmon et al. 2011), folded and read as the library's RandomStream ----

typedef struct {
  uint64_t key, salt, position;
  uint32_t words[4];
  int used;
} stream;

enum { STREAM_PATHS = 4, STREAM_ORDERS = 5 };

static void philox(uint64_t low, uint64_t high, uint64_t key, uint32_t out[4]) {
  uint32_t c0 = (uint32_t)low, c1 = (uint32_t)(low >> 32), c2 = (uint32_t)high, c3 = (uint32_t)(high >> 32);
  uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = (uint64_t)0xD2511F53 * c0, p1 = (uint64_t)0xCD9E8D57 * c2;
    const uint32_t n0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0, n2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
    c1 = (uint32_t)p1, c3 = (uint32_t)p0, c0 = n0, c2 = n2;
    k0 += 0x9E3779B9, k1 += 0xBB67AE85;
  }
  out[0] = c0, out[1] = c1, out[2] = c2, out[3] = c3;
}

static void fold(stream *s, uint64_t element) {
  uint32_t w[4];
  philox(element, s->salt, ~s->key, w);
  s->key = (uint64_t)w[1] << 32 | w[0], s->salt = (uint64_t)w[3] << 32 | w[2];
}

static stream stream_of(uint64_t seed, uint64_t domain) {
  stream s = {.key = seed, .salt = 0x43686F7275732031, .used = 4};
  fold(&s, domain);
  return s;
}

static uint32_t next_u32(stream *s) {
  if (s->used == 4) philox(s->position++, s->salt, s->key, s->words), s->used = 0;
  return s->words[s->used++];
}
static uint64_t next_u64(stream *s) {
  const uint64_t low = next_u32(s);
  return (uint64_t)next_u32(s) << 32 | low;
}

static double uniform(stream *s) { return (double)(next_u64(s) >> 11) * 0x1p-53; }
static double normal(stream *s) { return normal_quantile(((double)(next_u64(s) >> 12) + 0.5) * 0x1p-52); }

/// An integer below `bound`: Lemire 2019, algorithm 5.
static uint64_t below(stream *s, uint64_t bound) {
  if (bound <= 1) return 0;
  for (;;) {
    // The product's 128 bits, by halves of x; bound has at most 32 bits.
    const uint64_t x = next_u64(s), low = (x & 0xffffffff) * bound, high = (x >> 32) * bound + (low >> 32);
    const uint64_t rest = high << 32 | (low & 0xffffffff);
    if (rest >= bound || rest >= (0 - bound) % bound) return high >> 32;
  }
}
