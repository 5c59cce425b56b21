// Attention forward: online softmax over fixed blocks of 64 keys, shared ones first, then the private ones
// of a row's path. A row's running maximum, sum and output are its own, so rows can be taken together in
// any way.
//
// Scores stay unscaled until the exponential: with c = scale * log2(e), exp(scale * s) = 2^(c * s), and the
// running maximum is kept as c * s.

#define KEY_BLOCK 64
#define ROW_GROUP 48                // rows whose running state is kept at once; ck_attention_scratch knows it
#define UNSEEN -1e30f               // score of a masked key; finite, so that differences of two stay defined
#define BARELY_SEEN -5e29f

#include "softmax.h"

static void pack_shared(int first, int rows, int count, int heads, int width, const float *k, int ldk, const float *v,
                        int ldv, float *keys, float *values) {
  const int padded = round_up(count, 16), some = round_up(rows, 16);
  keys += (size_t)first * width;
  values += (size_t)first * 16;
  for (int h = 0; h < heads; ++h, k += width, v += width) {
    pack(width, rows, k, ldk, 1, keys);
    keys += (size_t)padded * width;
    for (int j = 0; j < width; j += 16, values += (size_t)padded * 16) {
      const int columns = min_int(16, width - j);
      for (int i = 0; i < some; ++i) {
        const float *from = v + (ptrdiff_t)i * ldv + j;
        store8(values + 16 * i, i < rows ? load_upto8(from, columns) : splat(0));
        store8(values + 16 * i + 8, i < rows && columns > 8 ? load_upto8(from + 8, columns - 8) : splat(0));
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

/// Which of the 64 private keys from `block` on a row sees.
static uint64_t visible_keys(const ck_attention_args *args, int row, int block) {
  const int count = min_int(args->capacity, args->limits[row]) - block;
  if (count <= 0) return 0;
  const int start = args->masks ? args->mask_starts[row] : -1;
  return first_keys(count) & (start < 0 ? ~(uint64_t)0 : args->masks[start + block / KEY_BLOCK]);
}

/// The head whose keys and values a head reads.
INLINE int key_head(int head, int heads, int key_heads) {
  return key_heads > 0 ? head / (heads / key_heads) : head;
}

INLINE int path_of(const ck_attention_args *args, int row) { return args->paths ? args->paths[row] : 0; }

/// Rows of one path within a batch of rows that are taken through their private keys together.
typedef struct {
  int row, rows;  // within the batch
  int keys;       // of the block: up to the last one that one of them sees
  const float *k, *v;
} private_run;

/// sums [rows][padded] += weights [rows][KEY_BLOCK] * v [count][width].
static void add_private(const private_run *run, int more, int width, int count, const float *weights, const float *v,
                        float *sums, int padded) {
  if (more)
    tiles8_fetching(run->rows, width / 8, count, weights, KEY_BLOCK, v, width, 8, (ptrdiff_t)KEY_BLOCK * width, sums,
                    padded, 1);
  else
    tiles8(run->rows, width / 8, count, weights, KEY_BLOCK, v, width, 8, sums, padded, 1);
  const int done = width / 8 * 8;
  if (done == width) return;
  for (int r = 0; r < run->rows; ++r) {
    v8 sum = load8(sums + (size_t)r * padded + done);
    for (int j = 0; j < count; ++j)
      sum = FMA(splat(weights[r * KEY_BLOCK + j]), load_some(v + j * width + done, width - done), sum);
    store8(sums + (size_t)r * padded + done, sum);
  }
}

/// Takes rows row...row + rows - 1 of the group that starts at `first`, at most MOST_ROWS8, through the private
/// keys and values of their paths, which may be several: the steps of one path alone would wait for each other.
/// Blocks of keys that none of them sees are left out.
static void attend_private(const ck_attention_args *args, int head, int first, int row, int rows, float c,
                           float *scores, online *state) {
  const int width = args->width, capacity = args->capacity;
  const size_t from = (size_t)key_head(head, args->heads, args->key_heads);
  const size_t key_offset = from * round_up(capacity, 8) * width, value_offset = from * capacity * width;
  private_run runs[MOST_ROWS8];
  int count = 0, most = 0;
  for (int r = 0; r < rows; ++r) {
    const int at = first + row + r, path = path_of(args, at);
    most = max_int(most, min_int(capacity, args->limits[at]));
    if (r > 0 && path == path_of(args, at - 1)) {
      ++runs[count - 1].rows;
      continue;
    }
    runs[count++] = (private_run){.row = r,
                                  .rows = 1,
                                  .k = args->private_keys + (size_t)path * args->private_keys_stride + key_offset,
                                  .v = args->private_values + (size_t)path * args->private_values_stride +
                                       value_offset};
  }
  for (int block = 0; block < most; block += KEY_BLOCK) {
    uint64_t visible[MOST_ROWS8];
    int widest = 0;
    for (int i = 0; i < count; ++i) {
      uint64_t seen = 0;
      for (int r = runs[i].row; r < runs[i].row + runs[i].rows; ++r)
        seen |= visible[r] = visible_keys(args, first + row + r, block);
      runs[i].keys = seen ? KEY_BLOCK - __builtin_clzll(seen) : 0;
      widest = max_int(widest, runs[i].keys);
    }
    if (widest == 0) continue;
    // A block fetches the next one: a path's long buffer is read for two rows only, and comes from beyond the second cache.
    const int more = block + KEY_BLOCK < most;
    for (int i = 0; i < count; ++i) {
      const private_run *run = &runs[i];
      const float *q = args->q + (ptrdiff_t)(first + row + run->row) * args->ldq + head * width;
      const float *k = run->k + (size_t)block * width;
      float *to = scores + run->row * KEY_BLOCK;
      if (more)
        tiles8_fetching(run->rows, ceil_div(run->keys, 8), width, q, args->ldq, k, 8, 8 * width,
                        (ptrdiff_t)KEY_BLOCK * width, to, KEY_BLOCK, 0);
      else
        tiles8(run->rows, ceil_div(run->keys, 8), width, q, args->ldq, k, 8, 8 * width, to, KEY_BLOCK, 0);
    }
    soften_block(rows, widest, visible, c, scores, state, row);
    for (int i = 0; i < count; ++i) {
      const private_run *run = &runs[i];
      if (run->keys > 0)
        add_private(run, more, width, run->keys, scores + run->row * KEY_BLOCK, run->v + (size_t)block * width,
                    state->sums + (size_t)(row + run->row) * state->padded, state->padded);
    }
  }
}

/// How many of the `left` rows from `row` on go through their private keys together: whole paths while they
/// fit, an even part of a longer one.
static int private_batch(const ck_attention_args *args, int row, int left) {
  int batch = 0;
  while (batch < left) {
    const int path = path_of(args, row + batch);
    int run = 1;
    while (batch + run < left && path_of(args, row + batch + run) == path) ++run;
    if (batch == 0 && run > MOST_ROWS8) return ceil_div(run, ceil_div(run, MOST_ROWS8));
    if (batch + run > MOST_ROWS8) break;
    batch += run;
  }
  return batch;
}

typedef struct {
  const cell *keys, *values;  // of a head
} rounded_states;

#if CK_TILES
#define ROUNDED_ROWS TILE_ROWS
#define QUERIES_BEFORE(part, row) ((ptrdiff_t)(part) * tall * packed_cells(width))

/// Rounds the queries of a part and a head, at most ROUNDED_ROWS of them.
INLINE void round_queries(const ck_attention_args *args, int head, int first, int rows, int tall, cell *to) {
  round_left(rows, tall, args->width, depth_of(args->width), args->q + (ptrdiff_t)first * args->ldq + head * args->width, args->ldq, to);
}

/// Takes rows row ..< row + rows of a group, parts of which have `tall`, through the 64 shared keys from `block` on.
static void attend_rounded(const ck_attention_args *args, const rounded_states *states, int block, const cell *queries,
                           int row, int rows, int tall, int fetching, float c, float *scores, float *found,
                           online *state) {
  const int width = args->width, padded = state->padded, count = min_int(KEY_BLOCK, args->shared_count - block);
  const int key_cells = packed_cells(width);
  const depth across = depth_of(width), along = {ceil_div(count, 32), 16};
  const ptrdiff_t key_panel = (ptrdiff_t)16 * key_cells;
  const ptrdiff_t value_panel = (ptrdiff_t)16 * CELLS(round_up(args->shared_count, VALUE_ROWS));
  const cell *keys = states->keys + (ptrdiff_t)block * key_cells, *values = states->values + 16 * CELLS(block);
  _Alignas(64) cell weights[TILE_ROWS * CELLS(KEY_BLOCK)];
  if (fetching && block + KEY_BLOCK < args->shared_count) {  // the next block
    for (int i = 0; i < KEY_BLOCK; ++i)
      for (int j = 0; j < key_cells; j += 16) __builtin_prefetch(keys + (KEY_BLOCK + i) * key_cells + j, 0, 2);
    for (int j = 0; j < padded; j += 16)
      for (int i = 0; i < CELLS(KEY_BLOCK); ++i)
        __builtin_prefetch(values + j / 16 * value_panel + 16 * (CELLS(KEY_BLOCK) + i), 0, 2);
  }
  first_beside(tall, ceil_div(count, 16), across, queries, keys, key_panel, scores, KEY_BLOCK);
  soften_block(rows, count, NULL, c, scores, state, row);
  round_left(rows, tall, count, along, scores, KEY_BLOCK, weights);
  for (int j = 0; j < padded; j += KEY_BLOCK)
    second_beside(tall, min_int(4, (padded - j) / 16), along, weights, values + j / 16 * value_panel, value_panel,
                  found + j, padded);
  float *sums = state->sums + (size_t)row * padded;
  for (int i = 0; i < rows * padded; i += 16) store_wide(sums + i, load_wide(sums + i) + load_wide(found + i));
}
#else
#define ROUNDED_ROWS CK_ROWS
#define QUERIES_BEFORE(part, row) ((ptrdiff_t)(row) * packed_cells(width))

INLINE void round_queries(const ck_attention_args *args, int head, int first, int rows, int tall, cell *to) {
  (void)tall;
  round_rows(rows, args->width, args->q + (ptrdiff_t)first * args->ldq + head * args->width, args->ldq, to);
}

/// Takes rows row ..< row + rows of a group through the 64 shared keys from `block` on.
static void attend_rounded(const ck_attention_args *args, const rounded_states *states, int block, const cell *queries,
                           int row, int rows, int tall, int fetching, float c, float *scores, float *found,
                           online *state) {
  (void)tall;
  const int width = args->width, padded = state->padded, count = min_int(KEY_BLOCK, args->shared_count - block);
  const ptrdiff_t key_panel = (ptrdiff_t)16 * CELLS(width);
  const ptrdiff_t value_panel = (ptrdiff_t)16 * CELLS(round_up(args->shared_count, 16));
  const cell *keys = states->keys + (ptrdiff_t)block * CELLS(width), *values = states->values + 16 * CELLS(block);
  cell weights[CK_ROWS * CELLS(KEY_BLOCK)];
  if (fetching)
    rounded_fetching(rows, ceil_div(count, 16), CELLS(width), queries, CELLS(width), keys, key_panel,
                     (ptrdiff_t)KEY_BLOCK * CELLS(width), scores, KEY_BLOCK, 0);
  else
    rounded_by_rows(rows, ceil_div(count, 16), CELLS(width), queries, CELLS(width), keys, key_panel, scores, KEY_BLOCK,
                    0);
  soften_block(rows, count, NULL, c, scores, state, row);
  round_rows(rows, count, scores, KEY_BLOCK, weights);
  if (fetching)
    rounded_fetching(rows, padded / 16, CELLS(count), weights, CELLS(count), values, value_panel, 16 * CELLS(KEY_BLOCK),
                     found, padded, 0);
  else
    rounded_by_rows(rows, padded / 16, CELLS(count), weights, CELLS(count), values, value_panel, found, padded, 0);
  float *sums = state->sums + (size_t)row * padded;
  for (int i = 0; i < rows * padded; i += 8) store8(sums + i, load8(sums + i) + load8(found + i));
}
#endif

/// With `rounding`, shared keys and values are of pack_shared_bf16, and queries and weights are rounded for their products
/// with them; the sum of a block is added to the running one outside of the product, which knows no denormal numbers.
INLINE void attend(const int rounding, const ck_attention_args *args) {
  const int width = args->width, padded = round_up(width, 16), shared = args->shared_count;
  const int shared_padded = round_up(shared, 16), groups = ceil_div(args->rows, ROW_GROUP);
  const float c = args->scale * LOG2E;
  const int most_rows = rounding ? ROUNDED_ROWS : CK_ROWS;
  _Alignas(64) float scores[(ROUNDED_ROWS > CK_ROWS ? ROUNDED_ROWS : CK_ROWS) * KEY_BLOCK];
  for (size_t i = 0; i < sizeof scores / sizeof *scores; i += 8) store8(scores + i, splat(0));
#if CK_TILES
  int shaped = 0;
#endif
  online state;
  state.sums = args->scratch;
  state.padded = padded;
  for (int head = 0; head < args->heads; ++head) {
    const size_t from = (size_t)key_head(head, args->heads, args->key_heads);
    const float *keys = args->shared_keys + from * shared_padded * width;
    const float *values = args->shared_values + from * shared_padded * padded;
    const rounded_states states = {
        (const cell *)args->shared_keys + from * shared_padded * packed_cells(width),
        (const cell *)args->shared_values + from * CELLS(round_up(shared, VALUE_ROWS)) * padded};
    for (int group = 0; group < groups; ++group) {
      const int first = part_start(args->rows, groups, group);
      const int rows = part_start(args->rows, groups, group + 1) - first;
      const int parts = ceil_div(rows, most_rows), tall = ceil_div(rows, parts);
      for (int r = 0; r < ROW_GROUP + 8; ++r) state.best[r] = UNSEEN, state.total[r] = 0;
      memset(state.sums, 0, (size_t)rows * padded * sizeof(float));
      cell *queries = (cell *)(state.sums + (size_t)rows * padded);
#if CK_TILES
      if (rounding && tall != shaped) shape_tiles(shaped = tall, depth_of(width).pairs, 16);
#endif
      for (int part = 0; rounding && part < parts; ++part) {
        const int row = part_start(rows, parts, part), some = part_start(rows, parts, part + 1) - row;
        round_queries(args, head, first + row, some, tall, queries + QUERIES_BEFORE(part, row));
      }
      for (int block = 0; block < shared; block += KEY_BLOCK) {
        const int count = min_int(KEY_BLOCK, shared - block);
        for (int part = 0; part < parts; ++part) {
          const int row = part_start(rows, parts, part), some = part_start(rows, parts, part + 1) - row;
          if (rounding) {
            attend_rounded(args, &states, block, queries + QUERIES_BEFORE(part, row), row, some, tall, part == 0, c,
                           scores, (float *)queries + (size_t)(rows + 2) * padded, &state);
            continue;
          }
          const float *q = args->q + (ptrdiff_t)(first + row) * args->ldq + head * width;
          const float *k = keys + (size_t)block * width, *v = values + (size_t)block * 16;
          const ptrdiff_t key_panel = (ptrdiff_t)16 * width, value_panel = (ptrdiff_t)16 * shared_padded;
          const int key_panels = ceil_div(count, 16), value_panels = padded / 16;
          float *sums = state.sums + (size_t)row * padded;
          // The first rows that meet a block fetch the next one: a long context comes from memory.
          if (part == 0)
            tiles_fetching(some, key_panels, width, q, args->ldq, k, key_panel, (ptrdiff_t)KEY_BLOCK * width, scores,
                           KEY_BLOCK, 0);
          else
            tiles_by_rows(some, key_panels, width, q, args->ldq, k, key_panel, scores, KEY_BLOCK, 0);
          soften_block(some, count, NULL, c, scores, &state, row);
          if (part == 0)
            tiles_fetching(some, value_panels, count, scores, KEY_BLOCK, v, value_panel, KEY_BLOCK * 16, sums,
                           padded, 1);
          else
            tiles_by_rows(some, value_panels, count, scores, KEY_BLOCK, v, value_panel, sums, padded, 1);
        }
      }
      for (int row = 0, batch; args->limits && row < rows; row += batch) {
        batch = private_batch(args, first + row, rows - row);
        attend_private(args, head, first, row, batch, c, scores, &state);
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

static void attention(const ck_attention_args *args) { attend(0, args); }
static void attention_bf16(const ck_attention_args *args) {
  attend(1, args);
#if CK_TILES
  _tile_release();
#endif
}
