// A mixture of Gaussians, from the head's raw numbers: logits | means | raw scales, the first `around` in the row's unit.

enum { MOST_COMPONENTS = 256 };

static unit unit_of(int component, unit own) { return component < size.around ? own : (unit){0, 1}; }

static double deviation(const float *raw, int component) {
  const double value = (double)raw[2 * size.components + component];
  return (value > 0 ? value : 0) + log1p_f64(exp_f64_one(-__builtin_fabs(value))) + (double)size.floor;
}

/// log of the sum of exp of the logits.
static double normaliser(const float *raw) {
  double top = (double)raw[0], sum = 0;
  for (int c = 1; c < size.components; ++c) top = (double)raw[c] > top ? (double)raw[c] : top;
  for (int c = 0; c < size.components; ++c) sum += exp_f64_one((double)raw[c] - top);
  return top + log_f64(sum);
}

static void write_law(const float *raw, unit own, double *law) {
  const int n = size.components;
  const double norm = normaliser(raw);
  for (int c = 0; c < n; ++c) {
    const unit u = unit_of(c, own);
    law[c] = (double)raw[c] - norm;
    law[n + c] = u.origin + u.scale * (double)raw[n + c];
    law[2 * n + c] = u.scale * deviation(raw, c);
  }
}

/// A component by a uniform variate, then a value by a normal one: the library's draw, rounded as a network holds it.
static double draw_raw(const float *raw, unit own, stream *s) {
  double remaining = uniform(s);
  const double z = normal(s), norm = normaliser(raw);
  int chosen = 0;
  for (; chosen < size.components - 1; ++chosen) {
    remaining -= exp_f64_one((double)raw[chosen] - norm);
    if (remaining < 0) break;
  }
  const unit u = unit_of(chosen, own);
  const double mean = u.origin + u.scale * (double)raw[size.components + chosen];
  return (double)(float)(mean + u.scale * deviation(raw, chosen) * z);
}

static double draw_law(const double *law, stream *s) {
  const int n = size.components;
  double remaining = uniform(s);
  const double z = normal(s);
  int chosen = 0;
  for (; chosen < n - 1; ++chosen) {
    remaining -= exp_f64_one(law[chosen]);
    if (remaining < 0) break;
  }
  return law[n + chosen] + law[2 * n + chosen] * z;
}

/// By bisection, to a millionth of the law's width.
static double quantile(const double *law, double level) {
  const int n = size.components;
  double low = __builtin_inf(), high = -__builtin_inf();
  for (int c = 0; c < n; ++c) {
    if (law[c] < -18) continue;  // weighs less than 2e-8
    const double below = law[n + c] - 6 * law[2 * n + c], above = law[n + c] + 6 * law[2 * n + c];
    low = below < low ? below : low, high = above > high ? above : high;
  }
  for (int step = 0; step < 24; ++step) {
    const double middle = low + (high - low) / 2;
    double sum = 0;
    for (int c = 0; c < n; ++c)
      if (law[c] >= -18) sum += exp_f64_one(law[c]) * normal_tail((law[n + c] - middle) / law[2 * n + c]);
    *(sum < level ? &low : &high) = middle;
  }
  return low + (high - low) / 2;
}
