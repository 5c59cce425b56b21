// Float64: the Cholesky factorisation and triangular products.

#define FACTOR_BLOCK 32  // columns factorised at once
#define FACTOR_STEPS 64  // inner dimension of one packed piece

static void exp_f64(size_t n, const double *x, double *y) {
  size_t i = 0;
  for (; i + 4 <= n; i += 4) store4d(y + i, exp4d(load4d(x + i)));
  if (i == n) return;
  v4d tail = (v4d)(0.0);
  for (size_t j = i; j < n; ++j) tail[j - i] = x[j];
  tail = exp4d(tail);
  for (size_t j = i; j < n; ++j) y[j] = tail[j - i];
}

INLINE double dot_f64(int n, const double *a, const double *b) {
  v4d s0 = (v4d)(0.0), s1 = s0, s2 = s0, s3 = s0;
  int i = 0;
  for (; i + 16 <= n; i += 16) {
    s0 = FMA(load4d(a + i), load4d(b + i), s0), s1 = FMA(load4d(a + i + 4), load4d(b + i + 4), s1);
    s2 = FMA(load4d(a + i + 8), load4d(b + i + 8), s2), s3 = FMA(load4d(a + i + 12), load4d(b + i + 12), s3);
  }
  for (; i + 4 <= n; i += 4) s0 = FMA(load4d(a + i), load4d(b + i), s0);
  double sum = sum4d((s0 + s1) + (s2 + s3));
  for (; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

/// c [rows, 8] -= a [rows, k] * b [k, 8].
INLINE void subtract_tile(const int rows, int k, const double *a, ptrdiff_t lda, const double *b, double *c,
                          ptrdiff_t ldc) {
  v4d sums[4][2];
  UNROLL for (int r = 0; r < rows; ++r)
    UNROLL for (int j = 0; j < 2; ++j) sums[r][j] = load4d(c + r * ldc + 4 * j);
  for (int p = 0; p < k; ++p, b += 8) {
    const v4d left = load4d(b), right = load4d(b + 4);
    UNROLL for (int r = 0; r < rows; ++r) {
      const v4d factor = (v4d)(-a[r * lda + p]);
      sums[r][0] = FMA(factor, left, sums[r][0]), sums[r][1] = FMA(factor, right, sums[r][1]);
    }
  }
  UNROLL for (int r = 0; r < rows; ++r)
    UNROLL for (int j = 0; j < 2; ++j) store4d(c + r * ldc + 4 * j, sums[r][j]);
}

static void subtract_tiles(int rows, int k, const double *a, ptrdiff_t lda, const double *b, double *c,
                           ptrdiff_t ldc) {
  int i = 0;
  for (; i + 4 <= rows; i += 4) subtract_tile(4, k, a + i * lda, lda, b, c + i * ldc, ldc);
  for (; i < rows; ++i) subtract_tile(1, k, a + i * lda, lda, b, c + i * ldc, ldc);
}

/// Factorises d, whose element (i, j), i >= j, is d[j][i]; returns `width` or the first bad pivot.
static int factor_diagonal(int width, double d[FACTOR_BLOCK][FACTOR_BLOCK], double *inverse) {
  for (int j = 0; j < width; ++j) {
    if (!(d[j][j] > 0)) return j;
    const double pivot = __builtin_sqrt(d[j][j]);
    inverse[j] = 1 / pivot;
    d[j][j] = pivot;
    for (int i = j + 1; i < width; ++i) d[j][i] *= inverse[j];
    for (int column = j + 1; column < width; ++column) {
      const v4d factor = (v4d)(-d[j][column]);
      for (int i = column / 4 * 4; i < width; i += 4)
        store4d(&d[column][i], FMA(factor, load4d(&d[j][i]), load4d(&d[column][i])));
    }
  }
  return width;
}

/// Solves x * transpose(L) = t for 8 rows at once, both transposed: t[column][row]. The width is a multiple of 4.
static void solve_rows(int width, double d[FACTOR_BLOCK][FACTOR_BLOCK], const double *inverse,
                       double t[FACTOR_BLOCK][8]) {
  for (int j = 0; j < width; j += 4) {
    v4d sums[4][2];
    UNROLL for (int c = 0; c < 4; ++c)
      sums[c][0] = load4d(t[j + c]), sums[c][1] = load4d(t[j + c] + 4);
    for (int p = 0; p < j; ++p) {
      const v4d left = load4d(t[p]), right = load4d(t[p] + 4);
      UNROLL for (int c = 0; c < 4; ++c) {
        const v4d factor = (v4d)(-d[p][j + c]);
        sums[c][0] = FMA(factor, left, sums[c][0]), sums[c][1] = FMA(factor, right, sums[c][1]);
      }
    }
    UNROLL for (int c = 0; c < 4; ++c) {
      UNROLL for (int p = 0; p < 4; ++p) {
        if (p >= c) continue;
        const v4d factor = (v4d)(-d[j + p][j + c]);
        sums[c][0] = FMA(factor, sums[p][0], sums[c][0]), sums[c][1] = FMA(factor, sums[p][1], sums[c][1]);
      }
      sums[c][0] *= (v4d)(inverse[j + c]), sums[c][1] *= (v4d)(inverse[j + c]);
      store4d(t[j + c], sums[c][0]), store4d(t[j + c] + 4, sums[c][1]);
    }
  }
}

static int cholesky_f64(int n, double *a, int lda) {
  double d[FACTOR_BLOCK][FACTOR_BLOCK], square[FACTOR_BLOCK][FACTOR_BLOCK], inverse[FACTOR_BLOCK];
  double packed[FACTOR_STEPS * 8], t[FACTOR_BLOCK][8];
  const ptrdiff_t ld = lda;
  memset(d, 0, sizeof d);
  memset(t, 0, sizeof t);
  for (int k = 0; k < n; k += FACTOR_BLOCK) {
    const int width = min_int(FACTOR_BLOCK, n - k), below = k + width;
    // The square on the diagonal is worked on in a copy: its upper triangle is not the caller's to lose.
    memset(square, 0, sizeof square);
    for (int i = 0; i < width; ++i) memcpy(square[i], a + (k + i) * ld + k, (size_t)(i + 1) * sizeof(double));
    for (int p = 0; p < k; p += FACTOR_STEPS) {
      const int steps = min_int(FACTOR_STEPS, k - p);
      for (int j = 0; j < width; j += 8) {
        const int columns = min_int(8, width - j);
        for (int q = 0; q < steps; ++q)
          for (int c = 0; c < 8; ++c) packed[8 * q + c] = c < columns ? a[(k + j + c) * ld + p + q] : 0;
        subtract_tiles(width - j, steps, a + (k + j) * ld + p, ld, packed, &square[j][j], FACTOR_BLOCK);
        // Only the last block has less than 8 columns to a panel, and nothing lies below it.
        if (below < n) subtract_tiles(n - below, steps, a + below * ld + p, ld, packed, a + below * ld + k + j, ld);
      }
    }
    for (int j = 0; j < width; ++j)
      for (int i = j; i < width; ++i) d[j][i] = square[i][j];
    const int good = factor_diagonal(width, d, inverse);
    if (good < width) return k + good;
    for (int i = 0; i < width; ++i)
      for (int j = 0; j <= i; ++j) a[(k + i) * ld + k + j] = d[j][i];
    for (int i = below; i < n; i += 8) {
      const int some = min_int(8, n - i);
      for (int r = 0; r < some; ++r)
        for (int j = 0; j < width; ++j) t[j][r] = a[(i + r) * ld + k + j];
      solve_rows(width, d, inverse, t);
      for (int r = 0; r < some; ++r)
        for (int j = 0; j < width; ++j) a[(i + r) * ld + k + j] = t[j][r];
    }
  }
  return n;
}

/// One column of the triangular solve.
static void solve_column(int n, const double *l, ptrdiff_t ldl, int transposed, double *b, ptrdiff_t ldb) {
  if (!transposed) {
    for (int i = 0; i < n; ++i) {
      const double *row = l + i * ldl;
      double sum = 0;
      if (ldb == 1)
        sum = dot_f64(i, row, b);
      else
        for (int j = 0; j < i; ++j) sum += row[j] * b[j * ldb];
      b[i * ldb] = (b[i * ldb] - sum) / row[i];
    }
    return;
  }
  for (int i = n - 1; i >= 0; --i) {
    const double *row = l + i * ldl;
    const double x = b[i * ldb] / row[i];
    b[i * ldb] = x;
    int j = 0;
    if (ldb == 1)
      for (; j + 4 <= i; j += 4) store4d(b + j, FMA((v4d)(-x), load4d(row + j), load4d(b + j)));
    for (; j < i; ++j) b[j * ldb] -= x * row[j];
  }
}

/// 8 columns of the triangular solve, four rows at a time.
static void solve_columns(int n, const double *l, ptrdiff_t ldl, int transposed, double *b, ptrdiff_t ldb) {
  for (int done = 0; done < n; done += 4) {
    const int rows = min_int(4, n - done);
    // Forward the rows below `done` are solved, backward the last `done` ones.
    const int i = transposed ? n - done - rows : done;
    v4d sums[4][2];
    UNROLL for (int r = 0; r < 4; ++r) {
      const double *row = b + (i + min_int(r, rows - 1)) * ldb;
      sums[r][0] = load4d(row), sums[r][1] = load4d(row + 4);
    }
    const int begin = transposed ? i + rows : 0, end = transposed ? n : i;
    const ptrdiff_t across = transposed ? 1 : ldl, along = transposed ? ldl : 1;
    const double *from[4];
    UNROLL for (int r = 0; r < 4; ++r) from[r] = l + (i + min_int(r, rows - 1)) * across;
    for (int p = begin; p < end; ++p) {
      const v4d left = load4d(b + p * ldb), right = load4d(b + p * ldb + 4);
      UNROLL for (int r = 0; r < 4; ++r) {
        const v4d factor = (v4d)(-from[r][p * along]);
        sums[r][0] = FMA(factor, left, sums[r][0]), sums[r][1] = FMA(factor, right, sums[r][1]);
      }
    }
    for (int turn = 0; turn < rows; ++turn) {
      const int r = transposed ? rows - 1 - turn : turn;
      const v4d divisor = (v4d)(l[(i + r) * ldl + i + r]);
      sums[r][0] /= divisor, sums[r][1] /= divisor;
      double *row = b + (i + r) * ldb;
      store4d(row, sums[r][0]), store4d(row + 4, sums[r][1]);
      for (int next = turn + 1; next < rows; ++next) {
        const int s = transposed ? rows - 1 - next : next;
        const v4d factor = (v4d)(-from[s][(i + r) * along]);
        sums[s][0] = FMA(factor, sums[r][0], sums[s][0]), sums[s][1] = FMA(factor, sums[r][1], sums[s][1]);
      }
    }
  }
}

static void solve_lower_f64(int n, const double *l, int ldl, int transposed, double *b, int columns, int ldb) {
  int j = 0;
  for (; j + 8 <= columns; j += 8) solve_columns(n, l, ldl, transposed, b + j, ldb);
  for (; j < columns; ++j) solve_column(n, l, ldl, transposed, b + j, ldb);
}

static void multiply_lower_f64(int n, const double *l, int ldl, const double *x, double *y) {
  // From the last row up, so that y may be x.
  for (int i = n - 1; i >= 0; --i) y[i] = dot_f64(i + 1, l + (ptrdiff_t)i * ldl, x);
}

/// a := [U, *; 0, S] with S = D - C A^-1 B for a = [A, B; C, D], A: [n, n] leading.
static int schur_f64(int n, int rows, double *a, int lda) {
  for (int c = 0; c < n; ++c) {
    double *own = a + (ptrdiff_t)c * lda;
    int pivot = c;
    double most = __builtin_fabs(own[c]);
    for (int r = c + 1; r < n; ++r) {
      const double size = __builtin_fabs(a[(ptrdiff_t)r * lda + c]);
      if (size > most) most = size, pivot = r;
    }
    if (!(most > 1e-300 && most < __builtin_inf())) return c;
    // Whole registers: what lies left of column c is 0 in exact arithmetic and is read no more.
    const int begin = c / 4 * 4;
    if (pivot != c) {
      double *other = a + (ptrdiff_t)pivot * lda;
      for (int k = begin; k < lda; k += 4) {
        const v4d mine = load4d(own + k);
        store4d(own + k, load4d(other + k)), store4d(other + k, mine);
      }
    }
    const double inverse = -1 / own[c];
    for (int r = c + 1; r < rows; ++r) {
      double *other = a + (ptrdiff_t)r * lda;
      const v4d factor = (v4d)(other[c] * inverse);
      for (int k = begin; k < lda; k += 4) store4d(other + k, FMA(factor, load4d(own + k), load4d(other + k)));
    }
  }
  return n;
}

#define PRODUCT_STEPS 128  // inner dimension of one packed panel

/// c [rows, columns <= 8] += alpha * a [rows, k] * panel [k, 8].
INLINE void product_tile(const int rows, int k, double alpha, const double *a, ptrdiff_t across, ptrdiff_t along,
                         const double *panel, double *c, ptrdiff_t ldc, int columns) {
  v4d sums[4][2];
  UNROLL for (int r = 0; r < rows; ++r) sums[r][0] = sums[r][1] = (v4d)(0.0);
  for (int p = 0; p < k; ++p, panel += 8) {
    const v4d left = load4d(panel), right = load4d(panel + 4);
    UNROLL for (int r = 0; r < rows; ++r) {
      const v4d factor = (v4d)(a[r * across + p * along]);
      sums[r][0] = FMA(factor, left, sums[r][0]), sums[r][1] = FMA(factor, right, sums[r][1]);
    }
  }
  const v4d factor = (v4d)(alpha);
  UNROLL for (int r = 0; r < rows; ++r) {
    double *row = c + r * ldc;
    if (columns == 8) {
      store4d(row, FMA(factor, sums[r][0], load4d(row)));
      store4d(row + 4, FMA(factor, sums[r][1], load4d(row + 4)));
    } else {
      for (int j = 0; j < columns; ++j) row[j] += alpha * sums[r][j / 4][j % 4];
    }
  }
}

static void multiply_f64(const ck_multiply_f64_args *args) {
  double panel[PRODUCT_STEPS * 8];
  for (int p = 0; p < args->k; p += PRODUCT_STEPS) {
    const int steps = min_int(PRODUCT_STEPS, args->k - p);
    const double *a = args->a + p * args->a_along;
    for (int j = 0; j < args->n; j += 8) {
      const int columns = min_int(8, args->n - j);
      const double *b = args->b + p * args->b_across + j * args->b_along;
      for (int q = 0; q < steps; ++q)
        for (int i = 0; i < 8; ++i) panel[8 * q + i] = i < columns ? b[q * args->b_across + i * args->b_along] : 0;
      int i = 0;
      for (; i + 4 <= args->m; i += 4)
        product_tile(4, steps, args->alpha, a + i * args->a_across, args->a_across, args->a_along, panel,
                     args->c + (ptrdiff_t)i * args->ldc + j, args->ldc, columns);
      for (; i < args->m; ++i)
        product_tile(1, steps, args->alpha, a + i * args->a_across, args->a_across, args->a_along, panel,
                     args->c + (ptrdiff_t)i * args->ldc + j, args->ldc, columns);
    }
  }
}
