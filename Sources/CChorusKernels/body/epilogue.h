// What follows a product before it is written: bias, activation, residual.

/// Everything after the product for `rows` x `columns` elements in `sums`, whose element (0, 0) is (i, j).
INLINE void finish_rows(const ck_matmul_args *args, const int activation, const float *sums, int ld, int i, int j,
                        int rows, int columns) {
  const float *bias = args->bias ? args->bias + j : NULL;
  float *pre = args->pre ? args->pre + (ptrdiff_t)i * args->ldpre + j : NULL;
  const float *residual = args->residual ? args->residual + (ptrdiff_t)i * args->ldres + j : NULL;
  float *c = args->c + (ptrdiff_t)i * args->ldc + j;
  int v = 0;
#if CK_LANES == 16
  for (; v + 16 <= columns; v += 16) {
    const wide offset = bias ? load_wide(bias + v) : (wide)(-0.0f);
    for (int r = 0; r < rows; ++r) {
      wide x = load_wide(sums + (ptrdiff_t)r * ld + v) + offset;
      if (pre) store_wide(pre + (ptrdiff_t)r * args->ldpre + v, x);
      x = activate16(activation, x);
      if (residual) x += load_wide(residual + (ptrdiff_t)r * args->ldres + v);
      float *to = c + (ptrdiff_t)r * args->ldc + v;
      if (args->accumulate) x += load_wide(to);
      store_wide(to, x);
    }
  }
#endif
  for (; v < columns; v += 8) {
    const int some = columns - v;
    const v8 offset = bias ? load_upto8(bias + v, some) : splat(-0.0f);  // adding it changes nothing
    for (int r = 0; r < rows; ++r) {
      v8 x = load8(sums + (ptrdiff_t)r * ld + v) + offset;
      if (pre) store_upto8(pre + (ptrdiff_t)r * args->ldpre + v, x, some);
      x = activate8(activation, x);
      if (residual) x += load_upto8(residual + (ptrdiff_t)r * args->ldres + v, some);
      float *to = c + (ptrdiff_t)r * args->ldc + v;
      if (args->accumulate) x += load_upto8(to, some);
      store_upto8(to, x, some);
    }
  }
}

static void finish_tile(const ck_matmul_args *args, const float *sums, int ld, int i, int j, int rows,
                        int columns) {
  switch (args->activation) {
    case CK_GELU: finish_rows(args, CK_GELU, sums, ld, i, j, rows, columns); break;
    case CK_RELU: finish_rows(args, CK_RELU, sums, ld, i, j, rows, columns); break;
    default: finish_rows(args, CK_IDENTITY, sums, ld, i, j, rows, columns);
  }
}
