// Attention backward: the weights are computed anew from the saved log-sum-exp, block by block, and five
// small products run on them while they are in the first cache.

#define GRADIENT_ROWS 48  // rows of a block; ck_attention_backward_scratch knows it

static void attention_delta(int rows, int heads, int width, const float *out, int ldo, const float *dout,
                            int lddout, float *delta) {
  for (int h = 0; h < heads; ++h)
    for (int r = 0; r < rows; ++r) {
      const float *a = out + (ptrdiff_t)r * ldo + h * width, *b = dout + (ptrdiff_t)r * lddout + h * width;
      v8 sum = splat(0);
      for (int j = 0; j < width; j += 8) sum = FMA(load_upto8(a + j, width - j), load_upto8(b + j, width - j), sum);
      delta[(size_t)h * rows + r] = sum8(sum);
    }
}

/// Copies [rows, width] into panels [padded / 16][rows][16], zero-padded.
static void pack_rows(int rows, int width, const float *from, int ld, float *to) {
  for (int j = 0; j < width; j += 16) {
    const int columns = min_int(16, width - j);
    for (int i = 0; i < rows; ++i, to += 16) {
      const float *row = from + (ptrdiff_t)i * ld + j;
      store8(to, load_upto8(row, columns));
      store8(to + 8, columns > 8 ? load_upto8(row + 8, columns - 8) : splat(0));
    }
  }
}

static void add_rows(int rows, int width, const float *from, int padded, float *to, int ld) {
  for (int i = 0; i < rows; ++i, from += padded, to += ld)
    for (int j = 0; j < width; j += 8)
      store_upto8(to + j, load_upto8(to + j, width - j) + load8(from + j), width - j);
}

/// From scores and d(out) * v of one row: weights in place of the first, d(score) in place of the second.
INLINE void weigh_row(int visible, int groups, float c, float lse, float delta, float scale, float *scores,
                      float *slopes) {
  const v8 offset = splat(-lse * LOG2E);
  for (int g = 0; g < groups; ++g) {
    v8 weight = exp2_fast8(FMA(load8(scores + 8 * g), splat(c), offset));
    v8 slope = (load8(slopes + 8 * g) - splat(delta)) * splat(scale);
    if (8 * g + 8 > visible) {
      const i8 seen = lanes8() + 8 * g < visible;
      weight = select8(seen, weight, splat(0));
      slope = select8(seen, slope, splat(0));
    }
    store8(scores + 8 * g, weight);
    store8(slopes + 8 * g, weight * slope);
  }
}

static void attention_backward(const ck_attention_backward_args *args) {
  const int width = args->width, padded = round_up(width, 16), count = args->count, rows = args->rows;
  const int keys = round_up(count, 16), blocks = ceil_div(rows, GRADIENT_ROWS);
  const float c = args->scale * LOG2E;
  if (rows == 0 || count == 0) return;
  float *key_columns = args->scratch, *value_columns = key_columns + (size_t)keys * width;
  float *key_rows = value_columns + (size_t)keys * width;
  float *key_sums = key_rows + (size_t)keys * padded, *value_sums = key_sums + (size_t)keys * padded;
  float *q_rows = value_sums + (size_t)keys * padded, *dout_rows = q_rows + GRADIENT_ROWS * padded;
  float *q_sums = dout_rows + GRADIENT_ROWS * padded;
  float *weights = q_sums + GRADIENT_ROWS * padded, *slopes = weights + GRADIENT_ROWS * KEY_BLOCK;
  for (int head = 0; head < args->heads; ++head) {
    const ptrdiff_t column = (ptrdiff_t)head * width;
    const ptrdiff_t key_column = (ptrdiff_t)key_head(head, args->heads, args->key_heads) * width;
    pack(width, count, args->k + key_column, args->ldk, 1, key_columns);
    pack(width, count, args->v + key_column, args->ldv, 1, value_columns);
    // Between the panels of 16 columns lie `count` rows.
    pack_rows(count, width, args->k + key_column, args->ldk, key_rows);
    memset(key_sums, 0, (size_t)2 * keys * padded * sizeof(float));
    for (int block = 0; block < blocks; ++block) {
      const int first = part_start(rows, blocks, block), some = part_start(rows, blocks, block + 1) - first;
      const int parts = ceil_div(some, CK_ROWS);
      const float *q = args->q + (ptrdiff_t)first * args->ldq + column;
      const float *dout = args->dout + (ptrdiff_t)first * args->lddout + column;
      const float *lse = args->lse + (size_t)head * rows + first;
      const float *delta = args->delta + (size_t)head * rows + first;
      int most = args->limits ? 0 : count;
      for (int r = 0; r < some && args->limits; ++r)
        most = max_int(most, min_int(count, args->limits[first + r]));
      if (most == 0) continue;
      pack_rows(some, width, q, args->ldq, q_rows);
      pack_rows(some, width, dout, args->lddout, dout_rows);
      memset(q_sums, 0, (size_t)some * padded * sizeof(float));
      for (int begin = 0; begin < most; begin += KEY_BLOCK) {
        const int here = min_int(KEY_BLOCK, most - begin), panels = ceil_div(here, 16);
        for (int part = 0; part < parts; ++part) {
          const int row = part_start(some, parts, part), tall = part_start(some, parts, part + 1) - row;
          float *score = weights + row * KEY_BLOCK, *slope = slopes + row * KEY_BLOCK;
          tiles_by_rows(tall, panels, width, q + (ptrdiff_t)row * args->ldq, args->ldq,
                        key_columns + (size_t)begin * width, (ptrdiff_t)16 * width, score, KEY_BLOCK, 0);
          tiles_by_rows(tall, panels, width, dout + (ptrdiff_t)row * args->lddout, args->lddout,
                        value_columns + (size_t)begin * width, (ptrdiff_t)16 * width, slope, KEY_BLOCK, 0);
          for (int r = 0; r < tall; ++r) {
            const int limit = args->limits ? min_int(count, args->limits[first + row + r]) : count;
            weigh_row(limit - begin, 2 * panels, c, lse[row + r], delta[row + r], args->scale,
                      score + r * KEY_BLOCK, slope + r * KEY_BLOCK);
          }
          tiles_by_rows(tall, padded / 16, here, slope, KEY_BLOCK, key_rows + (size_t)begin * 16,
                        (ptrdiff_t)16 * count, q_sums + (size_t)row * padded, padded, 1);
        }
        const int pieces = ceil_div(here, CK_ROWS);
        for (int piece = 0; piece < pieces; ++piece) {
          const int key = part_start(here, pieces, piece), tall = part_start(here, pieces, piece + 1) - key;
          const size_t to = (size_t)(begin + key) * padded;
          tiles_by_columns(tall, padded / 16, some, slopes + key, KEY_BLOCK, q_rows, (ptrdiff_t)16 * some,
                           key_sums + to, padded, 1);
          tiles_by_columns(tall, padded / 16, some, weights + key, KEY_BLOCK, dout_rows, (ptrdiff_t)16 * some,
                           value_sums + to, padded, 1);
        }
      }
      add_rows(some, width, q_sums, padded, args->dq + (ptrdiff_t)first * args->lddq + column, args->lddq);
    }
    add_rows(count, width, key_sums, padded, args->dk + key_column, args->lddk);
    add_rows(count, width, value_sums, padded, args->dv + key_column, args->lddv);
  }
}
