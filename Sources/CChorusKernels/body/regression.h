// Reads of memories that are regressions: factors (linear, ridge, delta) and local linear fits.

#define FACTOR_KEYS 64  // private rows worked off at once

INLINE int sees(const uint64_t *masks, const int32_t *starts, int row, int key) {
  if (!masks || starts[row] < 0) return 1;
  return (int)(masks[starts[row] + key / 64] >> (key % 64) & 1);
}

INLINE float dot_rows(int n, const float *a, const float *b) {
  v8 sum = splat(0);
  for (int j = 0; j < n; j += 8) sum = FMA(load_upto8(a + j, n - j), load_upto8(b + j, n - j), sum);
  return sum8(sum);
}

/// y += s * x
INLINE void add_scaled(int n, float s, const float *x, float *y) {
  for (int j = 0; j < n; j += 8)
    store_upto8(y + j, FMA(splat(s), load_upto8(x + j, n - j), load_upto8(y + j, n - j)), n - j);
}

static void factor_read(const ck_factor_args *args) {
  float scores[FACTOR_KEYS];
  for (int row = 0; row < args->rows; ++row) {
    const int limit = args->limits[row], path = args->paths ? args->paths[row] : 0;
    for (int head = 0; head < args->heads; ++head) {
      const float *probe = args->probes + (ptrdiff_t)row * args->ld_probes + (ptrdiff_t)head * args->probe_head;
      const float *factors =
          args->factors + path * args->factors_stride + (size_t)head * args->capacity * args->rank;
      const float *values = args->values + path * args->values_stride + (size_t)head * args->capacity * args->width;
      float *out = args->out + (ptrdiff_t)row * args->ld_out + (ptrdiff_t)head * args->out_head;
      float sum = 0, square = 0;
      for (int first = 0; first < limit; first += FACTOR_KEYS) {
        const int count = min_int(FACTOR_KEYS, limit - first);
        for (int i = 0; i < count; ++i) {
          float score = args->shift + dot_rows(args->rank, probe, factors + (ptrdiff_t)(first + i) * args->rank);
          if (!sees(args->masks, args->mask_starts, row, first + i)) score = 0;
          scores[i] = score, sum += score, square += score * score;
        }
        for (int j = 0; j < args->width; j += 8) {
          const int columns = args->width - j;
          const float *value = values + (ptrdiff_t)first * args->width + j;
          v8 total = load_upto8(out + j, columns);
          for (int i = 0; i < count; ++i)
            total = FMA(splat(scores[i]), load_upto8(value + (ptrdiff_t)i * args->width, columns), total);
          store_upto8(out + j, total, columns);
        }
      }
      if (args->sums) args->sums[(ptrdiff_t)row * args->heads + head] = sum;
      if (args->squares) args->squares[(ptrdiff_t)row * args->heads + head] = square;
    }
  }
}

// ---- local linear fits ----
//
// With weights p of the rows seen (a softmax of their scores), means k̄ and v̄, and centred keys c = k - k̄:
//   M = sum p c c' + ridge * I,   x = M^-1 (q - k̄),   out = sum p (1 + c·x) v.

typedef struct {
  int count, width;
  const float **keys, **values;
  float **dkeys, **dvalues;
  float *p, *mean, *m, *x, *a, *b, *c, *d;
} local_fit;

static void local_rows(const ck_local_linear_args *args, int row, int head, local_fit *fit) {
  const int path = args->paths ? args->paths[row] : 0, limit = args->limits ? args->limits[row] : 0;
  const ptrdiff_t column = (ptrdiff_t)head * args->width;
  int count = 0;
  for (int i = 0; i < args->shared_count; ++i, ++count) {
    fit->keys[count] = args->shared_keys + (ptrdiff_t)i * args->ld_shared + column;
    fit->values[count] = args->shared_values + (ptrdiff_t)i * args->ld_shared + column;
    if (!args->dout) continue;
    fit->dkeys[count] = args->d_shared_keys + (ptrdiff_t)i * args->ld_shared + column;
    fit->dvalues[count] = args->d_shared_values + (ptrdiff_t)i * args->ld_shared + column;
  }
  const float *own = args->own_keys + path * args->own_stride, *values = args->own_values + path * args->own_stride;
  for (int i = 0; i < limit; ++i) {
    if (!sees(args->masks, args->mask_starts, row, i)) continue;
    fit->keys[count] = own + (ptrdiff_t)i * args->ld_own + column;
    fit->values[count] = values + (ptrdiff_t)i * args->ld_own + column;
    if (args->dout) {
      fit->dkeys[count] = args->d_own_keys + (ptrdiff_t)i * args->ld_own + column;
      fit->dvalues[count] = args->d_own_values + (ptrdiff_t)i * args->ld_own + column;
    }
    ++count;
  }
  fit->count = count;
}

/// x = M^-1 b by conjugate gradients; a, c and d are scratch.
static void solve_local(const local_fit *fit, int steps, const float *b, float *x, float *r, float *p, float *mp) {
  const int n = fit->width;
  memset(x, 0, (size_t)n * sizeof(float));
  memcpy(r, b, (size_t)n * sizeof(float));
  memcpy(p, b, (size_t)n * sizeof(float));
  float squares = dot_rows(n, r, r);
  for (int step = 0; step < steps; ++step) {
    for (int i = 0; i < n; ++i) mp[i] = dot_rows(n, fit->m + (ptrdiff_t)i * n, p);
    const float curvature = dot_rows(n, p, mp);
    if (!(squares > 1e-30f) || !(curvature > 1e-30f)) return;
    const float alpha = squares / curvature;
    add_scaled(n, alpha, p, x);
    add_scaled(n, -alpha, mp, r);
    const float next = dot_rows(n, r, r), beta = next / squares;
    for (int i = 0; i < n; ++i) p[i] = FMA(beta, p[i], r[i]);
    squares = next;
  }
}

/// Weights, means and the regularised covariance of the rows a query sees, then x.
static void fit_local(const ck_local_linear_args *args, const float *q, float ridge, local_fit *fit) {
  const int n = fit->width, count = fit->count;
  float top = -__builtin_inff();
  for (int j = 0; j < count; ++j) {
    fit->p[j] = args->scale * dot_rows(n, q, fit->keys[j]);
    top = fit->p[j] > top ? fit->p[j] : top;
  }
  for (int j = 0; j < count; ++j) fit->p[j] -= top;
  exp_all((size_t)count, fit->p, fit->p);
  float total = 0;
  for (int j = 0; j < count; ++j) total += fit->p[j];
  memset(fit->mean, 0, (size_t)n * sizeof(float));
  for (int j = 0; j < count; ++j) {
    fit->p[j] /= total;
    add_scaled(n, fit->p[j], fit->keys[j], fit->mean);
  }
  memset(fit->m, 0, (size_t)n * n * sizeof(float));
  for (int j = 0; j < count; ++j) {
    for (int i = 0; i < n; ++i) fit->c[i] = fit->keys[j][i] - fit->mean[i];
    for (int i = 0; i < n; ++i) add_scaled(n, fit->p[j] * fit->c[i], fit->c, fit->m + (ptrdiff_t)i * n);
  }
  for (int i = 0; i < n; ++i) {
    fit->m[(ptrdiff_t)i * n + i] += ridge;
    fit->b[i] = q[i] - fit->mean[i];
  }
  solve_local(fit, args->steps, fit->b, fit->x, fit->a, fit->c, fit->d);
}

static void backward_local(const ck_local_linear_args *args, const float *q, const float *dout, float *dq,
                           local_fit *fit, float *dridge) {
  const int n = fit->width, count = fit->count;
  float *dp = fit->p + count, *dx = dp + count, *dmean = dx + n, *lambda = dmean + n, *sums = lambda + n;
  memset(dx, 0, (size_t)n * sizeof(float));
  memset(dmean, 0, (size_t)n * sizeof(float));
  float slopes = 0;
  const float shift = dot_rows(n, fit->mean, fit->x);
  for (int j = 0; j < count; ++j) {
    const float t = dot_rows(n, fit->keys[j], fit->x) - shift, g = dot_rows(n, dout, fit->values[j]);
    const float weight = fit->p[j], slope = g * weight;
    add_scaled(n, weight * (1 + t), dout, fit->dvalues[j]);
    dp[j] = g * (1 + t);
    slopes += slope;
    add_scaled(n, slope, fit->keys[j], dx);
    add_scaled(n, slope, fit->x, fit->dkeys[j]);
  }
  add_scaled(n, -slopes, fit->mean, dx);
  add_scaled(n, -slopes, fit->x, dmean);
  solve_local(fit, args->steps, dx, lambda, fit->a, fit->c, fit->d);
  add_scaled(n, 1, lambda, dq);
  add_scaled(n, -1, lambda, dmean);
  *dridge -= dot_rows(n, lambda, fit->x);
  const float lambda_mean = dot_rows(n, lambda, fit->mean);
  for (int j = 0; j < count; ++j) {
    const float along = dot_rows(n, lambda, fit->keys[j]) - lambda_mean;
    const float t = dot_rows(n, fit->keys[j], fit->x) - shift;
    dp[j] -= along * t;
    add_scaled(n, -fit->p[j] * t, lambda, fit->dkeys[j]);
    add_scaled(n, -fit->p[j] * along, fit->x, fit->dkeys[j]);
  }
  float mean = 0;
  for (int j = 0; j < count; ++j) {
    dp[j] += dot_rows(n, dmean, fit->keys[j]);
    add_scaled(n, fit->p[j], dmean, fit->dkeys[j]);
    mean += fit->p[j] * dp[j];
  }
  memset(sums, 0, (size_t)n * sizeof(float));
  for (int j = 0; j < count; ++j) {
    const float ds = args->scale * fit->p[j] * (dp[j] - mean);
    add_scaled(n, ds, fit->keys[j], sums);
    add_scaled(n, ds, q, fit->dkeys[j]);
  }
  add_scaled(n, 1, sums, dq);
}

static void local_linear(const ck_local_linear_args *args) {
  const int n = args->width, most = args->shared_count + args->capacity;
  // The pointers first, two floats each at least.
  const size_t pointers = sizeof(float *) / sizeof(float) * (size_t)most;
  float *memory = args->scratch;
  local_fit fit = {.width = n};
  fit.keys = (const float **)memory, fit.values = (const float **)(memory + pointers);
  fit.dkeys = (float **)(memory + 2 * pointers), fit.dvalues = (float **)(memory + 3 * pointers);
  memory += 4 * pointers;
  fit.mean = memory, fit.x = memory + n, fit.a = memory + 2 * n, fit.b = memory + 3 * n, fit.c = memory + 4 * n;
  fit.d = memory + 5 * n, fit.m = memory + 6 * n, fit.p = memory + 6 * n + (size_t)n * n;
  for (int row = 0; row < args->rows; ++row)
    for (int head = 0; head < args->heads; ++head) {
      const ptrdiff_t column = (ptrdiff_t)head * n;
      const float *q = args->q + (ptrdiff_t)row * args->ldq + column;
      local_rows(args, row, head, &fit);
      if (fit.count == 0) {
        if (!args->dout) memset(args->out + (ptrdiff_t)row * args->ldo + column, 0, (size_t)n * sizeof(float));
        continue;
      }
      fit_local(args, q, args->ridge[head], &fit);
      if (args->dout) {
        backward_local(args, q, args->dout + (ptrdiff_t)row * args->ldo + column,
                       args->dq + (ptrdiff_t)row * args->ldq + column, &fit, args->dridge + head);
        continue;
      }
      float *out = args->out + (ptrdiff_t)row * args->ldo + column;
      const float shift = dot_rows(n, fit.mean, fit.x);
      memset(out, 0, (size_t)n * sizeof(float));
      for (int j = 0; j < fit.count; ++j)
        add_scaled(n, fit.p[j] * (1 + dot_rows(n, fit.keys[j], fit.x) - shift), fit.values[j], out);
    }
}
