// The mixture-of-Gaussians head: log density and its gradient.

#define HALF_LOG_TWO_PI 0.918938533204672742f
#define MIXTURE_CACHE 8  // groups of 8 components whose terms are kept between the two passes

typedef struct {
  v8 logit;  // UNSEEN in the lanes behind the last component
  v8 joint;  // logit + log N(y; mean, sd), UNSEEN likewise
  v8 z, sd, raw;
} mixture_terms;

INLINE mixture_terms mixture_group(const ck_mixture_args *a, int r, int j, const float *row) {
  const int components = a->components, some = min_int(8, components - j);
  const i8 valid = lanes8() < some;
  v8 y = splat(a->y[r]), unit = splat(0);
  if (j < a->local) {
    if (a->units <= 1) {
      const i8 own = lanes8() < a->local - j;
      y = select8(own, splat(a->own_y[r]), y);
      unit = select8(own, splat(a->log_unit[r]), unit);
    } else {
      const int each = a->local / a->units;
      for (int lane = 0; lane < min_int(8, a->local - j); ++lane) {
        const size_t place = (size_t)r * a->units + (j + lane) / each;
        y[lane] = a->own_y[place], unit[lane] = a->log_unit[place];
      }
    }
  }
  mixture_terms t;
  v8 logit = load_upto8(row + j, some);
  t.raw = load_upto8(row + 2 * components + j, some);
  t.sd = softplus8(t.raw) + splat(a->floor);
  t.z = (y - load_upto8(row + components + j, some)) / t.sd;
  v8 joint = FMA(splat(-0.5f) * t.z, t.z, logit - log8(t.sd) - splat(HALF_LOG_TWO_PI) - unit);
  t.logit = select8(valid, logit, splat(UNSEEN));
  t.joint = select8(valid, joint, splat(UNSEEN));
  return t;
}

/// log of the sum of exp over lanes and groups, kept lane by lane as maximum and sum.
INLINE void gather_log(v8 x, v8 *best, v8 *total) {
  const v8 most = max8(x, *best);
  *total = *total * exp8(*best - most) + exp8(x - most);
  *best = most;
}

INLINE v8 merge_log(v8 best, v8 total) {
  const v8 most = splat(maximum8(best));
  return most + log8(splat(sum8(total * exp8(best - most))));
}

static void mixture(const ck_mixture_args *a) {
  const int components = a->components;
  mixture_terms kept[MIXTURE_CACHE];
  for (int r = 0; r < a->rows; ++r) {
    const float *row = a->params + (size_t)r * 3 * components;
    v8 best = splat(UNSEEN), total = splat(0), logit_best = best, logit_total = total;
    for (int j = 0; j < components; j += 8) {
      const mixture_terms t = mixture_group(a, r, j, row);
      if (j / 8 < MIXTURE_CACHE) kept[j / 8] = t;
      gather_log(t.joint, &best, &total);
      gather_log(t.logit, &logit_best, &logit_total);
    }
    // Lanes that saw no component hold the sum of 2^0 at UNSEEN; against a real maximum they vanish.
    const v8 joint = merge_log(best, total), norm = merge_log(logit_best, logit_total);
    a->logp[r] = joint[0] - norm[0];
    if (!a->dparams) continue;
    const v8 w = splat(a->weight ? a->weight[r] : 1.0f);
    float *out = a->dparams + (size_t)r * 3 * components;
    for (int j = 0; j < components; j += 8) {
      const int some = min_int(8, components - j);
      const mixture_terms t =
          j / 8 < MIXTURE_CACHE ? kept[j / 8] : mixture_group(a, r, j, row);
      const v8 share = w * exp8(t.joint - joint), inverse = splat(1.0f) / t.sd;
      store_upto8(out + j, FMA(w, exp8(t.logit - norm), -share), some);
      store_upto8(out + components + j, -share * t.z * inverse, some);
      store_upto8(out + 2 * components + j, share * FMA(-t.z, t.z, splat(1.0f)) * inverse * sigmoid8(t.raw), some);
    }
  }
}
