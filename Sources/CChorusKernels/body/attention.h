// Attention forward: online softmax over fixed blocks of 64 keys, shared ones first, then the private ones
// of a row's path. A row's running maximum, sum and output are its own, so rows can be taken together in
// any way.
//
// Scores stay unscaled until the exponential: with c = scale * log2(e), exp(scale * s) = 2^(c * s), and the
// running maximum is kept as c * s.

#define KEY_BLOCK 64
#define ROW_GROUP 48                // rows whose running state is kept at once; ck_attention_scratch knows it
#define UNSEEN -1e30f               // score of a masked key; finite, so that differences of two stay defined
#define SEEN(score) ((score) > splat(-5e29f))

typedef struct {
  float best[ROW_GROUP + 8];   // running maximum of c * score
  float total[ROW_GROUP + 8];  // running sum of 2^(c * score - best)
  float *sums;                 // [rows][padded]: running output, not yet divided by total
  int padded;
} online;

static void pack_shared(int count, int heads, int width, const float *k, int ldk, const float *v, int ldv,
                        float *keys, float *values) {
  const int padded = round_up(count, 16);
  for (int h = 0; h < heads; ++h, k += width, v += width) {
    pack(width, count, k, ldk, 1, keys);
    keys += (size_t)padded * width;
    for (int j = 0; j < width; j += 16) {
      const int columns = min_int(16, width - j);
      for (int i = 0; i < padded; ++i, values += 16) {
        const float *from = v + (ptrdiff_t)i * ldv + j;
        store8(values, i < count ? load_upto8(from, columns) : splat(0));
        store8(values + 8, i < count && columns > 8 ? load_upto8(from + 8, columns - 8) : splat(0));
      }
    }
  }
}

static void append_private(int index, int capacity, int heads, int width, const float *k, const float *v,
                           float *keys, float *values) {
  const int blocks = ceil_div(capacity, 8);
  for (int h = 0; h < heads; ++h) {
    float *to = keys + ((size_t)h * blocks + index / 8) * width * 8 + index % 8;
    for (int d = 0; d < width; ++d) to[8 * d] = k[h * width + d];
    memcpy(values + ((size_t)h * capacity + index) * width, v + h * width, (size_t)width * sizeof(float));
  }
}

/// Turns scores [rows][KEY_BLOCK] into weights 2^(c * s - best) after moving best, total and sums of rows
/// row...row + rows - 1 along. Only the first `groups` groups of 8 keys count, and of row r, when masked, only
/// the first visible[r] keys.
INLINE void soften(const int masked, const int groups, int rows, const int *visible, float c, float *scores,
                   online *state, int row) {
  float change[16];
  for (int r = 0; r < rows; ++r) {
    float *s = scores + r * KEY_BLOCK;
    v8 most = splat(UNSEEN);
    UNROLL for (int g = 0; g < KEY_BLOCK / 8; ++g) {
      if (g >= groups) continue;
      v8 x = load8(s + 8 * g);
      if (masked) {
        x = select8(lanes8() + 8 * g < visible[r], x, splat(UNSEEN));
        store8(s + 8 * g, x);
      }
      most = max8(x, most);
    }
    const float old = state->best[row + r], here = maximum8(most) * c;
    const float best = here > old ? here : old;
    change[r] = old - best;
    state->best[row + r] = best;
  }
  for (int r = 0; r < rows; r += 8) store8(change + r, exp2_fast(load8(change + r)));
  for (int r = 0; r < rows; ++r) {
    float *s = scores + r * KEY_BLOCK;
    const v8 best = splat(-state->best[row + r]);
    v8 even = splat(0), odd = splat(0);
    UNROLL for (int g = 0; g < KEY_BLOCK / 8; ++g) {
      if (g >= groups) continue;
      v8 x = load8(s + 8 * g);
      v8 weight = exp2_fast(FMA(x, splat(c), best));
      if (masked) weight = select8(SEEN(x), weight, splat(0));
      store8(s + 8 * g, weight);
      if (g % 2)
        odd += weight;
      else
        even += weight;
    }
    state->total[row + r] = state->total[row + r] * change[r] + sum8(even + odd);
    if (change[r] != 1.0f) {  // times one changes nothing
      float *sums = state->sums + (size_t)(row + r) * state->padded;
      for (int j = 0; j < state->padded; j += 8) store8(sums + j, load8(sums + j) * splat(change[r]));
    }
  }
}

/// The weights of a block are the same bytes on every path: a masked key weighs zero and changes no sum.
static void soften_block(int rows, int keys, const int *visible, float c, float *scores, online *state, int row) {
  int counts[16], all = keys % 8 == 0;
  for (int r = 0; r < rows; ++r) {
    counts[r] = visible ? visible[r] : keys;
    all &= counts[r] >= keys;
  }
  if (all && keys == KEY_BLOCK)
    soften(0, KEY_BLOCK / 8, rows, counts, c, scores, state, row);
  else if (all)
    soften(0, keys / 8, rows, counts, c, scores, state, row);
  else
    soften(1, ceil_div(keys, 8), rows, counts, c, scores, state, row);
}

/// The private keys and values of one path for rows row...row + rows - 1 of the group that starts at `first`.
static void attend_private(const ck_attention_args *args, int head, int first, int row, int rows, float c,
                           float *scores, online *state) {
  const int width = args->width, capacity = args->capacity, path = (first + row) / args->rows_per_path;
  const float *q = args->q + (ptrdiff_t)(first + row) * args->ldq + head * width;
  const float *keys = args->private_keys + path * args->private_keys_stride +
                      (size_t)head * ceil_div(capacity, 8) * 8 * width;
  const float *values = args->private_values + path * args->private_values_stride +
                        (size_t)head * capacity * width;
  int most = 0;
  for (int r = 0; r < rows; ++r) most = max_int(most, min_int(capacity, args->limits[first + row + r]));
  for (int block = 0; block < most; block += KEY_BLOCK) {
    const int count = min_int(KEY_BLOCK, most - block), groups = ceil_div(count, 8);
    int visible[8];
    for (int r = 0; r < rows; ++r) visible[r] = max_int(0, min_int(args->limits[first + row + r] - block, count));
    tiles8(rows, groups, width, q, args->ldq, keys + (size_t)block * width, 8, 8 * width, scores, KEY_BLOCK, 0);
    soften_block(rows, count, visible, c, scores, state, row);
    float *sums = state->sums + (size_t)row * state->padded;
    const float *from = values + (size_t)block * width;
    tiles8(rows, width / 8, count, scores, KEY_BLOCK, from, width, 8, sums, state->padded, 1);
    if (width % 8 == 0) continue;
    const int done = width / 8 * 8;
    for (int r = 0; r < rows; ++r) {
      v8 sum = load8(sums + (size_t)r * state->padded + done);
      for (int j = 0; j < count; ++j)
        sum = FMA(splat(scores[r * KEY_BLOCK + j]), load_some(from + j * width + done, width - done), sum);
      store8(sums + (size_t)r * state->padded + done, sum);
    }
  }
}

static void attention(const ck_attention_args *args) {
  const int width = args->width, padded = round_up(width, 16), shared = args->shared_count;
  const int shared_padded = round_up(shared, 16), groups = ceil_div(args->rows, ROW_GROUP);
  const float c = args->scale * LOG2E;
  float scores[CK_ROWS * KEY_BLOCK];
  for (size_t i = 0; i < CK_ROWS * KEY_BLOCK; i += 8) store8(scores + i, splat(0));
  online state;
  state.sums = args->scratch;
  state.padded = padded;
  for (int head = 0; head < args->heads; ++head) {
    const float *keys = args->shared_keys + (size_t)head * shared_padded * width;
    const float *values = args->shared_values + (size_t)head * shared_padded * padded;
    for (int group = 0; group < groups; ++group) {
      const int first = part_start(args->rows, groups, group);
      const int rows = part_start(args->rows, groups, group + 1) - first, parts = ceil_div(rows, CK_ROWS);
      for (int r = 0; r < ROW_GROUP + 8; ++r) state.best[r] = UNSEEN, state.total[r] = 0;
      memset(state.sums, 0, (size_t)rows * padded * sizeof(float));
      for (int block = 0; block < shared; block += KEY_BLOCK) {
        const int count = min_int(KEY_BLOCK, shared - block);
        for (int part = 0; part < parts; ++part) {
          const int row = part_start(rows, parts, part), some = part_start(rows, parts, part + 1) - row;
          const float *q = args->q + (ptrdiff_t)(first + row) * args->ldq + head * width;
          tiles_by_rows(some, ceil_div(count, 16), width, q, args->ldq, keys + (size_t)block * width,
                        (ptrdiff_t)16 * width, scores, KEY_BLOCK, 0);
          soften_block(some, count, NULL, c, scores, &state, row);
          tiles_by_rows(some, padded / 16, count, scores, KEY_BLOCK, values + (size_t)block * 16,
                        (ptrdiff_t)16 * shared_padded, state.sums + (size_t)row * padded, padded, 1);
        }
      }
      for (int row = 0; args->limits && row < rows;) {
        const int path = (first + row) / args->rows_per_path;
        const int run = min_int(rows - row, (path + 1) * args->rows_per_path - (first + row));
        const int pieces = ceil_div(run, MOST_ROWS8);
        for (int piece = 0; piece < pieces; ++piece) {
          const int begin = part_start(run, pieces, piece);
          attend_private(args, head, first, row + begin, part_start(run, pieces, piece + 1) - begin, c, scores,
                         &state);
        }
        row += run;
      }
      for (int row = 0; row < rows; row += 8) {
        const v8 total = load8(state.total + row);
        const i8 none = total == splat(0);
        const v8 inverse = select8(none, splat(0), splat(1.0f) / total);
        const v8 log_total = FMA(load8(state.best + row), splat(LN2), log8(total));
        const v8 lse = select8(none, splat(-__builtin_inff()), log_total);
        const int some = min_int(8, rows - row);
        if (args->lse) store_upto8(args->lse + (size_t)head * args->rows + first + row, lse, some);
        for (int r = 0; r < some; ++r) {
          const float *sums = state.sums + (size_t)(row + r) * padded;
          float *out = args->out + (ptrdiff_t)(first + row + r) * args->ldo + head * width;
          for (int j = 0; j < width; j += 8) store_upto8(out + j, load8(sums + j) * splat(inverse[r]), width - j);
        }
      }
    }
  }
}
