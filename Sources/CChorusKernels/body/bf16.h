// Products of numbers rounded to bfloat16, with sums in float32.
//
// The instruction for pairs adds the product of the upper halves and then that of the lower ones, each rounded once, and
// takes denormal numbers for zero. The earlier number of a pair is kept in the upper half, so that an element is the same
// chain over k that the float32 tiles compute. Numbers below 2^-56 are rounded to zero: what is left are multiples of
// 2^-63, products multiples of 2^-126, and neither a product nor a sum of them is ever denormal. Products of 8 by 8 bits
// are exact, so that it does not matter whether they are fused with the addition. Hence the same bytes everywhere.

#if CK_PAIRS
typedef uint32_t cell;  // a pair
#define CELLS(k) (((k) + 1) / 2)
#else
typedef float cell;  // one number, rounded
#define CELLS(k) (k)
#endif
#define SMALLEST 0x1p-56f

#if CK_TILES
/// How an inner dimension of k numbers is cut: into one block of less than 16 pairs, or into blocks of 16.
typedef struct {
  int blocks, pairs;
} depth;
INLINE depth depth_of(int k) {
  return k < 32 ? (depth){k > 0, max_int(1, CELLS(k))} : (depth){ceil_div(k, 32), 16};
}
// Whole blocks, zeros behind the last number: from 32 on not more than the k floats that they have room for.
INLINE int packed_cells(int k) { return depth_of(k).blocks * depth_of(k).pairs; }
#define VALUE_ROWS 32  // rows of values are padded to a multiple
#else
INLINE int packed_cells(int k) { return CELLS(k); }
#define VALUE_ROWS 16
#endif

#if CK_PAIRS
INLINE __mmask16 first_lanes(int n) { return (__mmask16)(n >= 16 ? 0xffff : n <= 0 ? 0 : (1 << n) - 1); }

/// The lanes that rounding keeps: a NaN is one of them.
INLINE __mmask16 lasting(__m512 x) {
  return _mm512_cmp_ps_mask(_mm512_abs_ps(x), _mm512_set1_ps(SMALLEST), _CMP_NLT_UQ);
}

/// Pairs of a number of `first` and the one of `second` in the same lane.
INLINE __m512i pairs(__m512 first, __m512 second) {
  const __mmask32 kept = (__mmask32)lasting(first) << 16 | lasting(second);
  const __m512i halves = (__m512i)_mm512_maskz_cvtne2ps_pbh(kept, first, second);
  const __m512i order = _mm512_or_si512(
      _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0),
      _mm512_set_epi32(31 << 16, 30 << 16, 29 << 16, 28 << 16, 27 << 16, 26 << 16, 25 << 16, 24 << 16, 23 << 16,
                       22 << 16, 21 << 16, 20 << 16, 19 << 16, 18 << 16, 17 << 16, 16 << 16));
  return _mm512_permutexvar_epi16(order, halves);
}
#else
INLINE v8 round8(v8 x) {
  typedef uint32_t bits8 __attribute__((ext_vector_type(8)));
  const bits8 bits = __builtin_bit_cast(bits8, x);
  const v8 near = __builtin_bit_cast(v8, (bits + 0x7fff + ((bits >> 16) & 1)) & 0xffff0000u);
  const v8 none = __builtin_bit_cast(v8, (bits | 0x400000u) & 0xffff0000u);  // a NaN must not carry into the sign
  return select8(abs8(x) < splat(SMALLEST), splat(0), select8(x == x, near, none));
}
#endif

/// Rows of k numbers, rounded, CELLS(k) apart.
static void round_rows(int rows, int k, const float *a, int lda, cell *to) {
  for (int r = 0; r < rows; ++r, a += lda, to += CELLS(k)) {
#if CK_PAIRS
    for (int p = 0; p < k; p += 16) {
      const __m512 x = _mm512_maskz_loadu_ps(first_lanes(k - p), a + p);
      const __m256i halves = (__m256i)_mm512_maskz_cvtneps_pbh(lasting(x), x);
      _mm256_mask_storeu_epi32(to + p / 2, (__mmask8)first_lanes(CELLS(k - p)), _mm256_rol_epi32(halves, 16));
    }
#else
    for (int p = 0; p < k; p += 8) store_upto8(to + p, round8(load_upto8(a + p, k - p)), k - p);
#endif
  }
}

/// Groups of `width` columns over `steps` rows, rounded: [ceil(columns/width)][cells][width], zeros behind the last of both.
static void round_columns(int steps, int cells, int columns, const int width, const float *from, int ld, cell *to) {
  for (int j = 0; j < columns; j += width) {
    const int some = min_int(width, columns - j);
    for (int p = 0; p < CELLS(steps); ++p, to += width) {
#if CK_PAIRS
      const float *row = from + (ptrdiff_t)(2 * p) * ld + j;
      const __mmask16 lanes = first_lanes(some);
      const __m512 first = _mm512_maskz_loadu_ps(lanes, row);
      const __m512 second = 2 * p + 1 < steps ? _mm512_maskz_loadu_ps(lanes, row + ld) : _mm512_setzero_ps();
      _mm512_mask_storeu_epi32(to, first_lanes(width), pairs(first, second));
#else
      const float *row = from + (ptrdiff_t)p * ld + j;
      for (int i = 0; i < width; i += 8)
        store_upto8(to + i, i < some ? round8(load_upto8(row + i, some - i)) : splat(0), width - i);
#endif
    }
    for (int p = CELLS(steps); p < cells; ++p, to += width) memset(to, 0, (size_t)width * sizeof(cell));
  }
}

#if CK_PAIRS
/// c (+)= a * b for `rows` x 16 `panels`, as `tile` of tiles.h; a step of k is a pair.
INLINE void pair_tile(const int fetching, const int rows, const int panels, int k, const cell *a, ptrdiff_t ar,
                      ptrdiff_t ak, const cell *b, ptrdiff_t bp, ptrdiff_t ahead, float *c, ptrdiff_t ldc, int add) {
  __m512 sums[CK_ROWS][4];
  UNROLL for (int r = 0; r < rows; ++r)
    UNROLL for (int j = 0; j < panels; ++j)
      sums[r][j] = add ? _mm512_loadu_ps(c + r * ldc + 16 * j) : _mm512_setzero_ps();
  for (int p = 0; p < k; ++p, a += ak, b += 16) {
    UNROLL for (int j = 0; j < panels; ++j)
      if (fetching) __builtin_prefetch(b + j * bp + ahead, 0, 2);
    __m512bh right[4];
    UNROLL for (int j = 0; j < panels; ++j) right[j] = (__m512bh)_mm512_loadu_si512(b + j * bp);
    UNROLL for (int r = 0; r < rows; ++r) {
      const __m512bh left = (__m512bh)_mm512_set1_epi32((int)a[r * ar]);
      UNROLL for (int j = 0; j < panels; ++j) sums[r][j] = _mm512_dpbf16_ps(sums[r][j], left, right[j]);
    }
  }
  UNROLL for (int r = 0; r < rows; ++r)
    UNROLL for (int j = 0; j < panels; ++j) _mm512_storeu_ps(c + r * ldc + 16 * j, sums[r][j]);
}

#define TILES(count, width)                   \
  for (; p + (width) <= panels; p += (width)) \
  pair_tile(fetching, count, width, k, a, ar, ak, b + p * bp, bp, ahead, c + 16 * p, ldc, add)

INLINE void pair_tiles(const int fetching, int rows, int panels, int k, const cell *a, ptrdiff_t ar, ptrdiff_t ak,
                       const cell *b, ptrdiff_t bp, ptrdiff_t ahead, float *c, ptrdiff_t ldc, int add) {
  int p = 0;
#include "tile_cases.h"
}
#undef TILES

static void rounded_by_rows(int rows, int panels, int k, const cell *a, ptrdiff_t lda, const cell *b, ptrdiff_t bp,
                            float *c, ptrdiff_t ldc, int add) {
  pair_tiles(0, rows, panels, k, a, lda, 1, b, bp, 0, c, ldc, add);
}
static void rounded_fetching(int rows, int panels, int k, const cell *a, ptrdiff_t lda, const cell *b, ptrdiff_t bp,
                             ptrdiff_t ahead, float *c, ptrdiff_t ldc, int add) {
  pair_tiles(1, rows, panels, k, a, lda, 1, b, bp, ahead, c, ldc, add);
}
static void rounded_by_columns(int rows, int panels, int k, const cell *a, ptrdiff_t ak, const cell *b, ptrdiff_t bp,
                               float *c, ptrdiff_t ldc, int add) {
  pair_tiles(0, rows, panels, k, a, 1, ak, b, bp, 0, c, ldc, add);
}
#else
#define rounded_by_rows tiles_by_rows
#define rounded_fetching tiles_fetching
#define rounded_by_columns tiles_by_columns
#endif

static void pack_bf16(int k, int n, const float *b, int ldb, int transposed, float *packed) {
#if CK_PAIRS
  // A panel is packed behind those that are done, and its rows of floats are folded to pairs from its beginning on.
  cell *to = (cell *)packed;
  for (int j = 0; j < n; j += 16) {
    float *panel = (float *)to;
    pack(k, min_int(16, n - j), transposed ? b + (ptrdiff_t)j * ldb : b + j, ldb, transposed, panel);
    for (int p = 0; p < CELLS(k); ++p, to += 16) {
      const __m512 first = _mm512_loadu_ps(panel + 32 * p);
      const __m512 second = 2 * p + 1 < k ? _mm512_loadu_ps(panel + 32 * p + 16) : _mm512_setzero_ps();
      _mm512_storeu_si512(to, pairs(first, second));
    }
    for (int p = CELLS(k); p < packed_cells(k); ++p, to += 16) _mm512_storeu_si512(to, _mm512_setzero_si512());
  }
#else
  pack(k, n, b, ldb, transposed, packed);
  const size_t count = (size_t)round_up(n, 16) * k;
  for (size_t i = 0; i < count; i += 8) store8(packed + i, round8(load8(packed + i)));
#endif
}

static void matmul_bf16(const ck_matmul_args *args) {
  const int m = args->m, n = args->n, k = args->k, cells = CELLS(k), panels = ceil_div(n, 16);
  const ptrdiff_t panel = (ptrdiff_t)16 * cells;
  const cell *packed = (const cell *)args->packed;
  const int plain = !args->bias && !args->pre && !args->residual && !args->accumulate &&
                    args->activation == CK_IDENTITY;
  cell left[CK_ROWS * CELLS(CK_BF16_LONGEST)];
  float sums[CK_ROWS * 64];
  // As `matmul`: a block of rows is rounded once and meets one group of panels after the other.
  const int parts = ceil_div(m, CK_ROWS), fitting = CELLS(CK_BF16_LONGEST) / max_int(1, cells);
  const int parts_per_block = min_int(max_int(1, 96 / CK_ROWS), max_int(1, fitting));
  const int group = m <= 3 ? 4 : CK_PANELS;
  for (int first = 0; first < parts; first += parts_per_block) {
    const int last = min_int(parts, first + parts_per_block), begin = part_start(m, parts, first);
    round_rows(part_start(m, parts, last) - begin, k, args->a + (ptrdiff_t)begin * args->lda, args->lda, left);
    for (int p = 0; p < panels; p += group) {
      const int some = min_int(group, panels - p), columns = min_int(16 * some, n - 16 * p);
      const int whole = plain && columns == 16 * some;
      for (int part = first; part < last; ++part) {
        const int i = part_start(m, parts, part), rows = part_start(m, parts, part + 1) - i;
        float *c = whole ? args->c + (ptrdiff_t)i * args->ldc + 16 * p : sums;
        rounded_by_rows(rows, some, cells, left + (ptrdiff_t)(i - begin) * cells, cells, packed + p * panel, panel, c,
                        whole ? args->ldc : 64, 0);
        if (!whole) finish_tile(args, sums, 64, i, 16 * p, rows, columns);
      }
    }
  }
}

static void matmul_tn_bf16(int m, int n, int rows, const float *a, int lda, const float *b, int ldb, float *c, int ldc,
                           int accumulate, float *scratch) {
  const int blocks = max_int(1, ceil_div(rows, TN_STEPS)), tall = ceil_div(m, CK_ROWS), panels = ceil_div(n, 16);
  for (int block = 0; block < blocks; ++block) {
    const int begin = part_start(rows, blocks, block), steps = part_start(rows, blocks, block + 1) - begin;
    const int cells = CELLS(steps), add = accumulate || block > 0;
    cell *left = (cell *)scratch, *right = left + (size_t)tall * CK_ROWS * cells;
    round_columns(steps, cells, m, CK_ROWS, a + (ptrdiff_t)begin * lda, lda, left);
    round_columns(steps, cells, n, 16, b + (ptrdiff_t)begin * ldb, ldb, right);
    for (int p = 0; p < panels; p += CK_PANELS) {
      const int some = min_int(CK_PANELS, panels - p), columns = min_int(16 * some, n - 16 * p);
      const cell *with = right + (size_t)16 * p * cells;
      for (int t = 0; t < tall; ++t) {
        const int i = t * CK_ROWS, part = min_int(CK_ROWS, m - i);
        const cell *from = left + (size_t)i * cells;
        float *to = c + (ptrdiff_t)i * ldc + 16 * p;
        if (columns == 16 * some) {
          rounded_by_columns(part, some, cells, from, CK_ROWS, with, (ptrdiff_t)16 * cells, to, ldc, add);
          continue;
        }
        float sums[CK_ROWS * 64];
        for (int r = 0; r < part; ++r)
          for (int j = 0; j < 16 * some; ++j) sums[64 * r + j] = add && j < columns ? to[(ptrdiff_t)r * ldc + j] : 0;
        rounded_by_columns(part, some, cells, from, CK_ROWS, with, (ptrdiff_t)16 * cells, sums, 64, 1);
        for (int r = 0; r < part; ++r)
          for (int j = 0; j < columns; ++j) to[(ptrdiff_t)r * ldc + j] = sums[64 * r + j];
      }
    }
  }
}

/// Number (row, column) of panels of 16 columns, as a float.
INLINE float cell_value(const cell *panels, size_t row, int column) {
#if CK_PAIRS
  const uint32_t pair = panels[row / 2 * 16 + column];
  return __builtin_bit_cast(float, row % 2 ? pair << 16 : pair & 0xffff0000u);
#else
  return panels[row * 16 + column];
#endif
}

/// Keys [heads][ceil(count/16)][packed_cells(width)][16] and values [heads][ceil(width/16)][cells of the padded count][16].
static void pack_shared_bf16(int first, int rows, int count, int heads, int width, const float *k, int ldk,
                             const float *v, int ldv, float *keys, float *values) {
  const int padded = round_up(count, 16), some = round_up(rows, 16), key_cells = packed_cells(width);
  const int value_cells = CELLS(round_up(count, VALUE_ROWS));
  // The last rows write the padding.
  const int own_cells = first + rows == count ? value_cells - CELLS(first) : CELLS(rows);
  const size_t value_panel = (size_t)16 * value_cells;
  cell *key = (cell *)keys + (size_t)first * key_cells, *value = (cell *)values + (size_t)16 * CELLS(first);
  for (int h = 0; h < heads; ++h, k += width, v += width, key += (size_t)padded * key_cells) {
    for (int i = 0; i < some; i += 16) {
      for (int d = 0; d < width; d += 16) {
        const int steps = CELLS(min_int(16, width - d));
        cell row[16], *to = key + (size_t)i * key_cells + (size_t)16 * CELLS(d);
        for (int r = 0; r < 16; ++r) {
          if (i + r < rows)
            round_rows(1, min_int(16, width - d), k + (ptrdiff_t)(i + r) * ldk + d, 0, row);
          else
            memset(row, 0, sizeof row);
          for (int p = 0; p < steps; ++p) to[16 * p + r] = row[p];
        }
      }
      cell *behind = key + (size_t)i * key_cells + (size_t)16 * CELLS(width);
      memset(behind, 0, (size_t)16 * (key_cells - CELLS(width)) * sizeof(cell));
    }
    for (int j = 0; j < width; j += 16, value += value_panel)
      round_columns(rows, own_cells, min_int(16, width - j), 16, v + j, ldv, value);
  }
}

static void unpack_shared_bf16(int count, int heads, int width, const float *keys, const float *values, float *k,
                               int ldk, float *v, int ldv) {
  const int padded = round_up(count, 16), key_cells = packed_cells(width);
  const size_t value_panel = (size_t)16 * CELLS(round_up(count, VALUE_ROWS));
  const cell *key = (const cell *)keys, *value = (const cell *)values;
  for (int h = 0; h < heads; ++h, key += (size_t)padded * key_cells, value += ceil_div(width, 16) * value_panel)
    for (int i = 0; i < count; ++i)
      for (int d = 0; d < width; ++d) {
        k[(ptrdiff_t)i * ldk + h * width + d] = cell_value(key + (size_t)(i / 16) * 16 * key_cells, (size_t)d, i % 16);
        v[(ptrdiff_t)i * ldv + h * width + d] = cell_value(value + d / 16 * value_panel, (size_t)i, d % 16);
      }
}

#define BF16_KERNELS(by, product, gradient)                                                               \
  {                                                                                                       \
    .path = by, .pack = pack_bf16, .matmul = product, .matmul_tn = gradient,                              \
    .pack_shared = pack_shared_bf16, .unpack_shared = unpack_shared_bf16, .attention = attention_bf16,    \
  }
