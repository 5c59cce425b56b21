// What language models put in place of layer norm, GELU and learned positions: root-mean-square norm, the gated unit,
// rotations by position.

/// y = x / sqrt(mean(x^2) + epsilon) * gain.
static void rms_norm(int rows, int d, const float *x, int ldx, const float *gain, float epsilon, float *y, int ldy,
                     float *scales) {
  const size_t n = (size_t)d;
  for (int r = 0; r < rows; ++r, x += ldx, y += ldy) {
    v8 squares = splat(0);
    FOR_EACH8(n, v8 a = load_upto8(x + i, some); squares = FMA(a, a, squares));
    const v8 scale = splat(1.0f) / sqrt8(splat(sum8(squares) / (float)d + epsilon));
    FOR_EACH8(n, store_upto8(y + i, load_upto8(x + i, some) * scale * load_upto8(gain + i, some), some));
    if (scales) scales[r] = scale[0];
  }
}

static void rms_norm_backward(int rows, int d, const float *x, int ldx, const float *gain, const float *scales,
                              const float *dy, int lddy, float *dx, int lddx, float *dgain) {
  const size_t n = (size_t)d;
  for (int r = 0; r < rows; ++r, x += ldx, dy += lddy, dx += lddx) {
    const v8 scale = splat(scales[r]);
    v8 along = splat(0);
    FOR_EACH8(n, v8 unit = load_upto8(x + i, some) * scale; v8 g = load_upto8(dy + i, some);
              store_upto8(dgain + i, FMA(g, unit, load_upto8(dgain + i, some)), some);
              along = FMA(g * load_upto8(gain + i, some), unit, along));
    const v8 slope = splat(sum8(along) / (float)d);
    FOR_EACH8(n, v8 unit = load_upto8(x + i, some) * scale;
              v8 g = load_upto8(dy + i, some) * load_upto8(gain + i, some);
              store_upto8(dx + i, load_upto8(dx + i, some) + scale * (g - unit * slope), some));
  }
}

/// y = silu(gate) * up, silu(x) = x * sigmoid(x). y may be either.
static void gated_unit(size_t n, const float *gate, const float *up, float *y) {
  FOR_EACH8(n, v8 g = load_upto8(gate + i, some);
            store_upto8(y + i, g * sigmoid8(g) * load_upto8(up + i, some), some));
}

static void gated_unit_backward(size_t n, const float *gate, const float *up, const float *dy, float *dgate,
                                float *dup) {
  FOR_EACH8(n, v8 g = load_upto8(gate + i, some); v8 s = sigmoid8(g); v8 d = load_upto8(dy + i, some);
            v8 slope = s * FMA(g, splat(1.0f) - s, splat(1.0f));
            store_upto8(dgate + i, FMA(d * load_upto8(up + i, some), slope, load_upto8(dgate + i, some)), some);
            store_upto8(dup + i, FMA(d, g * s, load_upto8(dup + i, some)), some));
}

static void rotate(const ck_rotate_args *args) {
  const int pairs = args->pairs, step = args->neighbours ? 2 : 1, apart = args->neighbours ? 1 : pairs;
  for (int r = 0; r < args->rows; ++r) {
    const float *cosines = args->turns + (ptrdiff_t)r * 2 * pairs, *sines = cosines + pairs;
    for (int h = 0; h < args->heads; ++h) {
      float *x = args->x + (ptrdiff_t)r * args->ldx + (ptrdiff_t)h * args->width;
      for (int i = 0; i < pairs; ++i, x += step) {
        const float a = x[0], b = x[apart], c = cosines[i], s = args->back ? -sines[i] : sines[i];
        x[0] = a * c - b * s;
        x[apart] = a * s + b * c;
      }
    }
  }
}
