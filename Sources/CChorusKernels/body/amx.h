// Products of numbers rounded to bfloat16 by AMX tiles, with sums in float32.
//
// A tile has up to 16 rows of 64 bytes. The instruction multiplies 16 rows of 16 pairs with 16 pairs of 16 columns: the
// products of the even and of the odd numbers of k are added up from zero, each in a chain of its own, their two sums are
// added, and what comes out is added to the sum so far. An element is thus a chain over blocks of 32 numbers of k, whatever
// its tile has beside it; `ck_tiles_reference` is the same in plain loops. As bf16.h rounds, nothing is ever denormal.
//
// Shapes of tiles are a thread's own. A kernel sets them when it begins and gives them up when it ends.

typedef struct __attribute__((packed)) {
  uint8_t palette, start, reserved[14];
  uint16_t row_bytes[16];
  uint8_t rows[16];
} tile_shapes;

/// Tiles 0...3 hold sums of `rows` rows, 4 left and 6 right sides of `first` pairs, 5 and 7 those of `second`.
INLINE void shape_tiles(int rows, int first, int second) {
  tile_shapes shapes = {.palette = 1};
  for (int t = 0; t < 4; ++t) shapes.rows[t] = (uint8_t)rows, shapes.row_bytes[t] = 64;
  for (int t = 4; t < 6; ++t) {
    const int pairs = t == 4 ? first : second;
    shapes.rows[t] = (uint8_t)rows, shapes.row_bytes[t] = (uint16_t)(4 * pairs);
    shapes.rows[t + 2] = (uint8_t)pairs, shapes.row_bytes[t + 2] = 64;
  }
  _tile_loadconfig(&shapes);
}

/// Rows of k numbers as left sides: [blocks][tall][pairs], zeros behind the last number; rows ..< tall stay as they are.
static void round_left(int rows, int tall, int k, depth deep, const float *a, ptrdiff_t lda, cell *to) {
  for (int p = 0; p < 32 * deep.blocks; p += 32, to += tall * deep.pairs) {
    const __mmask16 low = first_lanes(k - p), high = first_lanes(k - p - 16), kept = first_lanes(deep.pairs);
    for (int r = 0; r < rows; ++r) {
      const float *from = a + r * lda + p;
      const __m512 x = _mm512_maskz_loadu_ps(low, from), y = _mm512_maskz_loadu_ps(high, from + 16);
      const __mmask32 lasting_ones = (__mmask32)lasting(y) << 16 | lasting(x);
      const __m512i halves = (__m512i)_mm512_maskz_cvtne2ps_pbh(lasting_ones, y, x);
      _mm512_mask_storeu_epi32(to + r * deep.pairs, kept, _mm512_rol_epi32(halves, 16));
    }
  }
}

INLINE void transpose16(__m512i r[16]) {
  __m512i t[16];
  UNROLL for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
    t[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
  }
  UNROLL for (int i = 0; i < 16; i += 4) {
    r[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
    r[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
    r[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
    r[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
  UNROLL for (int i = 0; i < 4; ++i) {
    t[i] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0x88);
    t[i + 4] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0xdd);
    t[i + 8] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0x88);
    t[i + 12] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0xdd);
  }
  UNROLL for (int i = 0; i < 4; ++i) {
    r[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
    r[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0xdd);
    r[i + 4] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0x88);
    r[i + 12] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0xdd);
  }
}

/// `columns` columns of `steps` numbers as left sides: [blocks][tall][pairs], zeros behind the last number.
static void round_left_columns(int columns, int tall, int steps, const float *a, ptrdiff_t lda, cell *to) {
  const depth deep = depth_of(steps);
  const __mmask16 lanes = first_lanes(columns), kept = first_lanes(deep.pairs);
  for (int p = 0; p < 32 * deep.blocks; p += 32, to += tall * deep.pairs) {
    __m512i rows[16];
    UNROLL for (int i = 0; i < 16; ++i) {
      const float *from = a + (ptrdiff_t)(p + 2 * i) * lda;
      const int left = steps - p - 2 * i;
      const __m512 first = _mm512_maskz_loadu_ps(left > 0 ? lanes : 0, from);
      rows[i] = pairs(first, _mm512_maskz_loadu_ps(left > 1 ? lanes : 0, from + lda));
    }
    transpose16(rows);
    UNROLL for (int r = 0; r < 16; ++r)
      if (r < columns) _mm512_mask_storeu_epi32(to + r * deep.pairs, kept, rows[r]);
  }
}

#define ADD_PRODUCT(sums, left, right, at) (_tile_loadd(right, at, 64), _tile_dpbf16ps(sums, left, right))

/// One left side with 1...4 panels that lie bp apart; two right sides take turns.
#define BESIDE(name, left, right, other)                                                               \
  static void name(int rows, int panels, depth deep, const cell *a, const cell *b, ptrdiff_t bp, float *c, \
                   ptrdiff_t ldc) {                                                                    \
    _tile_zero(0), _tile_zero(1), _tile_zero(2), _tile_zero(3);                                        \
    for (int i = 0; i < deep.blocks; ++i, a += rows * deep.pairs, b += 16 * deep.pairs) {              \
      _tile_loadd(left, a, (size_t)(4 * deep.pairs));                                                  \
      ADD_PRODUCT(0, left, right, b);                                                                  \
      if (panels > 1) ADD_PRODUCT(1, left, other, b + bp);                                             \
      if (panels > 2) ADD_PRODUCT(2, left, right, b + 2 * bp);                                         \
      if (panels > 3) ADD_PRODUCT(3, left, other, b + 3 * bp);                                         \
    }                                                                                                  \
    _tile_stored(0, c, (size_t)(4 * ldc));                                                             \
    if (panels > 1) _tile_stored(1, c + 16, (size_t)(4 * ldc));                                        \
    if (panels > 2) _tile_stored(2, c + 32, (size_t)(4 * ldc));                                        \
    if (panels > 3) _tile_stored(3, c + 48, (size_t)(4 * ldc));                                        \
  }
BESIDE(panels_beside, 4, 6, 7)  // first and second shape are the same
BESIDE(first_beside, 4, 6, 6)
BESIDE(second_beside, 5, 7, 7)

/// Two left sides that lie ap apart with one or two panels; the sums of the second lie `down` floats behind those of the
/// first. With `add` they begin with what is there.
static void two_by_two(int rows, int panels, depth deep, const cell *a, ptrdiff_t ap, const cell *b, ptrdiff_t bp,
                       float *c, ptrdiff_t ldc, ptrdiff_t down, int add) {
  const size_t left = (size_t)(4 * deep.pairs), stride = (size_t)(4 * ldc);
  if (add) {
    _tile_loadd(0, c, stride), _tile_loadd(1, c + down, stride);
    if (panels > 1) _tile_loadd(2, c + 16, stride), _tile_loadd(3, c + 16 + down, stride);
  } else {
    _tile_zero(0), _tile_zero(1), _tile_zero(2), _tile_zero(3);
  }
  for (int i = 0; i < deep.blocks; ++i, a += rows * deep.pairs, b += 16 * deep.pairs) {
    _tile_loadd(4, a, left), _tile_loadd(5, a + ap, left), _tile_loadd(6, b, 64);
    _tile_dpbf16ps(0, 4, 6), _tile_dpbf16ps(1, 5, 6);
    if (panels > 1) {
      _tile_loadd(7, b + bp, 64);
      _tile_dpbf16ps(2, 4, 7), _tile_dpbf16ps(3, 5, 7);
    }
  }
  _tile_stored(0, c, stride), _tile_stored(1, c + down, stride);
  if (panels > 1) _tile_stored(2, c + 16, stride), _tile_stored(3, c + 16 + down, stride);
}

/// As two_by_two with one left side.
static void one_by_two(int rows, int panels, depth deep, const cell *a, const cell *b, ptrdiff_t bp, float *c,
                       ptrdiff_t ldc, int add) {
  const size_t left = (size_t)(4 * deep.pairs), stride = (size_t)(4 * ldc);
  if (add) {
    _tile_loadd(0, c, stride);
    if (panels > 1) _tile_loadd(2, c + 16, stride);
  } else {
    _tile_zero(0), _tile_zero(2);
  }
  for (int i = 0; i < deep.blocks; ++i, a += rows * deep.pairs, b += 16 * deep.pairs) {
    _tile_loadd(4, a, left);
    ADD_PRODUCT(0, 4, 6, b);
    if (panels > 1) ADD_PRODUCT(2, 4, 7, b + bp);
  }
  _tile_stored(0, c, stride);
  if (panels > 1) _tile_stored(2, c + 16, stride);
}

#define TILE_ROWS 16
#define MOST_PARTS 6  // parts of a left side that are rounded at a time

static void matmul_amx(const ck_matmul_args *args) {
  const int m = args->m, n = args->n, k = args->k, panels = ceil_div(n, 16), parts = ceil_div(m, TILE_ROWS);
  if (parts == 0) return;
  const depth deep = depth_of(k);
  const int tall = ceil_div(m, parts), size = tall * deep.blocks * deep.pairs;  // of a part
  const ptrdiff_t panel = (ptrdiff_t)16 * deep.blocks * deep.pairs;
  const cell *packed = (const cell *)args->packed;
  const int plain = !args->bias && !args->pre && !args->residual && !args->accumulate &&
                    args->activation == CK_IDENTITY;
  _Alignas(64) cell left[TILE_ROWS * CELLS(CK_BF16_LONGEST)];
  _Alignas(64) float sums[2 * TILE_ROWS * 64];
  const int most = max_int(1, min_int(MOST_PARTS, (int)(sizeof left / sizeof *left) / max_int(1, size)));
  shape_tiles(tall, deep.pairs, deep.pairs);
  for (int first = 0; first < parts; first += most) {
    const int last = min_int(parts, first + most);
    for (int part = first; part < last; ++part) {
      const int i = part_start(m, parts, part), rows = part_start(m, parts, part + 1) - i;
      round_left(rows, tall, k, deep, args->a + (ptrdiff_t)i * args->lda, args->lda,
                 left + (ptrdiff_t)(part - first) * size);
    }
    const int group = last - first == 1 ? 4 : 2;
    for (int p = 0; p < panels; p += group) {
      const int some = min_int(group, panels - p), columns = min_int(16 * some, n - 16 * p);
      const cell *right = packed + p * panel;
      for (int part = first, together; part < last; part += together) {
        together = min_int(2, last - part);
        const int i = part_start(m, parts, part), next = part_start(m, parts, part + 1);
        const int end = part_start(m, parts, part + together);
        const int whole = plain && columns == 16 * some && end - i == together * tall;
        float *c = whole ? args->c + (ptrdiff_t)i * args->ldc + 16 * p : sums;
        const ptrdiff_t ldc = whole ? args->ldc : 64;
        const cell *from = left + (ptrdiff_t)(part - first) * size;
        if (together == 2)
          two_by_two(tall, some, deep, from, size, right, panel, c, ldc, tall * ldc, 0);
        else
          panels_beside(tall, some, deep, from, right, panel, c, ldc);
        if (whole) continue;
        finish_tile(args, sums, 64, i, 16 * p, next - i, columns);
        if (together == 2) finish_tile(args, sums + tall * 64, 64, next, 16 * p, end - next, columns);
      }
    }
  }
  _tile_release();
}

/// Copies a block of `rows` x `columns` numbers.
INLINE void copy_block(int rows, int columns, const float *from, ptrdiff_t ld, float *to, ptrdiff_t ldto) {
  for (int r = 0; r < rows; ++r) memcpy(to + r * ldto, from + r * ld, (size_t)columns * sizeof(float));
}

static void matmul_tn_amx(int m, int n, int rows, const float *a, int lda, const float *b, int ldb, float *c, int ldc,
                          int accumulate, float *scratch) {
  const int parts = ceil_div(m, TILE_ROWS), panels = ceil_div(n, 16);
  if (parts == 0) return;
  const int tall = ceil_div(m, parts);
  _Alignas(64) float sums[2 * TILE_ROWS * 32];
  int begin = 0;
  do {
    const int steps = min_int(TN_STEPS, rows - begin), add = accumulate || begin > 0;
    const depth deep = depth_of(steps);
    const int cells = deep.blocks * deep.pairs, size = tall * cells;
    const ptrdiff_t panel = (ptrdiff_t)16 * cells;
    cell *left = (cell *)scratch, *right = left + (ptrdiff_t)parts * size;
    for (int part = 0; part < parts; ++part) {
      const int i = part_start(m, parts, part), some = part_start(m, parts, part + 1) - i;
      round_left_columns(some, tall, steps, a + (ptrdiff_t)begin * lda + i, lda, left + (ptrdiff_t)part * size);
    }
    round_columns(steps, cells, n, 16, b + (ptrdiff_t)begin * ldb, ldb, right);
    shape_tiles(tall, deep.pairs, deep.pairs);
    for (int p = 0; p < panels; p += 2) {
      const int some = min_int(2, panels - p), columns = min_int(16 * some, n - 16 * p);
      for (int part = 0, together; part < parts; part += together) {
        together = min_int(2, parts - part);
        const int i = part_start(m, parts, part), next = part_start(m, parts, part + 1);
        const int end = part_start(m, parts, part + together);
        const int whole = columns == 16 * some && end - i == together * tall;
        float *to = c + (ptrdiff_t)i * ldc + 16 * p, *second = c + (ptrdiff_t)next * ldc + 16 * p;
        float *at = whole ? to : sums;
        const ptrdiff_t ld = whole ? ldc : 32;
        if (!whole && add) {
          copy_block(next - i, columns, to, ldc, sums, 32);
          copy_block(end - next, columns, second, ldc, sums + tall * 32, 32);
        }
        if (together == 2)
          two_by_two(tall, some, deep, left + (ptrdiff_t)part * size, size, right + p * panel, panel, at, ld, tall * ld, add);
        else
          one_by_two(tall, some, deep, left + (ptrdiff_t)part * size, right + p * panel, panel, at, ld, add);
        if (whole) continue;
        copy_block(next - i, columns, sums, 32, to, ldc);
        copy_block(end - next, columns, sums + tall * 32, 32, second, ldc);
      }
    }
    begin += steps;
  } while (begin < rows);
  _tile_release();
}
