/* Five levels, and what lies between and behind them: a hundred coherent paths, their quantiles, and how often their sum is above 12.
 *
 *   cc levels.c -I Sources/CChorus/include -L FOLDER -lchorus -o levels
 */
#include <chorus.h>
#include <stdio.h>

enum { rows = 5, points = 3, paths = 100, levels = 3 };

static int fail(const char *what) {
  fprintf(stderr, "error: %s: %s\n", what, chorus_last_error());
  return 1;
}

int main(void) {
  const double x[rows] = {0, 1, 2, 4, 5}, y[rows] = {3.1, 2.9, 3.4, 4.0, 4.2};
  const double at[points] = {3, 6, 7}, level[levels] = {0.05, 0.5, 0.95};
  const chorus_rows observed = {.inputs = x, .targets = y, .rows = rows, .columns = 1};
  const chorus_points asked = {.inputs = at, .rows = points, .columns = 1};
  const chorus_options options = {.seed = 7};
  chorus_model *model = NULL;
  chorus_posterior *posterior = NULL;
  double values[paths * points], means[points], bands[points * levels], sums[paths], density;
  int above = 0;

  if (chorus_open("functions", 0, &model)) return fail("open");
  if (chorus_condition(model, &observed, &options, &posterior)) return fail("condition");
  if (chorus_sample(posterior, &asked, paths, &options, level, levels, values, means, bands, NULL))
    return fail("sample");
  if (chorus_functionals(posterior, &asked, paths, values, "sum", sums)) return fail("functionals");
  if (chorus_log_density(posterior, &asked, (const double[]){3.7, 4.2, 4.1}, &options, &density))
    return fail("log_density");

  printf("x,mean,q0.05,q0.5,q0.95\n");
  for (int i = 0; i < points; i++)
    printf("%g,%.17g,%.17g,%.17g,%.17g\n", at[i], means[i], bands[3 * i], bands[3 * i + 1], bands[3 * i + 2]);
  for (int i = 0; i < paths; i++) above += sums[i] > 12;
  printf("P(sum > 12) = %.2f; log p(3.7, 4.2, 4.1) = %.3f\n", above / (double)paths, density);

  chorus_free(posterior);
  chorus_free(model);
  return 0;
}
