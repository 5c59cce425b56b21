// Register tiles: small matrix products whose result stays in registers over the whole inner dimension.
// An element of the result is one chain of fused multiply-adds over k, whatever the shape of its tile.
//
// The right-hand side lies in panels of 16 columns: element (k, 16 * p + j) is b[k * bk + p * bp + j].

/// c (+)= a * b for `rows` x 16 `panels`, element (r, k) of a being a[r * ar + k * ak]. With `fetching`, every row
/// of b that is read also asks for the one `ahead` floats behind it, to be brought into the second cache.
INLINE void tile(const int fetching, const int rows, const int panels, int k, const float *a, ptrdiff_t ar,
                 ptrdiff_t ak, const float *b, ptrdiff_t bk, ptrdiff_t bp, ptrdiff_t ahead, float *c, ptrdiff_t ldc,
                 int add) {
  wide sums[CK_ROWS][4 * HALVES];
  UNROLL for (int r = 0; r < rows; ++r)
    UNROLL for (int j = 0; j < panels * HALVES; ++j)
      sums[r][j] = add ? load_wide(c + r * ldc + j * CK_LANES) : (wide)(0.0f);
  for (int p = 0; p < k; ++p) {
    UNROLL for (int j = 0; j < panels; ++j)
      if (fetching) __builtin_prefetch(b + j * bp + ahead, 0, 2);
    if (rows < panels * HALVES) {  // hold the smaller side; both do not fit beside the sums
      wide left[CK_ROWS];
      UNROLL for (int r = 0; r < rows; ++r) left[r] = (wide)(a[r * ar]);
      UNROLL for (int j = 0; j < panels * HALVES; ++j) {
        const wide right = load_wide(b + j / HALVES * bp + j % HALVES * CK_LANES);
        UNROLL for (int r = 0; r < rows; ++r) sums[r][j] = FMA(left[r], right, sums[r][j]);
      }
    } else {
      wide right[4 * HALVES];
      UNROLL for (int j = 0; j < panels * HALVES; ++j)
        right[j] = load_wide(b + j / HALVES * bp + j % HALVES * CK_LANES);
      UNROLL for (int r = 0; r < rows; ++r) {
        const wide left = (wide)(a[r * ar]);
        UNROLL for (int j = 0; j < panels * HALVES; ++j) sums[r][j] = FMA(left, right[j], sums[r][j]);
      }
    }
    a += ak;
    b += bk;
  }
  UNROLL for (int r = 0; r < rows; ++r)
    UNROLL for (int j = 0; j < panels * HALVES; ++j) store_wide(c + r * ldc + j * CK_LANES, sums[r][j]);
}

#define TILES(count, width)                                                                 \
  for (; p + (width) <= panels; p += (width))                                               \
  tile(fetching, count, width, k, a, ar, ak, b + p * bp, bk, bp, ahead, c + 16 * p, ldc, add)

/// Any number of panels for 1...CK_ROWS rows.
INLINE void tiles(const int fetching, int rows, int panels, int k, const float *a, ptrdiff_t ar, ptrdiff_t ak,
                  const float *b, ptrdiff_t bk, ptrdiff_t bp, ptrdiff_t ahead, float *c, ptrdiff_t ldc, int add) {
  int p = 0;
#include "tile_cases.h"
}

/// a has rows with stride lda.
static void tiles_by_rows(int rows, int panels, int k, const float *a, ptrdiff_t lda, const float *b,
                          ptrdiff_t bp, float *c, ptrdiff_t ldc, int add) {
  tiles(0, rows, panels, k, a, lda, 1, b, 16, bp, 0, c, ldc, add);
}

/// The same, while what lies `ahead` floats behind b is on its way.
static void tiles_fetching(int rows, int panels, int k, const float *a, ptrdiff_t lda, const float *b,
                           ptrdiff_t bp, ptrdiff_t ahead, float *c, ptrdiff_t ldc, int add) {
  tiles(1, rows, panels, k, a, lda, 1, b, 16, bp, ahead, c, ldc, add);
}

/// a is stored transposed: a step of k is `ak` floats, a step of the row one.
static void tiles_by_columns(int rows, int panels, int k, const float *a, ptrdiff_t ak, const float *b,
                             ptrdiff_t bp, float *c, ptrdiff_t ldc, int add) {
  tiles(0, rows, panels, k, a, 1, ak, b, 16, bp, 0, c, ldc, add);
}
#undef TILES

/// The same in steps of 8 columns, for the private keys and values: column group v is at b + v * bv. With `fetching`, every
/// line of b that is read also asks for the one `ahead` floats behind it.
INLINE void tile8(const int fetching, const int rows, const int groups, int k, const float *a, ptrdiff_t lda,
                  const float *b, ptrdiff_t bk, ptrdiff_t bv, ptrdiff_t ahead, float *c, ptrdiff_t ldc, int add) {
  v8 sums[6][8];
  UNROLL for (int r = 0; r < rows; ++r)
    UNROLL for (int j = 0; j < groups; ++j) sums[r][j] = add ? load8(c + r * ldc + 8 * j) : splat(0);
  for (int p = 0; p < k; ++p) {
    UNROLL for (int j = 0; j < groups; ++j)
      // Eight floats are half a line: the other half is the next step or the next group.
      if (fetching && (bk == 8 ? p % 2 == 0 : j % 2 == 0)) __builtin_prefetch(b + j * bv + ahead, 0, 2);
    if (rows < groups) {
      v8 left[6];
      UNROLL for (int r = 0; r < rows; ++r) left[r] = splat(a[r * lda + p]);
      UNROLL for (int j = 0; j < groups; ++j) {
        const v8 right = load8(b + j * bv);
        UNROLL for (int r = 0; r < rows; ++r) sums[r][j] = FMA(left[r], right, sums[r][j]);
      }
    } else {
      v8 right[8];
      UNROLL for (int j = 0; j < groups; ++j) right[j] = load8(b + j * bv);
      UNROLL for (int r = 0; r < rows; ++r) {
        const v8 left = splat(a[r * lda + p]);
        UNROLL for (int j = 0; j < groups; ++j) sums[r][j] = FMA(left, right[j], sums[r][j]);
      }
    }
    b += bk;
  }
  UNROLL for (int r = 0; r < rows; ++r)
    UNROLL for (int j = 0; j < groups; ++j) store8(c + r * ldc + 8 * j, sums[r][j]);
}

#define MOST_ROWS8 (CK_ROWS < 6 ? CK_ROWS : 6)
#define TILES8(count, width)                                                                \
  for (; v + (width) <= groups; v += (width))                                               \
  tile8(fetching, count, width, k, a, lda, b + v * bv, bk, bv, ahead, c + 8 * v, ldc, add)

/// 1...MOST_ROWS8 rows.
INLINE void any_tiles8(const int fetching, int rows, int groups, int k, const float *a, ptrdiff_t lda, const float *b,
                       ptrdiff_t bk, ptrdiff_t bv, ptrdiff_t ahead, float *c, ptrdiff_t ldc, int add) {
  int v = 0;
  switch (rows) {
    case 1:
      TILES8(1, 8);
      TILES8(1, 4);
      TILES8(1, 2);
      TILES8(1, 1);
      break;
    case 2:
      TILES8(2, 4);
      TILES8(2, 2);
      TILES8(2, 1);
      break;
#if CK_ROWS > 2
    case 3:
      TILES8(3, 4);
      TILES8(3, 2);
      TILES8(3, 1);
      break;
    case 4:
      TILES8(4, 2);
      TILES8(4, 1);
      break;
    case 5:
      TILES8(5, 2);
      TILES8(5, 1);
      break;
    case 6:
      TILES8(6, 2);
      TILES8(6, 1);
      break;
#endif
  }
}
#undef TILES8

static void tiles8(int rows, int groups, int k, const float *a, ptrdiff_t lda, const float *b, ptrdiff_t bk,
                   ptrdiff_t bv, float *c, ptrdiff_t ldc, int add) {
  any_tiles8(0, rows, groups, k, a, lda, b, bk, bv, 0, c, ldc, add);
}

/// The same, while what lies `ahead` floats behind b is on its way.
static void tiles8_fetching(int rows, int groups, int k, const float *a, ptrdiff_t lda, const float *b, ptrdiff_t bk,
                            ptrdiff_t bv, ptrdiff_t ahead, float *c, ptrdiff_t ldc, int add) {
  any_tiles8(1, rows, groups, k, a, lda, b, bk, bv, ahead, c, ldc, add);
}
