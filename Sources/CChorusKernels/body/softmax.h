// The running softmax of attention.h, which says what its constants are.

typedef struct {
  float best[ROW_GROUP + 8];   // running maximum of c * score
  float total[ROW_GROUP + 8];  // running sum of 2^(c * score - best)
  float *sums;                 // [rows][padded]: running output, not yet divided by total
  int padded;
} online;

/// Eight scores of a row, UNSEEN where they are hidden.
INLINE v8 seen_scores(const int masked, int g, uint64_t visible, float *s) {
  const i8 bits = {1, 2, 4, 8, 16, 32, 64, 128};
  v8 x = load8(s + 8 * g);
  if (masked) {
    x = select8(((i8)((int32_t)(visible >> 8 * g) & 255) & bits) != 0, x, splat(UNSEEN));
    store8(s + 8 * g, x);
  }
  return x;
}

/// The largest of a row's scores, after those that are hidden have become UNSEEN.
INLINE float largest_score(const int masked, const int groups, uint64_t visible, float *s) {
  v8 most = splat(UNSEEN);
#if CK_LANES == 16
  const iwide bits = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768};
  wide both = (wide)(UNSEEN);
  UNROLL for (int g = 0; g < KEY_BLOCK / 8; g += 2) {
    if (g + 1 >= groups) continue;
    wide x = load_wide(s + 8 * g);
    if (masked) {
      x = ((iwide)((int32_t)(visible >> 8 * g) & 0xffff) & bits) != 0 ? x : (wide)(UNSEEN);
      store_wide(s + 8 * g, x);
    }
    both = x > both ? x : both;
  }
  most = max8(both.hi, both.lo);
  if (groups % 2) most = max8(seen_scores(masked, groups - 1, visible, s), most);
#else
  UNROLL for (int g = 0; g < KEY_BLOCK / 8; ++g)
    if (g < groups) most = max8(seen_scores(masked, g, visible, s), most);
#endif
  return maximum8(most);
}

/// Eight scores of a row become weights.
INLINE v8 weigh8(const int masked, int g, float c, float best, float *s) {
  const v8 x = load8(s + 8 * g);
  v8 weight = exp2_fast8(FMA(x, splat(c), splat(-best)));
  if (masked) weight = select8(x > splat(BARELY_SEEN), weight, splat(0));
  store8(s + 8 * g, weight);
  return weight;
}

/// A row's scores become weights. Their sum is that of the even groups of 8 and that of the odd ones, then of both.
INLINE float weigh_scores(const int masked, const int groups, float c, float best, float *s) {
  v8 even = splat(0), odd = splat(0);
#if CK_LANES == 16
  wide both = (wide)(0.0f);
  UNROLL for (int g = 0; g < KEY_BLOCK / 8; g += 2) {
    if (g + 1 >= groups) continue;
    const wide x = load_wide(s + 8 * g);
    wide weight = exp2_fast16(FMA(x, (wide)(c), (wide)(-best)));
    if (masked) weight = x > (wide)(BARELY_SEEN) ? weight : (wide)(0.0f);
    store_wide(s + 8 * g, weight);
    both += weight;
  }
  even = both.lo, odd = both.hi;
  if (groups % 2) even += weigh8(masked, groups - 1, c, best, s);
#else
  UNROLL for (int g = 0; g < KEY_BLOCK / 8; ++g) {
    if (g >= groups) continue;
    const v8 weight = weigh8(masked, g, c, best, s);
    if (g % 2)
      odd += weight;
    else
      even += weight;
  }
#endif
  return sum8(even + odd);
}

/// Turns scores [rows][KEY_BLOCK] into weights 2^(c * s - best) after moving best, total and sums of rows
/// row...row + rows - 1 along. Only the first `groups` groups of 8 keys count, and of row r, when masked, only
/// the keys whose bits are set in visible[r].
INLINE void soften(const int masked, const int groups, int rows, const uint64_t *visible, float c, float *scores,
                   online *state, int row) {
  float change[16];
  for (int r = 0; r < rows; ++r) {
    const float most = largest_score(masked, groups, masked ? visible[r] : 0, scores + r * KEY_BLOCK);
    const float old = state->best[row + r], here = most * c;
    const float best = here > old ? here : old;
    change[r] = old - best;
    state->best[row + r] = best;
  }
  for (int r = 0; r < rows; r += 8) store8(change + r, exp2_fast8(load8(change + r)));
  for (int r = 0; r < rows; ++r) {
    const float sum = weigh_scores(masked, groups, c, state->best[row + r], scores + r * KEY_BLOCK);
    state->total[row + r] = state->total[row + r] * change[r] + sum;
    if (change[r] != 1.0f) {  // times one changes nothing
      float *sums = state->sums + (size_t)(row + r) * state->padded;
      for (int j = 0; j < state->padded; j += 8) store8(sums + j, load8(sums + j) * splat(change[r]));
    }
  }
}

/// The first `count` <= 64 keys of a block.
INLINE uint64_t first_keys(int count) { return count >= KEY_BLOCK ? ~(uint64_t)0 : ((uint64_t)1 << count) - 1; }

/// Row r sees the keys whose bits are set in visible[r]; all of them where visible is NULL. The weights of a block
/// are the same bytes on every path: a masked key weighs zero and changes no sum.
static void soften_block(int rows, int keys, const uint64_t *visible, float c, float *scores, online *state,
                         int row) {
  if (!visible && keys == KEY_BLOCK) {
    soften(0, KEY_BLOCK / 8, rows, NULL, c, scores, state, row);
    return;
  }
  uint64_t words[16], all = ~(uint64_t)0;
  for (int r = 0; r < rows; ++r) {
    words[r] = visible ? visible[r] : first_keys(keys);
    all &= words[r];
  }
  if (keys % 8 == 0 && all == first_keys(keys))
    soften(0, keys / 8, rows, NULL, c, scores, state, row);
  else
    soften(1, ceil_div(keys, 8), rows, words, c, scores, state, row);
}
