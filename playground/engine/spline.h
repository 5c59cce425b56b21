// What the rows nearest to a point say of it, along one input: the library's LocalSpline, whose comments tell why.

enum { FORMS = 3, CENTRE = 1, TOLD = 2 * FORMS + 1, TOLD_ROW = TOLD + 2, MOST_NEAR = 64 };
#define LEAST_UNIT 0.001
#define MOST_UNIT 8.0
#define MOST_VALUE 4.0
#define CHOICES 5
#define JUDGES 24

static const struct { int power, monomials; double sign; } forms[FORMS] = {{1, 1, -1}, {3, 2, 1}, {5, 3, -1}};
static const double choices[CHOICES] = {1e-7, 1e-5, 1e-3, 1e-1, 1e1};

typedef struct { double origin, scale; } unit;
typedef struct { float features[TOLD]; unit unit; } told;
/// A row in the network's units.
typedef struct { float x, y; } point;

typedef struct {
  int most, count;
  float x;
  float squares[MOST_NEAR];
  point rows[MOST_NEAR];
  double steps[MOST_NEAR + 1];
  double between[(MOST_NEAR + 1) * (MOST_NEAR + 1)];
  double system[(MOST_NEAR + 5) * (MOST_NEAR + 8)];
} spline;

static void spline_move(spline *s, float x) { s->x = x, s->count = 0; }

static int precedes(point a, point b) { return a.x != b.x ? a.x < b.x : a.y < b.y; }

/// Shows a row; it is kept while it is among the nearest.
static void spline_show(spline *s, point row) {
  const float difference = row.x - s->x, square = difference * difference;
  int place = s->count;
  while (place > 0 && (square != s->squares[place - 1] ? square < s->squares[place - 1]
                                                       : precedes(row, s->rows[place - 1])))
    --place;
  if (place >= s->most) return;
  if (s->count < s->most) ++s->count;
  for (int i = s->count - 1; i > place; --i) s->squares[i] = s->squares[i - 1], s->rows[i] = s->rows[i - 1];
  s->squares[place] = square, s->rows[place] = row;
}

static double farthest(const spline *s) {
  const double far = sqrt_f64((double)(s->count > 0 ? s->squares[s->count - 1] : 0));
  return far > 0 ? far : 1;
}

/// |h|^power from |h|^2.
static double raise(double square, int power) {
  const double length = sqrt_f64(square);
  return power == 1 ? length : power == 3 ? square * length : square * square * length;
}

/// Rows less the point in units of the farthest one's distance, which it returns.
static double spline_step(spline *s) {
  const double reach = farthest(s);
  const int count = s->count;
  for (int i = 0; i < count; ++i) s->steps[i] = ((double)s->rows[i].x - (double)s->x) / reach;
  s->steps[count] = 0;
  for (int i = 0; i <= count; ++i)
    for (int j = 0; j < i; ++j) {
      const double difference = s->steps[i] - s->steps[j];
      s->between[i * (MOST_NEAR + 1) + j] = difference * difference;
    }
  return reach;
}

static int pitch(int size) { return (size + 5) / 4 * 4; }

/// Fills the bordered matrix and eliminates; 0 where it has no inverse. Rows `size` and `size + 1` are the point's and the values'.
static int eliminate(spline *s, int form, double noise) {
  const int q = forms[form].monomials, count = s->count, size = count + q, width = pitch(size);
  double *a = s->system;
  memset(a, 0, sizeof(double) * (size_t)width * (size_t)(size + 2));
  for (int i = 0; i < count; ++i) {
    a[i * width + i] = noise + 1e-8;
    a[i * width + size + 1] = a[(size + 1) * width + i] = (double)s->rows[i].y;
    double value = 1;
    for (int m = 0; m < q; ++m, value *= s->steps[i]) a[i * width + count + m] = a[(count + m) * width + i] = value;
  }
  for (int m = 0; m < q; ++m) a[(count + m) * width + count + m] = -1e-9;
  a[count * width + size] = a[size * width + count] = 1;
  for (int i = 0; i <= count; ++i) {
    const int row = i == count ? size : i;
    for (int j = 0; j < i; ++j)
      a[row * width + j] = a[j * width + row] =
          forms[form].sign * raise(s->between[i * (MOST_NEAR + 1) + j], forms[form].power);
  }
  return schur_f64(size, size + 2, a, width) == size;
}

static double clamp(double x, double low, double high) { return x < low ? low : x > high ? high : x; }

/// The value that one form foretells with the deviation of its error, and that of the noise in it.
static unit spline_fit(spline *s, int form, double noise, double *noise_unit) {
  const int q = forms[form].monomials, size = s->count + q, width = pitch(size);
  *noise_unit = 1;
  if (s->count <= q || !eliminate(s, form, noise)) return (unit){0, 1};
  const double *a = s->system, point = a[size * width + size], both = a[size * width + size + 1];
  const double values = a[(size + 1) * width + size + 1], least = LEAST_UNIT * LEAST_UNIT;
  const double factor = (values < 0 ? -values : 0) / (double)(s->count - q);
  const double scale = sqrt_f64(factor * ((point > 0 ? point : 0) + noise) + least);
  *noise_unit = clamp(sqrt_f64(factor * noise + least), 0, MOST_UNIT);
  return (unit){clamp(-both, -MOST_VALUE, MOST_VALUE), clamp(scale, 0, MOST_UNIT)};
}

/// What the rows shown say of the point; `law` is the noise of every form.
static told spline_tell(spline *s, const double *law) {
  const double reach = spline_step(s);
  unit units[FORMS];
  double noise = 1;
  for (int f = 0; f < FORMS; ++f) {
    double own;
    units[f] = spline_fit(s, f, law[f] / raise(reach * reach, forms[f].power), &own);
    if (f == CENTRE) noise = own;
  }
  const unit middle = units[CENTRE];
  told t = {.unit = middle};
  t.features[0] = (float)middle.origin;
  int other = 1 + FORMS;
  for (int f = 0; f < FORMS; ++f) {
    t.features[1 + f] = (float)(log_f64(units[f].scale) / 2);
    if (f == CENTRE) continue;
    t.features[other++] =
        (float)(clamp((units[f].origin - middle.origin) / middle.scale, -MOST_UNIT, MOST_UNIT) / 4);
  }
  t.features[other] = (float)(log_f64(noise) / 2);
  return t;
}

/// The same with how well the rows foretell the point's value.
static void spline_judge(const told *t, float y, float *out) {
  for (int i = 0; i < TOLD; ++i) out[i] = t->features[i];
  const double distance = clamp(((double)y - t->unit.origin) / t->unit.scale, -MOST_UNIT, MOST_UNIT);
  out[TOLD] = (float)(distance / 4);
  out[TOLD + 1] = (float)(log_f64(__builtin_fabs(distance) + 0.05) / 2);
}

/// The restricted log-likelihood of the rows shown, up to a constant.
static double merit(spline *s, int form, double noise) {
  const int q = forms[form].monomials, size = s->count + q, width = pitch(size);
  if (s->count <= q || !eliminate(s, form, noise)) return 0;
  double determinant = 0;
  for (int i = 0; i < size; ++i) determinant += log_f64(__builtin_fabs(s->system[i * width + i]));
  const double values = -s->system[(size + 1) * width + size + 1];
  return -0.5 * determinant - 0.5 * (double)(s->count - q) * log_f64(values > 1e-30 ? values : 1e-30);
}

/// The noise of every form, which is the same at all points. `rows` are sorted by their inputs, then their values.
static void spline_law(spline *s, int count, const point *rows, double *law) {
  for (int f = 0; f < FORMS; ++f) law[f] = choices[1];
  if (count == 0) return;
  const int judges = count < JUDGES ? count : JUDGES;
  double reaches[JUDGES], merits[FORMS][CHOICES] = {{0}};
  for (int pass = 0; pass < 2; ++pass) {
    double typical = 0;
    if (pass) {
      for (int i = 1; i < judges; ++i)
        for (int j = i; j > 0 && reaches[j] < reaches[j - 1]; --j) {
          const double t = reaches[j];
          reaches[j] = reaches[j - 1], reaches[j - 1] = t;
        }
      typical = reaches[judges / 2];
    }
    for (int judge = 0; judge < judges; ++judge) {
      spline_move(s, rows[(2 * judge + 1) * count / (2 * judges)].x);
      for (int i = 0; i < count; ++i) spline_show(s, rows[i]);
      if (!pass) {
        reaches[judge] = farthest(s);
        continue;
      }
      const double reach = spline_step(s);
      for (int f = 0; f < FORMS; ++f) {
        const double ratio = raise(typical * typical / (reach * reach), forms[f].power);
        for (int c = 0; c < CHOICES; ++c) merits[f][c] += merit(s, f, choices[c] * ratio);
      }
    }
    if (!pass) continue;
    const int near = s->most < count ? s->most : count, shown = judges * near;
    const double once = shown > count ? (double)count / (double)(shown > 1 ? shown : 1) : 1;
    for (int f = 0; f < FORMS; ++f) {
      double top = merits[f][0], weights = 0, mean = 0;
      for (int c = 1; c < CHOICES; ++c) top = merits[f][c] > top ? merits[f][c] : top;
      for (int c = 0; c < CHOICES; ++c) {
        const double weight = exp_f64_one(once * (merits[f][c] - top));
        weights += weight, mean += weight * log_f64(choices[c]);
      }
      law[f] = exp_f64_one(mean / weights) * raise(typical * typical, forms[f].power);
    }
  }
}
