// Small matrices that are used once: products whose right-hand side is packed only where it must be, triangular
// systems, and products of rows.

static void any_tiles(int rows, int panels, int k, const float *a, ptrdiff_t ar, ptrdiff_t ak, const float *b,
                      ptrdiff_t bk, ptrdiff_t bp, float *c, ptrdiff_t ldc, int add) {
  tiles(0, rows, panels, k, a, ar, ak, b, bk, bp, 0, c, ldc, add);
}

static void multiply(const ck_multiply_args *args) {
  const int m = args->m, n = args->n, k = args->k, panels = ceil_div(n, 16), parts = ceil_div(m, CK_ROWS);
  const float *b = args->b;
  ptrdiff_t bk = args->ldb, bp = 16;
  if (args->transposed || n % 16) {
    pack(k, n, args->b, args->ldb, args->transposed, args->scratch);
    b = args->scratch, bk = 16, bp = (ptrdiff_t)16 * k;
  }
  const int group = m <= 3 ? 4 : CK_PANELS;
  for (int p = 0; p < panels; p += group) {
    const int some = min_int(group, panels - p), columns = min_int(16 * some, n - 16 * p);
    for (int part = 0; part < parts; ++part) {
      const int i = part_start(m, parts, part), rows = part_start(m, parts, part + 1) - i;
      const float *a = args->a + i * args->a_across;
      float *c = args->c + (ptrdiff_t)i * args->ldc + 16 * p;
      if (columns == 16 * some) {
        any_tiles(rows, some, k, a, args->a_across, args->a_along, b + p * bp, bk, bp, c, args->ldc, args->accumulate);
        continue;
      }
      float sums[CK_ROWS * 64];
      any_tiles(rows, some, k, a, args->a_across, args->a_along, b + p * bp, bk, bp, sums, 64, 0);
      for (int r = 0; r < rows; ++r)
        for (int j = 0; j < columns; ++j) {
          float *to = c + (ptrdiff_t)r * args->ldc + j;
          *to = sums[64 * r + j] + (args->accumulate ? *to : 0);
        }
    }
  }
}

static void solve_unit_lower(int n, const float *l, int ldl, int transposed, float *b, int columns, int ldb) {
  const ptrdiff_t across = transposed ? 1 : ldl, along = transposed ? ldl : 1;
  const int parts = ceil_div(n, CK_ROWS), whole = columns / 16;
  for (int part = 0; part < parts; ++part) {
    const int from = part_start(n, parts, part), to = part_start(n, parts, part + 1);
    // Rows from the end where the system is transposed.
    const int first = transposed ? n - to : from, rows = to - from;
    const int known = transposed ? n - first - rows : first, behind = transposed ? first + rows : 0;
    for (int p = 0; p < whole && known > 0; p += CK_PANELS)
      any_tiles(rows, min_int(CK_PANELS, whole - p), known, l + first * across + behind * along, across, along,
                b + (ptrdiff_t)behind * ldb + 16 * p, ldb, 16, b + (ptrdiff_t)first * ldb + 16 * p, ldb, 1);
    for (int i = 0; i < rows; ++i) {
      const int row = transposed ? first + rows - 1 - i : first + i;
      float *to_row = b + (ptrdiff_t)row * ldb;
      for (int j = 0; j < known && 16 * whole < columns; ++j)
        add_scaled(columns - 16 * whole, l[row * across + (behind + j) * along],
                   b + (ptrdiff_t)(behind + j) * ldb + 16 * whole, to_row + 16 * whole);
      for (int j = 0; j < i; ++j) {
        const int other = transposed ? first + rows - 1 - j : first + j;
        add_scaled(columns, l[row * across + other * along], b + (ptrdiff_t)other * ldb, to_row);
      }
    }
  }
}

static void row_products(int rows, int n, const float *a, int lda, const float *b, int ldb, float scale, float *out) {
  for (int r = 0; r < rows; ++r, a += lda, b += ldb) {
    v8 s0 = splat(0), s1 = s0;
    int j = 0;
    for (; j + 16 <= n; j += 16) {
      s0 = FMA(load8(a + j), load8(b + j), s0);
      s1 = FMA(load8(a + j + 8), load8(b + j + 8), s1);
    }
    for (; j < n; j += 8) s0 = FMA(load_upto8(a + j, n - j), load_upto8(b + j, n - j), s0);
    out[r] = FMA(splat(scale), splat(sum8(s0 + s1)), splat(out[r]))[0];
  }
}
