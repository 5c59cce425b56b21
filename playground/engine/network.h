// The forward pass of a set model: what ChorusModels computes, by the same kernels, for one input and softmax memories.

typedef struct {
  int width, layers, heads, feed, embedder, head, frequencies, components, around, neighbours;
  float floor;
} sizes;

/// y = x W + b, with W packed for the kernels; no bias where it is NULL.
typedef struct {
  int inputs, outputs;
  const float *plain;  // as the file has it, [inputs, outputs]
  float *packed;
  const float *bias;
} linear;
typedef struct { linear up, down; } perceptron;
typedef struct { linear in; perceptron rest; } embedder;
typedef struct { const float *gain, *bias; } norm;
typedef struct {
  norm before, between;
  linear query, stored, out;
  perceptron feed;
} block;

enum { MOST_LAYERS = 32 };

static sizes size;
static struct {
  embedder x, y;
  linear near, near_row;
  const float *context, *buffer, *target, *empty;
  block blocks[MOST_LAYERS];
  norm last;
  perceptron head;
} net;

// ---- memory: one arena; what comes after a mark is forgotten with it ----

extern unsigned char __heap_base;
static unsigned char *free_from;
static int failed;  // whether memory ran out: answers are then worth nothing

static void *take(size_t bytes) {
  if (!free_from) free_from = &__heap_base;
  unsigned char *place = (unsigned char *)(((uintptr_t)free_from + 63) & ~(uintptr_t)63);
  const size_t end = (size_t)place + bytes, pages = (end + 65535) >> 16, have = __builtin_wasm_memory_size(0);
  if (pages > have && __builtin_wasm_memory_grow(0, pages - have) == (size_t)-1) {
    failed = 1;
    return &__heap_base;
  }
  free_from = (unsigned char *)end;
  return place;
}
static float *floats(int count) { return take(sizeof(float) * (size_t)(count > 0 ? count : 1)); }
static float *zeros(int count) {
  float *p = floats(count);
  if (!failed) memset(p, 0, sizeof(float) * (size_t)count);
  return p;
}

// ---- layers ----

static void apply(const linear *l, int rows, const float *x, int activation, const float *residual, float *out) {
  matmul(&(ck_matmul_args){.m = rows, .k = l->inputs, .n = l->outputs, .a = x, .lda = l->inputs,
                           .packed = l->packed, .c = out, .ldc = l->outputs, .bias = l->bias,
                           .activation = activation, .residual = residual, .ldres = l->outputs});
}

static void apply_perceptron(const perceptron *p, int rows, const float *x, const float *residual, float *out) {
  unsigned char *mark = free_from;
  float *hidden = floats(rows * p->up.outputs);
  apply(&p->up, rows, x, CK_GELU, NULL, hidden);
  apply(&p->down, rows, hidden, CK_IDENTITY, residual, out);
  free_from = mark;
}

static void apply_embedder(const embedder *e, int rows, const float *x, float *out) {
  unsigned char *mark = free_from;
  float *t = floats(rows * size.width);
  apply(&e->in, rows, x, CK_IDENTITY, NULL, t);
  apply_perceptron(&e->rest, rows, t, t, out);
  free_from = mark;
}

static void apply_norm(const norm *n, int rows, const float *x, float *out) {
  layer_norm(rows, size.width, x, size.width, n->gain, n->bias, 1e-5f, out, size.width, NULL);
}

static void add_row(const float *row, float *out) {
  for (int i = 0; i < size.width; ++i) out[i] += row[i];
}

/// x | 1 | sines | cosines of x at octaves from pi/4 on, through the input embedder.
static void embed_inputs(int rows, const float *x, float *out) {
  unsigned char *mark = free_from;
  const int width = net.x.in.inputs;
  float *features = zeros(rows * width);
  for (int r = 0; r < rows; ++r) {
    float *f = features + r * width;
    f[0] = x[r], f[1] = 1;
    double omega = 0.78539816339744830962;
    for (int i = 0; i < size.frequencies; ++i, omega *= 2) {
      double sine, cosine;
      sine_cosine(omega * (double)x[r], &sine, &cosine);
      f[2 + i] = (float)sine, f[2 + size.frequencies + i] = (float)cosine;
    }
  }
  apply_embedder(&net.x, rows, features, out);
  free_from = mark;
}

// ---- the context ----

typedef struct { float *keys, *values; } store;

static struct {
  int rows;             // observed
  int stored;           // of each layer: one learned row where nothing was observed
  point *points;        // sorted by inputs, then values
  double law[FORMS];
  store layers[MOST_LAYERS];
  float *plain[MOST_LAYERS];  // keys | values as they were packed, for the test of parity
} context;

static spline near;

static void attend_in_block(const block *b, int rows, float *h, const float *normed, const ck_attention_args *reads) {
  unsigned char *mark = free_from;
  const int d = size.width;
  float *queries = floats(rows * d), *found = floats(rows * d), *inner = floats(rows * d);
  apply(&b->query, rows, normed, CK_IDENTITY, NULL, queries);
  ck_attention_args args = *reads;
  args.rows = rows, args.heads = size.heads, args.width = d / size.heads;
  args.scale = 1.0f / (float)sqrt_f64((double)args.width);
  args.q = queries, args.ldq = d, args.out = found, args.ldo = d;
  args.scratch = floats(64 * ((args.width + 15) / 16 * 16));
  attention(&args);
  apply(&b->out, rows, found, CK_IDENTITY, h, h);
  apply_norm(&b->between, rows, h, inner);
  apply_perceptron(&b->feed, rows, inner, h, h);
  free_from = mark;
}

static ck_attention_args reads_context(int layer) {
  return (ck_attention_args){.shared_count = context.stored, .shared_keys = context.layers[layer].keys,
                             .shared_values = context.layers[layer].values};
}

/// Reads rows once: every layer keeps their keys and values.
static void read_context(int rows, const float *x, const float *y) {
  const int d = size.width, stored = rows > 0 ? rows : 1, width = d / size.heads;
  context.rows = rows, context.stored = stored;
  context.points = take(sizeof(point) * (size_t)stored);
  float *h = floats(stored * d), *normed = floats(stored * d);
  if (failed) return;
  for (int i = 0; i < rows; ++i) {
    point p = {x[i], y[i]};
    int place = i;
    for (; place > 0 && precedes(p, context.points[place - 1]); --place)
      context.points[place] = context.points[place - 1];
    context.points[place] = p;
  }
  if (size.neighbours) {
    near.most = size.neighbours;
    spline_law(&near, rows, context.points, context.law);
  }
  if (rows == 0) {
    memcpy(h, net.empty, sizeof(float) * (size_t)d);
  } else {
    float *ey = floats(rows * d);
    embed_inputs(rows, x, h);
    apply_embedder(&net.y, rows, y, ey);
    float *rest = ey;
    if (size.neighbours) {
      float *features = floats(rows * TOLD_ROW);
      for (int i = 0; i < rows; ++i) {
        const point own = {x[i], y[i]};
        int left_out = 0;  // one of those that are like it
        spline_move(&near, own.x);
        for (int j = 0; j < rows; ++j) {
          const point other = context.points[j];
          if (!left_out && other.x == own.x && other.y == own.y) { left_out = 1; continue; }
          spline_show(&near, other);
        }
        const told t = spline_tell(&near, context.law);
        spline_judge(&t, own.y, features + i * TOLD_ROW);
      }
      rest = floats(rows * d);
      apply(&net.near_row, rows, features, CK_IDENTITY, ey, rest);
    }
    for (int i = 0; i < rows * d; ++i) h[i] += rest[i];
    for (int r = 0; r < rows; ++r) add_row(net.context, h + r * d);
  }
  for (int layer = 0; layer < size.layers; ++layer) {
    const block *b = &net.blocks[layer];
    float *kv = context.plain[layer] = floats(stored * 2 * d);
    const int padded = (stored + 15) / 16 * 16;
    store *s = &context.layers[layer];
    s->keys = floats(padded * d), s->values = floats(padded * size.heads * ((width + 15) / 16 * 16));
    if (failed) return;
    apply_norm(&b->before, stored, h, normed);
    apply(&b->stored, stored, normed, CK_IDENTITY, NULL, kv);
    pack_shared(0, stored, stored, size.heads, width, kv, 2 * d, kv + d, 2 * d, s->keys, s->values);
    if (layer == size.layers - 1) break;
    const ck_attention_args reads = reads_context(layer);
    attend_in_block(b, stored, h, normed, &reads);
  }
}

// ---- paths beside each other ----

static struct {
  int asked;           // targets
  const float *x;      // [asked]
  float *embedded;     // [asked, d]
} questions;

static struct {
  int count, capacity;
  int32_t *held;       // rows committed, path by path
  point *rows;         // [count, capacity]
  store layers[MOST_LAYERS];
  int key_stride, value_stride;
} paths;

static void branch(int count, int capacity) {
  const int d = size.width;
  paths.count = count, paths.capacity = capacity;
  paths.held = take(sizeof(int32_t) * (size_t)count);
  paths.rows = take(sizeof(point) * (size_t)(count * capacity + 1));
  if (failed) return;
  for (int p = 0; p < count; ++p) paths.held[p] = 0;
  paths.key_stride = (capacity + 7) / 8 * 8 * d, paths.value_stride = capacity * d;
  for (int layer = 0; layer < size.layers; ++layer) {
    // What a hidden key or value holds must be finite.
    paths.layers[layer].keys = zeros(count * paths.key_stride);
    paths.layers[layer].values = zeros(count * paths.value_stride);
  }
}

/// A row of a call: committed with a value to the next slot of its path, or asked for (`commits` 0).
typedef struct {
  int path, input, commits, limit;
  float y;
} call_row;

/// What the context and the first `prefix` rows of a path say of an input.
static told tell_row(int path, int prefix, float x) {
  spline_move(&near, x);
  for (int i = 0; i < context.rows; ++i) spline_show(&near, context.points[i]);
  for (int i = 0; i < prefix; ++i) spline_show(&near, paths.rows[path * paths.capacity + i]);
  return spline_tell(&near, context.law);
}

/// One network call. `rows` come path by path, each path's commits first; the head's raw numbers of the rows asked for go to
/// `raw` [asked, 3 components] and the units they are in to `units`.
static void advance(int count, const call_row *rows, float *raw, unit *units) {
  unsigned char *mark = free_from;
  const int d = size.width, width = d / size.heads;
  int commits = 0, asked = 0;
  for (int r = 0; r < count; ++r) rows[r].commits ? ++commits : ++asked;
  float *h = floats(count * d), *normed = floats(count * d);
  float *values = floats(commits), *ey = floats(commits * d), *tokens = floats(count * d), *kept = floats(commits * d);
  float *kv = floats(commits * 2 * d), *features = floats(count * TOLD_ROW);
  int32_t *limits = take(sizeof(int32_t) * (size_t)count), *path = take(sizeof(int32_t) * (size_t)count);
  int32_t *slots = take(sizeof(int32_t) * (size_t)(commits + 1));
  if (failed) return;
  for (int r = 0, c = 0; r < count; ++r) {
    limits[r] = rows[r].limit, path[r] = rows[r].path;
    if (!rows[r].commits) continue;
    const int slot = paths.held[rows[r].path]++;
    paths.rows[rows[r].path * paths.capacity + slot] = (point){questions.x[rows[r].input], rows[r].y};
    slots[c] = slot, values[c++] = rows[r].y;
  }
  if (commits) apply_embedder(&net.y, commits, values, ey);
  if (size.neighbours) {
    float *judged = features, *plain = features + commits * TOLD_ROW;
    for (int r = 0, c = 0, q = 0; r < count; ++r) {
      const told t = tell_row(rows[r].path, rows[r].limit - rows[r].commits, questions.x[rows[r].input]);
      if (rows[r].commits) {
        spline_judge(&t, rows[r].y, judged + TOLD_ROW * c++);
      } else {
        for (int i = 0; i < TOLD; ++i) plain[TOLD * q + i] = t.features[i];
        units[q++] = t.unit;
      }
    }
    if (commits) apply(&net.near_row, commits, judged, CK_IDENTITY, NULL, tokens);
    apply(&net.near, asked, plain, CK_IDENTITY, NULL, tokens + commits * d);
  } else {
    for (int q = 0; q < asked; ++q) units[q] = (unit){0, 1};
  }
  for (int r = 0, c = 0, q = 0; r < count; ++r) {
    float *out = h + r * d;
    memcpy(out, questions.embedded + rows[r].input * d, sizeof(float) * (size_t)d);
    if (rows[r].commits) {
      add_row(ey + c * d, out), add_row(net.buffer, out);
      if (size.neighbours) add_row(tokens + c * d, out);
      ++c;
    } else {
      add_row(net.target, out);
      if (size.neighbours) add_row(tokens + (commits + q) * d, out);
      ++q;
    }
  }
  int live = count;
  for (int layer = 0; layer < size.layers; ++layer) {
    const block *b = &net.blocks[layer];
    apply_norm(&b->before, live, h, normed);
    if (commits) {
      for (int r = 0, c = 0; r < count; ++r)
        if (rows[r].commits) memcpy(kept + d * c++, normed + r * d, sizeof(float) * (size_t)d);
      apply(&b->stored, commits, kept, CK_IDENTITY, NULL, kv);
      for (int r = 0, c = 0; r < count; ++r) {
        if (!rows[r].commits) continue;
        append_private(slots[c], paths.capacity, size.heads, width, kv + c * 2 * d, kv + c * 2 * d + d,
                       paths.layers[layer].keys + (size_t)rows[r].path * paths.key_stride,
                       paths.layers[layer].values + (size_t)rows[r].path * paths.value_stride);
        ++c;
      }
      if (layer == size.layers - 1) {  // nobody reads what committed rows would become
        int q = 0;
        for (int r = 0; r < count; ++r) {
          if (rows[r].commits) continue;
          memcpy(h + q * d, h + r * d, sizeof(float) * (size_t)d);
          memcpy(normed + q * d, normed + r * d, sizeof(float) * (size_t)d);
          limits[q] = limits[r], path[q] = path[r];
          ++q;
        }
        live = q;
      }
    }
    ck_attention_args reads = reads_context(layer);
    reads.paths = path, reads.limits = limits, reads.capacity = paths.capacity;
    reads.private_keys = paths.layers[layer].keys, reads.private_values = paths.layers[layer].values;
    reads.private_keys_stride = (size_t)paths.key_stride, reads.private_values_stride = (size_t)paths.value_stride;
    attend_in_block(b, live, h, normed, &reads);
  }
  apply_norm(&net.last, live, h, normed);
  apply_perceptron(&net.head, live, normed, NULL, raw);
  free_from = mark;
}
