// Products with a packed right-hand side, their packing, and the products of weight gradients.

static void pack(int k, int n, const float *b, int ldb, int transposed, float *packed) {
  for (int j = 0; j < n; j += 16, packed += (size_t)16 * k) {
    int columns = min_int(16, n - j);
    if (!transposed) {
      for (int p = 0; p < k; ++p) {
        const float *from = b + (ptrdiff_t)p * ldb + j;
        store8(packed + 16 * p, load_upto8(from, columns));
        store8(packed + 16 * p + 8, columns > 8 ? load_upto8(from + 8, columns - 8) : splat(0));
      }
      continue;
    }
    for (int half = 0; half < 16; half += 8) {
      for (int p = 0; p < k; p += 8) {
        int steps = min_int(8, k - p);
        v8 rows[8];
        UNROLL for (int i = 0; i < 8; ++i)
          rows[i] = half + i < columns ? load_upto8(b + (ptrdiff_t)(j + half + i) * ldb + p, steps) : splat(0);
        transpose8(rows);
        UNROLL for (int i = 0; i < 8; ++i)
          if (i < steps) store8(packed + 16 * (p + i) + half, rows[i]);
      }
    }
  }
}

static void matmul(const ck_matmul_args *args) {
  const int m = args->m, n = args->n, k = args->k, panels = ceil_div(n, 16);
  const ptrdiff_t panel = (ptrdiff_t)16 * k;
  const int plain = !args->bias && !args->pre && !args->residual && !args->accumulate &&
                    args->activation == CK_IDENTITY;
  float sums[CK_ROWS * 64];
  // A block of rows meets one group of panels after the other: the panels stay in the first cache, the rows
  // in the second.
  const int parts = ceil_div(m, CK_ROWS), parts_per_block = max_int(1, 96 / CK_ROWS);
  const int group = m <= 3 ? 4 : CK_PANELS;
  for (int first = 0; first < parts; first += parts_per_block) {
    const int last = min_int(parts, first + parts_per_block);
    for (int p = 0; p < panels; p += group) {
      const int some = min_int(group, panels - p), columns = min_int(16 * some, n - 16 * p);
      const int whole = plain && columns == 16 * some;
      for (int part = first; part < last; ++part) {
        const int i = part_start(m, parts, part), rows = part_start(m, parts, part + 1) - i;
        float *c = whole ? args->c + (ptrdiff_t)i * args->ldc + 16 * p : sums;
        tiles_by_rows(rows, some, k, args->a + (ptrdiff_t)i * args->lda, args->lda, args->packed + p * panel,
                      panel, c, whole ? args->ldc : 64, 0);
        if (!whole) finish_tile(args, sums, 64, i, 16 * p, rows, columns);
      }
    }
  }
}

static void matmul_tn(int m, int n, int rows, const float *a, int lda, const float *b, int ldb, float *c,
                      int ldc, int accumulate, float *scratch) {
  if (rows == 0) {
    for (int i = 0; i < m && !accumulate; ++i)
      for (int j = 0; j < n; ++j) c[(ptrdiff_t)i * ldc + j] = 0;
    return;
  }
  const int blocks = ceil_div(rows, TN_STEPS), tall = ceil_div(m, CK_ROWS), panels = ceil_div(n, 16);
  for (int block = 0; block < blocks; ++block) {
    const int begin = part_start(rows, blocks, block), steps = part_start(rows, blocks, block + 1) - begin;
    float *left = scratch, *right = scratch + (size_t)tall * CK_ROWS * steps;
    for (int p = 0; p < steps; ++p) {
      const float *from = a + (ptrdiff_t)(begin + p) * lda;
      float *to = left + p * CK_ROWS;
      int i = 0;
      for (; i + CK_ROWS <= m; i += CK_ROWS, to += CK_ROWS * steps) memcpy(to, from + i, CK_ROWS * sizeof(float));
      for (; i < m; ++i) *to++ = from[i];
    }
    for (int p = 0; p < steps; ++p) {
      const float *from = b + (ptrdiff_t)(begin + p) * ldb;
      float *to = right + 16 * p;
      int j = 0;
      for (; j + 16 <= n; j += 16, to += 16 * steps) memcpy(to, from + j, 16 * sizeof(float));
      if (j < n) {
        store8(to, load_upto8(from + j, n - j));
        store8(to + 8, n - j > 8 ? load_upto8(from + j + 8, n - j - 8) : splat(0));
      }
    }
    const int add = accumulate || block > 0;
    for (int p = 0; p < panels; p += CK_PANELS) {
      const int some = min_int(CK_PANELS, panels - p), columns = min_int(16 * some, n - 16 * p);
      for (int t = 0; t < tall; ++t) {
        const int i = t * CK_ROWS, part = min_int(CK_ROWS, m - i);
        const float *from = left + (size_t)i * steps, *with = right + (size_t)16 * p * steps;
        float *to = c + (ptrdiff_t)i * ldc + 16 * p;
        if (columns == 16 * some) {
          tiles_by_columns(part, some, steps, from, CK_ROWS, with, 16 * steps, to, ldc, add);
          continue;
        }
        float sums[CK_ROWS * 64];
        tiles_by_columns(part, some, steps, from, CK_ROWS, with, 16 * steps, sums, 64, 0);
        for (int r = 0; r < part; ++r)
          for (int j = 0; j < columns; ++j)
            to[(ptrdiff_t)r * ldc + j] = sums[64 * r + j] + (add ? to[(ptrdiff_t)r * ldc + j] : 0);
      }
    }
  }
}

static void column_sum(int rows, int n, const float *a, int lda, float *out, int accumulate) {
  int j = 0;
  for (; j + 32 <= n; j += 32) {
    v8 s0 = splat(0), s1 = s0, s2 = s0, s3 = s0;
    for (int r = 0; r < rows; ++r) {
      const float *row = a + (ptrdiff_t)r * lda + j;
      s0 += load8(row), s1 += load8(row + 8), s2 += load8(row + 16), s3 += load8(row + 24);
    }
    if (accumulate)
      s0 += load8(out + j), s1 += load8(out + j + 8), s2 += load8(out + j + 16), s3 += load8(out + j + 24);
    store8(out + j, s0), store8(out + j + 8, s1), store8(out + j + 16, s2), store8(out + j + 24, s3);
  }
  for (; j < n; j += 8) {
    const int some = n - j;
    v8 sum = splat(0);
    for (int r = 0; r < rows; ++r) sum += load_upto8(a + (ptrdiff_t)r * lda + j, some);
    if (accumulate) sum += load_upto8(out + j, some);
    store_upto8(out + j, sum, some);
  }
}
