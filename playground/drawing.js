// What the pictures share: SVG elements, ticks, numbers in words.

function element(name, attributes = {}, parent = null) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  parent?.append(node);
  return node;
}

const round1 = (value) => Math.round(value * 10) / 10;

/** A polyline as the `d` of a path. */
function line(points) {
  let d = "";
  for (let i = 0; i < points.length; i++) d += `${i ? "L" : "M"}${round1(points[i][0])} ${round1(points[i][1])}`;
  return d;
}

/** Round numbers from `low` to `high`, about `count` of them. */
function ticks(low, high, count) {
  const rough = (high - low) / Math.max(count, 1), power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough * 0.999);
  const values = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + 1e-9 * step; i++) values.push(i * step + 0);
  return { values, step };
}

/** Days since 1970 of round dates, with their labels. */
function dateTicks(low, high, count) {
  const span = high - low, rough = span / Math.max(count, 1);
  const date = (day) => new Date(day * DAY);
  const iso = (day) => date(day).toISOString();
  if (rough > 300) {
    const step = ticks(0, span / 365.25, count).step || 1, years = Math.max(1, Math.round(step));
    const out = [];
    for (let y = Math.ceil(date(low).getUTCFullYear() / years) * years; Date.UTC(y, 0) / DAY <= high; y += years) {
      if (Date.UTC(y, 0) / DAY >= low) out.push({ value: Date.UTC(y, 0) / DAY, text: String(y) });
    }
    return out;
  }
  if (rough > 20) {
    const months = [1, 2, 3, 6, 12].find((m) => m * 30.4 >= rough * 0.8) ?? 12;
    const out = [], start = date(low);
    for (let m = start.getUTCFullYear() * 12; ; m += months) {
      const day = Date.UTC(Math.floor(m / 12), m % 12) / DAY;
      if (day > high) return out;
      if (day >= low) out.push({ value: day, text: iso(day).slice(0, 7) });
    }
  }
  const { values } = ticks(low, high, count);
  return values.map((value) => ({ value, text: rough >= 1 ? iso(value).slice(5, 10) : iso(value).slice(5, 16).replace("T", " ") }));
}

/** A number with as many digits as `step` needs. */
function numberText(value, step) {
  const size = Math.max(Math.abs(value), step);
  if (size >= 1e6 || size < 1e-4) return value === 0 ? "0" : value.toExponential(1).replace("e+", "e");
  const digits = Math.max(0, Math.min(6, -Math.floor(Math.log10(step) + 1e-9)));
  return value.toFixed(digits).replace("-", "\u2212");
}

/** Three digits that say something. */
function shortText(value, isDate = false) {
  if (!Number.isFinite(value)) return "none";
  if (isDate) return new Date(value * DAY).toISOString().slice(0, 10);
  if (value === 0) return "0";
  return numberText(value, 10 ** (Math.floor(Math.log10(Math.abs(value))) - 2));
}

/** The empirical quantile of sorted numbers, by linear interpolation. */
function quantileOf(sorted, level) {
  const place = level * (sorted.length - 1), low = Math.floor(place), high = Math.min(low + 1, sorted.length - 1);
  return sorted[low] + (sorted[high] - sorted[low]) * (place - low);
}
