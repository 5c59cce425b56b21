// Elementwise functions, layer norm, AdamW.

/// BODY turns `i` (the first element) and `some` (how many, at most 8) into its stores. The tail runs the same
/// vector code, so an element's bytes do not depend on its place.
#define FOR_EACH8(n, BODY)                 \
  do {                                     \
    size_t i = 0;                          \
    for (; i + 8 <= (n); i += 8) {         \
      const int some = 8;                  \
      BODY;                                \
    }                                      \
    if (i < (n)) {                         \
      const int some = (int)((n)-i);       \
      BODY;                                \
    }                                      \
  } while (0)

static void exp_all(size_t n, const float *x, float *y) {
  FOR_EACH8(n, store_upto8(y + i, exp8(load_upto8(x + i, some)), some));
}

static void log_all(size_t n, const float *x, float *y) {
  FOR_EACH8(n, store_upto8(y + i, log8(load_upto8(x + i, some)), some));
}

static void softplus_all(size_t n, const float *x, float *y) {
  FOR_EACH8(n, store_upto8(y + i, softplus8(load_upto8(x + i, some)), some));
}

static void positive_elu_all(size_t n, const float *x, float *y) {
  FOR_EACH8(n, store_upto8(y + i, positive_elu8(load_upto8(x + i, some)), some));
}

static void activate(int activation, size_t n, const float *x, float *y) {
  if (activation == CK_GELU) {
    FOR_EACH8(n, store_upto8(y + i, gelu8(load_upto8(x + i, some)), some));
  } else {
    FOR_EACH8(n, store_upto8(y + i, activate8(activation, load_upto8(x + i, some)), some));
  }
}

static void activate_backward(int activation, size_t n, const float *pre, const float *dy, float *dx) {
  if (activation == CK_GELU) {
    FOR_EACH8(n, store_upto8(dx + i, load_upto8(dy + i, some) * gelu_slope8(load_upto8(pre + i, some)), some));
  } else if (activation == CK_RELU) {
    FOR_EACH8(n, v8 slope = select8(load_upto8(pre + i, some) > splat(0), splat(1.0f), splat(0));
              store_upto8(dx + i, load_upto8(dy + i, some) * slope, some));
  } else {
    FOR_EACH8(n, store_upto8(dx + i, load_upto8(dy + i, some), some));
  }
}

static void add(size_t n, const float *x, float *y) {
  FOR_EACH8(n, store_upto8(y + i, load_upto8(y + i, some) + load_upto8(x + i, some), some));
}

static void scale(size_t n, float s, float *x) {
  FOR_EACH8(n, store_upto8(x + i, load_upto8(x + i, some) * splat(s), some));
}

static double sum_squares(size_t n, const float *x) {
  v4d low = (v4d)(0.0), high = low;
  FOR_EACH8(n, v8 v = load_upto8(x + i, some); v4d a = __builtin_convertvector(v.lo, v4d);
            v4d b = __builtin_convertvector(v.hi, v4d); low = FMA(a, a, low); high = FMA(b, b, high));
  return sum4d(low + high);
}

static void layer_norm(int rows, int d, const float *x, int ldx, const float *gain, const float *bias,
                       float epsilon, float *y, int ldy, float *stats) {
  const size_t n = (size_t)d;
  for (int r = 0; r < rows; ++r, x += ldx, y += ldy) {
    v8 sum = splat(0), more = splat(0);
    size_t i = 0;
    for (; i + 16 <= n; i += 16) sum += load8(x + i), more += load8(x + i + 8);
    for (; i < n; i += 8) sum += load_upto8(x + i, (int)(n - i));
    const v8 mean = splat(sum8(sum + more) / (float)d);
    v8 squares = splat(0), others = splat(0);
    for (i = 0; i + 16 <= n; i += 16) {
      v8 a = load8(x + i) - mean, b = load8(x + i + 8) - mean;
      squares = FMA(a, a, squares), others = FMA(b, b, others);
    }
    for (; i < n; i += 8) {
      const int some = (int)min_int(8, (int)(n - i));
      v8 a = select8(lanes8() < some, load_upto8(x + i, some) - mean, splat(0));
      squares = FMA(a, a, squares);
    }
    const v8 variance = splat(sum8(squares + others) / (float)d);
    const v8 rstd = splat(1.0f) / sqrt8(variance + splat(epsilon));
    FOR_EACH8(n, v8 unit = (load_upto8(x + i, some) - mean) * rstd;
              store_upto8(y + i, FMA(unit, load_upto8(gain + i, some), load_upto8(bias + i, some)), some));
    if (stats) stats[2 * (size_t)r] = mean[0], stats[2 * (size_t)r + 1] = rstd[0];
  }
}

static void layer_norm_backward(int rows, int d, const float *x, int ldx, const float *gain, const float *stats,
                                const float *dy, int lddy, float *dx, int lddx, int accumulate, float *dgain,
                                float *dbias) {
  const size_t n = (size_t)d;
  for (int r = 0; r < rows; ++r, x += ldx, dy += lddy, dx += lddx) {
    const v8 mean = splat(stats[2 * (size_t)r]), rstd = splat(stats[2 * (size_t)r + 1]);
    v8 direct = splat(0), along = splat(0);
    FOR_EACH8(n, v8 g = load_upto8(dy + i, some); v8 unit = (load_upto8(x + i, some) - mean) * rstd;
              store_upto8(dgain + i, FMA(g, unit, load_upto8(dgain + i, some)), some);
              store_upto8(dbias + i, load_upto8(dbias + i, some) + g, some); g *= load_upto8(gain + i, some);
              direct += g; along = FMA(g, unit, along));
    const v8 shift = splat(sum8(direct) / (float)d), slope = splat(sum8(along) / (float)d);
    FOR_EACH8(n, v8 unit = (load_upto8(x + i, some) - mean) * rstd;
              v8 g = load_upto8(dy + i, some) * load_upto8(gain + i, some);
              v8 result = rstd * (g - shift - unit * slope);
              if (accumulate) result += load_upto8(dx + i, some); store_upto8(dx + i, result, some));
  }
}

static void adamw(size_t n, float *w, const float *gradient, float *first, float *second, float gradient_scale,
                  float rate, float beta1, float beta2, float correction1, float correction2, float epsilon,
                  float decay, float *average, float keep) {
  const v8 step = splat(rate / correction1), root = splat(1.0f / correction2);
  const v8 b1 = splat(beta1), b2 = splat(beta2), r1 = splat(1.0f - beta1), r2 = splat(1.0f - beta2);
  const v8 kept = splat(1.0f - decay), moved = splat(1.0f - keep);
  FOR_EACH8(n, v8 g = load_upto8(gradient + i, some) * splat(gradient_scale);
            v8 m = FMA(b1, load_upto8(first + i, some), r1 * g);
            v8 v = FMA(b2, load_upto8(second + i, some), r2 * g * g); store_upto8(first + i, m, some);
            store_upto8(second + i, v, some);
            v8 change = step * m / (sqrt8(v * root) + splat(epsilon));
            v8 result = FMA(kept, load_upto8(w + i, some), -change); store_upto8(w + i, result, some);
            if (average) {
              v8 old = load_upto8(average + i, some);
              store_upto8(average + i, FMA(moved, result - old, old), some);
            });
}
